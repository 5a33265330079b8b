"""Scores by subgroup: by age, sex, site or any other column of the data.

A subgroup differs from the others in its classes as well, and a score in a
subgroup of few images differs by chance. So each score stands beside the one
that as many images of the same classes have that are drawn from all subgroups,
and the test shuffles images between subgroups within their class.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from medzoo.data.custom.attributes import Attribute
from medzoo.record import Record, SplitPredictions
from medzoo.report.bootstrap import draw_weights
from medzoo.report.groups import find_units, number_groups, sum_by_unit
from medzoo.report.images import (
    Attributes,
    fingerprint_of,
    list_attributes,
    read_attributes_of,
)
from medzoo.report.inference import holm
from medzoo.report.results import TrialResults
from medzoo.report.statistics import Estimate, estimate_all
from medzoo.report.tables import Cell, Table, escape_markdown
from medzoo.scores.counts import (
    LABEL_SCORES,
    MASK_SCORES,
    f1,
    mean_of_known,
)
from medzoo.scores.table import SCORES, format_score
from medzoo.store import Reader
from medzoo.study.spec import Study

# Of smaller subgroups nothing is said.
FEWEST_IMAGES = 20
# The smallest p-value is one in so many.
NUM_DRAWS = 1_000
# Trials that have tables: the best ones, and the baseline.
MOST_TRIALS = 10
# A numeric column of more values is binned by its quartiles.
_MOST_VALUES = 8
# Subgroups of fewer than 20 images that are listed one by one.
_MOST_FEW = 10
# Cells of draws that are counted at once.
_AT_ONCE = 2**24
MISSING = "missing"
# Words for a value that is not known, beside those of `read_csv`.
_UNKNOWN = ("unknown", "unk", "not known", "missing", "none", "?")
LEGEND = (
    "Subgroups differ in their classes as well, so beside each score is the "
    "mean score of as many images of the same classes, drawn from all "
    "subgroups that are compared. The test shuffles images (groups whole) "
    "between subgroups within their class; its p-value is corrected over the "
    "attributes of a trial (Holm). Macro F1 is over the classes that a "
    "subgroup has. Nothing is said of subgroups under "
    f"{FEWEST_IMAGES} images. A gap says that scores differ, and not why."
)


@dataclass(frozen=True)
class Row:
    """The score of one subgroup.

    Args:
        name: Of the subgroup; `all` for all images.
        num_images: In it.
        num_groups: Patients or the like; `None` where they are not known.
        num_classes: Classes that its images have.
        estimate: Its score with an interval; `None` for too few images, and
            where they leave it undefined.
        expected: Mean score of as many images of the same classes, drawn from
            all subgroups that are compared; `None` for what is not compared.
    """

    name: str
    num_images: int
    num_groups: int | None
    num_classes: int
    estimate: Estimate | None = None
    expected: float | None = None


@dataclass(frozen=True)
class Gap:
    """The largest gap between the subgroups of an attribute.

    Args:
        size: Highest score minus the lowest.
        highest: Name of the subgroup that has it.
        lowest: Likewise.
        expected: What the classes and numbers of images of these two lead to.
        p: Of the hypothesis that subgroups differ in their classes alone.
        p_corrected: For the number of attributes.
    """

    size: float
    highest: str
    lowest: str
    expected: float
    p: float
    p_corrected: float = 1.0


@dataclass(frozen=True)
class Breakdown:
    """The scores of a trial by one attribute.

    Args:
        trial: Name of the trial.
        task: Name of the task.
        attribute: Name of the column.
        score: Name of the score.
        rows: All images first, then the subgroups, missing values last.
        gap: `None` if fewer than two subgroups are large enough.
    """

    trial: str
    task: str
    attribute: str
    score: str
    rows: list[Row]
    gap: Gap | None = None


def find_subgroups(
    study: Study, results: Sequence[TrialResults], store: Reader
) -> list[Breakdown]:
    """Breaks the scores of the best trials down by the attributes of the data.

    Returns:
        One entry a trial, task and attribute; none where no attributes are
        asked for or known.
    """
    attributes = list_attributes(study)
    if not attributes:
        return []
    trials = choose_trials(study, results)
    found = []
    for task in results[0].tasks:
        tested = [_read_tested(study, t, task, store) for t in trials]
        known = [(t, each) for t, each in zip(trials, tested, strict=True)
                 if each is not None]  # fmt: skip
        for attribute in attributes:
            found += _break_down(study.score, task, attribute, known)
    order = [trial.trial.name for trial in trials]
    return _correct(sorted(found, key=lambda each: order.index(each.trial)))


def choose_trials(
    study: Study, results: Sequence[TrialResults]
) -> list[TrialResults]:
    """Returns the trials that have tables by subgroup."""
    return [
        trial
        for at, trial in enumerate(results)
        if at < MOST_TRIALS or trial.trial == study.baseline
    ]


def make_subgroups(found: Sequence[Breakdown]) -> Table:
    """Lays breakdowns out as `subgroups.csv`, a row a subgroup."""
    return Table(
        (
            "trial", "task", "attribute", "subgroup", "num_images",
            "num_groups", "num_classes", found[0].score, "expected", "remark",
            "gap", "highest", "lowest", "gap_expected", "p", "p_holm",
        ),
        [
            [each.trial, each.task, each.attribute, row.name, row.num_images,
             row.num_groups, row.num_classes, row.estimate,
             _round(row.expected), _remark(row), *_list_gap(each, row)]
            for each in found
            for row in each.rows
        ],
    )  # fmt: skip


def make_short(found: Breakdown) -> Table:
    """Lays one breakdown out for a page."""
    has_groups = any(row.num_groups is not None for row in found.rows)
    columns = [found.attribute, "images", *["groups"] * has_groups, "classes"]
    rows: list[list[Cell]] = [
        [
            row.name,
            row.num_images,
            *[row.num_groups] * has_groups,
            row.num_classes,
            row.estimate or _remark(row),
            "" if row.expected is None else f"{row.expected:.3f}",
        ]
        for row in found.rows
    ]
    score = format_score(found.score)
    return Table((*columns, score, "expected of its classes"), rows)


def describe_gap(found: Breakdown) -> str:
    """Words the largest gap of an attribute, and how sure it is."""
    gap = found.gap
    if gap is None:
        parts = [row for row in found.rows if row.name != "all"]
        large = [row for row in parts if row.num_images >= FEWEST_IMAGES]
        if len(large) > 1:
            return (
                f"By {found.attribute} {format_score(found.score)} is defined "
                "for fewer than two subgroups, so nothing is compared."
            )
        return (
            f"By {found.attribute} there are no two subgroups of "
            f"{FEWEST_IMAGES} images, so nothing is compared."
        )
    p = "< 0.001" if gap.p_corrected < 0.001 else f"= {gap.p_corrected:.3f}"
    sure = (
        "by more than classes and chance explain"
        if gap.p_corrected <= 0.05
        else "by no more than classes and chance may explain"
    )
    return (
        f"By {found.attribute} the largest gap is {gap.size:.3f}, between "
        f"“{gap.highest}” and “{gap.lowest}”; their classes alone lead to "
        f"{gap.expected:+.3f}. Between all subgroups, scores differ {sure} "
        f"(p {p})."
    )


def describe_gaps_of_best(found: Sequence[Breakdown]) -> str:
    """Words the gaps of the first trial for a page; nothing without any."""
    if not found:
        return ""
    best = [each for each in found if each.trial == found[0].trial]
    sentences = [escape_markdown(describe_gap(each)) for each in best]
    return " ".join(
        [
            f"Subgroups of {escape_markdown(found[0].trial)}:",
            *sentences,
            "[subgroups.csv](subgroups.csv) has all of it, and",
            "[docs/subgroups.md](../../docs/subgroups.md) how to read it.",
        ]
    )


def _list_gap(found: Breakdown, row: Row) -> list[str | float | None]:
    gap = found.gap
    if gap is None or row is not found.rows[0]:
        return [None] * 6
    return [
        _round(gap.size),
        gap.highest,
        gap.lowest,
        _round(gap.expected),
        _round(gap.p),
        _round(gap.p_corrected),
    ]


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _remark(row: Row) -> str | None:
    """Says why a subgroup has no score."""
    if row.estimate is not None:
        return None
    return "too few" if row.num_images < FEWEST_IMAGES else "not defined"


class Subgroup(NamedTuple):
    """Images with like values of an attribute, as booleans."""

    name: str
    holds: np.ndarray


def split_subgroups(
    attribute: Attribute, cells: Sequence[str]
) -> list[Subgroup]:
    """Splits images by an attribute: by its values, or by bins of numbers.

    Numbers of more than 8 values are binned: by the edges of the attribute, or
    by the quartiles of these images. Missing values come last,
    words such as `unknown` among them.

    Example:

    >>> cells = ["61", "34", "", "50"]
    >>> for name, holds in split_subgroups(Attribute("age", (50,)), cells):
    ...     print(name, holds)
    under 50 [False  True False False]
    50 and over [ True False False  True]
    missing [False False  True False]
    """
    words = ["" if cell.lower() in _UNKNOWN else cell for cell in cells]
    texts = np.array(words, dtype=object)
    known = texts != ""
    numbers = _read_numbers(texts)
    if numbers is None:
        names = sorted(set(texts[known]))
        found = [Subgroup(name, texts == name) for name in names]
    elif attribute.edges or len(np.unique(numbers[known])) > _MOST_VALUES:
        edges = attribute.edges or tuple(
            np.unique(np.quantile(numbers[known], (0.25, 0.5, 0.75)))
        )
        found = _bin(numbers, edges)
    else:
        values = np.unique(numbers[known])
        found = [Subgroup(f"{v:g}", numbers == v) for v in values]
    found = [each for each in found if each.holds.any()]
    missing = Subgroup(MISSING, ~known)
    return [*_join_few(found), *[missing] * bool((~known).any())]


def _read_numbers(texts: np.ndarray) -> np.ndarray | None:
    """Reads cells as numbers, NaN for an empty one; `None` if one is none."""
    try:
        numbers = np.array([float(text or "nan") for text in texts])
    except ValueError:
        return None
    is_number = np.isfinite(numbers[texts != ""])
    return numbers if is_number.all() and is_number.any() else None


def _bin(numbers: np.ndarray, edges: Sequence[float]) -> list[Subgroup]:
    bins = np.digitize(numbers, edges)
    names = [
        f"under {edges[0]:g}",
        *(f"{low:g} to under {high:g}"
          for low, high in zip(edges, edges[1:], strict=False)),
        f"{edges[-1]:g} and over",
    ]  # fmt: skip
    known = ~np.isnan(numbers)
    return [Subgroup(name, (bins == at) & known)
            for at, name in enumerate(names)]  # fmt: skip


def _join_few(found: list[Subgroup]) -> list[Subgroup]:
    """Joins subgroups of few images, where there are many of them."""
    few = [each for each in found if each.holds.sum() < FEWEST_IMAGES]
    if len(few) <= _MOST_FEW:
        return found
    names = {each.name for each in few}
    rest = np.any([each.holds for each in few], axis=0)
    kept = [each for each in found if each.name not in names]
    return [*kept, Subgroup(f"{len(few)} others", rest)]


@dataclass(frozen=True)
class _Tested:
    """What a trial has made of its test images.

    Args:
        counts: Confusion of each image, shape `(n, num_seeds, k, k)`.
        seeds: Places of its seeds.
        labels: Shape `(n,)`.
        groups: Shape `(n,)`; a number of its own for an image in no group.
        has_groups: Whether groups are known.
        attributes: Of the images.
        pooled: Whether they are of several folds, as if of one seed.
    """

    counts: np.ndarray
    seeds: list[int]
    labels: np.ndarray
    groups: np.ndarray
    has_groups: bool
    attributes: Attributes
    pooled: bool = False


def name_score(score: str) -> str:
    """Names the score that subgroups are told by: macro F1 for one of ranks."""
    known = {**LABEL_SCORES, **MASK_SCORES}
    return score if score in known else "macro_f1"


def _read_tested(
    study: Study, trial: TrialResults, task: str, store: Reader
) -> _Tested | None:
    """Reads what a trial predicts; folds are joined as if of one seed."""
    parts: dict[str, list[_Tested]] = {}
    for at, seed in enumerate(trial.seeds):
        record = trial.records.get((seed, task))
        if record is None or record.status != "done":
            continue
        # Further seeds test the images again, in other folds.
        folds = record.run.data_options.get("folds")
        if isinstance(folds, int) and seed >= folds:
            continue
        part = _read_run(study, record, task, store, at)
        if part is not None:
            parts.setdefault(fingerprint_of(record, task), []).append(part)
    if not parts:
        return None
    joined = [_join_seeds(each) for each in parts.values()]
    if len(joined) == 1:
        return joined[0]
    if any(len(each.seeds) > 1 for each in joined):
        return None
    return _join_folds(joined)


def _read_run(
    study: Study, record: Record, task: str, store: Reader, seed: int
) -> _Tested | None:
    """Counts the confusions of each image of a run, if all is known."""
    attributes = read_attributes_of(study, record, task, store)
    test = store.read_task(record.run_id, task).test
    if attributes is None or test is None:
        return None
    labels = test.labels.astype("int64")
    if any(len(cells) != len(labels) for cells in attributes.values()):
        return None
    if name_score(study.score) in MASK_SCORES:
        counts = test.pixel_counts
    else:
        counts = _count_images(test)
    if counts is None:
        return None
    return _Tested(
        counts[:, None].astype("float32"),
        [seed],
        labels,
        number_groups(test.groups, len(labels)),
        test.groups is not None,
        attributes,
    )


def _count_images(test: SplitPredictions) -> np.ndarray:
    size, k = test.probabilities.shape
    counts = np.zeros((size, k, k), "float32")
    known = np.flatnonzero(test.labels >= 0)
    counts[known, test.labels[known], test.predicted_labels[known]] = 1
    return counts


def _join_seeds(parts: Sequence[_Tested]) -> _Tested:
    """Lays seeds that test the same images beside each other."""
    counts = np.concatenate([part.counts for part in parts], axis=1)
    seeds = [seed for part in parts for seed in part.seeds]
    return replace(parts[0], counts=counts, seeds=seeds)


def _join_folds(parts: Sequence[_Tested]) -> _Tested:
    """Lays folds behind each other: together they test every image."""
    starts = np.cumsum([0] + [part.groups.max() + 1 for part in parts])
    groups = [
        part.groups + start for part, start in zip(parts, starts, strict=False)
    ]
    return _Tested(
        np.concatenate([part.counts for part in parts]),
        [0],
        np.concatenate([part.labels for part in parts]),
        np.concatenate(groups),
        all(part.has_groups for part in parts),
        {
            name: [cell for part in parts for cell in part.attributes[name]]
            for name in parts[0].attributes
        },
        pooled=True,
    )


def _break_down(
    score: str,
    task: str,
    attribute: Attribute,
    known: Sequence[tuple[TrialResults, _Tested]],
) -> list[Breakdown]:
    """Breaks the scores of all trials on a task down by an attribute."""
    score = name_score(score)
    if not known:
        return []
    cells = known[0][1].attributes[attribute.name]
    known = [
        pair for pair in known if pair[1].attributes[attribute.name] == cells
    ]
    everything = np.ones(len(cells), bool)
    parts = [Subgroup("all", everything), *split_subgroups(attribute, cells)]
    estimates = [_estimate(part.holds, known, score) for part in parts]
    found = []
    for at, (trial, tested) in enumerate(known):
        rows = [
            _make_row(part, tested, each[at])
            for part, each in zip(parts, estimates, strict=True)
        ]
        rows, gap = _compare(parts, rows, tested, score)
        name = trial.trial.name
        found.append(Breakdown(name, task, attribute.name, score, rows, gap))
    return found


def _make_row(
    part: Subgroup, tested: _Tested, estimate: Estimate | None
) -> Row:
    labels = tested.labels[part.holds]
    groups = len(set(tested.groups[part.holds].tolist()))
    return Row(
        part.name,
        int(part.holds.sum()),
        groups if tested.has_groups else None,
        len(set(labels[labels >= 0].tolist())),
        estimate if part.holds.sum() >= FEWEST_IMAGES else None,
    )


def _estimate(
    holds: np.ndarray,
    known: Sequence[tuple[TrialResults, _Tested]],
    score: str,
) -> list[Estimate | None]:
    """Estimates the score of all trials on some of the images."""
    if holds.sum() < FEWEST_IMAGES:
        return [None] * len(known)
    pooled = any(tested.pooled for _, tested in known)
    num_seeds = 1 if pooled else len(known[0][0].seeds)
    values = np.full((len(known), num_seeds), np.nan)
    replicates = np.full((NUM_DRAWS, *values.shape), np.nan)
    for at, (_, tested) in enumerate(known):
        counts = tested.counts[holds]
        values[at, tested.seeds] = score_counts(counts.sum(axis=0), score)
        drawn = bootstrap_counts(
            tested.counts, tested.labels, tested.groups, holds
        )
        replicates[:, at, tested.seeds] = score_counts(drawn, score)
    given = np.array([trial.num_given for trial, _ in known])
    return estimate_all(
        values,
        replicates,
        given=np.minimum(given, num_seeds),
        bounds=SCORES[score].bounds,
    )


def _compare(
    parts: Sequence[Subgroup],
    rows: list[Row],
    tested: _Tested,
    score: str,
) -> tuple[list[Row], Gap | None]:
    """Adds what is expected of each subgroup, and finds the largest gap."""
    compared = [
        at
        for at, row in enumerate(rows)
        if at and row.estimate is not None and row.name != MISSING
    ]
    if len(compared) < 2:
        return rows, None
    places = np.full(len(tested.labels), -1)
    for number, at in enumerate(compared):
        places[parts[at].holds] = number
    kept = places >= 0
    expected, p = compare_subgroups(
        tested.counts[kept],
        tested.labels[kept],
        tested.groups[kept],
        places[kept],
        score=score,
    )
    rows = list(rows)
    for number, at in enumerate(compared):
        rows[at] = replace(rows[at], expected=float(expected[number]))
    means = [_mean(rows[at]) for at in compared]
    high, low = int(np.argmax(means)), int(np.argmin(means))
    gap = Gap(
        means[high] - means[low],
        rows[compared[high]].name,
        rows[compared[low]].name,
        float(expected[high] - expected[low]),
        p,
    )
    return rows, gap


def _mean(row: Row) -> float:
    return row.estimate.mean if row.estimate else np.nan


def _correct(found: Iterable[Breakdown]) -> list[Breakdown]:
    """Corrects the p-values of each trial for the number of its gaps."""
    found = list(found)
    for trial in {each.trial for each in found}:
        places = [
            (at, each.gap)
            for at, each in enumerate(found)
            if each.trial == trial and each.gap is not None
        ]
        corrected = holm([gap.p for _, gap in places])
        for (at, gap), p in zip(places, corrected, strict=True):
            found[at] = replace(found[at], gap=replace(gap, p_corrected=p))
    return found


def score_counts(counts: np.ndarray, score: str) -> np.ndarray:
    """Scores confusion counts of a part of the images.

    Macro F1 is over the classes that the part has: one that it has not would
    count as 0.

    Args:
        counts: Shape `(..., k, k)`.
        score: A score of labels or of masks.

    Example:

    >>> score_counts(np.array([[2, 0, 0], [0, 1, 1], [0, 0, 0]]), "macro_f1")
    array(0.83333333)
    """
    counts = np.asarray(counts, "float64")
    if score == "macro_f1":
        has = counts.sum(axis=-1) > 0
        return mean_of_known(np.where(has, np.nan_to_num(f1(counts)), np.nan))
    calls: dict[str, Callable[[np.ndarray], np.ndarray]]
    calls = {**LABEL_SCORES, **MASK_SCORES}
    return calls[score](counts)


def bootstrap_counts(
    counts: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    holds: np.ndarray,
    *,
    num_draws: int = NUM_DRAWS,
) -> np.ndarray:
    """Counts confusions of a part of test splits that are drawn from their own.

    Groups are drawn whole, within the class that most of their images have.
    The draws follow from labels and groups alone.

    Args:
        counts: Of each image, shape `(n, num_seeds, k, k)`.
        labels: Shape `(n,)`.
        groups: Number of the group of each image, shape `(n,)`.
        holds: Which images are counted, shape `(n,)`.
        num_draws: How often to draw.

    Returns:
        Shape `(num_draws, num_seeds, k, k)`.
    """
    units, strata = find_units(labels, groups)
    within, unit_of = np.unique(units[holds], return_inverse=True)
    sums = sum_by_unit(unit_of, counts[holds], len(within))
    # Images without a label are a class of their own.
    strata = np.unique(strata, return_inverse=True)[1]
    num_strata = int(strata.max(initial=-1)) + 1
    drawn = draw_weights(strata, num_strata, num_replicates=num_draws)
    found = [times[:, within].astype("float32") @ sums for times in drawn]
    return np.concatenate(found).reshape(num_draws, *counts.shape[1:])


def compare_subgroups(
    counts: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    places: np.ndarray,
    *,
    score: str = "macro_f1",
    num_draws: int = NUM_DRAWS,
) -> tuple[np.ndarray, float]:
    """Tests whether subgroups differ in more than their classes.

    Groups are shuffled between subgroups, whole and within their class, so that
    every draw has subgroups of the same classes. The score of a subgroup minus
    its mean over the draws, by its standard deviation over them, is how far it
    lies off; the statistic is the largest of these minus the smallest, and the
    p-value the share of draws that have one as large. A group whose images are
    in several subgroups is shuffled in parts, which errs to the safe side.

    Args:
        counts: Of each image, shape `(n, num_seeds, k, k)`.
        labels: Shape `(n,)`.
        groups: Number of the group of each image, shape `(n,)`.
        places: Number of the subgroup of each image, shape `(n,)`.
        score: A score of labels or of masks; seeds are averaged.
        num_draws: How often to draw, the real subgroups among them.

    Returns:
        The mean score of each subgroup over the draws, and the p-value.
    """
    num_places = int(places.max()) + 1
    parts = np.unique(np.stack([groups, places]), axis=1, return_inverse=True)[
        1
    ].reshape(-1)
    units, strata = find_units(labels, parts)
    unit_places = np.zeros(len(strata), "int64")
    unit_places[units] = places
    sums = sum_by_unit(units, counts, len(strata))
    has_any = sums.any(axis=0)
    sums_kept = np.ascontiguousarray(sums[:, has_any])
    random = np.random.default_rng(_make_seed(labels, groups))
    by_stratum = unit_places[np.argsort(strata, kind="stable")]
    step = max(1, _AT_ONCE // (len(strata) * num_places))
    found = np.empty((num_draws, num_places))
    for start in range(0, num_draws, step):
        rows = min(step, num_draws - start)
        keys = strata + random.random((rows, len(strata)))
        assigned = np.empty(keys.shape, "int64")
        np.put_along_axis(
            assigned, np.argsort(keys, axis=1), by_stratum[None], axis=1
        )
        if not start:
            assigned[0] = unit_places
        chosen = assigned[:, None] == np.arange(num_places)[:, None]
        chosen = chosen.reshape(-1, len(strata)).astype("float32")
        drawn = np.zeros((len(chosen), sums.shape[1]), "float32")
        drawn[:, has_any] = chosen @ sums_kept
        drawn = drawn.reshape(rows, num_places, *counts.shape[1:])
        found[start : start + rows] = mean_of_known(score_counts(drawn, score))
    expected, spread = np.nanmean(found, axis=0), np.nanstd(found, axis=0)
    far = (found - expected) / np.maximum(spread, 1e-12)
    width = np.nanmax(far, axis=1) - np.nanmin(far, axis=1)
    return expected, float((width >= width[0] - 1e-9).mean())


def _make_seed(labels: np.ndarray, groups: np.ndarray) -> list[int]:
    both = np.stack([labels, groups]).astype("<i8")
    return [zlib.crc32(both.tobytes()), len(labels)]
