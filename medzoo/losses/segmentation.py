"""Keras losses of masks: a label and logits for each pixel of a batch.

A pixel is what an image is to the losses of classes, which are taken where they
do: macro F1 of pixels is Dice. Labels are integers, and -1 marks a pixel that
changes neither the loss nor its gradient. All is computed in `float32` at
least.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from medzoo.losses import classification as imbalance
from medzoo.losses.classification import (
    BatchLoss,
    as_weights,
    cross_entropy,
    prepare,
    soft_f1,
    weighted_mean,
)
from medzoo.messages import unknown


def dice(
    masks: Any, logits: Any, *, class_weights: Sequence[float] | None = None
) -> Any:
    """Scores a batch by one minus its soft Dice.

    With one-hot labels `y` and probabilities `p`, that of a mask class is
    `2 sum(y p) / (sum(y) + sum(p))` over the labelled pixels of the batch. The
    mean goes over the mask classes present in the batch, the background among
    them:
    it alone says of an image without anything that nothing is to be found.

    Args:
        masks: Integers, shape `(batch, height, width)`; -1 marks an unlabelled
            pixel.
        logits: Shape `(batch, height, width, num_mask_classes)`.
        class_weights: Weight of each mask class in the mean; equal if `None`.

    Returns:
        A scalar in `[0, 1]`, and 0 when no pixel of the batch is labelled.

    Example:

    >>> logits = ops.log([[[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]]])
    >>> round(float(dice([[[0, 0, 1]]], logits)), 4)
    0.2468

    Reference:

    - [Milletari et al., 2016](https://arxiv.org/abs/1606.04797), with the sums
      themselves and not their squares, as in [Drozdzal et al., 2016](
      https://arxiv.org/abs/1608.04117).
    """
    return soft_f1(*_flatten(masks, logits), class_weights=class_weights)


def tversky(
    masks: Any,
    logits: Any,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Scores a batch by one minus its soft Tversky index.

    `TP / (TP + alpha FP + beta FN)` of each mask class, with `TP = sum(y p)`,
    `FP = sum((1 - y) p)` and `FN = sum(y (1 - p))`, and the mean as of `dice`,
    which it is when both are a half. A higher `beta` asks for recall.

    Args:
        masks: As for `dice`.
        logits: As for `dice`.
        alpha: Weight of what is marked and should not be, 0 or more.
        beta: Weight of what is missed, 0 or more.
        class_weights: As for `dice`.

    Returns:
        A scalar in `[0, 1]`, and 0 when no pixel of the batch is labelled.

    Example:

    >>> logits = ops.log([[[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]]])
    >>> round(float(tversky([[[0, 0, 1]]], logits)), 4)
    0.2404

    Reference:

    - [Salehi et al., 2017](https://arxiv.org/abs/1706.05721).
    """
    one_hot, logits = prepare(*_flatten(masks, logits))
    probabilities = ops.softmax(logits) * ops.sum(one_hot, -1, keepdims=True)
    support = ops.sum(one_hot, axis=0)
    predicted = ops.sum(probabilities, axis=0)
    overlap = ops.sum(one_hot * probabilities, axis=0)
    errors = alpha * (predicted - overlap) + beta * (support - overlap)
    index = ops.divide_no_nan(overlap, overlap + errors)
    weights = ops.cast(support > 0, index.dtype)
    weights *= as_weights(class_weights, one_hot)
    return weighted_mean(1 - index, weights)


def focal(
    masks: Any,
    logits: Any,
    *,
    gamma: float = 2.0,
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Averages `-(1 - p_t)^gamma log p_t` over the labelled pixels.

    `p_t` is the probability of the label.

    Args:
        masks: As for `dice`.
        logits: As for `dice`.
        gamma: How much pixels that are right already count less, 1 or more.
        class_weights: Weight of a pixel by its mask class; the mean is a
        weighted
            one.

    Returns:
        A scalar, 0 or more, and 0 when no pixel of the batch is labelled.

    Example:

    >>> logits = ops.log([[[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]]])
    >>> round(float(focal([[[0, 0, 1]]], logits)), 4)
    0.0306

    Reference:

    - [Lin et al., 2017](https://arxiv.org/abs/1708.02002).
    """
    return imbalance.focal(
        *_flatten(masks, logits), gamma=gamma, class_weights=class_weights
    )


def pixel_cross_entropy(
    masks: Any, logits: Any, *, class_weights: Sequence[float] | None = None
) -> Any:
    """Averages the cross entropy of the labelled pixels, in nats.

    Args:
        masks: As for `dice`.
        logits: As for `dice`.
        class_weights: Weight of a pixel by its mask class; the mean is a
        weighted
            one.

    Returns:
        A scalar, 0 or more, and 0 when no pixel of the batch is labelled.

    Example:

    >>> logits = ops.log([[[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]]])
    >>> round(float(pixel_cross_entropy([[[0, 0, 1]]], logits)), 4)
    0.2798
    """
    return cross_entropy(*_flatten(masks, logits), class_weights=class_weights)


def dice_and_cross_entropy(
    masks: Any, logits: Any, *, class_weights: Sequence[float] | None = None
) -> Any:
    """Adds both: the gradient of Dice is weak where nothing overlaps yet.

    Example:

    >>> logits = ops.log([[[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]]])
    >>> round(float(dice_and_cross_entropy([[[0, 0, 1]]], logits)), 4)
    0.5265

    Reference:

    - [Isensee et al., 2021](https://doi.org/10.1038/s41592-020-01008-z),
      nnU-Net.
    """
    entropy = pixel_cross_entropy(masks, logits, class_weights=class_weights)
    return dice(masks, logits, class_weights=class_weights) + entropy


MASK_LOSSES: dict[str, Callable[..., Any]] = {
    "cross_entropy": pixel_cross_entropy,
    "dice": dice,
    "dice+cross_entropy": dice_and_cross_entropy,
    "focal": focal,
    "tversky": tversky,
}


@keras.saving.register_keras_serializable(package="medzoo")
class MaskLoss(BatchLoss):
    """A loss of all pixels of a batch, for `compile`.

    Args:
        loss: A name of `MASK_LOSSES`.
        num_mask_classes: Number of logits of a pixel.
        class_weights: Weight of each mask class, not negative; equal if `None`.

    Raises:
        ValueError: For an unknown name, class weights that are negative,
            infinite or not one a mask class, and masks or logits that do not
            fit.

    Example:

    >>> loss = MaskLoss("dice", 2)
    >>> logits = 40.0 * ops.one_hot([[[0, 1], [1, 1]]], 2)
    >>> float(loss([[[0, 1], [-1, 1]]], logits)) < 1e-6
    True
    """

    def __init__(
        self,
        loss: str,
        num_mask_classes: int,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        if loss not in MASK_LOSSES:
            raise ValueError(unknown("mask loss", loss, MASK_LOSSES))
        if class_weights is not None:
            class_weights = [float(value) for value in class_weights]
        as_weights(class_weights, ops.zeros((1, num_mask_classes)))
        super().__init__(loss, class_weights=class_weights)
        self.num_mask_classes = num_mask_classes

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = map(ops.convert_to_tensor, (y_true, y_pred))
        shapes = tuple(y_true.shape), tuple(y_pred.shape)
        if (
            list(map(len, shapes)) != [3, 4]
            or shapes[0][1:] != shapes[1][1:3]
            or shapes[1][3] != self.num_mask_classes
        ):
            raise ValueError(
                "Masks and logits must have shape (batch, height, width) and "
                f"(batch, height, width, {self.num_mask_classes}). Received: "
                f"{shapes[0]} and {shapes[1]}."
            )
        return MASK_LOSSES[self.loss](y_true, y_pred, **self.options)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_mask_classes": self.num_mask_classes,
        }


def _flatten(masks: Any, logits: Any) -> tuple[Any, Any]:
    """Lays all pixels of a batch along one axis."""
    masks, logits = map(ops.convert_to_tensor, (masks, logits))
    return ops.reshape(masks, (-1,)), ops.reshape(
        logits, (-1, logits.shape[-1])
    )
