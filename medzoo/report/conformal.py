"""Prediction sets of split conformal prediction, and how often they are right.

Val sets a threshold for which the sets of new images hold their label with a
chosen chance, if val and these images are drawn alike. Whether they do is
measured on test.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from medzoo.record import SplitPredictions
from medzoo.report.drawn_runs import (
    DrawnRun,
    estimate_drawn,
    lay_out,
    name_classes,
)
from medzoo.report.evidence import Evidence
from medzoo.report.tables import Cell, Table
from medzoo.scores.counts import mean_of_known

NOMINAL = 0.9
SHIFTED = ("pathmnist", "pneumoniamnist", "octmnist")
ALL = "all"


def score_lac(probabilities: np.ndarray) -> np.ndarray:
    """Scores each class by one minus its probability.

    From [Sadinle et al., 2019](https://doi.org/10.1080/01621459.2017.1395341).

    Returns:
        Of the shape of the probabilities; a lower score enters sets earlier.
    """
    return 1 - probabilities


def score_aps(probabilities: np.ndarray) -> np.ndarray:
    """Scores each class by the sum of the probabilities down to its own.

    From [Romano et al., 2020](https://arxiv.org/abs/2006.02544), without
    random parts.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sums = np.take_along_axis(probabilities, order, axis=1).cumsum(axis=1)
    found = np.empty_like(sums)
    np.put_along_axis(found, order, sums, axis=1)
    return found


METHODS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "LAC": score_lac,
    "APS": score_aps,
}


def make_sets(
    method: str,
    val: SplitPredictions,
    probabilities: np.ndarray,
    nominal: float = NOMINAL,
) -> np.ndarray:
    """Makes the prediction set of each image.

    A class is in the set if its score is at most the `ceil((n + 1) nominal)`-th
    smallest one of the labels of the `n` images of val, as of [Angelopoulos
    and Bates, 2021](https://arxiv.org/abs/2107.07511).

    Args:
        method: `LAC` or `APS`.
        val: Labelled images.
        probabilities: Of other images, shape `(n, num_classes)`.
        nominal: Chance that a set holds its label.

    Returns:
        `bool`, of the same shape.
    """
    score = METHODS[method]
    size = len(val.labels)
    of_labels = score(val.probabilities)[np.arange(size), val.labels]
    rank = math.ceil((size + 1) * nominal - 1e-9)
    limit = np.sort(of_labels)[rank - 1] if rank <= size else math.inf
    return score(probabilities) <= limit + 1e-12


def make_conformal(evidence: Evidence) -> Table:
    """Makes a row for each trial, task, method and class.

    `coverage` is the share of test images whose set holds their label, and
    `set_size` the mean number of classes in a set; `coverage_of_val` is that
    of the images that set the threshold.
    """
    place = ("trial", "task", "method", "nominal", "class", "n")
    columns = (*place, "coverage_of_val", "coverage", "set_size")
    list_rows = functools.partial(_list_rows, evidence)
    return lay_out(columns, evidence.results, list_rows)


def describe_coverage(evidence: Evidence) -> str:
    """Words what the coverage can be held against."""
    shifted = [t for t in SHIFTED if t in evidence.results[0].tasks]
    sentence = (
        f"Prediction sets (conformal.csv) are to hold the label of "
        f"{NOMINAL * 100:g} % of the images, if test is drawn as val is; of "
        "all classes together, not of each."
    )
    if not shifted:
        return sentence
    return (
        f"{sentence} The test split of {', '.join(shifted)} is shifted, and "
        "does not hold it: read what was measured."
    )


def _list_rows(
    evidence: Evidence, task: str
) -> Iterator[tuple[int, list[Cell]]]:
    results = evidence.results
    runs = evidence.drawn[task]
    names = [ALL, *name_classes(results, task)]
    trials = sorted({run.trial for run in runs})
    for method in METHODS:
        places = {(run.trial, run.seed): _measure(run, method) for run in runs}
        for at, name in enumerate(names):
            coverage, size = (
                estimate_drawn(
                    results,
                    {key: found[part][:, at] for key, found in places.items()},
                    (0.0, bound),
                )
                for part, bound in (("coverage", 1.0), ("size", None))
            )
            for trial in trials:
                mine = [f for (row, _), f in places.items() if row == trial]
                of_val = mean_of_known(np.array([f["val"][at] for f in mine]))
                number = np.mean([f["n"][at] for f in mine])
                row: list[Cell] = [results[trial].trial.name, task, method]
                row += [NOMINAL, name, round(float(number))]
                row += [_round(of_val), coverage[trial], size[trial]]
                yield trial, row


def _round(value: np.ndarray) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def _measure(run: DrawnRun, method: str) -> dict[str, np.ndarray]:
    """Measures sets on val, on test and on its draws: of all, then by class."""
    sets = make_sets(method, run.val, run.test.probabilities)
    of_val = make_sets(method, run.val, run.val.probabilities)
    ones = np.ones((1, len(run.val.labels)))
    parts = [_count(sets, run.test.labels, weights) for weights in run.draw()]
    coverage, size = (np.concatenate(p) for p in zip(*parts, strict=True))
    counts = np.bincount(run.test.labels, minlength=run.num_classes)
    return {
        "val": _count(of_val, run.val.labels, ones)[0][0],
        "coverage": coverage,
        "size": size,
        "n": np.append(counts.sum(), counts),
    }


def _count(
    sets: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns coverage and set size, shape `(num_draws, 1 + num_classes)`."""
    is_held = sets[np.arange(len(labels)), labels]
    members = np.eye(sets.shape[1])[labels]
    members = np.concatenate([np.ones((len(labels), 1)), members], axis=1)
    number = weights @ members
    known = np.where(number > 0, number, np.nan)
    held = weights @ (members * is_held[:, None])
    sizes = weights @ (members * sets.sum(axis=1)[:, None])
    return held / known, sizes / known
