"""Whole runs on one device, timed by epoch: `fit`, resident, in a stack."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from measures.cases import NUM_CLASSES, SHAPE

from medzoo.data.dataset import Dataset
from medzoo.runs.run import Run


class Times(NamedTuple):
    """Seconds of one run.

    Args:
        first: Its first epoch, with all that is compiled for it.
        later: Each later epoch.
        whole: The run with all its epochs, and building it.
    """

    first: float
    later: float
    whole: float


def make_run(name: str, width: int, epochs: int, *, seed: int = 0) -> Run:
    """Makes the run that all ways do."""
    return Run(
        task="pathmnist",
        model=name,
        width=width,
        loss="cross_entropy",
        epochs=epochs,
        seed=seed,
    )


def time_fit(run: Run, data: Dataset) -> Times:
    """Times a run as people write it with Keras alone."""
    import keras

    from medzoo.models.registry import build_model

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            marks.append(time.perf_counter())

    marks = [time.perf_counter()]
    model = build_model(
        run.model, NUM_CLASSES, input_shape=SHAPE, width=run.width
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    built = time.perf_counter()
    model.fit(
        data.train.images,
        data.train.labels,
        batch_size=run.batch_size,
        epochs=run.epochs,
        validation_data=(data.val.images, data.val.labels),
        callbacks=[Clock()],
        verbose=0,
    )
    return _summarise(built, marks)


def time_resident(run: Run, data: Dataset) -> Times:
    """Times a run that is resident on the device."""
    from medzoo.training.execute import Session
    from medzoo.training.resident_jax import ResidentTrainer

    marks = [time.perf_counter()]
    session = Session(run, data, trainer=ResidentTrainer)
    built = time.perf_counter()
    session.train(on_check=lambda entry: marks.append(time.perf_counter()))
    return _summarise(built, marks)


def time_stack(runs: Sequence[Run], data: Dataset) -> Times:
    """Times a stack, and returns the share of one of its runs."""
    from medzoo.training.stacked_jax import Stack, open_sessions

    marks = [time.perf_counter()]
    sessions, starts = open_sessions(
        runs, states=[None] * len(runs), load=lambda run: data
    )
    trainers: list[Any] = [session.trainer for session in sessions]
    stack = Stack(trainers, starts)
    built = time.perf_counter()
    for step in sessions[0].trainer.checks:
        stack.train(until=step)
        marks.append(time.perf_counter())
    return Times(*(t / len(runs) for t in _summarise(built, marks)))


def _summarise(built: float, marks: list[float]) -> Times:
    """Parts the seconds of a run.

    Args:
        built: When the net was built.
        marks: When the run began, and when each of its epochs ended.
    """
    later = (marks[-1] - marks[1]) / (len(marks) - 2)
    return Times(marks[1] - built, later, marks[-1] - marks[0])
