"""Train steps with a gradient for each task, which Keras cannot compute."""

from typing import Any

import keras
import tensorflow as tf

from medzoo.losses.base import weighted_mean
from medzoo.losses.multitask import balance_norms, project_conflicts


class TaskGradients(keras.Model):
    """A net of several tasks whose train step has the gradient of each.

    Args:
        net: A Functional model, compiled later with a `TaskLoss`.

    Raises:
        ValueError: If training changes no kernel that the tasks share.
    """

    def __init__(self, net: keras.Model, num_tasks: int) -> None:
        super().__init__(net.input, net.output, name=net.name)
        self.num_tasks = num_tasks
        if not any(map(_is_shared_kernel, self.trainable_variables)):
            raise ValueError(
                "Gradients are balanced at weights that the tasks share. "
                "Expected a trained backbone. Received: a frozen one. Use "
                "task_weighting='uncertainty' or 'dwa', or unfreeze it."
            )

    def train_step(self, data: Any) -> dict[str, Any]:
        """Does one step; `find` has the loss and its gradients."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape(persistent=True) as tape:
            logits = self(images, training=True)
            values, present = self.loss.by_task(labels, logits)
            losses = tf.unstack(values, self.num_tasks)
            loss = self.join(values, present)
        gradients = self.find(tape, loss, losses, present)
        self.optimizer.apply(gradients, self.trainable_variables)
        self._loss_tracker.update_state(loss)
        return self.compute_metrics(images, labels, logits)

    def join(self, values: Any, present: Any) -> Any:
        """Returns the reported loss."""
        return weighted_mean(values, present)

    def find(
        self, tape: tf.GradientTape, loss: Any, losses: list[Any], present: Any
    ) -> list[Any]:
        """Returns a gradient for each of `trainable_variables`."""
        raise NotImplementedError


class PCGrad(TaskGradients):
    """Sums gradients that are projected away from each other's conflicts.

    Heads, which belong to one task each, keep their own. Where no two tasks are
    in conflict, it is the gradient of the mean over tasks.

    Reference:

    - [Yu et al., 2020](https://arxiv.org/abs/2001.06782).
    """

    def __init__(self, net: keras.Model, num_tasks: int) -> None:
        super().__init__(net, num_tasks)
        self.seeds = keras.random.SeedGenerator()

    def find(
        self, tape: tf.GradientTape, loss: Any, losses: list[Any], present: Any
    ) -> list[Any]:
        shared = [v for v in self.trainable_variables if _is_shared(v)]
        each = [_gradients(tape, value, shared) for value in losses]
        stacked = [tf.stack(found) for found in zip(*each, strict=True)]
        flat = [tf.reshape(g, (self.num_tasks, -1)) for g in stacked]
        gram = tf.add_n([tf.matmul(g, g, transpose_b=True) for g in flat])
        square = (self.num_tasks, self.num_tasks)
        orders = tf.argsort(keras.random.uniform(square, seed=self.seeds))
        shares = tf.reduce_sum(project_conflicts(gram, orders), axis=0)
        shares /= tf.reduce_sum(present)
        joined = iter(tf.tensordot(shares, g, 1) for g in stacked)
        own = iter(
            _gradients(
                tape,
                loss,
                [v for v in self.trainable_variables if not _is_shared(v)],
            )
        )
        return [
            next(joined if _is_shared(v) else own)
            for v in self.trainable_variables
        ]


class GradNorm(TaskGradients):
    """Weighs tasks so that their gradients at the last shared kernel balance.

    Reference:

    - [Chen et al., 2018](https://arxiv.org/abs/1711.02257).
    """

    def __init__(self, net: keras.Model, num_tasks: int) -> None:
        super().__init__(net, num_tasks)
        self.weights_of_tasks, self.first = (
            self.add_weight((num_tasks,), start, trainable=False, name=name)
            for name, start in (
                ("weights_of_tasks", "ones"),
                ("first", "zeros"),
            )
        )

    def join(self, values: Any, present: Any) -> Any:
        return weighted_mean(values, present * self.weights_of_tasks)

    def find(
        self, tape: tf.GradientTape, loss: Any, losses: list[Any], present: Any
    ) -> list[Any]:
        kernel = next(
            variable
            for variable in reversed(self.trainable_variables)
            if _is_shared_kernel(variable)
        )
        norms = tf.stack(
            [tf.norm(_gradients(tape, value, [kernel])[0]) for value in losses]
        )
        values = tf.stack(losses)
        first = tf.where(self.first > 0, self.first, present * values)
        gradients = _gradients(tape, loss, self.trainable_variables)
        self.first.assign(first)
        self.weights_of_tasks.assign(
            balance_norms(self.weights_of_tasks, norms, values, first, present)
        )
        return gradients


def _is_shared(variable: keras.Variable) -> bool:
    """Says whether a weight belongs to the backbone."""
    return not any(own in variable.path for own in ("logits/", "film_"))


def _is_shared_kernel(variable: keras.Variable) -> bool:
    return _is_shared(variable) and len(variable.shape) > 1


def _gradients(
    tape: tf.GradientTape, value: Any, variables: list[keras.Variable]
) -> list[Any]:
    return tape.gradient(
        value,
        [variable.value for variable in variables],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
