"""Scores of a trained model on corrupted images."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from medzoo.data.corruptions import corrupt, list_kinds
from medzoo.data.dataset import Dataset, Split
from medzoo.record import Predictions, Record, Robustness
from medzoo.scores.probabilities import score
from medzoo.training.execute import add_seconds, load_data
from medzoo.training.saved import of_task

if TYPE_CHECKING:
    import keras


def score_corrupted(
    predict: Callable[[np.ndarray], np.ndarray],
    data: Dataset,
    split: Split,
    *,
    seed: int = 0,
) -> Robustness:
    """Scores predictions of corrupted images.

    Args:
        predict: From `uint8` images to probabilities.
        data: Its task decides the kinds of corruption, and their strengths.
        split: Images of it, with labels.
        seed: Of noise, angles and places.
    """
    images = split.images[:]

    def find_error(images: np.ndarray) -> float:
        found = score(predict(images), split.labels, data.num_classes)
        accuracy = found["balanced_accuracy"]
        return math.nan if accuracy is None else 1 - accuracy

    kinds = list_kinds(data.task, images.shape[-1])
    errors = [
        [
            find_error(corrupt(images, kind, strength, seed=seed))
            for strength in strengths
        ]
        for kind, strengths in kinds.items()
    ]
    return Robustness(
        np.array(find_error(images)), np.array(list(kinds)), np.array(errors)
    )


def with_corrupted(
    model: "keras.Model", record: Record, predictions: Predictions
) -> tuple[Record, Predictions]:
    """Adds the errors on corrupted test images to what came out of a run.

    Args:
        model: The trained model of the run, as it is saved.
        record: Of the run; gets the seconds that it takes.
        predictions: Of the run.
    """
    started = time.perf_counter()
    run = record.run
    found = {}
    for task in run.tasks:
        data = load_data(run.model_copy(update={"task": task}))
        predict = of_task(model, record, task).predict
        found[task] = score_corrupted(predict, data, data.test)
    seconds = time.perf_counter() - started
    add_seconds(record, corruptions=seconds, total=seconds)
    if len(found) == 1:
        return record, replace(predictions, corrupted=found[run.task])
    by_task = {
        task: replace(predictions.of_task(task), corrupted=each)
        for task, each in found.items()
    }
    return record, replace(predictions, by_task=by_task)
