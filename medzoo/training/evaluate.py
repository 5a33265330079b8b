"""Finished models: logits of whole splits, their probabilities and scores."""

from typing import TYPE_CHECKING

import numpy as np

from medzoo import scores
from medzoo.data.split import Split

if TYPE_CHECKING:
    import keras


def predict_logits(
    model: "keras.Model", images: np.ndarray, *, batch_size: int = 128
) -> np.ndarray:
    """Predicts in batches of one size, so that the graph is traced once.

    Args:
        model: A model from images to logits.
        images: `uint8`, shape `(n, height, width, channels)`.
        batch_size: Images at a time; the last batch is filled up with zeros.

    Returns:
        `float32` logits, shape `(n, num_classes)`.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size])
        missing = batch_size - len(batch)
        padding = [(0, missing)] + [(0, 0)] * (batch.ndim - 1)
        padded = np.pad(batch, padding) if missing else batch
        parts.append(model.predict_on_batch(padded)[: len(batch)])
    return np.concatenate(parts).astype("float32", copy=False)


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


def evaluate(
    split: Split,
    logits: np.ndarray,
    *,
    loss: "keras.losses.Loss",
    output: str = "softmax",
) -> tuple[dict[str, float | None], np.ndarray]:
    """Scores the logits of a split.

    Returns:
        The scores by name, with `loss` as the run's own loss on the whole
        split, and the probabilities.
    """
    probabilities = to_probabilities(logits, output)
    values = scores.score(probabilities, split.labels, logits.shape[-1])
    values["loss"] = float(loss(split.labels, logits))
    return values, probabilities
