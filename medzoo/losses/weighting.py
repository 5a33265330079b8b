"""Weights of tasks in a common loss, by their papers.

`TaskModel` makes its loss by an `Objective` in place of a mean over tasks. What
an objective remembers are variables of the model, so that a training that was
interrupted goes on with the same numbers. Balancing by gradients needs those of
each task: the arithmetic is here, and the train step where the backend is named
(`medzoo.training.task_gradients_tensorflow`).
"""

from typing import Any

import keras
from keras import ops

from medzoo.losses.classification import weighted_mean
from medzoo.losses.multitask import SoftCounts, TaskLoss, harmonic_mean


class Objective(keras.layers.Layer):
    """Joins the losses of the tasks of a batch to one number."""

    def join(self, loss: TaskLoss, labels: Any, logits: Any) -> Any:
        """Returns what training minimises; its variables may change."""
        raise NotImplementedError


class TaskModel(keras.Model):
    """A net of several tasks whose training minimises an objective.

    Args:
        net: A Functional model, compiled later with a `TaskLoss`.
        objective: Joins the losses of the tasks.
    """

    def __init__(self, net: keras.Model, objective: Objective) -> None:
        super().__init__(net.input, net.output, name=net.name)
        self.objective = objective

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if not training:
            return self.loss(y, y_pred)
        return self.objective.join(self.loss, y, y_pred)


class Uncertainty(Objective):
    """Weighs tasks by learnt variances: `mean_t exp(-s_t) L_t + s_t / 2`.

    `s_t` is the logarithm of the variance of task `t`, learnt from 0. Where the
    losses stand still it becomes `log 2 L_t`, so that all weigh alike.

    Args:
        num_tasks: Number of tasks.

    Reference:

    - [Kendall et al., 2018](https://arxiv.org/abs/1705.07115).
    """

    def __init__(self, num_tasks: int) -> None:
        super().__init__(name="uncertainty")
        self.log_variances = self.add_weight(
            (num_tasks,), "zeros", name="log_variances"
        )

    def join(self, loss: TaskLoss, labels: Any, logits: Any) -> Any:
        values, present = loss.by_task(labels, logits)
        scaled = ops.exp(-self.log_variances) * values
        return weighted_mean(scaled + self.log_variances / 2, present)


class DynamicWeightAverage(Objective):
    """Weighs a task by how slowly its loss falls.

    `w_t = T softmax_t(r_t / temperature)`, where `r_t` is the mean loss of the
    last epoch over that of the one before, and 1 until both are known.

    Args:
        num_tasks: Number of tasks.
        period: Steps of an epoch.
        temperature: The higher, the more alike the weights.

    Reference:

    - [Liu et al., 2019](https://arxiv.org/abs/1803.10704).
    """

    def __init__(
        self, num_tasks: int, *, period: int, temperature: float = 2.0
    ) -> None:
        super().__init__(name="dynamic_weight_average")
        self.temperature = temperature
        self.period, self.step = (
            self.add_weight(
                (), keras.initializers.Constant(value), trainable=False
            )
            for value in (period, 0)
        )
        self.weights_of_tasks, self.sums, self.counts, self.last = (
            self.add_weight((num_tasks,), start, trainable=False)
            for start in ("ones", "zeros", "zeros", "zeros")
        )

    def join(self, loss: TaskLoss, labels: Any, logits: Any) -> Any:
        values, present = loss.by_task(labels, logits)
        joined = weighted_mean(values, present * self.weights_of_tasks)
        self._follow(ops.stop_gradient(values), present)
        return joined

    def _follow(self, values: Any, present: Any) -> None:
        """Adds a batch to the epoch; at its end, takes new weights."""
        # JAX wants arrays, where TensorFlow takes variables too.
        last, old = map(
            ops.convert_to_tensor, (self.last, self.weights_of_tasks)
        )
        step = self.step + 1
        sums, counts = self.sums + present * values, self.counts + present
        is_end = ops.equal(step, self.period)
        means = ops.where(counts > 0, ops.divide_no_nan(sums, counts), last)
        weights = ops.where(is_end, self.weigh(means, last), old)
        self.weights_of_tasks.assign(weights)
        self.last.assign(ops.where(is_end, means, last))
        going_on = ops.cast(ops.logical_not(is_end), "float32")
        self.step.assign(step * going_on)
        self.sums.assign(sums * going_on)
        self.counts.assign(counts * going_on)

    def weigh(self, now: Any, before: Any) -> Any:
        """Returns the weights from the mean losses of two epochs."""
        ratios = ops.where(before > 0, ops.divide_no_nan(now, before), 1.0)
        return ratios.shape[0] * ops.softmax(ratios / self.temperature)


class SmoothedHarmonicMean(Objective):
    """One minus the harmonic mean of soft macro F1, over recent batches.

    Soft counts of a task are summed with a decay over the batches that have it:
    a few rows of a small task alone would give a noisy F1, whose inverse enters
    the mean. Gradients flow through the newest counts, so they are smaller than
    those of one batch by about `1 - decay`.

    Args:
        num_classes: Number of classes of all tasks.
        decay: Share of the older counts that is kept, in `[0, 1)`; 0 takes the
            newest batch alone.
    """

    def __init__(self, num_classes: int, *, decay: float = 0.9) -> None:
        super().__init__(name="smoothed_harmonic_mean")
        self.decay = decay
        self.counts = self.add_weight(
            (len(SoftCounts._fields), num_classes),
            "zeros",
            trainable=False,
            name="counts",
        )

    def join(self, loss: TaskLoss, labels: Any, logits: Any) -> Any:
        counts = loss.soft_counts(labels, logits)
        # Classes of the tasks that the batch has.
        seen = loss.spread(loss.has_images(counts)) > 0
        before = ops.convert_to_tensor(self.counts)
        summed = ops.where(
            seen, self.decay * before + ops.stack(counts), before
        )
        f1, known = loss.macro_f1(SoftCounts(*ops.unstack(summed)))
        self.counts.assign(ops.stop_gradient(summed))
        return 1 - harmonic_mean(f1, known)


def project_conflicts(gram: Any, orders: Any) -> Any:
    """Takes from each gradient what points against another one (PCGrad).

    `g_i` loses its projection on `g_j` where their product is negative, for all
    `j` in a random order. The results are sums of the gradients, so their
    products are all that is needed.

    Args:
        gram: Products of the gradients, shape `(num_tasks, num_tasks)`.
        orders: A permutation of the tasks for each one, of the same shape.

    Returns:
        Coefficients of the gradients (columns) in each result (rows).

    Example:

    >>> gram = ops.array([[1.0, -1.0], [-1.0, 2.0]])  # Of (1, 0) and (-1, 1).
    >>> ops.convert_to_numpy(project_conflicts(gram, ops.array([[0, 1]] * 2)))
    array([[1. , 0.5],
           [1. , 1. ]], dtype=float32)

    Reference:

    - [Yu et al., 2020](https://arxiv.org/abs/2001.06782).
    """
    gram = ops.convert_to_tensor(gram)
    num_tasks = gram.shape[0]
    itself = ops.eye(num_tasks, dtype=gram.dtype)
    shares = itself
    for column in range(num_tasks):
        other = ops.one_hot(orders[:, column], num_tasks, dtype=gram.dtype)
        products = ops.sum(ops.matmul(shares, gram) * other, axis=-1)
        lengths = ops.matmul(other, ops.diag(gram))
        against = ops.minimum(products, 0) * (1 - ops.sum(itself * other, -1))
        shares -= ops.divide_no_nan(against, lengths)[:, None] * other
    return shares


def balance_norms(
    weights: Any,
    norms: Any,
    losses: Any,
    first: Any,
    present: Any,
    *,
    rate: float = 0.025,
    asymmetry: float = 1.5,
) -> Any:
    """Moves weights so that all tasks train at one pace (GradNorm).

    A step down `sum_t |G_t - mean(G) r_t ** asymmetry|` with `G_t = w_t norm_t`
    and the pace `r_t = (L_t / L_t(0)) / mean(L / L(0))`; the target is held
    still. The step is divided by the mean norm, so that `rate` has no unit, and
    the weights are scaled to a mean of 1.

    Args:
        weights: Weight of each task; these and all below of shape
            `(num_tasks,)`.
        norms: Length of each task's gradient at the last shared weights.
        losses: Loss of each task.
        first: Its loss when the batch first had it.
        present: 1 for a task that the batch has and else 0; the weights of
            others only scale.
        rate: Size of the step.
        asymmetry: How strongly slower tasks are favoured; 0 not at all.

    Reference:

    - [Chen et al., 2018](https://arxiv.org/abs/1711.02257).
    """
    lengths = weights * norms
    progress = ops.divide_no_nan(losses, first)
    pace = ops.divide_no_nan(progress, weighted_mean(progress, present))
    target = weighted_mean(lengths, present) * pace**asymmetry
    slope = ops.sign(lengths - target) * norms * present
    step = rate * ops.divide_no_nan(slope, weighted_mean(norms, present))
    moved = ops.maximum(weights - step, rate)
    return moved / ops.mean(moved)


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

    >>> from medzoo.losses.classification import build_loss
    >>> from medzoo.losses.segmentation import MaskLoss
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
        """Computes both losses, as `medzoo.losses.multitask.TaskLoss` does.

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
