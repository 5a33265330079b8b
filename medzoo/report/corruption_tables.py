"""Tables and texts of errors on corrupted test images."""

from collections.abc import Callable, Sequence

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
_LEGEND = (
    "Balanced error (1 minus the balanced accuracy) on test; less is better. "
    "Images are corrupted by the kinds that MedMNIST-C (Di Salvo et al., 2024) "
    "gives their task, at five severities; `corrupted` is the mean over both. "
    "`relative` is the error of a kind divided by that of the baseline, and "
    "`relative rise` the same of what the error rises above that on clean "
    "images: means over kinds, under 1 where a trial is more robust, empty "
    "where the baseline loses nothing in a kind. "
)
_SAME_IMAGES = "Intervals are over seeds, for these test images."
_OTHER_IMAGES = (
    "Intervals are over seeds, each of which tests on other images, and bear "
    "that training sets overlap."
)
_PUBLISHED = (
    "Published errors are for orientation: of images of 224 pixels, and of "
    "further kinds."
)
_SEVERITIES = tuple(f"severity_{at + 1}" for at in range(NUM_SEVERITIES))


def make_corruptions(evidence: Evidence) -> Table:
    """Makes `corruptions.csv`, a row for each task and trial."""
    found = evidence.corrupted
    kinds = [k for k in KINDS if any(k in each.kinds for each in found)]
    columns = (*_SEVERITIES, "relative", "relative_rise", *kinds)

    def write(each: Corrupted) -> list[Cell]:
        return [
            *each.errors.mean(axis=(0, 1)).round(6).tolist(),
            *_relate(evidence, each),
            *(_find_kind(each, kind) for kind in kinds),
        ]

    return _make_table(evidence, columns, write)


def make_short_corruptions(evidence: Evidence) -> Table:
    """Makes the table of the pages: without kinds and severities."""
    has_baseline = any(_relate(evidence, e)[0] for e in evidence.corrupted)
    columns = ("relative", "relative rise") * has_baseline

    def write(each: Corrupted) -> list[Cell]:
        return [*map(_show, _relate(evidence, each))] * has_baseline

    return _make_table(evidence, columns, write)


def make_by_kind(found: Sequence[Corrupted]) -> dict[str, Table]:
    """Makes a table a task: a row a trial, a column a kind, of mean errors."""
    tables = {}
    for task in dict.fromkeys(each.task for each in found):
        trials = [each for each in found if each.task == task]
        kinds = [kind.replace("_", " ") for kind in trials[0].kinds]
        rows: list[list[Cell]] = [
            [
                each.trial,
                Estimate(float(each.clean.mean())),
                *map(Estimate, each.errors.mean(axis=(0, 2)).tolist()),
            ]
            for each in trials
        ]
        tables[task] = Table(("trial", "clean", *kinds), rows)
    return tables


def describe_corruptions(evidence: Evidence) -> str:
    """Explains the tables of errors on corrupted images."""
    overlaps = any(each.overlap for each in evidence.corrupted)
    texts = [
        _LEGEND + (_OTHER_IMAGES if overlaps else _SAME_IMAGES),
        _PUBLISHED * (evidence.study.data == "medmnist"),
    ]
    return " ".join(filter(None, texts))


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
        describe_corruptions(evidence),
        describe_missing(evidence.corrupted),
    ]
    for task, table in make_by_kind(evidence.corrupted).items():
        parts += [f"## By kind: {escape_markdown(task)}", format_table(table)]
    parts.append("`corruptions.csv` has the means of severities as well.")
    page = "\n\n".join(filter(None, parts)) + "\n"
    files = to_csv(make_corruptions(evidence)), page
    return dict(zip(CORRUPTIONS, files, strict=True))


def _make_table(
    evidence: Evidence,
    columns: tuple[str, ...],
    write: Callable[[Corrupted], list[Cell]],
) -> Table:
    """Makes the rows of a task, published errors below, then of the next.

    Args:
        columns: Those besides the means.
        write: Makes the cells of these columns.
    """
    rows: list[list[Cell]] = []
    for task in dict.fromkeys(each.task for each in evidence.corrupted):
        rows += [
            [*_start(each), *write(each)]
            for each in evidence.corrupted
            if each.task == task
        ]
        if evidence.study.data == "medmnist":
            rows.append([*_find_published(task), *[None] * len(columns)])
    start = ("trial", "task", "seeds", "clean", "corrupted")
    return Table((*start, *columns), rows)


def _start(each: Corrupted) -> list[Cell]:
    by_seed = each.errors.mean(axis=(1, 2))
    estimates = (
        estimate_over_seeds(values, each.overlap)
        for values in (each.clean, by_seed)
    )
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


def _find_published(task: str) -> list[Cell]:
    """Finds the published errors of an official task, as cells."""
    known = {(f.task, f.score): f for f in read_published()}
    clean, corrupted = (
        known[task, score]
        for score in ("balanced_error", "corrupted_balanced_error")
    )
    values = map(Estimate, (clean.value, corrupted.value))
    return [f"published: {clean.system}", task, None, *values]


def _show(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
