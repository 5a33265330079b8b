"""Masks of images of any size, predicted by a saved model."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from medzoo.data.resizing import enlarge
from medzoo.training.objectives.masks import AT_A_TIME, each_batch
from medzoo.training.predict import to_probabilities

if TYPE_CHECKING:
    from medzoo.training.saved import Saved


def predict_image(
    saved: "Saved",
    image: np.ndarray,
    shape: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predicts the mask of one image, and its label.

    An image of another size than those of the training is predicted by tiles,
    without a label.

    Args:
        saved: A model with masks.
        image: `uint8`, shape `(height, width, channels)`.
        shape: Height and width of the image before it was resized for the
            model, which its mask gets.

    Returns:
        The likeliest class of each pixel, `uint8`, shape `(height, width)`; and
        the probabilities of the labels, or `None`.

    Raises:
        ValueError: If the model takes no square images, and the image has
            another size.
    """
    height, width, _ = saved.input_shape
    if image.shape == saved.input_shape:
        logits, labels = _predict(saved, image)
        if shape not in (None, (height, width)):
            logits = enlarge(logits, shape, saved.resize)
        return _decide(logits), labels
    if height != width:
        raise ValueError(
            "Only a model of square images predicts those of another size. "
            f"Expected an image of shape {saved.input_shape}. "
            f"Received: {image.shape}."
        )

    def predict(tiles: np.ndarray) -> np.ndarray:
        (*_, (_, found)) = each_batch(saved.model, tiles)
        return found["mask"]

    logits = predict_by_tiles(
        predict,
        image,
        tile=height,
        overlap=height // 2,
        batch_size=AT_A_TIME,
    )
    return _decide(logits), None


def _predict(
    saved: "Saved", image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the logits of a mask, and the probabilities of labels."""
    ((_, found),) = each_batch(saved.model, image[None])
    output = saved.record.run.output if saved.record else "softmax"
    return found["mask"][0], to_probabilities(found["label"], output)[0]


def _decide(logits: np.ndarray) -> np.ndarray:
    return logits.argmax(axis=-1).astype("uint8")


def predict_by_tiles(
    predict: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    *,
    tile: int,
    overlap: int,
    batch_size: int = 8,
) -> np.ndarray:
    """Predicts an image by overlapping tiles.

    Over the middle half of an overlap one tile fades into the next; its outer
    quarter, which the border of a tile distorts most, is left out. If no pixel
    of the result depends on more than `overlap / 4` pixels around it, this is
    the result of the image at once. A net that pools has one more condition:
    `tile - overlap`, and image side minus tile, are multiples of its coarsest
    pixel.

    Args:
        predict: From `uint8` tiles, shape `(batch_size, tile, tile, channels)`,
            to values of each pixel, `(batch_size, tile, tile,
            num_mask_classes)`.
        image: `uint8`, shape `(height, width, channels)`; a side shorter than a
            tile is padded with its last pixels.
        tile: Height and width of a tile.
        overlap: Pixels that neighbours share, at most half a tile; the last
            tiles may share more.
        batch_size: Tiles of each call.

    Returns:
        `float32`, shape `(height, width, num_mask_classes)`.

    Raises:
        ValueError: For an overlap out of range, and an image of another shape.

    Example:

    >>> image = np.arange(70, dtype="uint8").reshape(7, 10, 1)
    >>> found = predict_by_tiles(lambda x: x / 2, image, tile=4, overlap=2)
    >>> bool(np.allclose(found, image / 2))
    True
    """
    if not 0 <= overlap <= tile // 2 or image.ndim != 3:
        raise ValueError(
            "Tiles need an image of shape (height, width, channels) and an "
            f"`overlap` from 0 to {tile // 2}, half a tile. Received: "
            f"image.shape={image.shape}, overlap={overlap}."
        )
    height, width = image.shape[:2]
    missing = [(0, max(0, tile - side)) for side in (height, width)]
    image = np.pad(image, [*missing, (0, 0)], mode="edge")
    rows, columns = (_fades(side, tile, overlap) for side in image.shape[:2])
    corners = [*itertools.product(rows, columns)]
    total = weights = np.zeros((*image.shape[:2], 1), "float32")
    for start in range(0, len(corners), batch_size):
        some = corners[start : start + batch_size]
        filled = some + some[-1:] * (batch_size - len(some))
        found = predict(
            np.stack([image[y : y + tile, x : x + tile] for y, x in filled])
        )
        if not start:
            total = np.repeat(weights, found.shape[-1], axis=-1)
        for (y, x), values in zip(some, found, strict=False):
            weight = np.outer(rows[y], columns[x])[..., None]
            total[y : y + tile, x : x + tile] += weight * values
            weights[y : y + tile, x : x + tile] += weight
    return (total / weights)[:height, :width]


def _fades(side: int, tile: int, overlap: int) -> dict[int, np.ndarray]:
    """Returns the pixel weights of each tile along a side, by its start."""
    starts = [*range(0, side - tile, tile - overlap), side - tile]
    ramp = (np.arange(tile, dtype="float32") + 0.5 - overlap / 4) * 2
    ramp = np.clip(ramp / max(overlap, 1), 0, 1)
    fades = {}
    for start in starts:
        # There is no next tile beyond the image.
        rising = ramp if start else np.ones_like(ramp)
        falling = ramp[::-1] if start < starts[-1] else np.ones_like(ramp)
        fades[start] = np.minimum(rising, falling)
    return fades
