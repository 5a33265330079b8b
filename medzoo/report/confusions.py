"""Where trials err: their confusion matrices, task by task."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from medzoo.report.heads import is_trained
from medzoo.report.results import TrialResults
from medzoo.scores.counts import confusion_matrix
from medzoo.store import Reader


class Confusion(NamedTuple):
    """Counts of one trial on the test split of one task, over its seeds.

    Args:
        trial: Name of the trial.
        task: The task.
        classes: Names of the classes.
        counts: Images by class (row) and predicted class (column), summed
            over the seeds; shape `(num_classes, num_classes)`.
        f1: F1 of each class by seed, shape `(num_seeds, num_classes)`.
    """

    trial: str
    task: str
    classes: list[str]
    counts: np.ndarray
    f1: np.ndarray


def count_confusions(
    results: Iterable[TrialResults], store: Reader
) -> list[Confusion]:
    """Counts the confusions of all trials whose predictions were kept.

    Args:
        results: The trials; only their finished runs count.
        store: Where the predictions are.
    """
    found = [
        _count(trial, task, store) for trial in results for task in trial.tasks
    ]
    return [each for each in found if each is not None]


def _count(trial: TrialResults, task: str, store: Reader) -> Confusion | None:
    done = [
        r
        for r in trial.of_task(task)
        if "test" in r.per_class_f1 and is_trained(r.run, "macro_f1")
    ]
    kept = [(r, store.read_task(r.run_id, task).test) for r in done]
    counts = [
        confusion_matrix(test.labels, test.predicted_labels, len(r.classes))
        for r, test in kept
        if test is not None
    ]
    if not counts:
        return None
    f1 = np.array([r.per_class_f1["test"] for r in done])
    total = np.sum(counts, axis=0)
    return Confusion(trial.trial.name, task, done[0].classes, total, f1)
