"""Where a trial errs: its confusion matrices, task by task."""

from typing import NamedTuple

import numpy as np

from medzoo.report.results import TrialResults
from medzoo.scores.counts import confusion_matrix
from medzoo.store import Reader


class Confusion(NamedTuple):
    """Counts of one trial on the test split of one task, over its seeds.

    Args:
        classes: Names of the classes.
        counts: Images by class (row) and predicted class (column), summed
            over the seeds; shape `(num_classes, num_classes)`.
        f1: F1 of each class by seed, shape `(num_seeds, num_classes)`.
    """

    task: str
    classes: list[str]
    counts: np.ndarray
    f1: np.ndarray


def count_confusions(trial: TrialResults, store: Reader) -> list[Confusion]:
    """Counts the confusions of each task with predictions that were kept.

    Args:
        trial: The trial; only its finished runs count.
        store: Where the predictions are.
    """
    found = []
    for task in trial.tasks:
        done = [r for r in trial.of_task(task) if "test" in r.per_class_f1]
        kept = [(r, store.read_task(r.run_id, task).test) for r in done]
        counts = [
            confusion_matrix(test.labels, test.predicted_labels, len(r.classes))
            for r, test in kept
            if test is not None
        ]
        if counts:
            f1 = np.array([r.per_class_f1["test"] for r in done])
            classes = done[0].classes
            found.append(Confusion(task, classes, np.sum(counts, axis=0), f1))
    return found
