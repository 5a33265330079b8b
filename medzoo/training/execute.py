"""Execution of a run: build, train, choose on val, score test once."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from medzoo.data import sources
from medzoo.data.dataset import Dataset
from medzoo.data.tested import find_groups
from medzoo.environment import choose_resident
from medzoo.models.flops import add_flops, count_flops
from medzoo.record import Parameters, Predictions, Record
from medzoo.runs.run import Run
from medzoo.training.adjust import adjust_model
from medzoo.training.baselines import build_probe, fit_baseline
from medzoo.training.batch_statistics import describe_unsettled
from medzoo.training.build import (
    find_width,
    name_device,
    net_of,
    prepare_model,
)
from medzoo.training.features import (
    attach_backbone,
    leaves_model,
    load_features,
)
from medzoo.training.looped_tensorflow import LoopedTrainer
from medzoo.training.machine import list_versions, peak_memory_mb
from medzoo.training.objectives import (
    LabelObjective,
    Objective,
    make_objective,
    objective_class,
)
from medzoo.training.resident_jax import ResidentTrainer, fits_on_device
from medzoo.training.trainer import Entry, State, Trainer
from medzoo.training.weights import fetch_weights

if TYPE_CHECKING:
    import keras


def execute(
    run: Run,
    *,
    until: float | None = None,
    read_test: bool = True,
    state: State | None = None,
    on_stop: Callable[[State], None] | None = None,
    on_check: Callable[[Entry], bool | None] | None = None,
    on_model: Callable[["keras.Model"], None] | None = None,
) -> tuple[Record, Predictions]:
    """Trains and evaluates one run.

    Args:
        until: Stops at the first check on val at or after this share of the
            budget, 0 to 1; the record is then `pruned`.
        read_test: Whether to read the labels of test. If not, the record is
            `trained`, and `complete` has what is needed to make it `done`.
        state: State of an earlier call, to go on from; ignored if its data or
            versions were others.
        on_stop: Called with the state of a training that is stopped.
        on_check: Called with each new entry of the history; stops there if it
            returns true.
        on_model: Called with the trained model with its best weights, whose
            logits are adjusted as those of the run (`adjust`); of the
            baselines, only `logistic_regression` on a backbone is a model.
    """
    started = time.perf_counter()
    data = load_features(run, load_data)
    if run.entry.baseline:
        return _execute_baseline(run, data, read_test, started, on_model)
    loaded = time.perf_counter() - started
    trainer = choose_trainer(data)
    session = Session(run, data, trainer=trainer, state=state)
    add_seconds(session.record, load=loaded, total=loaded)
    session.train(until, on_check)
    predictions = session.score(read_test=read_test)
    record, model = session.record, session.trainer.model
    if record.status == "pruned" and on_stop is not None:
        on_stop(session.state())
    elif record.scores and on_model is not None:
        net = (
            attach_backbone(run, load_data(run), model)
            if data.has_features
            else net_of(model)
        )
        on_model(adjust_model(net, session.trainer.objective.adjustment))
    return record, predictions


def complete(
    record: Record, predictions: Predictions
) -> tuple[Record, Predictions]:
    """Scores test for a run that is `trained`, as `execute` would have.

    Raises:
        ValueError: If the data have changed since the training.
    """
    started = time.perf_counter()
    data = load_data(record.run)
    if data.fingerprint != record.data_fingerprint:
        raise ValueError(
            f"The data of `{record.run.task}` have changed since the run was "
            f"trained. Expected fingerprint {record.data_fingerprint}. "
            f"Received: {data.fingerprint}."
        )
    record = record.model_copy(deep=True, update={"status": "done"})
    objective = make_objective(record.run, data)
    predictions = score_test(objective, record, predictions)
    seconds = time.perf_counter() - started
    add_seconds(record, evaluate=seconds, total=seconds)
    return record, predictions


def _execute_baseline(
    run: Run,
    data: Dataset,
    read_test: bool,
    started: float,
    on_model: Callable[["keras.Model"], None] | None,
) -> tuple[Record, Predictions]:
    """Fits a classifier of scikit-learn, which has no steps to stop at."""
    loaded = time.perf_counter()
    baseline = fit_baseline(run, data)
    fitted = time.perf_counter()
    record = describe(run, baseline.count_parameters(data), data)
    record.status = "done" if read_test else "trained"
    record.chosen = baseline.chosen
    record.flops = baseline.count_flops(data)
    logits = {
        split: baseline.predict_logits(getattr(data, split).images)
        for split in ("val", "test")
    }
    objective = LabelObjective(run, data)
    predictions = objective.score_variants(record, lambda variant: logits)
    if read_test:
        predictions = score_test(objective, record, predictions)
    if on_model is not None and leaves_model(run):
        probe = build_probe(run, load_data(run), baseline)
        on_model(adjust_model(probe, objective.adjustment))
    ended = time.perf_counter()
    add_seconds(
        record,
        load=loaded - started,
        train=fitted - loaded,
        evaluate=ended - fitted,
        total=ended - started,
    )
    return record, predictions


def require_data(run: Run) -> None:
    """Downloads the files of a run, unless they are there."""
    if run.data == "medmnist":
        from medzoo.data.official import require_files

        require_files(run.tasks, run.size)
    fetch_weights([run])


def load_data(run: Run) -> Dataset:
    """Loads the dataset of a run."""
    drawn = run.max_images is not None or run.is_resplit
    data = sources.load(
        run.task,
        run.data,
        run.size,
        run.max_images,
        seed=run.seed if drawn else 0,
        options=tuple(sorted(run.data_options.items())),
        resplit=run.resplit,
    )
    folds = run.data_options.get("folds")
    found = data.fingerprint.removesuffix(f", fold {run.seed} of {folds}")
    found = found.removesuffix(f", resplit {run.seed}")
    if run.fingerprint not in ("", found):
        raise ValueError(
            f"The data of `{run.task}` have changed since the study was "
            f"planned. Expected fingerprint {run.fingerprint}. Received: "
            f"{data.fingerprint}. Run the same command again."
        )
    return objective_class(run).select_data(run, data)


def choose_trainer(data: Dataset) -> type[Trainer]:
    """Returns the fastest trainer for these data on this backend and device.

    JAX on an accelerator keeps the images there, if train and val fit into half
    of its memory and there are no masks; TensorFlow on a CPU does many steps
    with one call. `MEDZOO_RESIDENT` changes that: `off` trains step by step,
    `on` keeps images on the device. No result depends on it.

    Raises:
        ValueError: If `MEDZOO_RESIDENT` is none of `auto`, `on` and `off`, or
            is `on` without the JAX backend.
    """
    import keras

    asked, backend = choose_resident(), keras.backend.backend()
    on_cpu = name_device() == "cpu"
    if backend == "jax" and (asked == "on" or (asked == "auto" and not on_cpu)):
        return ResidentTrainer if fits_on_device(data) else Trainer
    if backend == "tensorflow" and asked == "auto" and on_cpu:
        return LoopedTrainer
    return Trainer


class Session:
    """One training of a network: its model, its trainer and its record.

    Args:
        data: Its images, or features of them.
        trainer: Class of the trainer.
        state: State of an earlier session, as for `execute`.
        graph: Run whose graph the model has, if not the run itself.
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
        self.record.flops = add_flops(
            count_flops(net_of(model)), data.frozen_flops
        )
        self.record.width = find_width(run, data) or None
        if state is not None:
            self._go_on(state)
        ended = time.perf_counter()
        add_seconds(self.record, build=built - started, total=ended - started)

    def train(
        self,
        until: float | None = None,
        on_check: Callable[[Entry], bool | None] | None = None,
    ) -> None:
        """Trains up to the first check at or after a share of the budget."""
        started = time.perf_counter()
        self.trainer.train(self.steps_until(until), on_check)
        self.note_training(time.perf_counter() - started)

    def steps_until(self, share: float | None) -> int | None:
        """Returns the steps that make a share of the budget."""
        steps = self.trainer.num_steps
        return None if share is None else math.ceil(share * steps)

    def note_training(self, seconds: float) -> None:
        """Copies the outcome of the training to the record."""
        trainer, record = self.trainer, self.record
        record.history = trainer.history
        record.best_step = trainer.best_step
        record.images_per_second = trainer.images_per_second()
        if trainer.diverged:
            record.status = "diverged"
        add_seconds(record, total=seconds, **trainer.seconds)

    def score(self, *, read_test: bool = True) -> Predictions:
        """Scores a training unless it was stopped or has diverged."""
        if self.trainer.diverged or not self.trainer.finished:
            return Predictions()
        started = time.perf_counter()
        self.record.status = "done" if read_test else "trained"
        objective, record = self.trainer.objective, self.record
        predictions = objective.score_val(record, self.trainer.restore_best)
        if (why := describe_unsettled(self.trainer.model, record)) is not None:
            record.warnings.append(why)
        if read_test:
            predictions = score_test(objective, record, predictions)
        seconds = time.perf_counter() - started
        add_seconds(self.record, evaluate=seconds, total=seconds)
        return predictions

    def state(self) -> State:
        """Returns the state that a later session goes on from."""
        about = {"record": np.array(self.record.model_dump_json())}
        return self.trainer.state() | about

    def _go_on(self, state: State) -> None:
        """Resumes, if data and versions are those of the state."""
        earlier = Record.model_validate_json(str(state["record"]))
        alike = earlier.versions == self.record.versions
        if alike and earlier.data_fingerprint == self.record.data_fingerprint:
            self.trainer.resume(state)
            self.record.started = earlier.started
            self.record.seconds = earlier.seconds


def score_test(
    objective: Objective, record: Record, predictions: Predictions
) -> Predictions:
    """Scores test, and notes which of its images are of one group."""
    predictions = objective.score_test(record, predictions)
    run, test = record.run, predictions.test
    groups = find_groups(
        run.task,
        run.data,
        run.size,
        run.data_options,
        seed=run.seed,
        resplit=run.resplit,
    )
    if test is None or groups is None or len(groups) != len(test.labels):
        return predictions  # Of a smoke run, test is a part of its images.
    return predictions.with_split("test", replace(test, groups=groups))


def describe(run: Run, parameters: Parameters, data: Dataset) -> Record:
    """Makes the record of a run before its training."""
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
        ranges=list(data.ranges),
        classes=list(data.classes),
        mask_classes=list(data.mask_classes),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def add_seconds(record: Record, **seconds: float) -> None:
    """Adds seconds to a record by part, such as `train`."""
    record.seconds |= {
        part: record.seconds.get(part, 0.0) + value
        for part, value in seconds.items()
    }
    record.peak_memory_mb = peak_memory_mb()


def _count_parameters(model: "keras.Model", data: Dataset) -> Parameters:
    """Counts all weights, of a cached backbone too, and those that change."""
    net = net_of(model)
    trainable = sum(int(np.prod(w.shape)) for w in net.trainable_weights)
    total = net.count_params() + data.frozen_parameters
    return Parameters(total=total, trainable=trainable)
