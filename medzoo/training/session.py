"""A run between its data and its record: prepared, trained and scored."""

import math
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from medzoo.data.split import Dataset
from medzoo.models.flops import count_flops
from medzoo.training.features import Features, trunk_flops
from medzoo.training.fit import Entry, State, Trainer
from medzoo.training.looped_tensorflow import LoopedTrainer
from medzoo.training.machine import list_versions, peak_memory_mb
from medzoo.training.multi_task import net_of
from medzoo.training.prepare import find_width, name_device, prepare_model
from medzoo.training.record import Parameters, Record
from medzoo.training.resident_jax import ResidentTrainer, fits_on_device
from medzoo.training.run import Run
from medzoo.training.scoring import Predictions, score_test, score_val
from medzoo.wording import unknown

if TYPE_CHECKING:
    import keras

# Environment variable: `off` trains step by step, `on` insists on
# `ResidentTrainer`. No result depends on it.
SWITCH = "MEDZOO_RESIDENT"


def choose_trainer(data: Dataset) -> type[Trainer]:
    """Returns the fastest trainer for these data on this backend and device.

    JAX on an accelerator keeps the images there, if train and val fit into half
    of its memory and there are no masks; TensorFlow on a CPU does many steps
    with one call.

    Raises:
        ValueError: If `MEDZOO_RESIDENT` is none of `auto`, `on` and `off`, or
            is `on` without the JAX backend.
    """
    import keras

    asked, backend = os.environ.get(SWITCH, "auto"), keras.backend.backend()
    if asked not in ("auto", "on", "off"):
        raise ValueError(unknown(SWITCH, asked, ("auto", "on", "off")))
    if asked == "on" and backend != "jax":
        raise ValueError(
            f"{SWITCH}=on needs JAX. Expected KERAS_BACKEND=jax. Received: "
            f"KERAS_BACKEND={backend}."
        )
    on_cpu = name_device() == "cpu"
    if backend == "jax" and (asked == "on" or (asked == "auto" and not on_cpu)):
        return ResidentTrainer if fits_on_device(data) else Trainer
    if backend == "tensorflow" and asked == "auto" and on_cpu:
        return LoopedTrainer
    return Trainer


class Session:
    """One training of a network: its model, its trainer and its record.

    Args:
        run: What to train.
        data: The images of the run, or features of them.
        trainer: Class of the trainer.
        state: Where an earlier session stopped; the training goes on from
            there, unless it is of other data or versions.
        graph: Run whose graph the model has, where that is not the run's own.

    Attributes:
        trainer: Trains the model.
        record: `pruned` until the training is over.
    """

    def __init__(
        self,
        run: Run,
        data: Dataset,
        *,
        trainer: type[Trainer] = Trainer,
        state: State | None = None,
        graph: Run | None = None,
    ) -> None:
        started = time.perf_counter()
        model = prepare_model(graph or run, data)
        built = time.perf_counter()
        self.data = data
        self.trainer = trainer(model, data, run)
        self.record = describe(run, _count_parameters(model, data), data)
        self.record.flops = count_flops(net_of(model)) + trunk_flops(data)
        self.record.width = find_width(run, data)
        if state is not None:
            self._go_on(state)
        ended = time.perf_counter()
        add_seconds(self.record, build=built - started, total=ended - started)

    def train(
        self,
        until: float | None = None,
        on_check: Callable[[Entry], bool | None] | None = None,
    ) -> None:
        """Trains up to the first check at or after a share of the budget.

        Args:
            until: The share, 0 to 1; all of it if `None`.
            on_check: As for `Trainer.train`.
        """
        started = time.perf_counter()
        self.trainer.train(self.steps_until(until), on_check)
        self.note_training(time.perf_counter() - started)

    def steps_until(self, share: float | None) -> int | None:
        """Returns the steps that make a share of the budget."""
        steps = self.trainer.num_steps
        return None if share is None else math.ceil(share * steps)

    def note_training(self, seconds: float) -> None:
        """Writes down what the trainer did in so many seconds."""
        trainer, record = self.trainer, self.record
        record.history = trainer.history
        record.best_step = trainer.best_step
        record.images_per_second = trainer.images_per_second()
        if trainer.diverged:
            record.status = "diverged"
        add_seconds(record, total=seconds, **trainer.seconds)

    def score(self, *, read_test: bool = True) -> Predictions:
        """Scores a training that is over; its model has the best weights then.

        Returns:
            As `medzoo.training.execute.execute`; nothing of a training that was
            stopped, or that diverged.
        """
        if self.trainer.diverged or not self.trainer.finished:
            return {}
        started = time.perf_counter()
        self.record.status = "done" if read_test else "trained"
        predictions = score_val(self.record, self.trainer, self.data)
        if read_test:
            predictions = score_test(self.record, self.data, predictions)
        seconds = time.perf_counter() - started
        add_seconds(self.record, evaluate=seconds, total=seconds)
        return predictions

    def state(self) -> State:
        """Returns what a later session goes on from."""
        about = {"record": np.array(self.record.model_dump_json())}
        return self.trainer.state() | about

    def _go_on(self, state: State) -> None:
        """Resumes, unless the same numbers could not come out of it."""
        earlier = Record.model_validate_json(str(state["record"]))
        alike = earlier.versions == self.record.versions
        if alike and earlier.data_fingerprint == self.record.data_fingerprint:
            self.trainer.resume(state)
            self.record.started = earlier.started
            self.record.seconds = earlier.seconds


def describe(run: Run, parameters: Parameters, data: Dataset) -> Record:
    """Starts the record of a run: all that is known before it is trained."""
    return Record(
        run=run,
        run_id=run.run_id,
        status="pruned",
        parameters=parameters,
        num_images={s: len(getattr(data, s)) for s in ("train", "val", "test")},
        device=name_device(),
        versions=list_versions(),
        data_fingerprint=data.fingerprint,
        notes=list(data.notes),
        classes=list(data.classes),
        segments=list(getattr(data, "segments", ())),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def add_seconds(record: Record, **seconds: float) -> None:
    """Adds seconds to those of a record, by part."""
    record.seconds |= {
        part: record.seconds.get(part, 0.0) + value
        for part, value in seconds.items()
    }
    record.peak_memory_mb = peak_memory_mb()


def _count_parameters(model: "keras.Model", data: Dataset) -> Parameters:
    """Counts all weights, of a cached trunk too, and those that change."""
    net = net_of(model)
    trainable = sum(int(np.prod(w.shape)) for w in net.trainable_weights)
    frozen = data.trunk_parameters if isinstance(data, Features) else 0
    return Parameters(total=net.count_params() + frozen, trainable=trainable)
