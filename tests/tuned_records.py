"""A study with tuned values, and records of it without any training."""

import dataclasses

from medzoo.record import Record
from medzoo.study.spec import read_study
from medzoo.study.tuning import next_jobs

FILE = """\
question = "Which optimizer, each at its own learning rate?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0, 1, 2]
data = "synthetic"

[axes]
optimizer = ["sgd", "adam"]

[tuned]
learning_rate = [0.3, 0.001, 1e-6]
tune_seeds = [0]

[fixed]
model = "mlp"
width = 8
steps = 8
batch_size = 16
"""
TIMES = {"seconds", "images_per_second", "peak_memory_mb", "started"}


def read(folder, old="", new="", text=FILE):
    """Reads the study, with one change if wanted."""
    assert old in text
    path = folder / "x.toml"
    path.write_text(text.replace(old, new, 1))
    return read_study(path)


def read_halving(folder):
    """Reads one trial on one task, with halving over two seeds."""
    lines = 'tune_seeds = [0, 1]\nprune = "halving"'
    study = read(folder, "tune_seeds = [0]", lines)
    return dataclasses.replace(
        study, tasks=("breastmnist",), trials=study.trials[1:]
    )


# Macro F1 on val in the end; what is tuned is better for sgd the larger it is.
GOALS = {
    ("sgd", 0.3): 0.8,
    ("sgd", 0.001): 0.5,
    ("sgd", 1e-6): 0.3,
    ("adam", 0.3): 0.4,
    ("adam", 0.001): 0.9,
    ("adam", 1e-6): 0.3,
}
CHOICES = {
    (trial, task): {"learning_rate": value}
    for trial, value in (("sgd", 0.3), ("adam", 0.001))
    for task in ("breastmnist", "retinamnist")
}


def pretend(job, store):
    """Makes the record that a job might end with, without any training."""
    run = job.run
    goal = GOALS[run.optimizer, run.learning_rate] + run.seed / 100
    history = [
        {"step": step, "val_macro_f1": goal * step / 8, "val_loss": 1.0}
        for step in range(1, 9)
    ]
    status = "done" if job.read_test else "trained"
    names = ("val", "test") if job.read_test else ("val",)
    if job.until is not None:
        history, status, names = history[: round(8 * job.until)], "pruned", ()
    record = Record(
        run=run,
        run_id=run.run_id,
        status=status,
        history=history,
        scores={name: {"macro_f1": goal, "loss": 1.0} for name in names},
        num_images={"train": 500},
        seconds={"train": 1.0, "total": 2.0},
    )
    return record, {}


def work(store, jobs, execute):
    """Executes jobs in this process."""
    for job in jobs:
        store.write(*execute(job, store))


def carry_out(study, store, execute=pretend):
    """Does what the command line does, in this process."""
    tried = []
    while jobs := next_jobs(study, store, tried=tried):
        tried += jobs
        work(store, jobs, execute)
    return tried


def results(record):
    """Leaves out what tells of time."""
    return record.model_dump(exclude=TIMES)
