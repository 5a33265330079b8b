"""What a look at masks says: pixels and areas by segment, and empty masks."""

from typing import NamedTuple

import numpy as np

from medzoo.data.masks import MaskedDataset, MaskedSplit
from medzoo.tasks import SPLITS

SAMPLES = 6
_CHUNK = 256


class SegmentLook(NamedTuple):
    """What one class of pixels looks like.

    Args:
        name: Of the segment.
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


class MaskLook(NamedTuple):
    """What the masks of a data set look like.

    Args:
        segments: In the order of their numbers, the background first.
        totals: Images by split.
        empty: Masks that are known and mark nothing, by split.
        unknown: Images without a mask, by split.
        images: The images of train that are shown, by row.
        masks: Their masks, by row.
    """

    segments: list[SegmentLook]
    totals: dict[str, int]
    empty: dict[str, int]
    unknown: dict[str, int]
    images: dict[int, np.ndarray]
    masks: dict[int, np.ndarray]

    def known(self) -> int:
        """Counts the masks of train."""
        return self.totals["train"] - self.unknown["train"]


def look_at_masks(dataset: MaskedDataset) -> MaskLook:
    """Looks at every mask once, a few at a time."""
    splits = dict(
        zip(SPLITS, (dataset.train, dataset.val, dataset.test), strict=True)
    )
    found = {k: _count(s, dataset.num_segments) for k, s in splits.items()}
    counts = {name: of_images for name, (of_images, _) in found.items()}
    known = {name: of_images.any(axis=1) for name, of_images in counts.items()}
    marked = {name: c[:, 1:].any(axis=1) for name, c in counts.items()}
    segments = []
    for segment, title in enumerate(dataset.segments):
        pixels = {name: c[:, segment] for name, c in counts.items()}
        rows = np.flatnonzero(pixels["train"])
        areas = pixels["train"][rows] / np.prod(dataset.input_shape[:2])
        segments.append(
            SegmentLook(
                title,
                {name: int((p > 0).sum()) for name, p in pixels.items()},
                {
                    k: p.sum() / max(1, counts[k].sum())
                    for k, p in pixels.items()
                },
                areas,
                found["train"][1][segment] / max(1, known["train"].sum()),
                _spread(rows, areas),
            )
        )
    shown = sorted({int(row) for each in segments[1:] for row in each.rows})
    return MaskLook(
        segments,
        {name: len(split) for name, split in splits.items()},
        {name: int((known[name] & ~marked[name]).sum()) for name in splits},
        {name: int((~known[name]).sum()) for name in splits},
        {row: np.asarray(dataset.train.images[row]) for row in shown},
        {row: np.asarray(dataset.train.masks[row]) for row in shown},
    )


def _count(
    split: MaskedSplit, num_segments: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts pixels of each image, `(n, num_segments)`, and images at a pixel,
    `(num_segments, height, width)`."""
    of_images = np.zeros((len(split), num_segments), np.int64)
    at_pixels = np.zeros((num_segments, *split.masks.shape[1:]), np.int64)
    for start in range(0, len(split), _CHUNK):
        part = slice(start, start + _CHUNK)
        masks = np.asarray(split.masks[part])
        for segment in range(num_segments):
            there = masks == segment
            of_images[part, segment] = there.sum(axis=(1, 2))
            at_pixels[segment] += there.sum(axis=0)
    return of_images, at_pixels


def _spread(rows: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Picks rows from the smallest to the largest area, evenly by rank."""
    order = rows[np.argsort(areas, kind="stable")]
    if len(order) <= SAMPLES:
        return order
    return order[np.linspace(0, len(order) - 1, SAMPLES).round().astype(int)]
