"""Losses of integer labels on logits, with class imbalance.

All take labels of shape `(batch,)`, where -1 marks an unlabelled image, and
logits `(batch, num_classes)`. They return a scalar that is 0 when no image of
the batch is labelled. `output` turns logits into probabilities: `softmax` or
`sigmoid`. `class_weights` are finite numbers, none of them negative, of which
only the ratios matter; equal ones if `None`.
"""

from collections import ChainMap
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from medzoo.losses.base import BatchLoss, as_weights, prepare, weighted_mean
from medzoo.messages import unknown


def soft_f1(
    labels: Any,
    logits: Any,
    *,
    output: str = "softmax",
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Computes one minus the macro F1 of soft counts of a batch.

    Probabilities stand in for counts of predictions, so that F1 has a gradient:
    with one-hot labels `y` and probabilities `p`, the soft F1 of class `c` is
    `2 sum(y_c p_c) / (sum(y_c) + sum(p_c))`, summed over labelled images. The
    mean goes over the classes present in the batch: an absent one has a soft F1
    of 0 whatever the model says, and would only raise the floor of the loss.
    Weighted by shares in train, it is the soft `f1_score(average="weighted")`.

    Args:
        labels: Integers, shape `(batch,)`.
        logits: Shape `(batch, num_classes)`.
        output: `softmax` or `sigmoid`.
        class_weights: Weight of each class in the mean.

    Returns:
        A scalar in `[0, 1]`.

    Raises:
        ValueError: For an unknown output, and class weights that do not fit.

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
        labels: As for `soft_f1`.
        logits: As for `soft_f1`.
        output: As for `soft_f1`.
        class_weights: Weight of an image by its class.
        label_smoothing: Share of each target, in `[0, 1)`, that is spread
            evenly over the classes (`softmax`) or over yes and no (`sigmoid`);
            from [Szegedy et al., 2016](https://arxiv.org/abs/1512.00567).

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


def focal(
    labels: Any,
    logits: Any,
    *,
    output: str = "softmax",
    gamma: float = 2.0,
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Averages `-(1 - p_t)^gamma log p_t` over the labelled images.

    `p_t` is the probability of the label. Under `sigmoid` each class has a
    cost of its own, as in the paper: `p_t` is `p` for the label and `1 - p` for
    the other classes, and the costs are averaged over the classes.

    Args:
        labels: As for `soft_f1`.
        logits: As for `soft_f1`.
        output: As for `soft_f1`.
        gamma: How much images that are right already count less; with 0 it is
            the cross entropy.
        class_weights: Weight of an image by its class.

    Example:

    >>> logits = ops.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(float(focal([0, 0, 1], logits)), 4)
    0.0306

    Reference:

    - [Lin et al., 2017](https://arxiv.org/abs/1708.02002).
    """
    one_hot, logits = prepare(labels, logits)
    if output == "softmax":
        log_p = ops.sum(one_hot * ops.log_softmax(logits), -1, keepdims=True)
    else:
        log_p = ops.log_sigmoid((2 * one_hot - 1) * logits)
    costs = ops.mean(-((1 - ops.exp(log_p)) ** gamma) * log_p, axis=-1)
    weights = ops.sum(one_hot * as_weights(class_weights, one_hot), axis=-1)
    return weighted_mean(costs, weights)


def logit_adjusted(
    labels: Any,
    logits: Any,
    *,
    class_counts: Sequence[int],
    output: str = "softmax",
    tau: float = 1.0,
) -> Any:
    """Averages the cross entropy of `logits + tau log prior`.

    The prior is added in training only, so that the logits need not learn it:
    their argmax aims at the balanced accuracy.

    Args:
        labels: As for `soft_f1`.
        logits: As for `soft_f1`.
        class_counts: Images of each class in train; their shares are the prior.
            A class without any counts as one image.
        output: `softmax`, as the prior is of classes that exclude each other.
        tau: How much of it is added; with 0 it is the cross entropy.

    Example:

    >>> logits = ops.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(float(logit_adjusted([0, 0, 1], logits, class_counts=[2, 1])), 4)
    0.2491

    Reference:

    - [Menon et al., 2021](https://arxiv.org/abs/2007.07314).
    """
    counts = np.maximum(class_counts, 1)
    prior = tau * np.log(counts / counts.sum())
    _, logits = prepare(labels, logits)
    return cross_entropy(
        labels, logits + ops.cast(prior, logits.dtype), output=output
    )


def inverse_frequency(counts: Sequence[int]) -> list[float]:
    """Weights each class by `N / (C n_c)`, so that all weigh the same in sum.

    Args:
        counts: Images of each of the C classes in train, N in all; a class
            without any has the weight 0.

    Example:

    >>> inverse_frequency([6, 2, 0])
    [0.6666666666666666, 2.0, 0.0]
    """
    present = [count for count in counts if count]
    return [
        sum(present) / (len(present) * count) if count else 0.0
        for count in counts
    ]


def effective_number(
    counts: Sequence[int], *, beta: float = 0.9999
) -> list[float]:
    """Weights each class by `(1 - beta) / (1 - beta^n_c)`, scaled to sum to C.

    The more images a class has, the less a further one adds. With `beta` near
    1 it is the inverse frequency, with 0 all weights are 1.

    Args:
        counts: Images of each of the C classes in train; a class without any
            has the weight 0, and is not one of the C.
        beta: In `[0, 1)`.

    Example:

    >>> [round(weight, 4) for weight in effective_number([300, 100])]
    [0.5037, 1.4963]

    Reference:

    - [Cui et al., 2019](https://arxiv.org/abs/1901.05555).
    """
    weights = [
        (1 - beta) / (1 - beta**count) if count else 0.0 for count in counts
    ]
    scale = np.count_nonzero(counts) / sum(weights)
    return [float(weight * scale) for weight in weights]


LOSSES: dict[str, Callable[..., Any]] = {
    "soft_f1": soft_f1,
    "weighted_soft_f1": soft_f1,  # `build_loss` requires its weights.
    "cross_entropy": cross_entropy,
    "cross_entropy+soft_f1": cross_entropy_and_soft_f1,
    "soft_harmonic_mean": soft_f1,  # Of one task; `TaskLoss` has several.
}
CLASS_WEIGHTS = {
    "class_weights": inverse_frequency,
    "effective_number": effective_number,
}
VARIANTS: dict[str, Callable[..., Any]] = {
    "focal": focal,
    "logit_adjustment": logit_adjusted,
}


@keras.saving.register_keras_serializable("medzoo", name="BatchLoss")
class LabelLoss(BatchLoss):
    """A loss of the labels of a batch, as `build_loss` makes it."""

    functions = ChainMap(LOSSES, VARIANTS)


def build_loss(
    name: str,
    *,
    output: str = "softmax",
    weight: float = 0.5,
    class_weights: Sequence[float] | None = None,
    **options: Any,
) -> keras.losses.Loss:
    """Builds a scalar loss for `compile` that can be saved with its model.

    Args:
        name: A name of `LOSSES`.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.
        weight: Share of soft F1 in `cross_entropy+soft_f1`, 0 to 1.
        class_weights: Weight of each class, not negative; `weighted_soft_f1`
            needs them.
        **options: Further arguments of the function of that name.

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
    options["output"] = _choose(output, output, output)
    if class_weights is not None:
        options["class_weights"] = [float(value) for value in class_weights]
    if name == "cross_entropy+soft_f1":
        options["weight"] = weight
    return LabelLoss(name, **options)


def build_imbalance_loss(
    name: str, *, class_counts: Sequence[int], output: str = "softmax"
) -> keras.losses.Loss:
    """Builds the cross entropy that a value of `imbalance` asks for.

    Args:
        name: `class_weights`, `effective_number`, `focal` or
            `logit_adjustment`.
        class_counts: Images of each class in train.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.

    Raises:
        ValueError: For an unknown name.

    Example:

    >>> loss = build_imbalance_loss("class_weights", class_counts=[3, 1])
    >>> round(float(loss([0, 1], [[0.0, 0.0], [0.0, 0.0]])), 4)
    0.6931
    """
    options: dict[str, Any] = {"output": output}
    if name in CLASS_WEIGHTS:
        options["class_weights"] = CLASS_WEIGHTS[name](class_counts)
        return LabelLoss("cross_entropy", **options)
    if name not in VARIANTS:
        names = [*CLASS_WEIGHTS, *VARIANTS]
        raise ValueError(unknown("imbalance", name, names))
    if name == "logit_adjustment":
        options["class_counts"] = [int(count) for count in class_counts]
    return LabelLoss(name, **options)


@keras.saving.register_keras_serializable(package="medzoo")
class JointLoss(keras.losses.Loss):
    """A loss of mixed images, or of the members of an ensemble.

    Labels of shape `(batch, 3)` belong to mixed images: a first and a second
    label, and the share `s` of the first, the same for all of the batch. The
    loss is then `s` times that of the first labels plus `1 - s` times that of
    the second ones (Zhang et al., 2018). Logits of shape
    `(batch, members, num_classes)` belong to members in training: the mean of
    their losses is taken. Plain labels and logits pass unchanged.

    Args:
        loss: A loss as `medzoo.losses.classification.build_loss` makes it.

    Example:

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
        losses = [self.loss.call(labels, y_pred) for labels in (first, second)]
        share = ops.cast(shares[0], losses[0].dtype)
        return share * losses[0] + (1 - share) * losses[1]

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self.loss)
        return {"loss": loss}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "JointLoss":
        return cls(keras.saving.deserialize_keras_object(config["loss"]))


def _choose(output: str, softmax: Any, sigmoid: Any) -> Any:
    if output not in ("softmax", "sigmoid"):
        raise ValueError(unknown("output", output, ("softmax", "sigmoid")))
    return softmax if output == "softmax" else sigmoid


def _softmax_costs(one_hot: Any, logits: Any, smoothing: float) -> Any:
    targets = (1 - smoothing) * one_hot + smoothing / logits.shape[-1]
    return -ops.sum(targets * ops.log_softmax(logits), axis=-1)


def _sigmoid_costs(one_hot: Any, logits: Any, smoothing: float) -> Any:
    targets = (1 - smoothing) * one_hot + smoothing / 2
    yes, no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    return -ops.mean(targets * yes + (1 - targets) * no, axis=-1)
