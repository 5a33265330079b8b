"""A small study and its records, made by hand."""

from pathlib import Path

from medzoo.record import Parameters, Record
from medzoo.study.expand import expand
from medzoo.study.spec import Study
from medzoo.study.trials import Trial

TASKS = ("breastmnist", "retinamnist")
# Macro F1 by trial, then by seed and task.
SCORES = {
    "adam": [[0.75, 0.25], [0.5, 0.5]],
    "sgd": [[0.5, 0.25], [0.5, 0.25]],
    "lion": [[0.75, 0.5], [0.75, 0.5]],
}


def make_study(names=tuple(SCORES), *, axis="optimizer", **changes):
    """Makes a study of one axis."""
    trials = tuple(Trial(name, {axis: name}) for name in names)
    values = {
        "name": "toy",
        "path": Path("toy.toml"),
        "question": "Which optimizer\nreaches the best macro F1?",
        "tasks": TASKS,
        "seeds": (0, 1),
        "data": "medmnist",
        "baseline": trials[0],
        "trials": trials,
        "axis_names": (axis,),
        "fixed": {"model": "mlp", "epochs": 5},
        "text": "",
    }
    return Study(**values | changes)


def make_record(run, macro_f1=None, *, status="done", **changes):
    """Makes the record of a run; every score is its macro F1, but for AUC."""
    scores = dict.fromkeys(
        ("accuracy", "balanced_accuracy", "cross_entropy", "mcc", "loss"),
        macro_f1,
    )
    both = {"macro_f1": macro_f1, "auc": None, **scores}
    values = {
        "scores": {"val": both, "test": both} if status == "done" else {},
        "parameters": Parameters(total=1234567, trainable=1234000),
        "flops": 20_528_000,
        "seconds": {"train": 12.25},
        "width": run.width,
        "device": "cpu",
        "versions": {"python": "3.11.9", "keras": "3.15.0", "medzoo": "0.1.0"},
        "started": "2026-03-02T10:00:00+00:00",
    }
    return Record(run=run, run_id=run.run_id, status=status, **values | changes)


def make_records(study, scores=None):
    """Makes the records of a study; a score of `None` is a missing run."""
    scores = SCORES if scores is None else scores
    records = {}
    for trial, run in expand(study):
        row, column = study.seeds.index(run.seed), study.tasks.index(run.task)
        value = scores[trial.name][row][column]
        if value is not None:
            records[run.run_id] = make_record(run, value)
    return records


def find_run(study, name, task=TASKS[0], seed=0):
    """Finds one planned run."""
    return next(
        run
        for trial, run in expand(study)
        if (trial.name, run.task, run.seed) == (name, task, seed)
    )
