"""Losses of plugins in the form that medzoo's own have."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from medzoo.losses.base import prepare, weighted_mean

Loss = Callable[..., Any]
# Losses of Keras that take labels as integers.
_OF_INTEGERS = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalGeneralizedCrossEntropy,
)


def adapt_loss(target: Any) -> Loss:
    """Makes a function of labels, logits and `output` of any kind of loss.

    Args:
        target: A function of labels and logits, or a loss of Keras as an object
            or a class.
    """
    if isinstance(target, type):
        target = target()
    if not isinstance(target, keras.losses.Loss):
        return _adapt_function(target)
    if _is_of_keras(target):
        return _adapt_loss_of_keras(target)
    return _adapt_function(target.call)


def _adapt_function(call: Loss) -> Loss:
    takes_output = "output" in inspect.signature(call).parameters

    def loss(
        labels: Any,
        logits: Any,
        *,
        output: str = "softmax",
        class_weights: Any = None,
        **options: Any,
    ) -> Any:
        labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
        if takes_output:
            options["output"] = output
        return _average(call(labels, logits, **options), labels)

    return loss


def _adapt_loss_of_keras(target: keras.losses.Loss) -> Loss:
    """Gives a loss of Keras what it expects.

    Some classes take integers, others one-hot rows, which are 0 for images
    without a label. Without `from_logits` they take probabilities.
    """
    sparse = isinstance(target, _OF_INTEGERS)
    from_logits = target.get_config().get("from_logits", False)

    def loss(
        labels: Any,
        logits: Any,
        *,
        output: str = "softmax",
        class_weights: Any = None,
    ) -> Any:
        one_hot, logits = prepare(labels, logits)
        labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
        labelled = ops.cast(labels >= 0, logits.dtype)[:, None]
        if not from_logits:
            softmax = output == "softmax"
            logits = (ops.softmax if softmax else ops.sigmoid)(logits)
            # What sums over the batch must not see images without a label.
            logits = logits * labelled if not sparse else logits
        truth = ops.maximum(labels, 0) if sparse else one_hot
        return _average(target.call(truth, logits), labels)

    return loss


def _is_of_keras(loss: keras.losses.Loss) -> bool:
    module = getattr(type(loss).call, "__module__", "")
    return module.startswith("keras.")


def _average(values: Any, labels: Any) -> Any:
    """Averages one value an image over those with a label."""
    values = ops.convert_to_tensor(values)
    if len(values.shape) == 0:
        return values
    if len(values.shape) > 1:
        values = ops.mean(values, axis=tuple(range(1, len(values.shape))))
    values = ops.cast(values, "float32")
    labelled = ops.cast(labels >= 0, values.dtype)
    # A value that is not finite must not reach the mean through a 0.
    values = ops.where(labels >= 0, values, ops.zeros_like(values))
    return weighted_mean(values, labelled)
