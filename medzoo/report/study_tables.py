"""Tables of a study: a row a run, or a row a trial."""

import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence

from medzoo.record import Record
from medzoo.report.asked_scores import label_asked
from medzoo.report.evidence import Evidence
from medzoo.report.heads import is_trained, keep_trained
from medzoo.report.leaks import average_without
from medzoo.report.results import TrialResults
from medzoo.report.statistics import mean_over_tasks
from medzoo.report.summary import StudyStatistics
from medzoo.report.tables import Cell, Table
from medzoo.report.verdict import format_p
from medzoo.runs.fields import list_fields
from medzoo.runs.run import Run
from medzoo.scores.table import (
    SCORES,
    format_mean,
    format_score,
    list_scores,
    list_summary,
)
from medzoo.tasks import NAMES

SPLITS = ("train", "val", "test")
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


def make_runs(
    results: Iterable[TrialResults], asked: Iterable[str] = ()
) -> Table:
    """Makes one row a run, in the order of `results`, with full precision.

    A run of several tasks has a row a task, each with the scores of that task
    and the costs of all of the run. A run without a record has the status
    `missing` and no results.

    Args:
        results: The trials.
        asked: Scores that the study asks for.
    """
    results = list(results)
    masked = any(r.mask_classes for t in results for r in t.records.values())
    names = list_scores("labels", "probabilities", "loss", "own")
    names += tuple(name for name in asked if SCORES[name].needs == "kept")
    masks = list_scores("masks") if masked else None
    # There may be no row: no tuned value is chosen yet.
    blank = Run.model_validate({"task": NAMES[0]})
    # A record without results, for the same columns.
    empty = Record(run=blank, run_id="", status="failed")

    def make_row(
        trial: str,
        fields: Mapping[str, Cell],
        run: Run,
        record: Record | None,
        own: str,
    ) -> dict[str, Cell]:
        return {
            "trial": trial,
            "run_id": run.run_id,
            "status": "missing" if record is None else record.status,
            **fields,
            "seed": run.seed,
            **_scores(record or empty, names, masks, own),
            **_rest(record or empty),
        }

    rows: list[list[Cell]] = []
    for trial in results:
        # Runs of a task differ in their seed alone.
        fields = {run.task: _fields(run) for run in trial.kinds}
        for (seed, task), run in trial.runs.items():
            record = trial.records.get((seed, task))
            shared = fields[run.task] | {"task": task}
            row = make_row(trial.trial.name, shared, run, record, trial.score)
            rows.append([*row.values()])
    return Table(tuple(make_row("", _fields(blank), blank, None, "")), rows)


def _fields(run: Run) -> dict[str, Cell]:
    """Lists the fields of a run; `parameters` is the name of what was built."""
    fields = {
        "parameters_asked" if name == "parameters" else name: value
        for name, value in run.model_dump(mode="json").items()
    }
    del fields["fingerprint"]  # The record has one in any case.
    del fields["plugins"]
    for name in ("options", "data_options"):
        fields[name] = json.dumps(fields[name])
    return fields


def _scores(
    record: Record,
    names: tuple[str, ...],
    masks: tuple[str, ...] | None,
    own: str,
) -> dict[str, Cell]:
    row: dict[str, Cell] = {}
    labelled = is_trained(record.run, "macro_f1")
    masked = is_trained(record.run, "dice")
    for split in SPLITS[1:]:
        scores = keep_trained(record.run, record.scores.get(split, {}), own)
        row.update(_pair(split, names, scores))
        classes = record.per_class_f1.get(split, []) if labelled else []
        row[f"{split}_per_class_f1"] = " ".join(map(str, classes))
        if masks is not None:
            row.update(_pair(split, masks, scores))
            dice = record.per_mask_class_dice.get(split, []) if masked else []
            row[f"{split}_per_segment_dice"] = " ".join(map(str, dice))
    for option, split, name in _name_without():
        without = record.without.get(option, {}).get(split, {})
        row[name] = without.get("macro_f1")
    return row


def _pair(
    split: str, names: tuple[str, ...], scores: Mapping[str, Cell]
) -> Iterable[tuple[str, Cell]]:
    return zip(_prefix(split, names), map(scores.get, names), strict=True)


# A table has 100,000 rows, and the same columns in each.
@functools.cache
def _prefix(split: str, names: tuple[str, ...]) -> list[str]:
    return [f"{split}_{name}" for name in names]


@functools.cache
def _name_without() -> list[tuple[str, str, str]]:
    return [
        (option, split, f"{split}_macro_f1_without_{option}")
        for option in list_fields(compared=True)
        for split in SPLITS[1:]
    ]


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


# `mflops`: millions of operations of one image, forward.
COSTS = ("parameters", "mflops", "train_seconds", "images_per_second")
# Costs that are sums over all nets where a study has nets of several tasks.
_SUMMED = ("parameters", "train_seconds")


def judge_trials(evidence: Evidence) -> dict[str, str | None]:
    """Words the verdict on each trial, against the baseline or the highest.

    Trials of a smoke run have none, and those of an unfinished study only that
    they diverged.
    """
    trials = evidence.statistics.trials
    if evidence.smoke:
        return dict.fromkeys(trials)
    return {
        name: _judge(evidence.statistics, name)
        if evidence.is_concluded or trial.diverged
        else None
        for name, trial in trials.items()
    }


def _judge(statistics: StudyStatistics, name: str) -> str | None:
    trial = statistics.trials[name]
    if trial.diverged:
        return f"diverged {trial.diverged} of {trial.num_seeds}"
    if name == statistics.reference:
        highest = "highest" if name == statistics.best else "reference"
        return "baseline" if name == statistics.baseline else highest
    difference = statistics.to_reference(name)
    return None if difference is None else difference.verdict


def make_summary(evidence: Evidence) -> Table:
    """Makes the full table of trials: scores on test over tasks, and costs."""
    results, statistics = evidence.results, evidence.statistics
    places = judge_trials(evidence)
    compared = statistics.baseline is not None
    names = list_trial_scores(results)
    asked = evidence.asked
    shown = {statistics.score, *asked}
    rest = tuple(score for score in names if score not in shown)
    leaks = evidence.leak_scores
    costs = _name_costs(results)
    rows: list[list[Cell]] = [
        [
            places[trial.trial.name],
            *(found.harmonic_mean, found.mean),
            *[average_without(trial, leaks)] * bool(leaks),
            *(
                found.difference,
                found.difference and found.difference.p_corrected,
            )
            * compared,
            *(mean_over_tasks(trial.matrix(score)) for score in rest),
            *(each[trial.trial.name].mean for each in asked.values()),
            *costs[trial.trial.name].values(),
            len(trial.done),
            len(trial.failed),
        ]
        for trial in results
        for found in [statistics.trials[trial.trial.name]]
    ]
    columns = (
        *("verdict", "harmonic_mean", statistics.score),
        *(f"{statistics.score}_without_leaks",) * bool(leaks),
        *("difference", "p_holm") * compared,
        *rest,
        *asked,
        *costs[results[0].trial.name],
        *("runs_done", "runs_failed"),
    )
    return _lead(Table(columns, rows), evidence)


def make_short_summary(evidence: Evidence) -> Table:
    """Makes the table of trials that fits on a page.

    It has nine columns at most, and those of the scores that are asked for.
    """
    results, statistics = evidence.results, evidence.statistics
    score, several = statistics.score, len(results[0].tasks) > 1
    shown = dict.fromkeys([*[score] * several, "macro_f1"])
    shown.pop(score if not several else "", None)
    asked = {
        n: by_trial for n, by_trial in evidence.asked.items() if n != score
    }
    shown = {name: None for name in shown if name not in asked}
    together = " (all nets)" * results[0].in_all
    leaks = evidence.leak_scores
    rows: list[list[Cell]] = []
    for trial in results:
        found = statistics.trials[trial.trial.name]
        difference = found.difference
        compared = difference, difference and difference.p_corrected
        costs = trial.costs
        rows.append(
            [
                trial.trial.name,
                found.harmonic_mean if several else found.mean,
                *[average_without(trial, leaks)] * bool(leaks),
                *compared * (statistics.baseline is not None),
                *(
                    found.mean
                    if name == score
                    else mean_over_tasks(trial.matrix(name))
                    for name in shown
                ),
                *(each[trial.trial.name].mean for each in asked.values()),
                _round(costs["parameters"], 0),
                _round(costs["train_seconds"], 3),
                f"{len(trial.done)} of {trial.num_asked}",
            ]
        )
    columns = (
        "trial",
        format_mean(score, len(evidence.results[0].tasks)),
        *(f"{format_score(score)} without leaks",) * bool(leaks),
        *(f"difference to {statistics.baseline}", "p")
        * (statistics.baseline is not None),
        *map(format_score, shown),
        *map(label_asked, asked),
        *(f"parameters{together}", f"train time (s){together}", "runs"),
    )
    return Table(columns, rows)


def make_trials(evidence: Evidence) -> Table | None:
    """Makes the table of what trials are made of, if their names leave it open.

    Its columns are axes, and the values that were chosen on val.
    """
    table = _lead(Table((), [[] for _ in evidence.results]), evidence)
    names = [trial.trial.name for trial in evidence.results]
    if table.columns[0] != "trial" and not evidence.results[0].tuned:
        return None
    if table.columns[0] != "trial":
        table = Table(
            ("trial", *table.columns),
            [[n, *row] for n, row in zip(names, table.rows, strict=True)],
        )
    return table if len(table.columns) > 1 else None


def make_axes(evidence: Evidence) -> Table:
    """Makes the table of the values of each trial: axes, then tuned ones."""
    table = _lead(Table((), [[] for _ in evidence.results]), evidence)
    first = int(table.columns[:1] == ("trial",))
    rows = [row[first:] for row in table.rows]
    return Table(table.columns[first:], rows)


def make_looks(evidence: Evidence) -> Table | None:
    """Makes the table of looks, if seeds are added until it is decided."""
    looks = evidence.statistics.looks
    if looks is None:
        return None
    rows: list[list[Cell]] = []
    for look in looks.done:
        settled = [
            f"{name} {outcome}"
            + (f" ({format_p(look.p[name])})" if name in look.p else "")
            for name, outcome in look.settled.items()
        ]
        left = [name for name in look.p if name not in look.settled]
        rows.append(
            [
                str(look.num_seeds),
                f"{look.level:.4f}",
                look.reference or None,
                "; ".join(settled) or "nothing",
                ", ".join(left) or "none",
            ]
        )
    columns = ("seeds", "level spent", "compared to", "settled", "go on")
    return Table(columns, rows)


def list_trial_scores(results: Sequence[TrialResults]) -> tuple[str, ...]:
    """Names the scores that runs have.

    The loss of masks on test is not known, as their logits are not kept.
    """
    names = list_summary("labels", "probabilities", "loss", "own")
    if not any(trial.has_masks for trial in results):
        return names
    masks = list_summary("masks")
    return masks + tuple(score for score in names if score != "loss")


def make_per_task(evidence: Evidence) -> Table:
    """Makes the table of the score on test by task."""
    rows: list[list[Cell]] = []
    for trial in evidence.results:
        found = evidence.statistics.trials[trial.trial.name]
        by_task = [found.by_task[task] for task in trial.tasks]
        rows.append([len(trial.done), *by_task, found.harmonic_mean])
    tasks = evidence.results[0].tasks
    return _lead(Table(("runs_done", *tasks, "harmonic_mean"), rows), evidence)


def _name_costs(
    results: Sequence[TrialResults],
) -> dict[str, dict[str, Cell]]:
    """Lists the costs of each trial by the names of their columns."""
    digits = {"parameters": 0, "images_per_second": 1}
    costs: dict[str, dict[str, Cell]] = {}
    for trial in results:
        nets: dict[str, Cell] = {"nets": trial.num_nets}
        costs[trial.trial.name] = (nets if trial.in_all else {}) | {
            f"{name}_in_all" if trial.in_all and name in _SUMMED else name: (
                _round(trial.costs[name], digits.get(name, 3))
            )
            for name in COSTS
        }
    return costs


def _round(value: float, digits: int) -> Cell:
    if math.isnan(value):
        return None
    return round(value, digits) if digits else round(value)


def _lead(table: Table, evidence: Evidence) -> Table:
    """Puts the values of the axes before each row.

    An axis with the name of a column is called `axis_loss` beside `loss`. The
    trial's name comes first if it says more than the values do; the values that
    were chosen for each task come last.
    """
    results, axis_names = evidence.results, evidence.study.axis_names
    tuned = results[0].tuned
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
        [[*lead, *row] for lead, row in zip(leads, table.rows, strict=True)],
    )


def _choices(trial: TrialResults, key: str) -> str | None:
    """Lists the chosen value of each task."""
    chosen = {}
    for (_, task), run in trial.runs.items():
        chosen[task] = run.options.get(key, getattr(run, key, None))
    words = (f"{task} {value}" for task, value in chosen.items())
    return ", ".join(words) or None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
