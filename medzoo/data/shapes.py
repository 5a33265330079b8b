"""Synthetic images with masks, so that segmentation runs without files.

Zero to three shapes are on an uneven ground: discs (mask class 1) and bars
(mask class 2), lighter or darker than it, turned by any angle, with a sharp or
a soft edge, one over the other. A smear without an edge, and noise, make
brightness alone say little. The label says whether there is any shape. Only
whole numbers are used, so that equal arguments give equal bytes everywhere.
"""

import numpy as np

from medzoo.data.dataset import MaskedDataset, MaskedSplit
from medzoo.data.stream import Stream
from medzoo.tasks import SHAPES, SPLITS

# Part of every fingerprint. Raise it when other images are made.
VERSION = 1
MASK_CLASSES = ("background", "disc", "bar")

# Lengths are 1024ths of the side.
_SIDE = 1024
# Three images of ten have no shape.
_NUM_SHAPES = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 3])
# Cosine and sine of every 15 degrees up to 90, in 64ths.
_TURNS = np.array(
    [(64, 0), (62, 17), (55, 32), (45, 45), (32, 55), (17, 62)], np.int32
)


def make_shapes(
    seed: int, num_images: int, size: int, *, channels: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Makes images of shapes, their masks and their labels.

    Args:
        seed: Decides all of them; another one makes another data set.
        num_images: How many.
        size: Height and width.
        channels: 1 for grey images, 3 for tinted ones.

    Returns:
        Images, `uint8`, shape `(num_images, size, size, channels)`; masks,
        `int8`, `(num_images, size, size)`, of the three `MASK_CLASSES`; labels,
        `int32`, `(num_images,)`, 1 where the mask is not empty.

    Raises:
        ValueError: For a size below 16, or channels other than 1 and 3.

    Example:

    >>> images, masks, labels = make_shapes(0, 4, 32)
    >>> images.shape, masks.shape, labels.tolist()
    ((4, 32, 32, 1), (4, 32, 32), [0, 1, 1, 0])
    """
    if size < 16 or channels not in (1, 3):
        raise ValueError(
            "Shapes need a `size` of 16 or more and 1 or 3 `channels`. "
            f"Received: size={size}, channels={channels}."
        )
    stream = Stream(f"shapes:{seed}:{size}:{channels}:{VERSION}")
    images = np.empty((num_images, size, size, channels), np.uint8)
    masks = np.empty((num_images, size, size), np.int8)
    step = max(1, 2**18 // size**2)  # Bounds the memory.
    for start in range(0, num_images, step):
        part = slice(start, min(start + step, num_images))
        images[part], masks[part] = _draw(
            part.stop - start, size, channels, stream
        )
    labels = np.array([mask.any() for mask in masks], np.int32)
    return images, masks, labels


def make_shape_task(size: int) -> MaskedDataset:
    """Makes the task `shapes`: 400, 100 and 200 images of train, val and test.

    Args:
        size: Height and width of the images.
    """
    splits = []
    for seed, name in enumerate(SPLITS):
        num_images = SHAPES.num_images[name]
        images, masks, labels = make_shapes(seed, num_images, size)
        splits.append(MaskedSplit(images, labels, masks))
    train, val, test = splits
    return MaskedDataset(
        SHAPES.name,
        SHAPES.classes,
        train,
        val,
        test,
        fingerprint=f"synthetic:shapes:{size}:{VERSION}",
        mask_classes=MASK_CLASSES,
    )


def _draw(
    n: int, size: int, channels: int, stream: Stream
) -> tuple[np.ndarray, np.ndarray]:
    """Draws `n` images and their masks."""
    places = (2 * np.arange(size, dtype=np.int32) + 1) * (_SIDE // 2) // size
    x, y = places[None, None, :], places[None, :, None]
    # The ground: a slope, and a smear that fades out.
    slopes = stream.integers(-24, 24, 2, n, 1, 1)
    levels = slopes[0] * (x - _SIDE // 2) + slopes[1] * (y - _SIDE // 2) >> 9
    middle = stream.integers(100, 924, 2, n, 1, 1)
    reach = stream.integers(150, 300, n, 1, 1)
    distance = (x - middle[0]) ** 2 + (y - middle[1]) ** 2
    smear = np.maximum(256 - distance * 8 // (reach * reach >> 5), 0)
    levels += smear * _signed(stream.integers(15, 40, n, 1, 1), stream) >> 8
    masks = np.zeros((n, size, size), np.int8)
    num_shapes = _NUM_SHAPES[stream.integers(0, 9, n, 1, 1)]
    for number in range(_NUM_SHAPES.max()):
        kind = stream.integers(1, 2, n, 1, 1)
        depth = np.where(num_shapes > number, _depth(x, y, kind, stream), -512)
        soft = stream.integers(4, 24, n, 1, 1)
        cover = np.clip(depth * 128 // soft + 128, 0, 256)
        contrast = _signed(stream.integers(35, 90, n, 1, 1), stream)
        levels += (contrast - levels) * cover >> 8
        masks = np.where(depth >= 0, kind, masks).astype(np.int8)
    tints = stream.integers(160, 320, n, 1, 1, channels)
    strength = stream.integers(6, 28, n, 1, 1, 1)
    noise = stream.noise((n, size, size, channels)) * strength >> 8
    light = stream.integers(100, 156, n, 1, 1, 1)
    images = light + (levels[..., None] * tints >> 8) + noise
    return np.clip(images, 0, 255).astype(np.uint8), masks


def _depth(
    x: np.ndarray, y: np.ndarray, kind: np.ndarray, stream: Stream
) -> np.ndarray:
    """Returns the depth of each pixel in a shape; below 0 outside of it."""
    n = len(kind)
    left, top = stream.integers(140, 884, 2, n, 1, 1)
    long = stream.integers(90, 210, n, 1, 1)
    short = long * stream.integers(60, 100, n, 1, 1) // 100
    cos, sin = np.moveaxis(_TURNS[stream.integers(0, 5, n, 1, 1)], -1, 0)
    x, y = x - left, y - top
    x, y = x * cos + y * sin >> 6, y * cos - x * sin >> 6
    inside = 256 - x * x * 256 // long**2 - y * y * 256 // short**2
    # To first order, an ellipse is half as deep as its equation says.
    disc = inside * short >> 9
    bar = np.minimum(long * 3 // 2 - np.abs(x), short // 2 - np.abs(y))
    return np.where(kind == 1, disc, bar)


def _signed(values: np.ndarray, stream: Stream) -> np.ndarray:
    """Turns half of the values round: darker in place of lighter."""
    return values * (2 * stream.integers(0, 1, *values.shape) - 1)
