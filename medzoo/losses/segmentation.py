"""Losses of masks: a label and logits for each pixel of a batch.

A pixel is to them what an image is to the losses of labels: macro F1 of pixels
is Dice. `MaskLoss` lays all pixels of a batch along one axis, so the functions
take labels of shape `(num_pixels,)`, where -1 marks an unlabelled pixel, and
logits `(num_pixels, num_mask_classes)`. All is computed in `float32` at least.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from medzoo.losses.base import BatchLoss, as_weights, prepare, weighted_mean
from medzoo.losses.classification import cross_entropy, focal, soft_f1
from medzoo.messages import unknown


def tversky(
    labels: Any,
    logits: Any,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Computes one minus the soft Tversky index of a batch.

    `TP / (TP + alpha FP + beta FN)` of each mask class, with `TP = sum(y p)`,
    `FP = sum((1 - y) p)` and `FN = sum(y (1 - p))`, and the mean over the
    classes present, as in `soft_f1`, which it is when both weights are a half.

    Args:
        labels: Integers, shape `(num_pixels,)`.
        logits: Shape `(num_pixels, num_mask_classes)`.
        alpha: Weight of false positives, 0 or more.
        beta: Weight of false negatives, 0 or more; a higher one favours recall.
        class_weights: Weight of each mask class in the mean; equal if `None`.

    Returns:
        A scalar in `[0, 1]`, and 0 when no pixel of the batch is labelled.

    Example:

    >>> logits = ops.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(float(tversky([0, 0, 1], logits)), 4)
    0.2404

    Reference:

    - [Salehi et al., 2017](https://arxiv.org/abs/1706.05721).
    """
    one_hot, logits = prepare(labels, logits)
    probabilities = ops.softmax(logits) * ops.sum(one_hot, -1, keepdims=True)
    support = ops.sum(one_hot, axis=0)
    predicted = ops.sum(probabilities, axis=0)
    overlap = ops.sum(one_hot * probabilities, axis=0)
    errors = alpha * (predicted - overlap) + beta * (support - overlap)
    index = ops.divide_no_nan(overlap, overlap + errors)
    weights = ops.cast(support > 0, index.dtype)
    weights *= as_weights(class_weights, one_hot)
    return weighted_mean(1 - index, weights)


def dice_and_cross_entropy(labels: Any, logits: Any, **options: Any) -> Any:
    """Adds both: the gradient of Dice is weak where nothing overlaps yet.

    Example:

    >>> logits = ops.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(float(dice_and_cross_entropy([0, 0, 1], logits)), 4)
    0.5265

    Reference:

    - [Isensee et al., 2021](https://doi.org/10.1038/s41592-020-01008-z),
      nnU-Net.
    """
    entropy = cross_entropy(labels, logits, **options)
    return soft_f1(labels, logits, **options) + entropy


# Soft Dice is that of [Milletari et al., 2016](https://arxiv.org/abs/1606.04797)
# with the sums themselves and not their squares, as in [Drozdzal et al., 2016](
# https://arxiv.org/abs/1608.04117). The background is one of its classes: it
# alone has a gradient in an image without foreground.
MASK_LOSSES: dict[str, Callable[..., Any]] = {
    "cross_entropy": cross_entropy,
    "dice": soft_f1,
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

    functions = MASK_LOSSES

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
        logits = ops.reshape(y_pred, (-1, self.num_mask_classes))
        return super().call(ops.reshape(y_true, (-1,)), logits)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_mask_classes": self.num_mask_classes,
        }
