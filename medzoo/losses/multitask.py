"""Losses of batches that mix several tasks, on one axis of all classes.

Each task owns a range of the axis, so that a label says its task. An image
meets the classes of its own task alone, and a task without a labelled image in
the batch changes nothing. All tasks are computed at once: the cost does not
grow with their number.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from medzoo.losses.classification import build_loss, weighted_mean

# A logit that has no share in a softmax, and is still finite.
_NEVER = -1e9


class SoftCounts(NamedTuple):
    """Sums over the labelled images of a batch, each shape `(num_classes,)`.

    Args:
        overlap: Probability of the label's class.
        support: Images of the class.
        predicted: Probability of the class, over the images of its task.
    """

    overlap: Any
    support: Any
    predicted: Any


@keras.saving.register_keras_serializable(package="medzoo")
class TaskLoss(keras.losses.Loss):
    """A loss of one task, averaged over the tasks of a batch.

    `sum_t w_t L_t / sum_t w_t` over the tasks with a labelled image in the
    batch. `soft_harmonic_mean` is one minus the harmonic mean of the tasks'
    soft macro F1 in place of it.

    Args:
        loss: A name of `medzoo.losses.classification.LOSSES`.
        num_classes: Number of classes of each task.
        task_weights: Weight of each task; equal if `None`.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.
        weight: Share of soft F1 in `cross_entropy+soft_f1`.
        class_weights: Weight of each class of the axis; only ratios within a
            task matter.

    Raises:
        ValueError: As `medzoo.losses.classification.build_loss`.

    Example:

    >>> loss = TaskLoss("cross_entropy", [2, 3])
    >>> round(float(loss([0, 1, -1], np.zeros((3, 5)))), 4)  # log 2
    0.6931
    """

    def __init__(
        self,
        loss: str,
        num_classes: Sequence[int],
        *,
        task_weights: Sequence[float] | None = None,
        output: str = "softmax",
        weight: float = 0.5,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(name=f"{loss.replace('+', '_and_')}_of_tasks")
        build_loss(
            loss, output=output, weight=weight, class_weights=class_weights
        )
        self.options: dict[str, Any] = {
            "loss": loss,
            "num_classes": list(num_classes),
            "task_weights": task_weights,
            "output": output,
            "weight": weight,
            "class_weights": class_weights,
        }
        self.loss = loss
        owners = np.repeat(np.arange(len(num_classes)), num_classes)
        # Shape `(num_classes, num_tasks)`: 1 where the class is the task's.
        self._owns = np.eye(len(num_classes), dtype="float32")[owners]
        self._class_weights = np.asarray(
            np.ones(len(owners)) if class_weights is None else class_weights,
            "float32",
        )
        self._task_weights = np.asarray(
            np.ones(len(num_classes)) if task_weights is None else task_weights,
            "float32",
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        values, present = self.by_task(y_true, y_pred)
        if self.loss == "soft_harmonic_mean":
            return 1 - harmonic_mean(1 - values, present)
        return weighted_mean(values, present * self._task_weights)

    def by_task(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        """Computes the loss of each task on its custom images.

        Args:
            labels: Integers on the axis of classes, shape `(batch,)`; -1 marks
                an unlabelled image.
            logits: Shape `(batch, num_classes)`.

        Returns:
            The losses, and 1 for a task that has a labelled image and else 0;
            both of shape `(num_tasks,)`.
        """
        one_hot, logits = self._prepare(labels, logits)
        counts = self._count(one_hot, logits)
        present = self.has_images(counts)
        if self.loss == "cross_entropy":
            return self._cross_entropy(one_hot, logits), present
        f1, _ = self.macro_f1(counts)
        losses = present * (1 - f1)
        if self.loss == "cross_entropy+soft_f1":
            weight = self.options["weight"]
            entropy = self._cross_entropy(one_hot, logits)
            losses = (1 - weight) * entropy + weight * losses
        return losses, present

    def soft_counts(self, labels: Any, logits: Any) -> SoftCounts:
        """Counts a batch softly, as `by_task` takes it."""
        return self._count(*self._prepare(labels, logits))

    def has_images(self, counts: SoftCounts) -> Any:
        """Returns 1 for a task with a labelled image and 0 for another."""
        images = ops.matmul(counts.support, self._owns)
        return ops.cast(images > 0, images.dtype)

    def spread(self, values: Any) -> Any:
        """Gives each class the value of its task."""
        return ops.matmul(self._owns, values)

    def macro_f1(self, counts: SoftCounts) -> tuple[Any, Any]:
        """Returns the soft macro F1 of each task, and whether it has images."""
        overlap, support, predicted = counts
        f1 = ops.divide_no_nan(2 * overlap, support + predicted)
        seen = ops.cast(support > 0, f1.dtype) * self._class_weights
        sums, weights = (
            ops.matmul(values, self._owns) for values in (seen * f1, seen)
        )
        return ops.divide_no_nan(sums, weights), ops.cast(weights > 0, f1.dtype)

    def get_config(self) -> dict[str, Any]:
        return dict(self.options)

    def _prepare(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        """Returns one-hot labels, zero where unlabelled, and logits."""
        logits = ops.cast(ops.convert_to_tensor(logits), "float32")
        labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
        return ops.one_hot(labels, len(self._owns), dtype="float32"), logits

    def _mask(self, one_hot: Any) -> tuple[Any, Any]:
        """Returns which task, and so which classes, a labelled image has."""
        tasks = ops.matmul(one_hot, self._owns)
        return tasks, ops.matmul(tasks, self._owns.T)

    def _count(self, one_hot: Any, logits: Any) -> SoftCounts:
        _, mine = self._mask(one_hot)
        if self.options["output"] == "sigmoid":
            probabilities = ops.sigmoid(logits) * mine
        else:
            logits = ops.where(mine > 0, logits, _NEVER)
            probabilities = ops.softmax(logits) * mine
        return SoftCounts(
            ops.sum(one_hot * probabilities, axis=0),
            ops.sum(one_hot, axis=0),
            ops.sum(probabilities, axis=0),
        )

    def _cross_entropy(self, one_hot: Any, logits: Any) -> Any:
        tasks, mine = self._mask(one_hot)
        if self.options["output"] == "sigmoid":
            yes, no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
            costs = -ops.sum(one_hot * yes + (mine - one_hot) * no, axis=-1)
            costs = ops.divide_no_nan(costs, ops.sum(mine, axis=-1))
        else:
            log_shares = ops.log_softmax(ops.where(mine > 0, logits, _NEVER))
            costs = -ops.sum(one_hot * log_shares, axis=-1)
        weights = ops.sum(one_hot * self._class_weights, axis=-1)
        sums, totals = (
            ops.matmul(values, tasks) for values in (weights * costs, weights)
        )
        return ops.divide_no_nan(sums, totals)


def harmonic_mean(f1: Any, present: Any) -> Any:
    """Returns the harmonic mean of the tasks that are there, and 1 of none.

    `T / sum_t 1 / F1_t`: a task of half the score has four times the gradient.

    Example:

    >>> round(float(harmonic_mean(np.array([0.5, 1.0]), np.ones(2))), 4)
    0.6667
    """
    inverse = present / ops.maximum(f1, keras.config.epsilon())
    total = ops.sum(inverse)
    return ops.where(total > 0, ops.divide_no_nan(ops.sum(present), total), 1.0)
