"""Images resized as for a training, and predictions resized back."""

from dataclasses import replace

import numpy as np
from PIL import Image

from medzoo.data.custom.pixels import fit_box, fit_channels, resize_image
from medzoo.data.dataset import Dataset
from medzoo.tasks import SPLITS


def shrink(image: np.ndarray, size: int, resize: str) -> np.ndarray:
    """Resizes an image as images are for a training.

    Args:
        image: `uint8`, shape `(height, width, channels)`, 1 or 3 channels.
        size: Height and width of the result.
        resize: `pad` keeps the shape and fills up with black; `stretch` does
            not.

    Returns:
        `uint8`, shape `(size, size, channels)`.

    Example:

    >>> shrink(np.full((4, 8, 1), 9, "uint8"), 4, "pad")[..., 0].tolist()
    [[0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9], [0, 0, 0, 0]]
    """
    grey = image.shape[-1] == 1
    picture = Image.fromarray(image[..., 0] if grey else image)
    return np.asarray(resize_image(picture, size, resize)).reshape(
        size, size, image.shape[-1]
    )


def fit_dataset(
    data: Dataset, shape: tuple[int, int, int], resize: str
) -> Dataset:
    """Gives all images of a dataset the size and channels of a model.

    Args:
        data: The dataset; masks stay as they are.
        shape: `(height, width, channels)` that the model takes.
        resize: `pad` or `stretch`.

    Raises:
        ValueError: If there are coloured images for a model of grey ones.
    """
    if data.input_shape == shape:
        return data
    height, _, channels = shape
    splits = {}
    for name in SPLITS:
        split = getattr(data, name)
        images = split.images
        if data.input_shape[:2] != shape[:2]:
            images = np.stack([shrink(one, height, resize) for one in images])
        if channels == 1 and not (images == images[..., :1]).all():
            raise ValueError(
                f"Images of {name} of `{data.task}` are in colour. Expected "
                "grey ones, as those of the training were."
            )
        splits[name] = replace(split, images=fit_channels(images, channels))
    return replace(data, **splits)


def enlarge(
    values: np.ndarray, shape: tuple[int, int], resize: str
) -> np.ndarray:
    """Resizes values of a resized image to the size of the original.

    Args:
        values: `float32`, shape `(size, size, num_values)`.
        shape: Height and width of the image.
        resize: `pad` or `stretch`, as it was resized; padding is cut off.

    Returns:
        `float32`, shape `(*shape, num_values)`, by linear interpolation.

    Example:

    >>> enlarge(np.ones((4, 4, 2), "float32"), (4, 8), "pad").shape
    (4, 8, 2)
    """
    height, width = shape
    box = values.shape[1::-1]
    if resize == "pad":
        box = fit_box(width, height, len(values))
    left, top = (round((len(values) - side) / 2) for side in box)
    inside = values[top : top + box[1], left : left + box[0]]
    planes = [
        Image.fromarray(np.ascontiguousarray(plane)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for plane in np.moveaxis(inside, -1, 0)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)
