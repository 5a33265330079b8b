"""Several steps as one TensorFlow graph, for small networks on a CPU.

Calling a step takes Python longer than a small network takes to do it. So the
batches and rates of several steps go into the graph at once, and a loop there
does the steps, with the numbers of the ordinary `Trainer`.

Keras's own `steps_per_execution` takes a `tf.data.Dataset` for the steps
between two checks on val. Where these are 4 or 5 steps, as on 546 images, an
MLP trains 2 to 3 times slower with it than here, and slower than by single
steps; with 64 steps it is as fast to within a quarter, and a convolution
network takes equally long in every way (`benchmarks/steps_per_execution.py`).
"""

import functools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.training.build import MAX_TRACED
from medzoo.training.inputs import make_stretch
from medzoo.training.optimizers import rate_variables, rates_at
from medzoo.training.trainer import Trainer

if TYPE_CHECKING:
    import keras

# Limits of the steps of a call, which is copied once and not interrupted.
SECONDS = 0.25
MEGABYTES = 16
STEPS = 64


class LoopedTrainer(Trainer):
    """A `Trainer` that does many steps with a call.

    It is for a CPU, since XLA does not compile a loop in a graph.
    """

    _length = 1

    def _train_to(self, check: int, batches: Iterator[np.ndarray]) -> float:
        while self.step < check:
            last = min(check, self.step + self._length)
            loss = self._train_stretch(range(self.step, last), batches)
        return loss

    def _train_stretch(
        self, steps: range, batches: Iterator[np.ndarray]
    ) -> float:
        """Does some steps and returns the loss of the last one."""
        started = time.perf_counter()
        inputs = self.plan_stretch(steps, batches)
        loss = float(program_of(self.model)(*inputs))
        self._note_steps(len(steps), time.perf_counter() - started)
        if self._steps_timed:
            self._length = self._choose_length(inputs[0])
        return loss

    def plan_stretch(
        self, steps: range, batches: Iterator[np.ndarray]
    ) -> tuple[Any, np.ndarray]:
        """Makes the arguments of a `Program`: batches and rates of steps."""
        rates = [rates_at(self.run, step, self.num_steps) for step in steps]
        indices = [next(batches) for _ in steps]
        stacked = make_stretch(
            self.run, self.data.train, indices, start=steps.start
        )
        return stacked, np.array(rates, "float32")

    def _choose_length(self, stacked: Any) -> int:
        """Chooses the number of steps of the next call by those timed."""
        import keras

        size = sum(
            array.nbytes / len(array) for array in keras.tree.flatten(stacked)
        )
        seconds = self.seconds["train"] / self._steps_timed
        most = min(SECONDS / seconds, MEGABYTES * 2**20 / size, STEPS)
        return max(1, int(most))


class Program:
    """Steps of a compiled model; traced once, whatever their number."""

    def __init__(self, model: "keras.Model") -> None:
        self._model = model
        self._traced: Callable[..., Any] | None = None

    def __call__(self, batches: Any, rates: np.ndarray) -> Any:
        """Does the steps, and returns the loss of the last one.

        Args:
            batches: As for `train_on_batch`, with a first axis of steps.
            rates: As of `rates_at`, `float32`, shape `(steps, rates)`.
        """
        import keras
        import tensorflow as tf

        if self._traced is None:
            self._traced = tf.function(
                self._train,
                autograph=False,
                input_signature=keras.tree.map_structure(
                    lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype),
                    (batches, rates),
                ),
            )
        return self._traced(batches, rates)

    def _train(self, batches: Any, rates: Any) -> Any:
        import tensorflow as tf

        return tf.while_loop(
            lambda index, _: index < tf.shape(rates)[0],
            lambda index, _: (index + 1, self._step(index, batches, rates)),
            (0, 0.0),
            parallel_iterations=1,
        )[1]

    def _step(self, index: Any, batches: Any, rates: Any) -> Any:
        import keras
        import tensorflow as tf

        variables = rate_variables(self._model.optimizer)
        each = zip(variables, tf.unstack(rates[index]), strict=True)
        for variable, rate in each:
            variable.assign(rate)
        self._model.reset_metrics()
        batch = keras.tree.map_structure(lambda array: array[index], batches)
        return self._model.train_step(batch)["loss"]


program_of = functools.lru_cache(maxsize=MAX_TRACED)(Program)
