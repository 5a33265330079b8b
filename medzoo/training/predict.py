"""Logits of splits, in batches, and their probabilities."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Scores = dict[str, float | None]


def predict_logits(
    model: "keras.Model", images: np.ndarray, *, batch_size: int = 128
) -> np.ndarray:
    """Predicts in batches of one size, so that the graph is traced once.

    Args:
        model: A model from images to logits.
        images: `uint8`, shape `(n, height, width, channels)`; an array, or an
            object whose slices are arrays or dictionaries of them.
        batch_size: Images at a time; the last batch is filled up with zeros.

    Returns:
        `float32`, shape `(n, num_classes)`.
    """
    return predict_in_batches(model.predict_on_batch, images, batch_size)


def predict_in_batches(
    predict: Callable[[Any], np.ndarray], images: Any, batch_size: int = 128
) -> np.ndarray:
    """Predicts with a function, as `predict_logits` does with a model."""
    parts = []
    for start in range(0, len(images), batch_size):
        batch = fill_up(images[start : start + batch_size], batch_size)
        count = min(batch_size, len(images) - start)
        parts.append(predict(batch)[:count])
    return np.concatenate(parts).astype("float32", copy=False)


def fill_up(batch: Any, batch_size: int) -> Any:
    """Adds zeros to a batch that is smaller than the others."""
    if isinstance(batch, dict):
        return {key: fill_up(v, batch_size) for key, v in batch.items()}
    batch = np.asarray(batch)
    padding = [(0, batch_size - len(batch))] + [(0, 0)] * (batch.ndim - 1)
    return np.pad(batch, padding) if len(batch) < batch_size else batch


def to_probabilities(logits: np.ndarray, output: str = "softmax") -> np.ndarray:
    """Turns logits into probabilities that sum to one an image.

    Args:
        logits: Shape `(n, num_classes)`.
        output: `softmax`, or `sigmoid`: one sigmoid a class, then divided by
            their sum, so that scores of both kinds of output can be compared.

    Returns:
        `float32`, shape `(n, num_classes)`.

    Example:

    >>> to_probabilities(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    logits = np.asarray(logits, dtype="float64")
    if output == "sigmoid":
        # log of the sigmoid; the softmax of it divides by the sum.
        logits = -np.logaddexp(0, -logits)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    total = exponentials.sum(axis=-1, keepdims=True)
    return (exponentials / total).astype("float32")
