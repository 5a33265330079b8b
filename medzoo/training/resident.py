"""Resident training on JAX: images on the device, a stretch as one program.

A small network on small images is done with a step before Python has asked for
the next one. So the images of a task are put on the accelerator once, and all
steps between two looks at val are one compiled program that gathers its batches
there. Batches, rates and seeds are those of the ordinary `Trainer`, and so are
the numbers, to within the rounding of sums. XLA's convolutions inside of loops
are slow on a CPU, which keeps the ordinary path.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.masks import MaskedDataset
from medzoo.data.split import Dataset
from medzoo.training.fit import Trainer
from medzoo.training.looped import LoopedTrainer
from medzoo.training.mixing import draw_mix
from medzoo.training.optimizers import rates_at
from medzoo.training.prepare import name_device
from medzoo.training.programs import (
    Plan,
    programs_of,
    read_values,
    write_values,
)
from medzoo.training.run import Run
from medzoo.wording import unknown

if TYPE_CHECKING:
    import keras

# `on` and `off` overrule what the device says; no result depends on it.
SWITCH = "MEDZOO_RESIDENT"
# Share of the device's memory that the images of a task may take.
MEMORY_SHARE = 0.5
# Images at a time in predictions.
BATCH_SIZE = 128


class ResidentTrainer(Trainer):
    """A `Trainer` whose steps between two checks are one program on the device.

    Args:
        model: As for `Trainer`.
        data: As for `Trainer`; train and val are copied to the device.
        run: As for `Trainer`.
    """

    def __init__(self, model: "keras.Model", data: Dataset, run: Run) -> None:
        super().__init__(model, data, run)
        self._programs = programs_of(model)
        self._train = put_on_device((data.train.images[:], data.train.labels))
        self._val = put_on_device(in_batches(data.val.images[:]))

    def _train_to(self, check: int, batches: Iterator[np.ndarray]) -> float:
        steps = range(self.step, check)
        plan = plan_stretch(self, steps, batches)
        started = time.perf_counter()
        values = read_values(self.model)
        arguments = (values, *self._train, plan)
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


def choose_trainer(data: Dataset) -> type[Trainer]:
    """Returns what trains on these data here.

    TensorFlow on a CPU does several steps a call, unless the switch is off.

    Raises:
        ValueError: If `MEDZOO_RESIDENT` is none of `auto`, `on` and `off`, or
            is `on` without the JAX backend.
    """
    import keras

    if is_resident(data):
        return ResidentTrainer
    if read_switch() == "off" or name_device() != "cpu":
        return Trainer
    on_tensorflow = keras.backend.backend() == "tensorflow"
    return LoopedTrainer if on_tensorflow else Trainer


def is_resident(data: Dataset) -> bool:
    """Says whether `ResidentTrainer` trains on these data here.

    It does on an accelerator under JAX, where the net has no mask to predict
    and train and val fit into half of the device's memory.
    """
    import keras

    asked, backend = read_switch(), keras.backend.backend()
    if asked == "on" and backend != "jax":
        raise ValueError(
            f"{SWITCH}=on needs JAX. Expected KERAS_BACKEND=jax. Received: "
            f"KERAS_BACKEND={backend}."
        )
    wanted = asked == "on" or (asked == "auto" and name_device() != "cpu")
    return backend == "jax" and wanted and can_reside(data)


def read_switch() -> str:
    """Returns what the switch says: `auto`, `on` or `off`."""
    asked = os.environ.get(SWITCH, "auto")
    if asked not in ("auto", "on", "off"):
        raise ValueError(unknown(SWITCH, asked, ("auto", "on", "off")))
    return asked


def can_reside(data: Dataset) -> bool:
    """Says whether the device can hold the images and make the batches."""
    if isinstance(data, MaskedDataset):
        return False
    import jax

    arrays = (data.train.images, data.val.images)
    size = sum(math.prod(a.shape) * a.dtype.itemsize for a in arrays)
    stats = jax.local_devices()[0].memory_stats() or {}
    return size <= MEMORY_SHARE * stats.get("bytes_limit", np.inf)


def plan_stretch(
    trainer: Trainer, steps: range, batches: Iterator[np.ndarray]
) -> Plan:
    """Plans some steps of a run.

    Args:
        trainer: Of the run.
        steps: Their indices.
        batches: Yields the indices of the batches of just these steps, next.
    """
    import jax

    run = trainer.run
    shape = trainer.data.train.images.shape
    plans = []
    for step, indices in zip(steps, batches, strict=False):
        rates = np.array(rates_at(run, step, trainer.num_steps), "float32")
        size = (len(indices), *shape[1:3])
        mix = None if run.mix == "none" else draw_mix(run, step, size)
        plans.append(Plan(indices.astype("int32"), rates, mix))
    return jax.tree.map(lambda *each: np.stack(each), *plans)


def in_batches(images: Any) -> Any:
    """Parts images into batches, the last one filled up with zeros.

    Args:
        images: Shape `(n, height, width, channels)`, or a dictionary of arrays.

    Returns:
        Shape `(batches, batch, height, width, channels)`.

    Example:

    >>> in_batches(np.ones((130, 28, 28, 1), "uint8")).shape
    (2, 128, 28, 28, 1)
    """
    if isinstance(images, dict):
        return {name: in_batches(array) for name, array in images.items()}
    missing = -len(images) % BATCH_SIZE
    padding = [(0, missing)] + [(0, 0)] * (images.ndim - 1)
    return np.pad(images, padding).reshape(-1, BATCH_SIZE, *images.shape[1:])


def put_on_device(arrays: Any) -> Any:
    """Copies arrays to the device that Keras trains on."""
    import jax

    return jax.device_put(arrays)
