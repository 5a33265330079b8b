"""Synthetic data in the shape of each task, so that studies run without files.

An image is four small patches in a fixed layout: stripes of some direction, or
plain. Their order is the class. The layout moves, light and dark may be
exchanged, and each patch has its own jitter, contrast, tint and phase of
stripes, so that a pixel alone says little. Integers are used throughout, drawn
from the raw stream of PCG64, which NumPy guarantees: equal arguments give equal
bytes on every platform.
"""

import itertools
from typing import NamedTuple

import numpy as np

from medzoo.data.dataset import Dataset, Split
from medzoo.data.splits import apportion
from medzoo.data.stream import Stream
from medzoo.tasks import SPLITS, Task, get_task

# Part of every fingerprint. Raise it when other images are made.
VERSION = 2


class _Recipe(NamedTuple):
    """Shares of the classes of a task, and its difficulty.

    Args:
        shares: Of each class in the real train split, in tenths of a percent.
        overlap: Percent of the images that show another class than their label
            says; for an ordinal task, a neighbouring one.
        shift: By how much the layout moves at most, in pixels of 28.
        noise: Largest noise, in grey levels.
    """

    shares: tuple[int, ...]
    overlap: int
    shift: int
    noise: int


# The shares of organcmnist and organsmnist are approximate.
_RECIPES = {
    "pathmnist": _Recipe((104, 106, 115, 116, 89, 135, 88, 104, 143), 3, 6, 10),
    "dermamnist": _Recipe((33, 51, 110, 11, 111, 670, 14), 0, 5, 4),
    "octmnist": _Recipe((343, 105, 80, 472), 4, 6, 14),
    "pneumoniamnist": _Recipe((258, 742), 4, 7, 20),
    "retinamnist": _Recipe((450, 119, 191, 180, 61), 4, 5, 4),
    "breastmnist": _Recipe((269, 731), 5, 6, 16),
    "bloodmnist": _Recipe((71, 182, 91, 169, 71, 83, 195, 137), 1, 5, 6),
    "tissuemnist": _Recipe((321, 47, 35, 93, 71, 47, 237, 149), 5, 6, 10),
    "organamnist": _Recipe(
        (57, 40, 39, 43, 115, 110, 178, 113, 114, 88, 103), 1, 5, 6
    ),
    "organcmnist": _Recipe(
        (88, 48, 46, 54, 84, 90, 230, 77, 79, 90, 115), 2, 5, 8
    ),
    "organsmnist": _Recipe(
        (82, 45, 44, 52, 81, 80, 249, 53, 58, 144, 112), 4, 5, 8
    ),
}

# Lengths are whole 64ths of a pixel of a 28 x 28 image.
_PIXEL = 64
_LAYOUTS = _PIXEL * np.array(
    [
        [(-5, -5), (5, -5), (-5, 5), (5, 5)],
        [(0, -6), (6, 0), (0, 6), (-6, 0)],
        [(-6, -4), (-3, 5), (3, -5), (6, 4)],
    ],
    np.int32,
)
# Change of phase a pixel to the right and down (256 is a turn), or a plain
# value.
_TEXTURES = np.array(
    [
        (52, 0, 0),
        (0, 52, 0),
        (37, 37, 0),
        (37, -37, 0),
        (0, 0, 200),
    ],
    np.int32,
)


def make_synthetic(task: str, size: int = 28, *, seed: int = 0) -> Dataset:
    """Makes a small data set with the make-up of a task.

    Args:
        task: Name of the task; decides channels, classes, their imbalance and
            patterns, and how hard they are to distinguish.
        size: Height and width of the images.
        seed: Decides the images, but not the patterns of the classes.

    Returns:
        400 to 800 images of train and 150 to 300 each of val and test.

    Raises:
        ValueError: For an unknown task.

    Example:

    >>> dataset = make_synthetic("breastmnist")
    >>> dataset.train.images.shape
    (400, 28, 28, 1)
    >>> dataset.fingerprint
    'synthetic:breastmnist:28:0:2'
    """
    facts = get_task(task)
    fingerprint = f"synthetic:{task}:{size}:{seed}:{VERSION}"
    counts = _split_sizes(facts.num_images["train"])
    train, val, test = (
        _make_split(facts, size, counts[name], Stream(f"{fingerprint}:{name}"))
        for name in SPLITS
    )
    return Dataset(task, facts.classes, train, val, test, fingerprint)


def _split_sizes(num_real: int) -> dict[str, int]:
    """Adds 50 images to train each time that the real train doubles."""
    train = 50 * (num_real.bit_length() - 2)
    return {"train": train, "val": 100 + train // 8, "test": 200 + train // 8}


class _Appearance(NamedTuple):
    """Patterns and colours of the classes of a task.

    Args:
        textures: Of the four patches, shape `(num_classes, 4, 3)`.
        layout: Their places about the middle, shape `(4, 2)`.
        palette: Tints that a patch may have, shape `(4, channels)`.
    """

    textures: np.ndarray
    layout: np.ndarray
    palette: np.ndarray


def _make_appearance(facts: Task) -> _Appearance:
    stream = Stream(f"look:{facts.name}:{VERSION}")
    layout = _LAYOUTS[stream.integers(0, len(_LAYOUTS) - 1)]
    kinds = range(len(_TEXTURES))
    bags = np.array(list(itertools.combinations_with_replacement(kinds, 4)))
    bags = stream.shuffled(bags)[: facts.num_classes]
    if facts.kind == "ordinal-regression":
        # Each grade changes one more patch of the first.
        changed = np.arange(len(bags))[:, None] > np.arange(4)
        patches = (bags[0] + 2 * changed) % len(_TEXTURES)
    else:
        patches = np.stack([stream.shuffled(bag) for bag in bags])
    palette = np.full((4, facts.channels), 256, np.int32)
    if facts.channels == 3:
        palette = stream.integers(128, 320, 4, 3)
    return _Appearance(_TEXTURES[patches], layout, palette)


def _make_split(
    facts: Task, size: int, num_images: int, stream: Stream
) -> Split:
    recipe, appearance = _RECIPES[facts.name], _make_appearance(facts)
    counts = apportion(recipe.shares, num_images, least=num_images // 25)
    labels = np.repeat(np.arange(facts.num_classes, dtype=np.int32), counts)
    labels = stream.shuffled(labels)
    textures = appearance.textures[
        _shown(labels, facts, recipe.overlap, stream)
    ]
    images = np.empty((num_images, size, size, facts.channels), np.uint8)
    step = max(1, 64 * 28**2 // size**2)  # Bounds the memory.
    for start in range(0, num_images, step):
        part = slice(start, start + step)
        images[part] = _draw(textures[part], appearance, recipe, size, stream)
    return Split(images, labels)


def _shown(
    labels: np.ndarray, facts: Task, overlap: int, stream: Stream
) -> np.ndarray:
    """Replaces `overlap` percent of the classes by other ones."""
    last = facts.num_classes - 1
    if facts.kind == "ordinal-regression":
        other = labels + 2 * stream.integers(0, 1, len(labels)) - 1
        other = np.where(other < 0, 1, np.where(other > last, last - 1, other))
    else:
        other = labels + stream.integers(1, last, len(labels))
        other %= facts.num_classes
    return np.where(
        stream.integers(1, 100, len(labels)) > overlap, labels, other
    )


def _draw(
    textures: np.ndarray,
    appearance: _Appearance,
    recipe: _Recipe,
    size: int,
    stream: Stream,
) -> np.ndarray:
    """Draws one image for each row of `textures`, shape `(n, 4, 3)`."""
    n, reach = len(textures), recipe.shift * _PIXEL
    places = appearance.layout + stream.integers(-reach, reach, n, 1, 2)
    places = places + stream.integers(-48, 48, n, 4, 2)
    phases = stream.integers(0, 255, n, 4, 1, 1)
    contrasts = stream.integers(100, 140, n, 4, 1, 1)
    # Light and dark change places in every other image: a linear classifier
    # sees next to nothing.
    contrasts = contrasts * (2 * stream.integers(0, 1, n, 1, 1, 1) - 1)
    tints = appearance.palette[stream.integers(0, 3, n, 4, 1, 1)]
    shape = (n, size, size, appearance.palette.shape[1])
    images = stream.noise(shape) * recipe.noise >> 8
    images += stream.integers(100, 150, n, 1, 1, 1)  # Brightness.
    middles = (2 * np.arange(size, dtype=np.int32) + 1) * 14 * _PIXEL // size
    middles -= 14 * _PIXEL
    for part in range(4):
        x = (middles - places[:, part, :1])[:, None, :]
        y = (middles - places[:, part, 1:])[:, :, None]
        right, down, plain = textures[:, part].T[..., None, None]
        turn = (x * right + y * down >> 6) + phases[:, part] & 255
        wave = np.where(plain == 0, np.abs(turn - 128) * 4 - 256, plain)
        patch = np.maximum(256 - ((x * x + y * y) * 3 >> 10), 0) * wave >> 8
        patch = patch * contrasts[:, part] >> 8
        images += patch[..., None] * tints[:, part] >> 8
    return np.clip(images, 0, 255).astype(np.uint8)
