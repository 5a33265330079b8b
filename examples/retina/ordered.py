"""Three losses of ordered classes, whose index is their grade."""

from keras import ops

import medzoo


@medzoo.register_loss
def squared_emd(labels, logits):
    """Sums the squared differences of the cumulative probabilities.

    The squared earth mover's distance (Hou et al., 2016, arXiv 1611.05916).
    """
    truth = ops.one_hot(labels, logits.shape[-1])
    moved = ops.cumsum(ops.softmax(logits) - truth, axis=-1)
    return ops.sum(ops.square(moved), axis=-1)


@medzoo.register_loss
def distance_weighted(labels, logits, power: float = 2.0):
    """Sums `-|i - c|^power log(1 - p_i)` over the classes i, c being the label.

    Class distance weighted cross entropy (Polat et al., 2022, arXiv
    2202.05167), which has a power of 5 for four grades of colitis.
    """
    grades = ops.arange(logits.shape[-1])
    distance = ops.abs(grades - ops.cast(labels, grades.dtype)[:, None])
    weights = ops.cast(distance, logits.dtype) ** power
    missed = ops.log(ops.maximum(1 - ops.softmax(logits), 1e-6))
    return -ops.sum(weights * missed, axis=-1)


@medzoo.register_loss
def soft_grades(labels, logits, spread: float = 1.0):
    """Takes the cross entropy of targets that fall with the squared distance.

    Soft labels (Díaz and Marathe, 2019): a grade at a distance of d from the
    label has `exp(-d^2 / spread)` before all are scaled to sum to 1.
    """
    grades = ops.cast(ops.arange(logits.shape[-1]), logits.dtype)
    distance = grades - ops.cast(labels, logits.dtype)[:, None]
    targets = ops.softmax(-ops.square(distance) / spread)
    return -ops.sum(targets * ops.log_softmax(logits), axis=-1)
