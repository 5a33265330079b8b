"""Images for a finished model: files, folders and npz archives."""

import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from medzoo.data.custom.pixels import DAMAGE
from medzoo.data.resizing import shrink

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
# What NumPy raises for a file that is no archive of plain arrays.
_NO_ARCHIVE = (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile)


class Images(NamedTuple):
    """Images with their names.

    Args:
        names: Paths; `archive.npz:test_images[3]` for those of an archive.
        images: `uint8`, shape `(n, height, width, channels)`.
    """

    names: list[str]
    images: np.ndarray


def read_images(
    paths: Iterable[str | Path],
    input_shape: tuple[int, int, int],
    resize: str | None = None,
) -> Images:
    """Reads images in the shape that a model takes.

    A grey image fits a model of RGB images: it gets three equal channels.
    Nothing is resized by default, since a model that was trained on 28x28
    images says nothing about crops or scales that it has not seen.

    Args:
        paths: Image files, folders that hold some at any depth, and npz
            archives with arrays called `images` or `<split>_images`.
        input_shape: `(height, width, channels)` of the model.
        resize: `pad` or `stretch`, as custom data are for a training.

    Raises:
        FileNotFoundError: If there is no such path, or no image in it.
        ValueError: If an image is damaged or does not fit.
    """
    names: list[str] = []
    images: list[np.ndarray] = []
    for name, image in _read_all(paths):
        names.append(name)
        if resize is not None:
            shape = (*image.shape[:2], input_shape[2])
            image = shrink(_fit(image, name, shape), input_shape[0], resize)
        images.append(_fit(image, name, input_shape))
    return Images(names, np.stack(images))


def each_image(
    paths: Iterable[str | Path], channels: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields images of any size, of 1 or 3 channels, with their names.

    Paths and errors are those of `read_images`.
    """
    for name, image in _read_all(paths):
        height, width = image.shape[:2]
        yield name, _fit(image, name, (height, width, channels))


def _read_all(paths: Iterable[str | Path]) -> Iterator[tuple[str, np.ndarray]]:
    names = list(map(str, paths))
    is_empty = True
    for name, image in _iterate(names):
        is_empty = False
        yield name, image
    if is_empty:
        raise FileNotFoundError(
            f"No image there. Expected files that end in {', '.join(ENDINGS)}, "
            f"folders of them, or npz archives. Received: {', '.join(names)}."
        )


def _iterate(paths: Iterable[str | Path]) -> Iterator[tuple[str, np.ndarray]]:
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"No such file or folder: {path}.")
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file())
            yield from _iterate(p for p in files if p.suffix.lower() in ENDINGS)
        elif path.suffix == ".npz":
            yield from _read_archive(path)
        else:
            yield str(path), _read_file(path)


def _read_file(path: Path) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a file that unpacks to gigabytes.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.mode in ("1", "P", "RGBA", "LA"):
                    grey = image.mode in ("1", "LA")
                    return np.array(image.convert("L" if grey else "RGB"))
                return np.array(image)
    except DAMAGE as error:
        raise ValueError(
            f"`{path}` is damaged or no image. Expected a file that ends in "
            f"{', '.join(ENDINGS)}. Received: {error}."
        ) from None


def _read_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = [key for key in archive.files if key.endswith("images")]
            arrays = {key: archive[key] for key in keys}
    except _NO_ARCHIVE as error:
        raise ValueError(
            f"`{path}` is damaged, or holds pickled objects, which could run "
            f"any code and are never loaded. Received: {error}."
        ) from None
    if not arrays:
        raise ValueError(
            f"`{path}` holds no images. Expected an array called `images` or "
            "`<split>_images`."
        )
    for key, array in arrays.items():
        for index in range(len(array)):
            yield f"{path}:{key}[{index}]", array[index]


def _fit(
    image: np.ndarray, name: str, input_shape: tuple[int, int, int]
) -> np.ndarray:
    """Gives an image the channels of the model, or says why it does not fit."""
    if image.ndim == 2:
        image = image[..., None]
    height, width, channels = input_shape
    if image.shape == (height, width, 1) and channels == 3:
        image = np.repeat(image, 3, axis=-1)
    if image.shape == (height, width, 3) and channels == 1:
        if not (image == image[..., :1]).all():
            raise ValueError(
                f"`{name}` has colours. Expected a grey image for this model."
            )
        image = image[..., :1]
    if image.shape != input_shape or image.dtype != np.uint8:
        raise ValueError(
            f"`{name}` does not fit the model. Expected uint8 of shape "
            f"{input_shape}. Received: {image.dtype} of shape {image.shape}."
        )
    return image
