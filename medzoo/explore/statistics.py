"""Counts, means, intensities and faults of a data set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from medzoo.data.dataset import Dataset, MaskedDataset, MaskedSplit, Split
from medzoo.tasks import SPLITS

MASK_SAMPLES = 6
_MASKS_AT_A_TIME = 256


class MaskClassSummary(NamedTuple):
    """What one class of pixels looks like.

    Args:
        name: Of the mask class.
        counts: Images that hold it, by split.
        shares: Its share of the known pixels, 0 to 1, by split.
        areas: The share of the pixels of each image of train that holds it.
        places: The share of the masks of train that hold it at a pixel, shape
            `(height, width)`.
        rows: Some images of train that hold it, by rising area.
    """

    name: str
    counts: dict[str, int]
    shares: dict[str, float]
    areas: np.ndarray
    places: np.ndarray
    rows: np.ndarray

    def median(self) -> float:
        """Returns the median area; some image of train has to hold it."""
        return float(np.median(self.areas))


class MaskSummary(NamedTuple):
    """What the masks of a data set look like.

    Args:
        mask_classes: In the order of their numbers, the background first.
        totals: Images by split.
        empty: Masks that are known and mark nothing, by split.
        unknown: Images without a mask, by split.
        images: The images of train that are shown, by row.
        masks: Their masks, by row.
    """

    mask_classes: list[MaskClassSummary]
    totals: dict[str, int]
    empty: dict[str, int]
    unknown: dict[str, int]
    images: dict[int, np.ndarray]
    masks: dict[int, np.ndarray]

    def known(self) -> int:
        """Counts the masks of train."""
        return self.totals["train"] - self.unknown["train"]


def summarize_masks(dataset: MaskedDataset) -> MaskSummary:
    """Looks at every mask once, a few at a time."""
    splits = dict(
        zip(SPLITS, (dataset.train, dataset.val, dataset.test), strict=True)
    )
    found = {k: _count(s, dataset.num_mask_classes) for k, s in splits.items()}
    counts = {name: of_images for name, (of_images, _) in found.items()}
    known = {name: of_images.any(axis=1) for name, of_images in counts.items()}
    marked = {name: c[:, 1:].any(axis=1) for name, c in counts.items()}
    mask_classes = []
    for mask_class, title in enumerate(dataset.mask_classes):
        pixels = {name: c[:, mask_class] for name, c in counts.items()}
        rows = np.flatnonzero(pixels["train"])
        areas = pixels["train"][rows] / np.prod(dataset.input_shape[:2])
        mask_classes.append(
            MaskClassSummary(
                title,
                {name: int((p > 0).sum()) for name, p in pixels.items()},
                {
                    k: p.sum() / max(1, counts[k].sum())
                    for k, p in pixels.items()
                },
                areas,
                found["train"][1][mask_class] / max(1, known["train"].sum()),
                _spread(rows, areas),
            )
        )
    shown = sorted({int(row) for each in mask_classes[1:] for row in each.rows})
    return MaskSummary(
        mask_classes,
        {name: len(split) for name, split in splits.items()},
        {name: int((known[name] & ~marked[name]).sum()) for name in splits},
        {name: int((~known[name]).sum()) for name in splits},
        {row: np.asarray(dataset.train.images[row]) for row in shown},
        {row: np.asarray(dataset.train.masks[row]) for row in shown},
    )


def _count(
    split: MaskedSplit, num_mask_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts pixels of each image, `(n, num_mask_classes)`, and images at a
    pixel,
    `(num_mask_classes, height, width)`."""
    of_images = np.zeros((len(split), num_mask_classes), np.int64)
    at_pixels = np.zeros((num_mask_classes, *split.masks.shape[1:]), np.int64)
    for start in range(0, len(split), _MASKS_AT_A_TIME):
        part = slice(start, start + _MASKS_AT_A_TIME)
        masks = np.asarray(split.masks[part])
        for mask_class in range(num_mask_classes):
            there = masks == mask_class
            of_images[part, mask_class] = there.sum(axis=(1, 2))
            at_pixels[mask_class] += there.sum(axis=0)
    return of_images, at_pixels


def _spread(rows: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Picks rows from the smallest to the largest area, evenly by rank."""
    order = rows[np.argsort(areas, kind="stable")]
    if len(order) <= MASK_SAMPLES:
        return order
    return order[
        np.linspace(0, len(order) - 1, MASK_SAMPLES).round().astype(int)
    ]


# Grey levels of standard deviation below which an image shows next to nothing.
FLAT = 2.0
SAMPLES = 10
BINS = 32
_CHUNK = 512


class ClassSummary(NamedTuple):
    """What one class looks like.

    Args:
        name: Of the class.
        counts: Images by split.
        samples: Some images of train, shape `(num, height, width, channels)`.
        mean: Their mean image over all of train, `uint8`.
        histogram: Share of the pixels of train by intensity, shape `(channels,
            BINS)`.
        brightness: Mean intensity of train, 0 to 255.
    """

    name: str
    counts: dict[str, int]
    samples: np.ndarray
    mean: np.ndarray
    histogram: np.ndarray
    brightness: float


class Flat(NamedTuple):
    """An image that shows next to nothing."""

    split: str
    image: str
    label: str
    std: float


class Look(NamedTuple):
    """What a data set looks like.

    Args:
        classes: In the order of their labels.
        flat: Images of nearly one intensity.
        sizes: Files by their width and height, most frequent first.
        modes: Files by the kind of their pixels, most frequent first.
        unlabelled: Images without a label, by split.
        masks: What their masks look like, if there are any.
    """

    classes: list[ClassSummary]
    flat: list[Flat]
    sizes: dict[str, int]
    modes: dict[str, int]
    unlabelled: dict[str, int]
    masks: MaskSummary | None = None

    def totals(self) -> dict[str, int]:
        """Counts the images of each split."""
        return {
            split: sum(found.counts[split] for found in self.classes)
            + self.unlabelled[split]
            for split in SPLITS
        }

    def num_labelled(self) -> int:
        """Counts the labelled images of all splits."""
        return sum(self.totals().values()) - sum(self.unlabelled.values())

    def imbalance(self) -> float:
        """Returns how often the largest class of train holds the rarest."""
        counts = [found.counts["train"] for found in self.classes]
        return max(counts) / max(1, min(counts))


def look_at(
    dataset: Dataset, rows: Sequence[Mapping[str, str]] = (), *, seed: int = 0
) -> Look:
    """Looks at every image once, a few at a time.

    Args:
        dataset: The images.
        rows: What is known of each file, in the order of train, val and test;
            may be empty.
        seed: Picks the samples.
    """
    splits = dict(
        zip(SPLITS, (dataset.train, dataset.val, dataset.test), strict=True)
    )
    sums, counts = _sum_up(dataset)
    flat, start = [], 0
    for name, split in splits.items():
        names = [row["path"] for row in rows[start : start + len(split)]]
        flat += _find_flat(name, split, dataset.classes, names)
        start += len(split)
    random = np.random.default_rng(seed)
    classes = []
    for label, title in enumerate(dataset.classes):
        there = np.flatnonzero(dataset.train.labels == label)
        num = min(SAMPLES, len(there))
        picked = np.sort(random.choice(there, num, replace=False))
        mean = sums[label] / max(1, len(there))
        pixels = np.maximum(counts[label].sum(axis=1, keepdims=True), 1)
        classes.append(
            ClassSummary(
                title,
                {k: int((s.labels == label).sum()) for k, s in splits.items()},
                dataset.train.images[picked],
                np.rint(mean).astype(np.uint8),
                counts[label] / pixels,
                float(mean.mean()),
            )
        )
    sizes = Counter(f"{row['width']} x {row['height']}" for row in rows)
    modes = Counter(row["mode"] for row in rows)
    return Look(
        classes,
        flat,
        dict(sizes.most_common()),
        dict(modes.most_common()),
        {name: int((s.labels < 0).sum()) for name, s in splits.items()},
        summarize_masks(dataset)
        if isinstance(dataset, MaskedDataset)
        else None,
    )


def _sum_up(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Adds up the images of train, and counts their intensities, by class."""
    train, shape = dataset.train, dataset.input_shape
    sums = np.zeros((dataset.num_classes, *shape))
    counts = np.zeros((dataset.num_classes, shape[-1], BINS), np.int64)
    for start in range(0, len(train), _CHUNK):
        part = slice(start, start + _CHUNK)
        images, labels = np.asarray(train.images[part]), train.labels[part]
        for label in np.unique(labels[labels >= 0]):
            found = images[labels == label]
            sums[label] += found.sum(axis=0, dtype=np.float64)
            levels = found.astype(np.int64) * BINS // 256
            for channel in range(shape[-1]):
                counts[label, channel] += np.bincount(
                    levels[..., channel].ravel(), minlength=BINS
                )
    return sums, counts


def _find_flat(
    name: str, split: Split, classes: Sequence[str], names: Sequence[str]
) -> list[Flat]:
    found = []
    for start in range(0, len(split), _CHUNK):
        images = np.asarray(split.images[start : start + _CHUNK])
        deviations = images.reshape(len(images), -1).std(axis=1)
        for at in np.flatnonzero(deviations < FLAT):
            row = start + int(at)
            label = int(split.labels[row])
            found.append(
                Flat(
                    name,
                    names[row] if names else str(row),
                    classes[label] if label >= 0 else "",
                    float(deviations[at]),
                )
            )
    return found
