"""Scores of a trained model on corrupted images."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from medzoo.data.corruptions import corrupt, list_kinds
from medzoo.data.dataset import Dataset, Split
from medzoo.scores.probabilities import score


class Robustness(NamedTuple):
    """Balanced errors, 1 minus the balanced accuracy, clean and corrupted.

    Args:
        clean: Of the images as they are.
        errors: By kind of corruption, one a severity from 1 to 5.
    """

    clean: float
    errors: dict[str, tuple[float, ...]]

    @property
    def mean(self) -> float:
        """Mean over kinds of the mean over severities."""
        return float(np.mean(list(self.errors.values())))


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

    return Robustness(
        find_error(images),
        {
            kind: tuple(
                find_error(corrupt(images, kind, strength, seed=seed))
                for strength in strengths
            )
            for kind, strengths in list_kinds(
                data.task, images.shape[-1]
            ).items()
        },
    )
