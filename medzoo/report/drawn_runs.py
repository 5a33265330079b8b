"""Runs on one task with the draws of their test images, and estimates of them.

What is told of classes, of abstention and of curves comes from here: each run
has its number on test, and on all draws of test, which are the same for runs on
the same images.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from medzoo.record import Record, SplitPredictions
from medzoo.report.bootstrap import NUM_REPLICATES, draw_weights, keep_labelled
from medzoo.report.heads import is_trained
from medzoo.report.results import TrialResults
from medzoo.report.statistics import Bounds, Estimate, estimate_all
from medzoo.report.tables import Cell, Table
from medzoo.store import Reader


class DrawnRun(NamedTuple):
    """A run that is done, with its labelled images of val and test.

    Args:
        trial: Position of its trial.
        seed: Position of its seed.
        record: Of the run on the task.
        val: Predictions as evidence keeps them.
        test: The same.
    """

    trial: int
    seed: int
    record: Record
    val: SplitPredictions
    test: SplitPredictions

    @property
    def num_classes(self) -> int:
        """Number of classes of the task."""
        return self.test.probabilities.shape[1]

    def draw(
        self, num_replicates: int = NUM_REPLICATES
    ) -> Iterable[np.ndarray]:
        """Returns weights of the test images: each once, then those of draws.

        Returns:
            Parts of an array of shape `(1 + num_replicates, n)`.
        """
        labels, run = self.test.labels, self.record.run
        drawn = draw_weights(
            labels,
            self.num_classes,
            num_replicates=num_replicates,
            fold=run.seed if run.is_resplit else None,
            groups=self.test.groups,
        )
        return chain([np.ones((1, len(labels)))], drawn)


def list_drawn(
    results: Sequence[TrialResults], task: str, store: Reader
) -> Iterator[DrawnRun]:
    """Yields the runs of a task whose predictions were kept."""
    for at, trial in enumerate(results):
        for (seed, name), record in trial.records.items():
            if name != task or record.status != "done":
                continue
            if not is_trained(record.run, "macro_f1"):
                continue
            found = store.read_task(record.run_id, task)
            if found.val is None or found.test is None:
                continue
            val, test = keep_labelled(found.val), keep_labelled(found.test)
            if len(val.labels) and len(test.labels):
                place = trial.seeds.index(seed)
                yield DrawnRun(at, place, record, val, test)


def name_classes(results: Sequence[TrialResults], task: str) -> list[str]:
    """Returns the names of the classes of a task; none without a record."""
    found = [r.classes for t in results for r in t.of_task(task) if r.classes]
    return found[0] if found else []


def lay_out(
    columns: tuple[str, ...],
    results: Sequence[TrialResults],
    list_rows: Callable[[str], Iterable[tuple[int, list[Cell]]]],
) -> Table:
    """Lays the rows of all tasks out, trial by trial.

    Args:
        columns: Names of the columns.
        results: The trials.
        list_rows: Lists rows of a task, each behind the position of its trial.
    """
    rows = [row for task in results[0].tasks for row in list_rows(task)]
    rows.sort(key=operator.itemgetter(0))
    return Table(columns, [row for _, row in rows])


def estimate_drawn(
    results: Sequence[TrialResults],
    found: Mapping[tuple[int, int], np.ndarray],
    bounds: Bounds = (0.0, 1.0),
) -> list[Estimate | None]:
    """Estimates a number of all trials, over seeds and test images.

    Args:
        results: The trials.
        found: By the positions of trial and seed, shape `(1 +
            NUM_REPLICATES,)`: on test itself, then on its draws.
        bounds: Lowest and highest value.
    """
    shape = (1 + NUM_REPLICATES, len(results), len(results[0].seeds))
    values = np.full(shape, np.nan)
    for (row, column), drawn in found.items():
        values[:, row, column] = drawn
    return estimate_all(
        values[0],
        values[1:],
        given=np.array([trial.num_given for trial in results]),
        overlap=max(trial.overlap for trial in results),
        bounds=bounds,
    )


def average_known(values: Iterable[float]) -> float | None:
    """Averages what is not NaN, rounded as tables are."""
    known = np.array([value for value in values if not np.isnan(value)])
    return round(float(known.mean()), 6) if len(known) else None
