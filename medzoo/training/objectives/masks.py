"""The objective of masks with labels: loss, predictions and scores."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medzoo.data.dataset import (
    Dataset,
    MaskedDataset,
    MaskedSplit,
    Split,
    count_pixels,
)
from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.scores import masks as mask_scores
from medzoo.scores import probabilities as scores
from medzoo.training.predict import Scores, fill_up, to_probabilities

if TYPE_CHECKING:
    import keras

    from medzoo.losses.weighting import HeadsLoss


# Images that a net of masks sees at a time when it is evaluated: its logits
# and activations are as large as images.
AT_A_TIME = 16
LABEL_SCORES = (
    "accuracy",
    "macro_f1",
    "balanced_accuracy",
    "auc",
    "cross_entropy",
    "mcc",
)


def each_batch(
    model: "keras.Model", images: np.ndarray
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Predicts in batches of one size, so that the graph is traced once.

    Yields:
        The rows of a batch, and its logits of `mask` and `label`.
    """
    for start in range(0, len(images), AT_A_TIME):
        rows = slice(start, min(start + AT_A_TIME, len(images)))
        found = model.predict_on_batch(fill_up(images[rows], AT_A_TIME))
        yield rows, {k: v[: rows.stop - start] for k, v in found.items()}


def predict_labels(
    model: "keras.Model", images: np.ndarray, output: str
) -> np.ndarray:
    """Returns the probabilities of labels, shape `(n, num_classes)`."""
    batches = [batch["label"] for _, batch in each_batch(model, images)]
    return to_probabilities(np.concatenate(batches), output)


def summarize_masks(
    model: "keras.Model", split: MaskedSplit, *, output: str
) -> Scores | None:
    """Scores a compiled model; `None` if a logit is NaN or infinite."""
    found = score_split(model, split, output=output, loss=model.loss)
    return None if found is None else found.scores


class Found(NamedTuple):
    """What a model makes of a split with masks.

    Args:
        scores: All of them.
        probabilities: Of the labels.
        counts: As of `medzoo.scores.masks.count`.
    """

    scores: Scores
    probabilities: np.ndarray
    counts: np.ndarray


def score_split(
    model: "keras.Model",
    split: MaskedSplit,
    *,
    output: str,
    loss: "HeadsLoss | None" = None,
) -> Found | None:
    """Predicts and scores a split; no more than a batch of masks is held.

    Args:
        model: From images to logits of `mask` and `label`.
        split: The images with what is known of them.
        output: What turns logits of labels into probabilities.
        loss: Of the model's run, for `loss`, `mask_loss`, the mean over
            batches, and `label_loss`.

    Returns:
        `None` if a logit is NaN or infinite.
    """
    logits, counts, losses = [], [], []
    for rows, found in each_batch(model, split.images):
        if not all(np.isfinite(values).all() for values in found.values()):
            return None
        masks, mask_logits = np.asarray(split.masks[rows]), found["mask"]
        marked = mask_logits.argmax(axis=-1)
        num_mask_classes = mask_logits.shape[-1]
        counts.append(mask_scores.count(masks, marked, num_mask_classes))
        logits.append(found["label"])
        if loss is not None:
            value = float(loss.mask_loss.call(masks, mask_logits))
            losses.append(len(masks) * value)
    whole = np.concatenate(logits)
    weights = (1.0, 1.0) if loss is None else loss.weights
    result = score(split.labels, whole, np.concatenate(counts), output, weights)
    if loss is not None:
        label_loss = float(loss.label_loss.call(split.labels, whole))
        mask_loss = sum(losses) / len(split)
        joined = float(loss.join(mask_loss, label_loss))
        result.scores.update(
            loss=joined, mask_loss=mask_loss, label_loss=label_loss
        )
    return result


def score(
    labels: np.ndarray,
    logits: np.ndarray,
    counts: np.ndarray,
    output: str,
    weights: tuple[float, float],
) -> Found:
    """Scores masks and labels of a split, and both together.

    `joint`, by which the best weights are chosen, is the mean of Dice and macro
    F1; of one of them, if the other head has no weight in the loss or nothing
    is labelled for it.
    """
    probabilities = to_probabilities(logits, output)
    found: Scores = dict.fromkeys(LABEL_SCORES)
    if (labels >= 0).any():
        found = scores.score(probabilities, labels, logits.shape[1])
    found |= mask_scores.score_masks(counts)
    parts = zip(("dice", "macro_f1"), weights, strict=True)
    values = [found[name] for name, weight in parts if weight]
    known = [value for value in values if value is not None]
    found["joint"] = float(np.mean(known)) if known else None
    return Found(found, probabilities, counts)


def score_val(
    record: Record, model: "keras.Model", data: MaskedDataset
) -> dict[str, np.ndarray]:
    """Scores val, and predicts test without its labels and masks.

    Returns:
        Probabilities and labels of val and its counts of pixels, and what
        `score_test` needs.

    Raises:
        ValueError: If the model predicts NaN.
    """
    output = record.run.output
    found = score_split(model, data.val, output=output, loss=model.loss)
    if found is None:
        raise ValueError("The model predicts NaN. Expected finite logits.")
    batches = [batch for _, batch in each_batch(model, data.test.images)]
    logits = np.concatenate([batch["label"] for batch in batches])
    masks = [batch["mask"].argmax(axis=-1).astype("uint8") for batch in batches]
    return _keep(record, "val", data.val, found) | {
        "test": to_probabilities(logits, output),
        "test_logits": logits,
        "test_masks": np.concatenate(masks),
    }


def score_test(
    record: Record,
    data: MaskedDataset,
    predictions: dict[str, np.ndarray],
    loss: "HeadsLoss",
) -> dict[str, np.ndarray]:
    """Reads the labels and masks of test, for the first time, and scores it.

    Returns:
        Probabilities and labels of val and test, their counts of pixels, and
        the images of test whose masks are the best, the middle and the worst.
    """
    masks = predictions["test_masks"]
    truth = np.asarray(data.test.masks)
    counts = mask_scores.count(truth, masks, data.num_mask_classes)
    logits = predictions["test_logits"]
    output = record.run.output
    found = score(data.test.labels, logits, counts, output, loss.weights)
    rows = pick_examples(counts)
    waiting = ("test_logits", "test_masks")
    return (
        {k: v for k, v in predictions.items() if k not in waiting}
        | _keep(record, "test", data.test, found)
        | {
            "shown": rows,
            "shown_images": data.test.images[rows],
            "shown_truth": truth[rows],
            "shown_masks": masks[rows],
        }
    )


def _keep(
    record: Record, name: str, split: Split, found: Found
) -> dict[str, np.ndarray]:
    """Fills in the scores of one split, and returns what they are made of."""
    record.scores[name] = found.scores
    if found.scores["macro_f1"] is not None:
        values = scores.per_class_f1(found.probabilities, split.labels)
        record.per_class_f1[name] = [float(value) for value in values]
    record.per_mask_class_dice[name] = mask_scores.per_class_dice(found.counts)
    return {
        name: found.probabilities,
        f"{name}_labels": split.labels,
        f"{name}_counts": found.counts.astype("int32"),
    }


def pick_examples(counts: np.ndarray) -> np.ndarray:
    """Picks the images whose masks are the best, the middle and the worst.

    Args:
        counts: As of `medzoo.scores.masks.count`.

    Returns:
        Their rows, by falling Dice; images without any are left out.

    Example:

    >>> pick_examples(np.array([[[9, n], [0, 1]] for n in range(5)])).tolist()
    [0, 2, 4]
    """
    values = mask_scores.dice_of_images(counts)
    order = np.argsort(-values, kind="stable")[: np.sum(~np.isnan(values))]
    if len(order) <= 3:
        return order
    return order[[0, (len(order) - 1) // 2, -1]]


def make_heads_loss(
    run: Run, data: MaskedDataset, label_loss: "keras.losses.Loss"
) -> "HeadsLoss":
    """Makes the loss of a run with masks."""
    from medzoo.losses.segmentation import MaskLoss
    from medzoo.losses.weighting import HeadsLoss

    options = run.options
    mask_loss = MaskLoss(
        str(options["mask_loss"]),
        data.num_mask_classes,
        class_weights=mask_class_weights(run, data),
    )
    return HeadsLoss(
        mask_loss,
        label_loss,
        mask_weight=float(options["mask_weight"]),
        label_weight=float(options["label_weight"]),
    )


def mask_class_weights(run: Run, data: MaskedDataset) -> list[float] | None:
    """Returns the weight of each class of pixels, if a run asks for any."""
    if not run.options["mask_balance"]:
        return None
    from medzoo.losses.classification import inverse_frequency

    return inverse_frequency(count_pixels(data))


def describe_mask_classes(run: Run, data: Dataset) -> object:
    """Returns what a graph depends on beside images and labels, if anything."""
    if not isinstance(data, MaskedDataset):
        return None
    return data.num_mask_classes, mask_class_weights(run, data)
