"""Tables of a study: a row a run, and a row a trial."""

import json
import math
from collections.abc import Iterable, Sequence

from medzoo.record import Record
from medzoo.report.results import TrialResults
from medzoo.report.statistics import harmonic_mean_over_tasks, mean_over_tasks
from medzoo.report.summary import StudyStatistics, TrialStatistics
from medzoo.report.tables import Cell, Table
from medzoo.runs.fields import list_fields
from medzoo.runs.run import Run
from medzoo.scores.table import list_scores, list_summary
from medzoo.tasks import NAMES

SPLITS = ("train", "val", "test")
RUN_SCORES = list_scores("labels", "probabilities", "loss")
# Behind them, if a run has masks.
RUN_MASK_SCORES = list_scores("masks")
SECONDS = (
    "load",
    "build",
    "first_step",
    "train",
    "check",
    "evaluate",
    "total",
)
PACKAGES = ("medzoo", "keras", "tensorflow", "jax", "numpy", "python")


def make_runs(results: Iterable[TrialResults]) -> Table:
    """Makes one row a run, in the order of `results`, with full precision.

    A run of several tasks has a row a task, each with the scores of that task
    and the costs of the whole run. A run without a record has the status
    `missing` and no results.
    """
    results = list(results)
    masked = any(r.mask_classes for t in results for r in t.records.values())
    rows = [
        _make_row(trial.trial.name, run, trial.records.get(key), masked)
        | {"task": key[1]}
        for trial in results
        for key, run in trial.runs.items()
    ]
    # There may be no row: no tuned value is chosen yet.
    blank = Run.model_validate({"task": NAMES[0]})
    columns = tuple(_make_row("", blank, None, masked))
    return Table(columns, [list(row.values()) for row in rows])


def _make_row(
    trial: str, run: Run, record: Record | None, masked: bool
) -> dict[str, Cell]:
    # A record without results, for the same columns.
    empty = Record(run=run, run_id=run.run_id, status="failed")
    return {
        "trial": trial,
        "run_id": run.run_id,
        "status": "missing" if record is None else record.status,
        **_asked(run),
        **_scores(record or empty, masked),
        **_rest(record or empty),
    }


def _asked(run: Run) -> dict[str, Cell]:
    """Lists what was asked; `parameters` is the name of what was built."""
    fields = {
        "parameters_asked" if name == "parameters" else name: value
        for name, value in run.model_dump(mode="json").items()
    }
    del fields["fingerprint"]  # That of the record is told in any case.
    for name in ("options", "data_options"):
        fields[name] = json.dumps(fields[name])
    return fields


def _scores(record: Record, masked: bool) -> dict[str, Cell]:
    row: dict[str, Cell] = {}
    for split in SPLITS[1:]:
        scores = record.scores.get(split, {})
        row |= {f"{split}_{name}": scores.get(name) for name in RUN_SCORES}
        classes = record.per_class_f1.get(split, [])
        row[f"{split}_per_class_f1"] = " ".join(map(str, classes))
        if masked:
            row |= {
                f"{split}_{name}": scores.get(name) for name in RUN_MASK_SCORES
            }
            dice = record.per_mask_class_dice.get(split, [])
            row[f"{split}_per_segment_dice"] = " ".join(map(str, dice))
    for option in list_fields(compared=True):
        for split in SPLITS[1:]:
            without = record.without.get(option, {}).get(split, {})
            name = f"{split}_macro_f1_without_{option}"
            row[name] = without.get("macro_f1")
    return row


def _rest(record: Record) -> dict[str, Cell]:
    count, images = record.parameters, record.num_images
    message = str((record.error or {}).get("message", ""))
    return {
        "best_step": record.best_step,
        "parameters": None if count is None else count.total,
        "parameters_trainable": None if count is None else count.trainable,
        "flops": record.flops,
        "built_width": record.width,
        **{f"{part}_seconds": record.seconds.get(part) for part in SECONDS},
        "images_per_second": record.images_per_second,
        "peak_memory_mb": record.peak_memory_mb,
        **{f"{split}_images": images.get(split) for split in SPLITS},
        "device": record.device,
        **{f"{name}_version": record.versions.get(name) for name in PACKAGES},
        "data_fingerprint": record.data_fingerprint,
        "started": record.started,
        "error": " ".join(message.split()),
    }


TRIAL_SCORES = list_summary("labels", "probabilities", "loss")
# Before them, of runs with masks.
TRIAL_MASK_SCORES = list_summary("masks")
# `mflops`: millions of operations of one image, forward.
COSTS = ("parameters", "mflops", "train_seconds", "images_per_second")


def rank(results: Iterable[TrialResults]) -> list[TrialResults]:
    """Puts the best trial first: by harmonic mean, then by mean.

    Trials of which a run diverged come after those that have all their runs,
    the fewer seeds diverged the earlier; those with missing or failed runs
    after them. Equal ones keep the order of the study.
    """
    return sorted(results, key=_badness)


def _badness(trial: TrialResults) -> list[float]:
    scores = trial.matrix(trial.score)
    harmonic_mean = harmonic_mean_over_tasks(scores).mean
    mean = mean_over_tasks(scores).mean
    worst = math.inf if math.isnan(mean) else -mean
    if not math.isnan(harmonic_mean):
        return [0, -harmonic_mean, worst]
    lost = trial.diverged
    settled = lost and len(trial.done) + len(trial.failed) == trial.num_asked
    return [1, lost, worst] if settled else [2, 0, worst]


def make_summary(
    results: Sequence[TrialResults],
    axis_names: Sequence[str],
    statistics: StudyStatistics,
) -> Table:
    """Makes the table of scores on test, averaged over tasks, and of costs.

    Args:
        results: The trials in the order of the rows.
        axis_names: Axes whose values say which trial a row is.
        statistics: Of the trials.
    """
    compared = statistics.baseline is not None
    names = list_trial_scores(results)
    rest = tuple(score for score in names if score != statistics.score)
    costs = _name_costs(results)
    rows: list[list[Cell]] = [
        [
            *_place(statistics, trial.trial.name),
            *_compare(statistics.trials[trial.trial.name]) * compared,
            *(mean_over_tasks(trial.matrix(score)) for score in rest),
            *_costs(trial, costs),
            len(trial.done),
            len(trial.failed),
        ]
        for trial in results
    ]
    columns = (
        *("verdict", "harmonic_mean", statistics.score),
        *("difference", "p_holm") * compared,
        *rest,
        *costs,
        *("runs_done", "runs_failed"),
    )
    return _lead(Table(columns, rows), results, axis_names)


def list_trial_scores(results: Sequence[TrialResults]) -> tuple[str, ...]:
    """Names the scores that runs have.

    The loss of masks on test is not known, as their logits are not kept.
    """
    if not any(trial.has_masks for trial in results):
        return TRIAL_SCORES
    return TRIAL_MASK_SCORES + tuple(
        score for score in TRIAL_SCORES if score != "loss"
    )


def _place(statistics: StudyStatistics, name: str) -> list[Cell]:
    """Says what is concluded of a trial, and its two first scores."""
    trial = statistics.trials[name]
    return [_judge(statistics, name), trial.harmonic_mean, trial.mean]


def _judge(statistics: StudyStatistics, name: str) -> str | None:
    """Words the verdict against the baseline, or else the highest trial."""
    trial = statistics.trials[name]
    if trial.diverged:
        return f"diverged {trial.diverged} of {statistics.num_seeds}"
    if name == statistics.reference:
        return "baseline" if name == statistics.baseline else "highest"
    found = statistics.to_reference(name)
    return None if found is None else found.verdict


def _compare(trial: TrialStatistics) -> list[Cell]:
    """Returns the difference to the baseline and its corrected p-value."""
    found = trial.difference
    return [found, None if found is None else found.p_corrected]


def make_per_task(
    results: Sequence[TrialResults],
    axis_names: Sequence[str],
    statistics: StudyStatistics,
) -> Table:
    """Makes the table of macro F1 on test by task.

    Args:
        results: The trials in the order of the rows.
        axis_names: Axes whose values say which trial a row is.
        statistics: Of the trials.
    """
    rows: list[list[Cell]] = []
    for trial in results:
        found = statistics.trials[trial.trial.name]
        by_task = [found.by_task[task] for task in trial.tasks]
        rows.append([len(trial.done), *by_task, found.harmonic_mean])
    columns = ("runs_done", *results[0].tasks, "harmonic_mean")
    return _lead(Table(columns, rows), results, axis_names)


def _name_costs(results: Sequence[TrialResults]) -> tuple[str, ...]:
    """Names the costs, beside a net of several tasks those of all nets."""
    if not any(trial.in_all for trial in results):
        return COSTS
    summed = ("parameters", "train_seconds")
    return "nets", *(f"{n}_in_all" if n in summed else n for n in COSTS)


def _costs(trial: TrialResults, names: Sequence[str]) -> list[Cell]:
    """Averages parameters, operations, seconds and speed over done runs."""
    done, nets = trial.done, trial.nets_told
    flops = [record.flops for record in done if record.flops is not None]
    totals = [r.parameters.total for r in done if r.parameters is not None]
    seconds = [r.seconds["train"] for r in done if "train" in r.seconds]
    speeds = [r.images_per_second for r in done if r.images_per_second]
    count = round(nets * sum(totals) / len(totals)) if totals else None
    time = round(nets * sum(seconds) / len(seconds), 3) if seconds else None
    found = {
        "nets": trial.num_nets,
        **dict.fromkeys(("parameters", "parameters_in_all"), count),
        "mflops": round(sum(flops) / len(flops) / 1e6, 3) if flops else None,
        **dict.fromkeys(("train_seconds", "train_seconds_in_all"), time),
        "images_per_second": (
            round(sum(speeds) / len(speeds), 1) if speeds else None
        ),
    }
    return [found[name] for name in names]


def _lead(
    table: Table, results: Sequence[TrialResults], axis_names: Sequence[str]
) -> Table:
    """Puts the values of the axes before each row, so far as they tell it.

    An axis with the name of a column is called `axis_loss` beside `loss`. The
    trial's name comes first if it says more than the values do; the values that
    were chosen for each task come last.
    """
    tuned = results[0].tuned if results else ()
    trials = [trial.trial for trial in results]
    named = not axis_names or any(
        str(value) not in trial.name
        for trial in trials
        for value in trial.values.values()
    )
    leads: list[list[Cell]] = [
        [
            *[trial.trial.name] * named,
            *(_text(trial.trial.values.get(axis)) for axis in axis_names),
            *(_choices(trial, key) for key in tuned),
        ]
        for trial in results
    ]
    axes = (f"axis_{a}" if a in table.columns else a for a in axis_names)
    keys = (f"tuned_{k}" if k in table.columns else k for k in tuned)
    return Table(
        ("trial",) * named + (*axes, *keys, *table.columns),
        [lead + row for lead, row in zip(leads, table.rows, strict=True)],
    )


def _choices(trial: TrialResults, key: str) -> str | None:
    """Tells the chosen value of each task."""
    found = {}
    for (_, task), run in trial.runs.items():
        found[task] = run.options.get(key, getattr(run, key, None))
    told = ", ".join(f"{task} {value}" for task, value in found.items())
    return told or None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
