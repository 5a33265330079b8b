"""What the losses share: a batch, its labels, weights and means."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops


class BatchLoss(keras.losses.Loss):
    """A loss of the whole batch, by its name in the table of its class.

    Its value is a scalar that no reduction changes; weights of images are
    refused. To load a model saved with it, import its module before.

    Args:
        loss: A name of the table.
        **options: Further arguments of the function of that name.
    """

    functions: ClassVar[Mapping[str, Callable[..., Any]]]

    def __init__(self, loss: str, **options: Any) -> None:
        # Graphs of TensorFlow allow no other characters.
        name = re.sub(r"[^\w.-]+", "_", loss.replace("+", "_and_"))
        super().__init__(name=name)
        self.loss = loss
        self.options = options

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        if sample_weight is not None:
            raise ValueError(
                f"Loss `{self.loss}` scores a batch as a whole. Expected "
                f"sample_weight=None. Received: sample_weight={sample_weight}. "
                "Label images -1 to leave them out, or use `class_weights`."
            )
        return super().__call__(y_true, y_pred)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.functions[self.loss](y_true, y_pred, **self.options)

    def get_config(self) -> dict[str, Any]:
        return {"loss": self.loss, **self.options}


def prepare(labels: Any, logits: Any) -> tuple[Any, Any]:
    """Returns one-hot labels, zero where unlabelled, and logits."""
    labels, logits = map(ops.convert_to_tensor, (labels, logits))
    dtype = keras.backend.result_type(logits.dtype, "float32")
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    one_hot = ops.one_hot(labels, logits.shape[-1], dtype=dtype)
    return one_hot, ops.cast(logits, dtype)


def as_weights(weights: Sequence[float] | None, one_hot: Any) -> Any:
    """Returns one weight a class: 1 if none are given."""
    num_classes = one_hot.shape[-1]
    values = [1.0] * num_classes if weights is None else weights
    if len(values) != num_classes or not all(0 <= v < math.inf for v in values):
        raise ValueError(
            f"`class_weights` must be {num_classes} finite numbers, none of "
            f"them negative. Received: class_weights={weights}."
        )
    return ops.convert_to_tensor(values, dtype=one_hot.dtype)


def weighted_mean(values: Any, weights: Any) -> Any:
    """Returns `sum(w v) / sum(w)`, and 0 where all weights are 0."""
    return ops.divide_no_nan(ops.sum(weights * values), ops.sum(weights))
