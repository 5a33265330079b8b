"""Keras losses of a whole batch, on logits and integer labels.

Labels are integers, and -1 marks an unlabelled image: it changes neither the
loss nor its gradient. All is computed in `float32` at least, so that `float16`
logits of any size give finite values.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from medzoo.wording import unknown


def soft_f1(
    labels: Any,
    logits: Any,
    *,
    output: str = "softmax",
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Scores a batch by one minus the macro F1 of its soft counts.

    Probabilities stand in for counts of predictions, so that F1 has a gradient:
    with one-hot labels `y` and probabilities `p`, the soft F1 of class `c` is
    `2 sum(y_c p_c) / (sum(y_c) + sum(p_c))`, summed over labelled images. The
    mean goes over the classes present in the batch: an absent one has a soft F1
    of 0 whatever the model says, and would only raise the floor of the loss.
    Weighted by shares in train, it is the soft `f1_score(average="weighted")`.

    Args:
        labels: Integers, shape `(batch,)`; -1 marks an unlabelled image.
        logits: Shape `(batch, num_classes)`.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.
        class_weights: Weight of each class in the mean, not negative; only
            their ratios matter. Equal weights if `None`.

    Returns:
        A scalar in `[0, 1]`, and 0 when no image of the batch is labelled.

    Raises:
        ValueError: For an unknown output, or class weights that are negative,
            infinite, or not one a class.

    Example:

    >>> logits = ops.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(float(soft_f1([0, 0, 1], logits)), 4)
    0.2468

    Reference:

    - [Bénédict et al., 2022](https://arxiv.org/abs/2108.10566), sigmoidF1.
    - [Milletari et al., 2016](https://arxiv.org/abs/1606.04797), soft Dice.
    """
    one_hot, logits = prepare(labels, logits)
    labelled = ops.sum(one_hot, axis=-1, keepdims=True)
    probabilities = _choose(output, ops.softmax, ops.sigmoid)(logits) * labelled
    overlap = ops.sum(one_hot * probabilities, axis=0)
    support = ops.sum(one_hot, axis=0)
    predicted = ops.sum(probabilities, axis=0)
    f1 = ops.divide_no_nan(2 * overlap, support + predicted)
    present = ops.cast(support > 0, f1.dtype)
    return weighted_mean(1 - f1, present * as_weights(class_weights, one_hot))


def cross_entropy(
    labels: Any,
    logits: Any,
    *,
    output: str = "softmax",
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Averages the cross entropy of the labelled images, in nats.

    With targets `t`, an image costs `-sum_c t_c log p_c` under `softmax`, and
    the mean over the classes of `-t_c log p_c - (1 - t_c) log(1 - p_c)` under
    `sigmoid`: the mean, as Keras takes it, so that values are comparable
    between tasks (logits of 0 cost `log 2` whatever the number of classes).

    Args:
        labels: Integers, shape `(batch,)`; -1 marks an unlabelled image.
        logits: Shape `(batch, num_classes)`.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.
        class_weights: Weight of an image by its class, not negative; the mean
            is a weighted one, so only their ratios matter.
        label_smoothing: Share of each target, in `[0, 1)`, that is spread
            evenly over the classes (`softmax`) or over yes and no (`sigmoid`);
            from [Szegedy et al., 2016](https://arxiv.org/abs/1512.00567).

    Returns:
        A scalar, 0 or more, and 0 when no image of the batch is labelled.

    Example:

    >>> logits = ops.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(float(cross_entropy([0, 0, 1], logits)), 4)
    0.2798
    """
    one_hot, logits = prepare(labels, logits)
    costs = _choose(output, _softmax_costs, _sigmoid_costs)
    values = costs(one_hot, logits, label_smoothing)
    weights = ops.sum(one_hot * as_weights(class_weights, one_hot), axis=-1)
    return weighted_mean(values, weights)


def cross_entropy_and_soft_f1(
    labels: Any,
    logits: Any,
    *,
    weight: float = 0.5,
    output: str = "softmax",
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Mixes both: `(1 - weight) cross_entropy + weight soft_f1`.

    Cross entropy has a gradient where soft F1 is flat, far from the label. The
    weight lies in `[0, 1]`; the other arguments are those of both parts.

    Example:

    >>> logits = ops.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(float(cross_entropy_and_soft_f1([0, 0, 1], logits)), 4)
    0.2633
    """
    options: Any = {"output": output, "class_weights": class_weights}
    entropy = cross_entropy(labels, logits, **options)
    return (1 - weight) * entropy + weight * soft_f1(labels, logits, **options)


LOSSES: dict[str, Callable[..., Any]] = {
    "soft_f1": soft_f1,
    "weighted_soft_f1": soft_f1,  # `build_loss` sees to it that it has weights.
    "cross_entropy": cross_entropy,
    "cross_entropy+soft_f1": cross_entropy_and_soft_f1,
    "soft_harmonic_mean": soft_f1,  # Of one task; `task_losses` has several.
}


def build_loss(
    name: str,
    *,
    output: str = "softmax",
    weight: float = 0.5,
    class_weights: Sequence[float] | None = None,
) -> keras.losses.Loss:
    """Builds a scalar loss for `compile` that can be saved with its model.

    Args:
        name: A name of `LOSSES`.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.
        weight: Share of soft F1 in `cross_entropy+soft_f1`, 0 to 1.
        class_weights: Weight of each class, not negative; `weighted_soft_f1`
            needs them.

    Raises:
        ValueError: For an unknown name or output, a weight outside of `[0, 1]`,
            or class weights that are needed and missing.

    Example:

    >>> loss = build_loss("soft_f1", output="sigmoid")
    >>> float(loss([0, 1, -1], [[9.0, -9.0], [-9.0, 9.0], [0.0, 0.0]])) < 1e-3
    True
    """
    if name not in LOSSES:
        raise ValueError(unknown("loss", name, LOSSES))
    if name == "weighted_soft_f1" and class_weights is None:
        raise ValueError(
            "Loss `weighted_soft_f1` needs `class_weights`. Expected one "
            "number a class, as its share of train. Received: None."
        )
    if not 0 <= weight <= 1:
        raise ValueError(
            f"`weight` must lie between 0 and 1. Received: weight={weight}."
        )
    options: dict[str, Any] = {"output": _choose(output, output, output)}
    if class_weights is not None:
        options["class_weights"] = [float(value) for value in class_weights]
    if name == "cross_entropy+soft_f1":
        options["weight"] = weight
    return BatchLoss(name, **options)


@keras.saving.register_keras_serializable(package="medzoo")
class BatchLoss(keras.losses.Loss):
    """A loss of the whole batch, as `build_loss` makes it.

    Its value is a scalar that no reduction changes; weights of images are
    refused. To load a model saved with it, import this module before.
    """

    def __init__(self, loss: str, **options: Any) -> None:
        super().__init__(name=loss.replace("+", "_and_"))
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
        return LOSSES[self.loss](y_true, y_pred, **self.options)

    def get_config(self) -> dict[str, Any]:
        return {"loss": self.loss, **self.options}


def prepare(labels: Any, logits: Any) -> tuple[Any, Any]:
    """Returns one-hot labels, zero where unlabelled, and logits."""
    labels, logits = map(ops.convert_to_tensor, (labels, logits))
    dtype = keras.backend.result_type(logits.dtype, "float32")
    labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
    one_hot = ops.one_hot(labels, logits.shape[-1], dtype=dtype)
    return one_hot, ops.cast(logits, dtype)


def _choose(output: str, softmax: Any, sigmoid: Any) -> Any:
    if output not in ("softmax", "sigmoid"):
        raise ValueError(unknown("output", output, ("softmax", "sigmoid")))
    return softmax if output == "softmax" else sigmoid


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


def _softmax_costs(one_hot: Any, logits: Any, smoothing: float) -> Any:
    targets = (1 - smoothing) * one_hot + smoothing / logits.shape[-1]
    return -ops.sum(targets * ops.log_softmax(logits), axis=-1)


def _sigmoid_costs(one_hot: Any, logits: Any, smoothing: float) -> Any:
    targets = (1 - smoothing) * one_hot + smoothing / 2
    yes, no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    return -ops.mean(targets * yes + (1 - targets) * no, axis=-1)
