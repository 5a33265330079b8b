"""Made-up data in the shape of each task, so that studies run without files.

The class of an image is where its parts lie: every class of a task is another
arrangement of the same four patches (stripes of several directions and a plain
one), shown at a random place under noise, a shade and another brightness. Only
integers are used, and only the raw stream of PCG64, which NumPy guarantees: the
same arguments give the same bytes on every platform.
"""

import hashlib
import itertools
from typing import NamedTuple

import numpy as np

from medzoo.data.split import Dataset, Split
from medzoo.data.subset import apportion
from medzoo.tasks import SIZES, SPLITS, Task, get_task
from medzoo.wording import unknown

# Part of every fingerprint. Raise it when other images are made.
VERSION = 1
PIXEL = 64  # Lengths are in 64ths of a pixel of a 28 x 28 image.
CANVAS = 28 * PIXEL


class _Recipe(NamedTuple):
    """What one task looks like.

    Args:
        shares: Images of each class in the real train split, in tenths of a
            percent.
        overlap: Percent of the images that show another class (for an ordinal
            task: a neighbour) than their label says.
        shift: Pixels (of 28) by which an arrangement moves, at most.
        noise: Height of the noise, 0 to 16.
    """

    shares: tuple[int, ...]
    overlap: int
    shift: int
    noise: int


_RECIPES = {
    "pathmnist": _Recipe(
        (104, 106, 115, 116, 89, 135, 88, 104, 143), 4, 6, 20
    ),
    "dermamnist": _Recipe((33, 51, 110, 11, 111, 670, 14), 2, 5, 14),
    "octmnist": _Recipe((343, 105, 80, 472), 5, 6, 26),
    "pneumoniamnist": _Recipe((258, 742), 4, 6, 24),
    "retinamnist": _Recipe((450, 119, 191, 180, 61), 10, 6, 16),
    "breastmnist": _Recipe((269, 731), 5, 7, 26),
    "bloodmnist": _Recipe((71, 182, 91, 169, 71, 83, 195, 137), 2, 5, 14),
    "tissuemnist": _Recipe((321, 47, 35, 93, 71, 47, 237, 149), 8, 5, 24),
    "organamnist": _Recipe(
        (57, 40, 39, 43, 115, 110, 178, 113, 114, 88, 103), 2, 6, 16
    ),
    "organcmnist": _Recipe(
        (88, 48, 46, 54, 84, 90, 230, 77, 79, 90, 115), 4, 6, 20
    ),
    "organsmnist": _Recipe(
        (82, 45, 44, 52, 81, 80, 249, 53, 58, 144, 112), 8, 6, 24
    ),
}


def make_synthetic(task: str, size: int = 28, *, seed: int = 0) -> Dataset:
    """Makes a small data set with the make-up of a task.

    Args:
        task: Name of the task; decides shapes, classes, their imbalance, what
            they look like and how hard they are to tell apart.
        size: Height and width of the images: 28, 64, 128 or 224.
        seed: Decides the images, not what the classes look like.

    Raises:
        ValueError: For an unknown task or size.

    Example:

    >>> dataset = make_synthetic("breastmnist")
    >>> dataset.train.images.shape, np.bincount(dataset.train.labels)
    ((400, 28, 28, 1), array([108, 292]))
    """
    facts = get_task(task)
    if size not in SIZES:
        raise ValueError(unknown("size", size, map(str, SIZES)))
    fingerprint = f"synthetic:{task}:{size}:{seed}:{VERSION}"
    counts = _split_sizes(facts.num_images["train"])
    splits = {
        split: _make_split(facts, size, counts[split], f"{fingerprint}:{split}")
        for split in SPLITS
    }
    return Dataset(task, facts.classes, **splits, fingerprint=fingerprint)


def _split_sizes(num_real: int) -> dict[str, int]:
    """Grows by 50 images of train each time that the real train doubles."""
    train = 50 * (num_real.bit_length() - 2)
    return {"train": train, "val": 100 + train // 8, "test": 200 + train // 8}


class _Stream:
    """Whole numbers from the raw stream of PCG64, seeded by a text."""

    def __init__(self, text: str) -> None:
        seed = hashlib.sha256(text.encode()).digest()
        self._bits = np.random.PCG64(int.from_bytes(seed, "little"))

    def integers(self, low: int, high: int, shape: int) -> np.ndarray:
        """Draws from `low` to `high`, both included."""
        raw = self._bits.random_raw(shape) >> np.uint64(32)
        scaled = raw * np.uint64(high - low + 1) >> np.uint64(32)
        return scaled.astype(np.int32) + np.int32(low)

    def shuffled(self, values: np.ndarray) -> np.ndarray:
        keys = self._bits.random_raw(len(values))
        return values[np.argsort(keys, kind="stable")]

    def noise(self, shape: tuple[int, ...]) -> np.ndarray:
        """Draws from -255 to 255, zero the likeliest."""
        count = int(np.prod(shape))
        raw = self._bits.random_raw(-(-count // 4)).astype("<u8")
        pairs = raw.view(np.uint8)[: 2 * count].reshape(2, *shape)
        return pairs[0].astype(np.int32) - pairs[1]


# Stripes as steps of phase for a step to the right and down, and plain.
_TEXTURES = np.array(
    [(52, 0, 0), (0, 52, 0), (37, 37, 0), (37, -37, 0), (0, 0, 200), (0, 0, -200)],
    np.int32,
)
_LAYOUTS = np.array(
    [
        [(-5, -5), (5, -5), (-5, 5), (5, 5)],
        [(0, -7), (7, 0), (0, 7), (-7, 0)],
        [(-7, -3), (-2, 5), (3, -5), (7, 4)],
    ],
    np.int32,
)


class _Look(NamedTuple):
    textures: np.ndarray
    palette: np.ndarray
    layout: np.ndarray


def _make_look(facts: Task) -> _Look:
    """Draws what the classes of a task look like from its name."""
    stream = _Stream(f"look:{facts.name}")
    layout = _LAYOUTS[stream.integers(0, len(_LAYOUTS) - 1, 1)[0]]
    bags = list(itertools.combinations_with_replacement(range(len(_TEXTURES)), 4))
    bags = stream.shuffled(np.array(bags))[: facts.num_classes]
    if facts.kind == "ordinal-regression":
        for label in range(1, facts.num_classes):
            kept = np.arange(4) != label % 4
            bags[label, kept] = bags[label - 1, kept]
    else:
        bags = np.stack([stream.shuffled(bag) for bag in bags])
    palette = np.full((4, facts.channels), 256, np.int32)
    if facts.channels == 3:
        palette = stream.integers(128, 320, 12).reshape(4, 3)
    return _Look(_TEXTURES[bags], palette, layout * PIXEL)


def _make_split(facts: Task, size: int, num_images: int, text: str) -> Split:
    recipe, look, stream = _RECIPES[facts.name], _make_look(facts), _Stream(text)
    counts = apportion(recipe.shares, num_images, least=num_images // 40)
    labels = stream.shuffled(
        np.repeat(np.arange(facts.num_classes, dtype=np.int32), counts)
    )
    shown = _shown_classes(labels, facts, recipe.overlap, stream)
    images = np.empty((num_images, size, size, facts.channels), np.uint8)
    chunk = max(1, 64 * 28 * 28 // size**2)
    for start in range(0, num_images, chunk):
        images[start : start + chunk] = _draw(
            look.textures[shown[start : start + chunk]], look, size, recipe, stream
        )
    return Split(images, labels)


def _shown_classes(labels, facts, overlap, stream) -> np.ndarray:
    """Replaces the class of some images by another one, or by a neighbour."""
    n = len(labels)
    last = facts.num_classes - 1
    if facts.kind == "ordinal-regression":
        step = 2 * stream.integers(0, 1, n) - 1
        other = labels + step
        other = np.where((other < 0) | (other > last), labels - step, other)
    else:
        other = (labels + stream.integers(1, last, n)) % facts.num_classes
    return np.where(stream.integers(1, 100, n) <= overlap, other, labels)


def _draw(textures, look, size, recipe, stream) -> np.ndarray:
    n = len(textures)
    grid = ((2 * np.arange(size) + 1) * (CANVAS // 2) // size).astype(np.int32)
    grid = grid - CANVAS // 2
    reach = recipe.shift * PIXEL
    places = look.layout + stream.integers(-reach, reach, 2 * n).reshape(n, 1, 2)
    places = places + stream.integers(-48, 48, 8 * n).reshape(n, 4, 2)
    phases = stream.integers(0, 255, 4 * n).reshape(n, 4, 1, 1)
    heights = stream.integers(80, 130, 4 * n).reshape(n, 4, 1, 1)
    tints = look.palette[stream.integers(0, 3, 4 * n).reshape(n, 4, 1, 1)]
    brightness = stream.integers(70, 120, n).reshape(n, 1, 1, 1)
    images = np.empty((n, size, size, look.palette.shape[1]), np.int32)
    images[:] = brightness
    for part in range(4):
        x = (grid - places[:, part, :1])[:, None, :]
        y = (grid - places[:, part, 1:])[:, :, None]
        across, down, flat = textures[:, part].T[..., None, None]
        turn = (x * across + y * down >> 6) + phases[:, part] & 255
        wave = np.abs(turn - 128) * 4 - 256
        wave = np.where(flat == 0, wave, flat)
        mask = np.maximum(256 - ((x * x + y * y) * 3 >> 10), 0) * wave >> 8
        mask = mask * heights[:, part] >> 8
        images += mask[..., None] * tints[:, part] >> 8
    images += stream.noise(images.shape) * recipe.noise >> 8
    return np.clip(images, 0, 255).astype(np.uint8)

