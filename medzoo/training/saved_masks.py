"""Masks and labels of images of any size, by a model that is kept."""

from typing import TYPE_CHECKING

import numpy as np

from medzoo.data.resizing import enlarge, shrink
from medzoo.training.evaluate import to_probabilities
from medzoo.training.segmentation import AT_A_TIME, each_batch
from medzoo.training.tiles import predict_by_tiles

if TYPE_CHECKING:
    from medzoo.training.saved import Saved


def predict_image(
    saved: "Saved", image: np.ndarray, *, resize: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predicts the mask of one image, and its label where it is known.

    An image of another size than those the model was trained on is predicted by
    tiles of that size. It has no label: the model has never seen a whole one.
    Resized, as images of own data are for a training, it has both.

    Args:
        saved: A model with masks.
        image: `uint8`, shape `(height, width, channels)`.
        resize: Whether to resize an image of another size, and its mask back.

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
        return _decide(logits), labels
    if height != width:
        raise ValueError(
            "Only a model of square images predicts those of another size. "
            f"Expected an image of shape {saved.input_shape}. "
            f"Received: {image.shape}."
        )

    if resize:
        small = shrink(image, height, saved.resize)
        logits, labels = _predict(saved, small)
        return _decide(enlarge(logits, image.shape[:2], saved.resize)), labels

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
