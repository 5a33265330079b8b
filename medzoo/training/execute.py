"""From a run to its record: build, train, choose on val, read test once."""

import importlib.metadata
import platform
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from medzoo import data as sources
from medzoo.data.split import Dataset
from medzoo.training.evaluate import evaluate, predict_logits
from medzoo.training.fit import Entry, Trainer
from medzoo.training.prepare import name_device, prepare_model
from medzoo.training.record import Parameters, Record
from medzoo.training.run import Run

if TYPE_CHECKING:
    import keras

Predictions = dict[str, np.ndarray]


def execute(
    run: Run, *, on_check: Callable[[Entry], None] | None = None
) -> tuple[Record, Predictions]:
    """Trains and evaluates one run.

    Args:
        run: What to train.
        on_check: Called with each new entry of the history.

    Returns:
        The record, and the probabilities and labels of val and test under the
        names `val`, `val_labels`, `test`, `test_labels`.
    """
    started = datetime.now(UTC)
    clock = time.perf_counter()
    data = load_data(run)
    loaded = time.perf_counter()
    model = prepare_model(run, data)
    built = time.perf_counter()
    trainer = Trainer(model, data, run)
    trainer.train(on_check=on_check)
    record = Record(
        run=run,
        run_id=run.run_id,
        status="diverged" if trainer.diverged else "done",
        history=trainer.history,
        best_step=trainer.best_step,
        parameters=count_parameters(model),
        width=run.width,
        images_per_second=trainer.images_per_second(),
        num_images={s: len(getattr(data, s)) for s in ("train", "val", "test")},
        device=name_device(),
        versions=list_versions(),
        data_fingerprint=data.fingerprint,
        classes=list(data.classes),
        started=started.isoformat(timespec="seconds"),
    )
    read = time.perf_counter()
    predictions: Predictions = {}
    if not trainer.diverged:
        trainer.restore_best()
        predictions = _score(record, model, data)
    record.seconds = {
        "load": loaded - clock,
        "build": built - loaded,
        **trainer.seconds,
        "evaluate": time.perf_counter() - read,
        "total": time.perf_counter() - clock,
    }
    record.peak_memory_mb = peak_memory_mb()
    return record, predictions


def load_data(run: Run) -> Dataset:
    """Loads the images that a run asks for."""
    seed = run.seed if run.max_images is not None else 0
    return sources.load(run.task, run.data, run.size, run.max_images, seed)


def _score(record: Record, model: "keras.Model", data: Dataset) -> Predictions:
    """Fills in the scores of val and, read here for the first time, test."""
    predictions: Predictions = {}
    for name in ("val", "test"):
        split = getattr(data, name)
        logits = predict_logits(model, split.images)
        found, probabilities = evaluate(
            split, logits, loss=model.loss, output=record.run.output
        )
        record.scores[name] = found
        record.per_class_f1[name] = per_class(probabilities, split.labels)
        predictions[name] = probabilities
        predictions[f"{name}_labels"] = split.labels
    return predictions


def per_class(probabilities: np.ndarray, labels: np.ndarray) -> list[float]:
    """Returns the F1 of each class."""
    from medzoo.scores import per_class_f1

    found = per_class_f1(probabilities, labels)
    return [float(value) for value in found]


def count_parameters(model: "keras.Model") -> Parameters:
    """Counts all weights and those that training changes."""
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    return Parameters(total=model.count_params(), trainable=trainable)


def peak_memory_mb() -> float:
    """Returns the largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def list_versions() -> dict[str, str]:
    """Returns the versions that a result may depend on."""
    import keras

    backend = keras.backend.backend()
    names = ["medzoo", "keras", backend, "numpy"]
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }
