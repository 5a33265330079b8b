"""Tables and texts of errors on corrupted test images."""

from collections.abc import Sequence

from medzoo.data.corruptions import KINDS, NUM_SEVERITIES
from medzoo.report.corrupted import Corrupted, relate
from medzoo.report.evidence import Evidence
from medzoo.report.published import read_published
from medzoo.report.statistics import Estimate, estimate_over_seeds
from medzoo.report.tables import (
    Cell,
    Table,
    escape_markdown,
    format_table,
    to_csv,
)

CORRUPTIONS = ("corruptions.csv", "corruptions.md")
LEGEND = (
    "Balanced error, 1 minus the balanced accuracy, on the test split; less is "
    "better. Images are corrupted by the kinds that MedMNIST-C (Di Salvo et "
    "al., 2024) gives their task, at five severities; `corrupted` is the mean "
    "over kinds of the mean over severities. By kind, `relative` divides it by "
    "that of the baseline, and `relative rise` divides what it rises above the "
    "error on clean images by the rise of the baseline; both are means over "
    "kinds, under 1 where a trial is more robust, and empty where the baseline "
    "loses nothing in a kind. The intervals are over seeds, for these images. "
    "Published errors are of other images and kinds: of 224 pixels, where "
    "lengths are not shrunk."
)
_SEVERITIES = tuple(f"severity_{at + 1}" for at in range(NUM_SEVERITIES))


def make_corruptions(evidence: Evidence) -> Table:
    """Makes `corruptions.csv`, a row for each trial and task."""
    found = evidence.corrupted
    kinds = [k for k in KINDS if any(k in each.kinds for each in found)]
    rows: list[list[Cell]] = [
        [
            *_start(each),
            *each.errors.mean(axis=(0, 1)).round(6).tolist(),
            *_relate(evidence, each),
            *(_find_kind(each, kind) for kind in kinds),
        ]
        for each in found
    ]
    columns = (
        "trial", "task", "seeds", "clean", "corrupted", *_SEVERITIES,
        "relative", "relative_rise", *kinds,
    )  # fmt: skip
    more = len(columns) - 5
    rows += [[*row, *[None] * more] for row in _list_published(evidence)]
    return Table(columns, rows)


def make_short_corruptions(evidence: Evidence) -> Table:
    """Makes the table of the pages: without kinds and severities."""
    has_baseline = any(_relate(evidence, e)[0] for e in evidence.corrupted)
    rows: list[list[Cell]] = [
        [
            *_start(each),
            *[_show(x) for x in _relate(evidence, each)] * has_baseline,
        ]
        for each in evidence.corrupted
    ]
    more = ("relative", "relative rise") * has_baseline
    columns = ("trial", "task", "seeds", "clean", "corrupted", *more)
    rows += [[*r, *[None] * len(more)] for r in _list_published(evidence)]
    return Table(columns, rows)


def describe_missing(found: Sequence[Corrupted]) -> str:
    """Words how many runs were not scored on corrupted images, if any."""
    done = sum(each.num_done for each in found)
    missing = done - sum(len(each.seeds) for each in found)
    if not missing:
        return ""
    return (
        f"{missing} of {done} runs are not in here, as they were done before "
        "corrupted images were asked for, or leave no model; `seeds` counts "
        "those that are."
    )


def make_corruption_files(evidence: Evidence) -> dict[str, str]:
    """Makes `corruptions.csv` and its page in Markdown, by their names."""
    parts = [
        *(f"**{escape_markdown(text)}**" for text in evidence.warnings),
        f"# {escape_markdown(evidence.title)}: corruptions",
        format_table(make_short_corruptions(evidence)),
        LEGEND,
        describe_missing(evidence.corrupted),
        "`corruptions.csv` has every kind and severity.",
    ]
    page = "\n\n".join(filter(None, parts)) + "\n"
    table = to_csv(make_corruptions(evidence))
    return dict(zip(CORRUPTIONS, (table, page), strict=True))


def _start(each: Corrupted) -> list[Cell]:
    by_seed = each.errors.mean(axis=(1, 2))
    estimates = map(estimate_over_seeds, (each.clean, by_seed))
    return [each.trial, each.task, len(each.seeds), *estimates]


def _relate(
    evidence: Evidence, each: Corrupted
) -> tuple[float | None, float | None]:
    asked = evidence.study.baseline
    baselines = (
        other
        for other in evidence.corrupted
        if asked and (other.trial, other.task) == (asked.name, each.task)
    )
    values = relate(each, next(baselines, None))
    first, second = (None if x is None else round(x, 6) for x in values)
    return first, second


def _find_kind(each: Corrupted, kind: str) -> float | None:
    if kind not in each.kinds:
        return None
    errors = each.errors[:, each.kinds.index(kind)]
    return round(float(errors.mean()), 6)


def _list_published(evidence: Evidence) -> list[list[Cell]]:
    """Lists published errors of official tasks, as rows of both tables."""
    if evidence.study.data != "medmnist":
        return []
    tasks = dict.fromkeys(each.task for each in evidence.corrupted)
    known = {(f.task, f.score): f for f in read_published()}
    rows: list[list[Cell]] = []
    for task in tasks:
        clean = known[task, "balanced_error"]
        rest = known[task, "corrupted_balanced_error"]
        name = f"published: {clean.system}"
        values = (Estimate(f.value) for f in (clean, rest))
        rows.append([name, task, None, *values])
    return rows


def _show(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
