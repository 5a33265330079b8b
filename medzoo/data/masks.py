"""Masks beside labels: the splits that segmentation learns from."""

import dataclasses
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from medzoo.data.split import Dataset, Split
from medzoo.tasks import SHAPES, SPLITS


@dataclass(frozen=True)
class MaskedSplit(Split):
    """One split of images with a mask each.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`.
        labels: `int32`, shape `(n,)`; -1 marks an unlabelled image.
        masks: `int8`, shape `(n, height, width)`: the class of each pixel; -1
            marks one that nothing is known of.
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
    """Images with masks and labels.

    Args:
        segments: Names of the classes of pixels; the first is the background.
    """

    train: MaskedSplit
    val: MaskedSplit
    test: MaskedSplit
    segments: tuple[str, ...] = ()

    @property
    def num_segments(self) -> int:
        return len(self.segments)

    def without_masks(self) -> Dataset:
        """Returns images and labels alone, for a model that classifies."""
        train, val, test = (
            Split(split.images, split.labels)
            for split in (self.train, self.val, self.test)
        )
        return Dataset(
            self.task,
            self.classes,
            train,
            val,
            test,
            fingerprint=self.fingerprint,
            notes=self.notes,
        )


def count_pixels(dataset: MaskedDataset) -> list[int]:
    """Returns the pixels of each class in the masks of train."""
    counts = np.zeros(dataset.num_segments, "int64")
    masks = dataset.train.masks
    for start in range(0, len(masks), 256):
        part = np.asarray(masks[start : start + 256])
        counts += np.bincount(part[part >= 0], minlength=len(counts))
    return [int(count) for count in counts]


def make_shape_task(size: int) -> MaskedDataset:
    """Makes the task `shapes`: 400, 100 and 200 images of train, val and test.

    Args:
        size: Height and width of the images.
    """
    from medzoo.data import shapes

    train, val, test = (
        MaskedSplit(images, labels, masks)
        for images, masks, labels in (
            shapes.make_shapes(seed, SHAPES.num_images[name], size)
            for seed, name in enumerate(SPLITS)
        )
    )
    return MaskedDataset(
        SHAPES.name,
        SHAPES.classes,
        train,
        val,
        test,
        fingerprint=f"synthetic:shapes:{size}:{shapes.VERSION}",
        segments=shapes.SEGMENTS,
    )
