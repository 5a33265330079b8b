"""What every data source delivers: images, labels, and where they come from."""

import dataclasses
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np


@dataclass(frozen=True)
class Split:
    """Images of one split with their labels.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`, 0 to 255.
        labels: `int32`, shape `(n,)`; -1 marks an unlabelled image.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def targets(self, rows: np.ndarray) -> Any:
        """Returns what a model has to say of the images at `rows`."""
        return self.labels[rows]

    def take(
        self, rows: np.ndarray, pick: Callable[..., Any] = operator.getitem
    ) -> Self:
        """Returns the images at `rows`, in that order.

        Args:
            rows: Whole numbers.
            pick: Picks rows of the images: a copy, unless it says otherwise.
        """
        return dataclasses.replace(
            self, images=pick(self.images, rows), labels=self.labels[rows]
        )

    def join(self, other: Self) -> Self:
        """Returns the images of both splits, read into memory."""
        images = np.concatenate([self.images, other.images])
        labels = np.concatenate([self.labels, other.labels])
        return dataclasses.replace(self, images=images, labels=labels)


@dataclass(frozen=True)
class Dataset:
    """The three splits of one task.

    Args:
        task: Name of the task.
        classes: Names of the classes in the order of their labels.
        train: What training sees.
        val: What chooses: epochs, tuned values, thresholds.
        test: Read once, after the run is finished.
        fingerprint: Identifies the data; equal fingerprints mean equal images,
            labels and splits.
        notes: What tables of results have to say about the data.
    """

    task: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.train.images.shape[1:]
