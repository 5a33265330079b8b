"""Losses and class weights for classes of very different sizes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from medzoo.losses import (
    BatchLoss,
    as_weights,
    cross_entropy,
    prepare,
    weighted_mean,
)
from medzoo.wording import unknown


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


def focal(
    labels: Any,
    logits: Any,
    *,
    output: str = "softmax",
    gamma: float = 2.0,
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Averages `-(1 - p_t)^gamma log p_t` over the labelled images.

    `p_t` is the probability of the label. Under `sigmoid` each class is asked
    for itself, as in the paper: `p_t` is `p` for the label and `1 - p` for the
    other classes, and the costs are averaged over the classes.

    Args:
        labels: Integers, shape `(batch,)`; -1 marks an unlabelled image.
        logits: Shape `(batch, num_classes)`.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.
        gamma: How much images that are right already count less; with 0 it is
            the cross entropy.
        class_weights: Weight of an image by its class; the mean is a weighted
            one.

    Returns:
        A scalar, 0 or more, and 0 when no image of the batch is labelled.

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

    What the classes' shares say is added in training alone, so that the logits
    need not learn it: their argmax aims at the balanced accuracy.

    Args:
        labels: Integers, shape `(batch,)`; -1 marks an unlabelled image.
        logits: Shape `(batch, num_classes)`.
        class_counts: Images of each class in train; their shares are the prior.
            A class without any counts as one image.
        output: `softmax`, as the prior is of classes that exclude each other.
        tau: How much of it is added; with 0 it is the cross entropy.

    Returns:
        A scalar, 0 or more, and 0 when no image of the batch is labelled.

    Example:

    >>> logits = ops.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(float(logit_adjusted([0, 0, 1], logits, class_counts=[2, 1])), 4)
    0.2491

    Reference:

    - [Menon et al., 2021](https://arxiv.org/abs/2007.07314).
    """
    counts = np.maximum(class_counts, 1)
    prior = tau * np.log(counts / counts.sum())
    logits = ops.convert_to_tensor(logits)
    logits = ops.cast(
        logits, keras.backend.result_type(logits.dtype, "float32")
    )
    return cross_entropy(
        labels, logits + ops.cast(prior, logits.dtype), output=output
    )


CLASS_WEIGHTS = {
    "class_weights": inverse_frequency,
    "effective_number": effective_number,
}
VARIANTS: dict[str, Callable[..., Any]] = {
    "focal": focal,
    "logit_adjustment": logit_adjusted,
}


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
    if name in CLASS_WEIGHTS:
        found = CLASS_WEIGHTS[name](class_counts)
        return BatchLoss("cross_entropy", output=output, class_weights=found)
    if name not in VARIANTS:
        raise ValueError(
            unknown("imbalance", name, [*CLASS_WEIGHTS, *VARIANTS])
        )
    if name == "focal":
        return ImbalanceLoss(name, output=output)
    counts = [int(count) for count in class_counts]
    return ImbalanceLoss(name, output=output, class_counts=counts)


@keras.saving.register_keras_serializable(package="medzoo")
class ImbalanceLoss(BatchLoss):
    """A loss of the whole batch, as `build_imbalance_loss` makes it."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return VARIANTS[self.loss](y_true, y_pred, **self.options)
