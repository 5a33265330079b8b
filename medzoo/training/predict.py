"""Finished models: logits of whole splits, their probabilities and scores."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.dataset import Split
from medzoo.data.mixed import MixedSplit
from medzoo.scores import probabilities as scores

if TYPE_CHECKING:
    import keras

Scores = dict[str, float | None]


def predict_logits(
    model: "keras.Model", images: np.ndarray, *, batch_size: int = 128
) -> np.ndarray:
    """Predicts in batches of one size, so that the graph is traced once.

    Args:
        model: A model from images to logits.
        images: `uint8`, shape `(n, height, width, channels)`; an array, or what
            gives arrays, or dictionaries of them, for slices.
        batch_size: Images at a time; the last batch is filled up with zeros.

    Returns:
        `float32` logits, shape `(n, num_classes)`.
    """
    return predict_in_batches(model.predict_on_batch, images, batch_size)


def predict_in_batches(
    predict: Callable[[Any], np.ndarray], images: Any, batch_size: int = 128
) -> np.ndarray:
    """Returns what a function predicts, as `predict_logits` for a model."""
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


def evaluate(
    split: Split,
    logits: np.ndarray,
    *,
    loss: Callable[[np.ndarray, np.ndarray], Any],
    output: str = "softmax",
) -> tuple[Scores, np.ndarray]:
    """Scores the logits of a split.

    Returns:
        The scores by name, with `loss` as the run's own loss on the whole
        split, and the probabilities. Of several tasks, means over the tasks and
        `macro_f1/<task>`, and no probabilities.
    """
    if isinstance(split, MixedSplit):
        each = score_each(split, logits, output)
        values = average({task: found for task, (found, _) in each.items()})
        for task, (found, _) in each.items():
            values[f"macro_f1/{task}"] = found["macro_f1"]
        values["loss"] = float(loss(split.labels, logits))
        return values, np.empty((0, 0), "float32")
    probabilities = to_probabilities(logits, output)
    values = scores.score(probabilities, split.labels, logits.shape[-1])
    values["loss"] = float(loss(split.labels, logits))
    return values, probabilities


def score_each(
    split: MixedSplit, logits: np.ndarray, output: str
) -> dict[str, tuple[Scores, np.ndarray]]:
    """Scores each task on its custom images and classes.

    Args:
        split: Images of all tasks.
        logits: Shape `(n, num_classes)` on the axis of all classes.
        output: `softmax` or `sigmoid`.

    Returns:
        By task its scores, and its probabilities.
    """
    found = {}
    for task, part, mine in split.by_task(logits):
        probabilities = to_probabilities(mine, output)
        values = scores.score(probabilities, part.labels, mine.shape[1])
        found[task] = values, probabilities
    return found


def average(by_task: dict[str, Scores]) -> Scores:
    """Averages each score over the tasks, and adds the harmonic mean.

    A score that a task does not have is `None`; `harmonic_mean` is that of the
    macro F1.

    Example:

    >>> average({"a": {"macro_f1": 0.5}, "b": {"macro_f1": 1.0}})
    {'macro_f1': 0.75, 'harmonic_mean': 0.6666666666666666}
    """
    values = list(by_task.values())
    means: Scores = {}
    for name in values[0]:
        known = [found[name] for found in values]
        numbers = [value for value in known if value is not None]
        complete = len(numbers) == len(known)
        means[name] = float(np.mean(numbers)) if complete else None
    means["harmonic_mean"] = scores.harmonic_mean(
        found["macro_f1"] for found in values
    )
    return means


def rank_entry(entry: Scores) -> tuple[float, float]:
    """Ranks a check on val: the higher, the better the weights.

    By macro F1, of several tasks by its harmonic mean, with masks by its mean
    with Dice; then the lower loss.
    """
    score = entry.get("val_harmonic_mean", entry["val_macro_f1"])
    score = entry.get("val_joint", score)
    return score or 0.0, -(entry["val_loss"] or 0.0)
