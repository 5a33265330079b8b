"""Losses of mixed images and of several members, made from those of one."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="medzoo")
class JointLoss(keras.losses.Loss):
    """Averages a loss over two labelings of a batch, or over several members.

    Labels of shape `(batch, 3)` are those of mixed images: a first and a second
    label, and the share `s` of the first, which is one for the whole batch. The
    loss is then `s` times that with the first labels and `1 - s` times that
    with the second ones (Zhang et al., 2018). Logits of shape
    `(batch, members, num_classes)` are those of several members in training:
    each has its own loss, and their mean is taken. Plain labels and logits have
    the loss that they have.

    Args:
        loss: A loss as `medzoo.losses.build_loss` makes it.

    Example:

    >>> from medzoo.losses import build_loss
    >>> loss = JointLoss(build_loss("cross_entropy"))
    >>> logits = ops.log([[0.5, 0.5], [0.2, 0.8]])
    >>> mixed = [[0.0, 1.0, 0.3], [1.0, 1.0, 0.3]]
    >>> parts = [float(loss(labels, logits)) for labels in ([0, 1], [1, 1])]
    >>> bool(abs(loss(mixed, logits) - 0.3 * parts[0] - 0.7 * parts[1]) < 1e-6)
    True
    """

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name=loss.name)
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = map(ops.convert_to_tensor, (y_true, y_pred))
        if len(y_pred.shape) == 3:
            members = ops.unstack(y_pred, axis=1)
            losses = [self.call(y_true, member) for member in members]
            return sum(losses) / len(losses)
        if len(y_true.shape) < 2 or y_true.shape[1] != 3:
            return self.loss.call(y_true, y_pred)
        first, second, shares = ops.unstack(y_true, axis=-1)
        share = ops.cast(shares[0], y_pred.dtype)
        losses = [self.loss.call(labels, y_pred) for labels in (first, second)]
        return share * losses[0] + (1 - share) * losses[1]

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self.loss)
        return {"loss": loss}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "JointLoss":
        return cls(keras.saving.deserialize_keras_object(config["loss"]))
