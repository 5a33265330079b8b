"""Counts, means, intensities and faults of a dataset, and of its masks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from medzoo.data.dataset import Dataset, MaskedDataset, MaskedSplit, Split
from medzoo.tasks import SPLITS

MASK_SAMPLES = 6
# Grey levels of standard deviation below which an image shows next to nothing.
FLAT = 2.0
SAMPLES = 10
BINS = 32
_CHUNK = 512


class MaskClassSummary(NamedTuple):
    """Counts, areas and samples of one mask class.

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
    """Counts and samples of all masks of a dataset.

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


class ClassSummary(NamedTuple):
    """Counts, samples and intensities of one class.

    Args:
        name: Of the class.
        counts: Images by split.
        samples: Some images of train, shape `(num, height, width, channels)`.
        mean: The mean image of train, `uint8`.
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


class FlatImage(NamedTuple):
    """An image that shows next to nothing."""

    split: str
    image: str
    label: str
    std: float


class DatasetSummary(NamedTuple):
    """What is known of a dataset before anything trains.

    Args:
        classes: In the order of their labels.
        flat: Images of nearly one intensity.
        sizes: Files by their width and height, most frequent first.
        modes: Files by the kind of their pixels, most frequent first.
        unlabelled: Images without a label, by split.
        masks: Of its masks, if there are any.
    """

    classes: list[ClassSummary]
    flat: list[FlatImage]
    sizes: dict[str, int]
    modes: dict[str, int]
    unlabelled: dict[str, int]
    masks: MaskSummary | None = None

    def totals(self) -> dict[str, int]:
        """Counts the images of each split."""
        return {
            split: sum(one.counts[split] for one in self.classes)
            + self.unlabelled[split]
            for split in SPLITS
        }

    def num_labelled(self) -> int:
        """Counts the labelled images of all splits."""
        return sum(self.totals().values()) - sum(self.unlabelled.values())

    def imbalance(self) -> float:
        """Divides the images of the largest class of train by the rarest's."""
        counts = [one.counts["train"] for one in self.classes]
        return max(counts) / max(1, min(counts))


def summarize(
    dataset: Dataset, rows: Sequence[Mapping[str, str]] = (), *, seed: int = 0
) -> DatasetSummary:
    """Summarizes a dataset; every image is read once, a few at a time.

    Args:
        dataset: The images.
        rows: What is known of each file, in the order of train, val and test;
            may be empty.
        seed: Picks the samples.
    """
    splits, train = dataset.splits, dataset.train
    sums, counts = _sum_up(dataset)
    random = np.random.default_rng(seed)
    classes = []
    for label, name in enumerate(dataset.classes):
        members = np.flatnonzero(train.labels == label)
        num = min(SAMPLES, len(members))
        picked = np.sort(random.choice(members, num, replace=False))
        mean = sums[label] / max(1, len(members))
        pixels = np.maximum(counts[label].sum(axis=1, keepdims=True), 1)
        classes.append(
            ClassSummary(
                name,
                {k: int((s.labels == label).sum()) for k, s in splits.items()},
                train.images[picked],
                np.rint(mean).astype(np.uint8),
                counts[label] / pixels,
                float(mean.mean()),
            )
        )
    sizes = Counter(f"{row['width']} x {row['height']}" for row in rows)
    modes = Counter(row["mode"] for row in rows)
    return DatasetSummary(
        classes,
        list(_find_flat(dataset, [row["path"] for row in rows])),
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
    for part in _chunks(train):
        images, labels = np.asarray(train.images[part]), train.labels[part]
        for label in np.unique(labels[labels >= 0]):
            members = images[labels == label]
            sums[label] += members.sum(axis=0, dtype=np.float64)
            levels = members.astype(np.int64) * BINS // 256
            for channel in range(shape[-1]):
                values = levels[..., channel].ravel()
                counts[label, channel] += np.bincount(values, minlength=BINS)
    return sums, counts


def _chunks(split: Split) -> Iterator[slice]:
    for start in range(0, len(split), _CHUNK):
        yield slice(start, start + _CHUNK)


def _find_flat(dataset: Dataset, names: Sequence[str]) -> Iterator[FlatImage]:
    first = 0
    for split_name, split in dataset.splits.items():
        for part in _chunks(split):
            images = np.asarray(split.images[part])
            stds = images.reshape(len(images), -1).std(axis=1)
            for at in np.flatnonzero(stds < FLAT):
                row = part.start + int(at)
                label = int(split.labels[row])
                yield FlatImage(
                    split_name,
                    names[first + row] if names else str(row),
                    dataset.classes[label] if label >= 0 else "",
                    float(stds[at]),
                )
        first += len(split)


def summarize_masks(dataset: MaskedDataset) -> MaskSummary:
    """Summarizes masks; every one is read once, a few at a time."""
    parts = (dataset.train, dataset.val, dataset.test)
    splits = dict(zip(SPLITS, parts, strict=True))
    num = dataset.num_mask_classes
    counts, places = {}, {}
    for name, split in splits.items():
        counts[name], places[name] = _count(split, num)
    known = {name: by_image.any(axis=1) for name, by_image in counts.items()}
    marked = {name: c[:, 1:].any(axis=1) for name, c in counts.items()}
    mask_classes = []
    for mask_class, title in enumerate(dataset.mask_classes):
        pixels = {split: c[:, mask_class] for split, c in counts.items()}
        rows = np.flatnonzero(pixels["train"])
        areas = pixels["train"][rows] / np.prod(dataset.input_shape[:2])
        mask_classes.append(
            MaskClassSummary(
                title,
                {k: int((p > 0).sum()) for k, p in pixels.items()},
                {
                    k: p.sum() / max(1, counts[k].sum())
                    for k, p in pixels.items()
                },
                areas,
                places["train"][mask_class] / max(1, known["train"].sum()),
                _spread(rows, areas),
            )
        )
    shown = sorted({int(row) for one in mask_classes[1:] for row in one.rows})
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
    """Counts the pixels of each mask class by image, and by place.

    Returns:
        Shapes `(n, num_mask_classes)` and `(num_mask_classes, height, width)`.
    """
    by_image = np.zeros((len(split), num_mask_classes), np.int64)
    by_place = np.zeros((num_mask_classes, *split.masks.shape[1:]), np.int64)
    for part in _chunks(split):
        masks = np.asarray(split.masks[part])
        for mask_class in range(num_mask_classes):
            is_marked = masks == mask_class
            by_image[part, mask_class] = is_marked.sum(axis=(1, 2))
            by_place[mask_class] += is_marked.sum(axis=0)
    return by_image, by_place


def _spread(rows: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Picks rows from the smallest to the largest area, evenly by rank."""
    order = rows[np.argsort(areas, kind="stable")]
    num = min(MASK_SAMPLES, len(order))
    return order[np.linspace(0, len(order) - 1, num).round().astype(int)]
