"""Losses of several tasks, or of masks with labels, and their weights.

`TaskLoss` takes batches that mix several tasks, on one axis of all classes.
Each task owns a range of the axis, so that a label says its task. An image
meets only the classes of its task, and a task without a labelled image in
the batch changes nothing. All tasks are computed at once: the cost does not
grow with their number. `HeadsLoss` takes masks and labels.

`TaskModel` replaces the mean over tasks by a `TaskWeighting`. Its state is kept
in variables of the model, so that a training that was interrupted goes on with
the same numbers. Balancing by gradients needs those of each task: the
arithmetic is here, the train step in
`medzoo.training.task_gradients_tensorflow`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from medzoo.losses.base import prepare, weighted_mean
from medzoo.losses.classification import build_loss

# A logit that has no share in a softmax, and is still finite.
_NEVER = -1e9


class SoftCounts(NamedTuple):
    """Sums over the labelled images of a batch, each shape `(num_classes,)`.

    Args:
        overlap: Probability of the label's class.
        support: Images of the class.
        predicted: Probability of the class, over the images of its task.
    """

    overlap: Any
    support: Any
    predicted: Any


@keras.saving.register_keras_serializable(package="medzoo")
class TaskLoss(keras.losses.Loss):
    """A loss of one task, averaged over the tasks of a batch.

    `sum_t w_t L_t / sum_t w_t` over the tasks with a labelled image in the
    batch. `soft_harmonic_mean` is one minus the harmonic mean of the tasks'
    soft macro F1 in place of it.

    Args:
        loss: A name of `medzoo.losses.classification.LOSSES`.
        num_classes: Number of classes of each task.
        task_weights: Weight of each task; equal if `None`.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.
        weight: Share of soft F1 in `cross_entropy+soft_f1`.
        class_weights: Weight of each class of the axis; only ratios within a
            task matter.

    Raises:
        ValueError: As `medzoo.losses.classification.build_loss`.

    Example:

    >>> loss = TaskLoss("cross_entropy", [2, 3])
    >>> round(float(loss([0, 1, -1], np.zeros((3, 5)))), 4)  # log 2
    0.6931
    """

    def __init__(
        self,
        loss: str,
        num_classes: Sequence[int],
        *,
        task_weights: Sequence[float] | None = None,
        output: str = "softmax",
        weight: float = 0.5,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(name=f"{loss.replace('+', '_and_')}_of_tasks")
        build_loss(
            loss, output=output, weight=weight, class_weights=class_weights
        )
        self.options: dict[str, Any] = {
            "loss": loss,
            "num_classes": list(num_classes),
            "task_weights": task_weights,
            "output": output,
            "weight": weight,
            "class_weights": class_weights,
        }
        self.loss = loss
        owners = np.repeat(np.arange(len(num_classes)), num_classes)
        # Shape `(num_classes, num_tasks)`: 1 where the class is the task's.
        self._owns = np.eye(len(num_classes), dtype="float32")[owners]
        self._class_weights = np.asarray(
            np.ones(len(owners)) if class_weights is None else class_weights,
            "float32",
        )
        self._task_weights = np.asarray(
            np.ones(len(num_classes)) if task_weights is None else task_weights,
            "float32",
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        values, present = self.by_task(y_true, y_pred)
        if self.loss == "soft_harmonic_mean":
            return 1 - harmonic_mean(1 - values, present)
        return weighted_mean(values, present * self._task_weights)

    def by_task(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        """Computes the loss of each task on its own images.

        Args:
            labels: Integers on the axis of classes, shape `(batch,)`; -1 marks
                an unlabelled image.
            logits: Shape `(batch, num_classes)`.

        Returns:
            The losses, and 1 for a task that has a labelled image and else 0;
            both of shape `(num_tasks,)`.
        """
        one_hot, logits = self._prepare(labels, logits)
        counts = self._count(one_hot, logits)
        present = self.has_images(counts)
        if self.loss == "cross_entropy":
            return self._cross_entropy(one_hot, logits), present
        f1, _ = self.macro_f1(counts)
        losses = present * (1 - f1)
        if self.loss == "cross_entropy+soft_f1":
            weight = self.options["weight"]
            entropy = self._cross_entropy(one_hot, logits)
            losses = (1 - weight) * entropy + weight * losses
        return losses, present

    def soft_counts(self, labels: Any, logits: Any) -> SoftCounts:
        """Counts a batch softly, as `by_task` takes it."""
        return self._count(*self._prepare(labels, logits))

    def has_images(self, counts: SoftCounts) -> Any:
        """Returns 1 for a task with a labelled image and 0 for another."""
        images = ops.matmul(counts.support, self._owns)
        return ops.cast(images > 0, images.dtype)

    def spread(self, values: Any) -> Any:
        """Gives each class the value of its task."""
        return ops.matmul(self._owns, values)

    def macro_f1(self, counts: SoftCounts) -> tuple[Any, Any]:
        """Returns the soft macro F1 of each task, and whether it has images."""
        overlap, support, predicted = counts
        f1 = ops.divide_no_nan(2 * overlap, support + predicted)
        seen = ops.cast(support > 0, f1.dtype) * self._class_weights
        sums, weights = (
            ops.matmul(values, self._owns) for values in (seen * f1, seen)
        )
        return ops.divide_no_nan(sums, weights), ops.cast(weights > 0, f1.dtype)

    def get_config(self) -> dict[str, Any]:
        return dict(self.options)

    def _prepare(self, labels: Any, logits: Any) -> tuple[Any, Any]:
        return prepare(labels, ops.cast(logits, "float32"))

    def _mask(self, one_hot: Any) -> tuple[Any, Any]:
        """Returns which task, and so which classes, a labelled image has."""
        tasks = ops.matmul(one_hot, self._owns)
        return tasks, ops.matmul(tasks, self._owns.T)

    def _count(self, one_hot: Any, logits: Any) -> SoftCounts:
        _, mine = self._mask(one_hot)
        if self.options["output"] == "sigmoid":
            probabilities = ops.sigmoid(logits) * mine
        else:
            logits = ops.where(mine > 0, logits, _NEVER)
            probabilities = ops.softmax(logits) * mine
        return SoftCounts(
            ops.sum(one_hot * probabilities, axis=0),
            ops.sum(one_hot, axis=0),
            ops.sum(probabilities, axis=0),
        )

    def _cross_entropy(self, one_hot: Any, logits: Any) -> Any:
        tasks, mine = self._mask(one_hot)
        if self.options["output"] == "sigmoid":
            yes, no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
            costs = -ops.sum(one_hot * yes + (mine - one_hot) * no, axis=-1)
            costs = ops.divide_no_nan(costs, ops.sum(mine, axis=-1))
        else:
            log_shares = ops.log_softmax(ops.where(mine > 0, logits, _NEVER))
            costs = -ops.sum(one_hot * log_shares, axis=-1)
        weights = ops.sum(one_hot * self._class_weights, axis=-1)
        sums, totals = (
            ops.matmul(values, tasks) for values in (weights * costs, weights)
        )
        return ops.divide_no_nan(sums, totals)


def harmonic_mean(f1: Any, present: Any) -> Any:
    """Returns the harmonic mean of the tasks present, and 1 of none.

    `T / sum_t 1 / F1_t`: a task of half the score has four times the gradient.

    Example:

    >>> round(float(harmonic_mean(np.array([0.5, 1.0]), np.ones(2))), 4)
    0.6667
    """
    inverse = present / ops.maximum(f1, keras.config.epsilon())
    total = ops.sum(inverse)
    return ops.where(total > 0, ops.divide_no_nan(ops.sum(present), total), 1.0)


@keras.saving.register_keras_serializable(package="medzoo")
class HeadsLoss(keras.losses.Loss):
    """Joins the loss of masks and that of labels.

    `(w_m L_m + w_l L_l) / (w_m + w_l)`. Unlabelled images and pixels change
    nothing: a batch without a labelled pixel has only the part of its labels,
    as large as it is with masks, and the other way round. Labels and logits are
    dictionaries of `mask` and `label`.

    Args:
        mask_loss: A loss of `(batch, height, width)` integers.
        label_loss: A loss of `(batch,)` integers.
        mask_weight: Weight of the first, 0 or more.
        label_weight: Weight of the second, 0 or more.

    Example:

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
        """Computes both losses, as `TaskLoss` does.

        Returns:
            The losses of masks and labels, and 1 where anything is labelled and
            else 0; both of shape `(2,)`.
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


class TaskWeighting(keras.layers.Layer):
    """Joins the losses of the tasks of a batch to one number."""

    def join(self, loss: TaskLoss, labels: Any, logits: Any) -> Any:
        """Returns what training minimises; its variables may change."""
        raise NotImplementedError


class TaskModel(keras.Model):
    """A net of several tasks whose training weights its tasks.

    Args:
        net: A Functional model, compiled later with a `TaskLoss`.
        weighting: Joins the losses of the tasks.
    """

    def __init__(self, net: keras.Model, weighting: TaskWeighting) -> None:
        super().__init__(net.input, net.output, name=net.name)
        self.weighting = weighting

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
        return self.weighting.join(self.loss, y, y_pred)


class FixedWeights(TaskWeighting):
    """Takes the loss as it is, with the weights that it has."""

    def join(self, loss: Any, labels: Any, logits: Any) -> Any:
        return loss.call(labels, logits)


class Uncertainty(TaskWeighting):
    """Weighs tasks by learnt variances: `mean_t exp(-s_t) L_t + s_t / 2`.

    `s_t` is the logarithm of the variance of task `t`, learnt from 0. Where the
    losses stand still it becomes `log 2 L_t`, so that all weigh alike.

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


class DynamicWeightAverage(TaskWeighting):
    """Weighs a task by how slowly its loss falls.

    `w_t = T softmax_t(r_t / temperature)`, where `r_t` is the mean loss of the
    last epoch over that of the one before, and 1 until both are known.

    Args:
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


class SmoothedHarmonicMean(TaskWeighting):
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
