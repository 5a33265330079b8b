"""What every data source delivers: images, labels, and where they come from."""

from dataclasses import dataclass

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
