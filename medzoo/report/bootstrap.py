"""How much a run's score would differ on other test images.

Images are drawn, not cells of a confusion matrix, since only the former pairs
runs: two trials that see the same test images share their luck, and it leaves
their difference only if both are scored on the same draws. They are drawn
within classes, as test splits are made: no class is absent from a draw, where
one score would count it as 0 and another would leave it out. Images with masks
hold several classes each, so that they are drawn from all. Where images are of
groups, such as patients, groups are drawn in their place, each whole and within
the class that most of its images have.
"""

import functools
import io
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from medzoo.plugins.scores import compute_own, list_own_scores
from medzoo.record import (
    Record,
    SplitPredictions,
    round_probabilities,
)
from medzoo.report.groups import find_units, number_groups, sum_by_unit
from medzoo.scores.counts import LABEL_SCORES, MASK_SCORES
from medzoo.scores.table import SCORES
from medzoo.scores.weighted import WEIGHTED_SCORES, compute_weighted
from medzoo.store import Reader

# The standard deviation of 2,000 replicates is right to 1.6 %.
NUM_REPLICATES = 2_000
# First number of a kept bootstrap. Raise it when draws or scores change.
_VERSION = 1
# Drawn images that are counted at once.
_AT_ONCE = 2**22


def bootstrap_score(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    num_replicates: int = NUM_REPLICATES,
    score: str = "macro_f1",
    fold: int | None = None,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Scores a run on test splits that are drawn from its own, with repeats.

    As many images of each class are drawn as the split has. The draws follow
    from the labels and the fold alone, so that runs on the same images in
    the same order are scored on the same draws: replicate `b` of one run and
    replicate `b` of another are a pair.

    Args:
        probabilities: Shape `(n, num_classes)`.
        labels: Integers, shape `(n,)`; -1 marks an unlabelled image.
        num_replicates: How often to draw.
        score: A name of `medzoo.scores.counts.LABEL_SCORES`.
        fold: Number of the fold that is held out in place of the test split, if
            one is: other folds are other images, though their labels may be
            equal.
        groups: Number of the group of each image, -1 for none, shape `(n,)`;
            groups are drawn whole.

    Returns:
        The score in `[0, 1]`, shape `(num_replicates,)`.

    Example:

    >>> bootstrap_score(np.eye(2), np.array([0, 0]), num_replicates=4).shape
    (4,)

    Reference:
        [Efron, 1979](https://doi.org/10.1214/aos/1176344552).
    """
    counts = _count_draws(probabilities, labels, num_replicates, fold, groups)
    return np.concatenate([LABEL_SCORES[score](part) for part in counts])


def _count_draws(
    probabilities: np.ndarray,
    labels: np.ndarray,
    num_replicates: int,
    fold: int | None,
    groups: np.ndarray | None,
) -> Iterator[np.ndarray]:
    """Yields the confusion matrices of draws, some replicates at a time."""
    cells, num_classes, kept = _cells(probabilities, labels)
    if groups is None:
        drawn = _count_images(cells, num_classes, kept, num_replicates, fold)
    else:
        groups = groups[np.asarray(labels).reshape(-1) >= 0]
        units, strata = find_units(kept, groups)
        counts = np.zeros((len(strata), num_classes**2))
        np.add.at(counts, (units, cells), 1)
        weights = draw_weights(
            strata, num_classes, num_replicates=num_replicates, fold=fold
        )
        drawn = (times @ counts for times in weights)
    for part in drawn:
        yield part.reshape(len(part), num_classes, num_classes)


def _count_images(
    cells: np.ndarray,
    num_classes: int,
    labels: np.ndarray,
    num_replicates: int,
    fold: int | None,
) -> Iterator[np.ndarray]:
    """Counts cells of confusion matrices where images are drawn one by one."""
    by_class = cells[np.argsort(labels, kind="stable")]
    for places in _share(_draw, labels, num_classes, num_replicates, fold):
        drawn = by_class[places]
        drawn += np.arange(len(places))[:, None] * num_classes**2
        size = len(places) * num_classes**2
        counts = np.bincount(drawn.ravel(), minlength=size)
        yield counts.reshape(len(places), -1)


def draw_weights(
    labels: np.ndarray,
    num_classes: int,
    *,
    num_replicates: int = NUM_REPLICATES,
    fold: int | None = None,
    groups: np.ndarray | None = None,
) -> Iterable[np.ndarray]:
    """Says how often each image is drawn, some replicates at a time.

    The draws are those of `bootstrap_score`.

    Args:
        labels: None of them -1.

    Returns:
        Parts of an array of shape `(num_replicates, n)`, `float64`.
    """
    if groups is None:
        return _share(_draw_weights, labels, num_classes, num_replicates, fold)
    units, strata = find_units(labels, groups)
    drawn = _share(_draw_weights, strata, num_classes, num_replicates, fold)
    return (times[:, units] for times in drawn)


def _draw_weights(
    labels: np.ndarray, num_classes: int, num_replicates: int, fold: int | None
) -> Iterator[np.ndarray]:
    order = np.argsort(labels, kind="stable")
    size = len(labels)
    for places in _draw(labels, num_classes, num_replicates, fold):
        rows = np.arange(len(places))[:, None]
        cells = (order[places] + rows * size).ravel()
        counts = np.bincount(cells, minlength=len(places) * size)
        yield counts.reshape(len(places), size).astype("float64")


def _bootstrap_weighted(
    split: SplitPredictions, names: Sequence[str], fold: int | None
) -> dict[str, np.ndarray]:
    """Scores a run on draws, by probabilities as evidence keeps them."""
    kept = keep_labelled(split)
    labels, probabilities = kept.labels, kept.probabilities
    drawn = draw_weights(
        labels, probabilities.shape[1], fold=fold, groups=kept.groups
    )
    parts = [
        compute_weighted(names, probabilities, labels, weights)
        for weights in drawn
    ]
    return {name: np.concatenate([p[name] for p in parts]) for name in names}


def keep_labelled(split: SplitPredictions) -> SplitPredictions:
    """Returns the labelled images, with probabilities as evidence keeps them.

    So a report from a store and one from its evidence have the same numbers.
    """
    labels = np.asarray(split.labels).astype("int64").reshape(-1)
    rounded = round_probabilities(np.asarray(split.probabilities))
    is_kept = labels >= 0
    return SplitPredictions(
        rounded[is_kept].astype("float64"),
        labels[is_kept],
        groups=None if split.groups is None else split.groups[is_kept],
    )


def bootstrap_own_score(
    probabilities: np.ndarray,
    labels: np.ndarray,
    name: str,
    *,
    num_replicates: int = NUM_REPLICATES,
    fold: int | None = None,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Scores a run by the score of a plugin, on the draws of the others.

    Returns:
        Shape `(num_replicates,)`; NaN where a draw has no such score.
    """
    labels = np.asarray(labels).astype("int64").reshape(-1)
    is_kept = labels >= 0
    probabilities, labels = probabilities[is_kept], labels[is_kept]
    drawn = draw_weights(
        labels,
        probabilities.shape[1],
        num_replicates=num_replicates,
        fold=fold,
        groups=None if groups is None else groups[is_kept],
    )
    found = [
        compute_own(name, probabilities[rows], labels[rows])
        for part in drawn
        for times in part
        for rows in [np.repeat(np.arange(len(labels)), times.astype("int64"))]
    ]
    return np.array([math.nan if v is None else v for v in found])


# Labels, classes, replicates and fold to parts of what is drawn.
_Draw = Callable[[np.ndarray, int, int, int | None], Iterator[np.ndarray]]


def _share(
    draw: _Draw,
    labels: np.ndarray,
    num_classes: int,
    num_replicates: int,
    fold: int | None,
) -> Iterable[np.ndarray]:
    """Draws once for all runs and scores on the same few images."""
    if num_replicates * len(labels) > _AT_ONCE:
        return draw(labels, num_classes, num_replicates, fold)
    key = labels.astype("int64").tobytes()
    return _keep_draws(draw, key, num_classes, num_replicates, fold)


# A study of twelve tasks goes through them trial by trial.
@functools.lru_cache(maxsize=12)
def _keep_draws(
    draw: _Draw,
    labels: bytes,
    num_classes: int,
    num_replicates: int,
    fold: int | None,
) -> tuple[np.ndarray, ...]:
    found = np.frombuffer(labels, dtype="int64")
    return tuple(draw(found, num_classes, num_replicates, fold))


def _draw(
    labels: np.ndarray, num_classes: int, num_replicates: int, fold: int | None
) -> Iterator[np.ndarray]:
    """Yields places among the images sorted by class, some replicates each."""
    seed = zlib.crc32(labels.astype("<i4").tobytes())
    # A 0 at the end would change nothing.
    key = [seed, len(labels), 0 if fold is None else fold + 1]
    random = np.random.default_rng(key)
    sizes = np.bincount(labels, minlength=num_classes)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    widths = np.repeat(sizes, sizes)
    step = max(1, _AT_ONCE // max(len(labels), 1))
    for start in range(0, num_replicates, step):
        rows = min(step, num_replicates - start)
        shares = random.random((rows, len(labels)))
        yield starts + (shares * widths).astype("int64")


def read_replicates(
    store: Reader,
    record: Record,
    task: str | None = None,
    *,
    name: str = "macro_f1",
) -> np.ndarray | None:
    """Reads the bootstrap of a score of a run; see `read_many_replicates`.

    Returns:
        Shape `(NUM_REPLICATES,)`; `None` if there is none.
    """
    return read_many_replicates(store, record, [name], task).get(name)


def read_many_replicates(
    store: Reader,
    record: Record,
    names: Iterable[str],
    task: str | None = None,
) -> dict[str, np.ndarray]:
    """Reads bootstraps of a run on test, or makes and keeps them.

    One lies beside the record as `<run_id>.boot.npy`, with the name of the task
    in it if there are several, and of a score other than macro F1: a version,
    the score itself, then the replicates. A file that belongs to another value
    than the record's is made anew, so a run that was executed again is never
    given old replicates. Those to be made share predictions and draws.

    Returns:
        By score, shape `(NUM_REPLICATES,)`; without those of a run that is not
        done, or whose predictions were not kept or are not those of the score.
    """
    task = task or record.run.task
    reached = record.scores.get("test", {}) if record.status == "done" else {}
    scores = {n: s for n in names if (s := reached.get(n)) is not None}
    found = {}
    for name, score in scores.items():
        kept = _read(store, name_replicates(record, task, name))
        if kept is not None and math.isclose(kept[0], score, abs_tol=1e-6):
            found[name] = kept[1:]
    missing = {n: s for n, s in scores.items() if n not in found}
    made = _make_replicates(store, record, task, missing) if missing else {}
    for name, kept in made.items():
        if math.isclose(kept[0], scores[name], abs_tol=1e-6):
            _keep(store, name_replicates(record, task, name), kept)
            found[name] = kept[1:]
    return found


def _make_replicates(
    store: Reader, record: Record, task: str, scores: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Makes bootstraps of scores, each behind the score itself."""
    test = store.read_task(record.run_id, task).test
    if test is None:
        return {}
    fold = record.run.seed if record.run.is_resplit else None
    weighted = [name for name in scores if name in WEIGHTED_SCORES]
    of_labels = [name for name in scores if name in LABEL_SCORES]
    found = _score_and_replicates(test, of_labels, fold) if of_labels else {}
    if weighted:
        drawn = _bootstrap_weighted(test, weighted, fold)
        found |= {n: np.append(scores[n], drawn[n]) for n in weighted}
    for name in scores:
        if name in found:
            continue
        if name in list_own_scores():
            drawn_own = bootstrap_own_score(
                test.probabilities,
                test.labels,
                name,
                fold=fold,
                groups=test.groups,
            )
            found[name] = np.append(scores[name], drawn_own)
        elif test.pixel_counts is not None:
            found[name] = _score_masks(test.pixel_counts, name, test.groups)
    return found


def name_replicates(record: Record, task: str, name: str) -> str:
    """Names the file of the bootstrap of a run on one of its tasks."""
    parts = [record.run_id]
    parts += [task] if record.run.task != task else []
    parts += [name] if name != "macro_f1" else []
    score = SCORES.get(name)
    parts += [score.content] if score and score.needs == "own" else []
    return f"{record.run_id[:2]}/{'.'.join(parts)}.boot.npy"


def _cells(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, int, np.ndarray]:
    """Numbers the cell of the confusion matrix that each image falls into."""
    labels = np.asarray(labels).astype("int64").reshape(-1)
    kept = labels >= 0
    labels, num_classes = labels[kept], probabilities.shape[1]
    predicted = probabilities[kept].argmax(axis=1)
    return labels * num_classes + predicted, num_classes, labels


def _score_and_replicates(
    test: SplitPredictions, names: Sequence[str], fold: int | None
) -> dict[str, np.ndarray]:
    probabilities, labels = test.probabilities, test.labels
    cells, num_classes, _ = _cells(probabilities, labels)
    counts = np.bincount(cells, minlength=num_classes**2)
    drawn = _count_draws(
        probabilities, labels, NUM_REPLICATES, fold, test.groups
    )
    parts = [counts.reshape(1, num_classes, num_classes), *drawn]
    return {
        name: np.concatenate([LABEL_SCORES[name](part) for part in parts])
        for name in names
    }


def bootstrap_masks(
    counts: np.ndarray,
    name: str,
    *,
    num_replicates: int = NUM_REPLICATES,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Scores masks on test splits that are drawn from their own.

    The draws follow from the number of images and their labelled pixels alone,
    so that runs on the same images are scored on the same draws.

    Args:
        counts: As of `medzoo.scores.counts.count_masks`.
        name: A name of `medzoo.scores.counts.MASK_SCORES`.
        num_replicates: How often to draw.
        groups: Number of the group of each image, -1 for none, shape `(n,)`;
            groups are drawn whole.

    Returns:
        Shape `(num_replicates,)`; NaN where a draw has nothing to go by.
    """
    labelled = counts.sum(axis=-1).astype("<i8")
    seed = zlib.crc32(labelled.tobytes())
    random = np.random.default_rng([seed, len(counts)])
    units = np.unique(number_groups(groups, len(counts)), return_inverse=True)[
        1
    ]
    size = int(units.max(initial=-1)) + 1
    draws = random.integers(size, size=(num_replicates, size))
    # How often each unit is drawn, by replicate.
    draws += size * np.arange(num_replicates)[:, None]
    times = np.bincount(draws.ravel(), minlength=num_replicates * size)
    by_unit = sum_by_unit(units, counts, size)
    pooled = times.reshape(num_replicates, size) @ by_unit
    return MASK_SCORES[name](pooled.reshape(num_replicates, *counts.shape[1:]))


def _score_masks(
    counts: np.ndarray, name: str, groups: np.ndarray | None
) -> np.ndarray:
    score = MASK_SCORES[name](counts.sum(axis=0))
    return np.append(score, bootstrap_masks(counts, name, groups=groups))


def _read(store: Reader, path: str) -> np.ndarray | None:
    content = store.read_file(path)
    size = 8 * (NUM_REPLICATES + 2)
    if content and content[:-size] == _HEAD:
        kept = np.frombuffer(content, "<f8", offset=len(_HEAD))
        return kept[1:] if kept[0] == _VERSION else None
    return None


def _write_array(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    return content.getvalue()


# What kept bootstraps start with: NumPy reads it in 40 us.
_HEAD = _write_array(np.zeros(NUM_REPLICATES + 2))[: -8 * (NUM_REPLICATES + 2)]


def _keep(store: Reader, path: str, values: np.ndarray) -> None:
    store.cache_file(path, _write_array(np.append(_VERSION, values)))
