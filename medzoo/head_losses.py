"""The loss of a net with two heads: a mask of the image, and its label."""

from typing import Any

import keras
from keras import ops

from medzoo.task_weighting import Objective


@keras.saving.register_keras_serializable(package="medzoo")
class HeadsLoss(keras.losses.Loss):
    """Joins the loss of masks and that of labels.

    `(w_m L_m + w_l L_l) / (w_m + w_l)`. What is labelled -1 changes nothing: a
    batch without a labelled pixel has only the part of its labels, as large as
    it is with masks, and the other way round. Labels and logits are
    dictionaries of `mask` and `label`.

    Args:
        mask_loss: A loss of `(batch, height, width)` integers.
        label_loss: A loss of `(batch,)` integers.
        mask_weight: Weight of the first, 0 or more.
        label_weight: Weight of the second, 0 or more.

    Example:

    >>> from medzoo.losses import build_loss
    >>> from medzoo.mask_losses import MaskLoss
    >>> entropy = MaskLoss("cross_entropy", 2), build_loss("cross_entropy")
    >>> loss = HeadsLoss(*entropy, mask_weight=3.0)
    >>> labels = {"mask": ops.zeros((1, 1, 2)), "label": -ops.ones((1,))}
    >>> logits = {"mask": ops.zeros((1, 1, 2, 2)), "label": ops.zeros((1, 4))}
    >>> round(float(loss(labels, logits)), 4)  # 3 / 4 log 2
    0.5199
    """

    def __init__(
        self,
        mask_loss: keras.losses.Loss,
        label_loss: keras.losses.Loss,
        *,
        mask_weight: float = 1.0,
        label_weight: float = 1.0,
    ) -> None:
        super().__init__(name="mask_and_label")
        self.mask_loss, self.label_loss = mask_loss, label_loss
        self.weights = mask_weight, label_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        values, present = self.by_task(y_true, y_pred)
        return self.join(*ops.unstack(present * values))

    def join(self, mask: Any, label: Any) -> Any:
        """Returns the weighted mean of the two losses."""
        mask_weight, label_weight = self.weights
        weighted = mask_weight * mask + label_weight * label
        return weighted / (mask_weight + label_weight)

    def by_task(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        """Computes both losses, as `medzoo.task_losses.TaskLoss` does.

        Returns:
            The losses of masks and labels, and 1 for the one of them of which
            anything is labelled and else 0; both of shape `(2,)`.
        """
        parts = (("mask", self.mask_loss), ("label", self.label_loss))
        values = [loss.call(labels[key], logits[key]) for key, loss in parts]
        present = [
            ops.cast(ops.max(labels[key]) >= 0, "float32") for key, _ in parts
        ]
        values = [ops.cast(value, "float32") for value in values]
        return ops.stack(values), ops.stack(present)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        mask_weight, label_weight = self.weights
        return {
            "mask_loss": serialize(self.mask_loss),
            "label_loss": serialize(self.label_loss),
            "mask_weight": mask_weight,
            "label_weight": label_weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HeadsLoss":
        losses = {
            key: keras.saving.deserialize_keras_object(config[key])
            for key in ("mask_loss", "label_loss")
        }
        return cls(**{**config, **losses})


class FixedWeights(Objective):
    """Takes the loss as it is, with the weights that it has."""

    def join(self, loss: Any, labels: Any, logits: Any) -> Any:
        return loss.call(labels, logits)
