"""The `Dataset` of a task: three splits of images, labels and masks."""

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
        """Returns what a model predicts of the images at `rows`."""
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
        notes: Remarks on the data for tables of results.
        mask_classes: Names of the mask classes, the background first; empty
            without masks.
        frozen_parameters: Weights of the frozen backbone whose features stand
            in the place of the images; 0 for images.
        frozen_flops: Operations of that backbone for an image; `None` if they
            are not known.
        ranges: Values that became 0 and 255, by channel, of 16-bit files.
    """

    task: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    fingerprint: str
    notes: tuple[str, ...] = ()
    mask_classes: tuple[str, ...] = ()
    frozen_parameters: int = 0
    frozen_flops: int | None = 0
    ranges: tuple[tuple[int, int], ...] = ()

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name: train, val and test."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def heads(self) -> tuple[int, ...]:
        """Number of classes of each head: one, but for several tasks."""
        return (self.num_classes,)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.train.images.shape[1:]

    @property
    def has_features(self) -> bool:
        """Whether it holds features of a frozen backbone, not images."""
        return self.frozen_parameters > 0

    @property
    def num_mask_classes(self) -> int:
        return len(self.mask_classes)

    @property
    def class_counts(self) -> list[int]:
        """Number of labelled images of each class in train."""
        labels = self.train.labels
        counts = np.bincount(labels[labels >= 0], minlength=self.num_classes)
        return [int(count) for count in counts]

    def without_masks(self) -> "Dataset":
        """Returns images and labels alone, for a model that classifies."""
        return self

    def with_tasks(self) -> "Dataset":
        """Returns the data with the task beside each image, if of several."""
        return self


@dataclass(frozen=True)
class MaskedSplit(Split):
    """One split of images with a mask each.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`.
        labels: `int32`, shape `(n,)`; -1 marks an unlabelled image.
        masks: `int8`, shape `(n, height, width)`: the class of each pixel; -1
            marks an unknown one.
    """

    masks: np.ndarray

    def targets(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"mask": self.masks[rows], "label": self.labels[rows]}

    def take(
        self, rows: np.ndarray, pick: Callable[..., Any] = operator.getitem
    ) -> Self:
        taken = super().take(rows, pick)
        return dataclasses.replace(taken, masks=pick(self.masks, rows))

    def join(self, other: Self) -> Self:
        masks = np.concatenate([self.masks, other.masks])
        return dataclasses.replace(super().join(other), masks=masks)


@dataclass(frozen=True)
class MaskedDataset(Dataset):
    """Images with masks and labels."""

    train: MaskedSplit
    val: MaskedSplit
    test: MaskedSplit

    def without_masks(self) -> Dataset:
        splits = [
            Split(split.images, split.labels) for split in self.splits.values()
        ]
        train, val, test = splits
        return Dataset(
            self.task,
            self.classes,
            train,
            val,
            test,
            self.fingerprint,
            self.notes,
            ranges=self.ranges,
        )


def count_pixels(dataset: MaskedDataset) -> list[int]:
    """Returns the pixels of each class in the masks of train."""
    counts = np.zeros(dataset.num_mask_classes, "int64")
    masks = dataset.train.masks
    for start in range(0, len(masks), 256):
        part = np.asarray(masks[start : start + 256])
        counts += np.bincount(part[part >= 0], minlength=len(counts))
    return [int(count) for count in counts]
