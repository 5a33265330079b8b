"""Streaming Keras metrics, only to watch training; `scores` has the results."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="medzoo")
class MacroF1(keras.metrics.Metric):
    """Macro F1 over all images since the last reset, from a confusion matrix.

    The predicted class is the arg-max of the logits (or probabilities), so a
    tie counts once, and logits of exactly 0 are logits like others. A class
    that is neither labelled nor predicted has an F1 of 0, as in
    `medzoo.scores.macro_f1`.

    Args:
        num_classes: Number of classes, of which all are averaged.
        name: Name in the logs.
        dtype: Type of the counts; `float32` is exact up to 16 million images.

    Example:

    >>> metric = MacroF1(num_classes=2)
    >>> metric.update_state([0, 1, -1], [[2.0, 0.0], [0.0, 1.0], [9.0, 0.0]])
    >>> metric.update_state([0, 1], [[0.0, 3.0], [0.0, 1.0]])
    >>> round(float(metric.result()), 4)
    0.7333
    """

    def __init__(
        self, num_classes: int, name: str = "macro_f1", dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.confusion = self.add_variable(
            (num_classes, num_classes), initializer="zeros", name="confusion"
        )

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Counts a batch.

        Args:
            y_true: Integer labels, shape `(batch,)`; -1 marks an unlabelled
                image, which is not counted.
            y_pred: Logits, shape `(batch, num_classes)`.
            sample_weight: How often each image counts, shape `(batch,)`; once
                if `None`.
        """
        labels = self._one_hot(ops.reshape(y_true, (-1,)))
        if sample_weight is not None:
            weights = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            labels *= ops.reshape(weights, (-1, 1))
        predicted = self._one_hot(ops.argmax(y_pred, axis=-1))
        counts = ops.matmul(ops.transpose(labels), predicted)
        self.confusion.assign_add(counts)

    def result(self) -> Any:
        """Returns the macro F1, a scalar in `[0, 1]`."""
        correct = ops.diagonal(self.confusion)
        support = ops.sum(self.confusion, axis=1)
        predicted = ops.sum(self.confusion, axis=0)
        return ops.mean(ops.divide_no_nan(2 * correct, support + predicted))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}

    def _one_hot(self, classes: Any) -> Any:
        classes = ops.cast(classes, "int32")
        return ops.one_hot(classes, self.num_classes, dtype=self.dtype)
