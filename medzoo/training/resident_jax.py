"""Resident training on JAX: images on the device, many steps as one program.

A small network finishes a step before Python starts the next one. So the images
are copied to the accelerator once, and all steps between two checks on val are
one compiled program. The results are those of the ordinary `Trainer`, up to the
rounding of sums. On a CPU, XLA's convolutions inside of loops are slow.
"""

import functools
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from medzoo.data.dataset import Dataset
from medzoo.runs.run import Run
from medzoo.training.build import MAX_TRACED
from medzoo.training.inputs import Mix, draw_mix, mix_images
from medzoo.training.optimizers import rate_variables, rates_at
from medzoo.training.trainer import Trainer

if TYPE_CHECKING:
    import keras

# Share of the device's memory that the images of a task may take.
MEMORY_SHARE = 0.5
# Images at a time in predictions.
BATCH_SIZE = 128
# Of all variables: the trainable ones, the others, and the optimizer's.
Values = tuple[list[Any], list[Any], list[Any]]


class ResidentTrainer(Trainer):
    """A `Trainer` whose steps between two checks are one program."""

    def __init__(self, model: "keras.Model", data: Dataset, run: Run) -> None:
        import jax

        super().__init__(model, data, run)
        self._programs = programs_of(model)
        self._train = jax.device_put((data.train.images[:], data.train.labels))
        self._val = jax.device_put(in_batches(data.val.images[:]))

    def _train_to(self, check: int, batches: Iterator[np.ndarray]) -> float:
        steps = range(self.step, check)
        inputs = make_step_inputs(self, steps, batches)
        started = time.perf_counter()
        values = read_values(self.model)
        arguments = (values, *self._train, inputs)
        program = self._programs.compile("train", arguments)
        compiled = time.perf_counter()
        values, loss = program(*arguments)
        write_values(self.model, values)
        loss = float(loss)
        self.seconds["first_step"] += compiled - started
        self.seconds["train"] += time.perf_counter() - compiled
        self._steps_timed += len(steps)
        self.step = check
        return loss

    def _predict_val(self) -> tuple[np.ndarray, Callable[..., Any]]:
        arguments = (read_values(self.model), self._val)
        logits = self._programs.compile("predict", arguments)(*arguments)
        return np.asarray(logits)[: len(self.data.val)], self.model.loss


def fits_on_device(data: Dataset) -> bool:
    """Returns whether the device can hold the images and make the batches."""
    if data.mask_classes:
        return False
    import jax

    arrays = (data.train.images, data.val.images)
    size = sum(math.prod(a.shape) * a.dtype.itemsize for a in arrays)
    stats = jax.local_devices()[0].memory_stats() or {}
    return size <= MEMORY_SHARE * stats.get("bytes_limit", np.inf)


class StepInputs(NamedTuple):
    """Inputs of some steps, besides images and values of variables.

    Args:
        indices: Image indices, `int32`, shape `(steps, batch)`.
        rates: As of `rates_at`, `float32`, shape `(steps, rates)`.
        mix: A `Mix` with a first axis of steps, if the run mixes images.
    """

    indices: Any
    rates: Any
    mix: Mix | None


def make_step_inputs(
    trainer: Trainer, steps: range, batches: Iterator[np.ndarray]
) -> StepInputs:
    """Makes the inputs of some steps; `batches` yields their images next."""
    import jax

    run = trainer.run
    shape = trainer.data.train.images.shape
    inputs = []
    for step, indices in zip(steps, batches, strict=False):
        rates = np.array(rates_at(run, step, trainer.num_steps), "float32")
        size = (len(indices), *shape[1:3])
        mix = None if run.mix == "none" else draw_mix(run, step, size)
        inputs.append(StepInputs(indices.astype("int32"), rates, mix))
    return jax.tree.map(lambda *each: np.stack(each), *inputs)


class Programs:
    """Functions of arrays by name, compiled once for each shape of arguments.

    Compiling is a call of its own, so that it can be timed apart.
    """

    def __init__(self, functions: dict[str, Callable[..., Any]]) -> None:
        self._functions = functions
        self._compiled: dict[tuple, Callable[..., Any]] = {}

    def compile(self, name: str, arguments: tuple) -> Callable[..., Any]:
        """Returns the program for arguments of these shapes."""
        import jax

        leaves = jax.tree.leaves(arguments)
        key = (name, *(leaf.shape for leaf in leaves))
        if key not in self._compiled:
            lowered = jax.jit(self._functions[name]).lower(*arguments)
            self._compiled[key] = lowered.compile()
        return self._compiled[key]


@functools.lru_cache(maxsize=MAX_TRACED)
def programs_of(model: "keras.Model") -> Programs:
    """Makes the programs `train` and `predict` of a compiled model."""
    return Programs(
        {
            "train": functools.partial(train_steps, model),
            "predict": functools.partial(predict_batches, model),
        }
    )


def train_steps(
    model: "keras.Model",
    values: Values,
    images: Any,
    labels: Any,
    inputs: StepInputs,
) -> tuple[Values, Any]:
    """Does some steps, as `model.train_on_batch` would.

    Args:
        model: Compiled, with a built optimizer.
        values: Those of its variables before the first step.
        images: An array, or a dictionary of them for several inputs.
        labels: `int32`, shape `(n,)`.
        inputs: Those of the steps.

    Returns:
        The new values, and the loss of the last step.
    """
    import jax

    places = _find_rates(model.optimizer)
    # Keras starts its running mean of the loss anew with every step.
    metrics = [jax.numpy.zeros_like(v.value) for v in model.metrics_variables]

    def step(values: Values, now: StepInputs) -> tuple[Values, Any]:
        trainable, others, optimizer = values
        optimizer = list(optimizer)
        for place, rate in zip(places, now.rates, strict=True):
            optimizer[place] = rate
        batch: Any = jax.tree.map(
            lambda array: array[now.indices], (images, labels)
        )
        if now.mix is not None:
            batch = mix_images(batch[0], batch[1], now.mix, jax.numpy)
        logs, (trainable, others, optimizer, _) = model.train_step(
            (trainable, others, optimizer, metrics), batch
        )
        return (trainable, others, optimizer), logs["loss"]

    values, losses = jax.lax.scan(step, values, inputs)
    return values, losses[-1]


def predict_batches(model: "keras.Model", values: Values, images: Any) -> Any:
    """Returns the logits of images as of `in_batches`, one row an image."""
    import jax

    trainable, others, _ = values

    def predict(batch: Any) -> Any:
        logits, _ = model.stateless_call(
            trainable, others, batch, training=False
        )
        return logits

    logits = jax.lax.map(predict, images)
    return logits.reshape(-1, logits.shape[-1])


def in_batches(images: Any) -> Any:
    """Splits images into batches, the last one filled up with zeros.

    Example:

    >>> in_batches(np.ones((130, 28, 28, 1), "uint8")).shape
    (2, 128, 28, 28, 1)
    """
    if isinstance(images, dict):
        return {name: in_batches(array) for name, array in images.items()}
    missing = -len(images) % BATCH_SIZE
    padding = [(0, missing)] + [(0, 0)] * (images.ndim - 1)
    return np.pad(images, padding).reshape(-1, BATCH_SIZE, *images.shape[1:])


def read_values(model: "keras.Model") -> Values:
    """Returns the values of all variables."""
    trainable, others, optimizer = (
        [variable.value for variable in group] for group in list_groups(model)
    )
    return trainable, others, optimizer


def write_values(model: "keras.Model", values: Values) -> None:
    """Assigns values to all variables."""
    for group, new in zip(list_groups(model), values, strict=True):
        for variable, value in zip(group, new, strict=True):
            variable.assign(value)


def list_groups(model: "keras.Model") -> "list[list[keras.Variable]]":
    """Lists all variables in the groups of `Values`."""
    return [
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
    ]


def _find_rates(optimizer: "keras.Optimizer") -> list[int]:
    """Returns the positions of `rate_variables` in those of an optimizer."""
    return [
        index
        for rate in rate_variables(optimizer)
        for index, variable in enumerate(optimizer.variables)
        if variable is rate
    ]
