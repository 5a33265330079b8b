"""Custom npz archives in MedMNIST's layout."""

from pathlib import Path

import numpy as np

from medzoo.data.checksums import md5_of
from medzoo.data.dataset import Dataset, Split
from medzoo.data.npz import (
    describe_array,
    list_arrays,
    map_array,
    read_array,
    read_texts,
)
from medzoo.tasks import SPLITS


def load_arrays(path: Path, task: str, size: int) -> Dataset:
    """Loads `train_images`, `train_labels` and so on from an npz archive.

    Images are memory-mapped. Classes are named by `classes` of the archive, or
    by their numbers; its `notes` replace that on the split. `read_groups` reads
    what must stay in one split.

    Args:
        path: The archive.
        task: Name of the task.
        size: Height and width that the images must have.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an array is missing, damaged or not what it should be.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No file `{path}`. Expected an npz archive in MedMNIST's layout."
        )
    splits = [_read_split(path, name, size) for name in SPLITS]
    if len({split.images.shape[-1] for split in splits}) > 1:
        raise ValueError(f"`{path}` has grey and coloured splits.")
    train, val, test = splits
    texts = read_texts(path, "classes", "notes")
    highest = max(int(split.labels.max()) for split in splits)
    names = texts.get("classes") or tuple(map(str, range(highest + 1)))
    highest = max(highest, len(names) - 1)
    absent = sorted(set(range(highest + 1)) - set(train.labels.tolist()))
    if absent or highest >= len(names):
        raise ValueError(
            f"Labels of `{path}` must run from 0 without a gap, each in train. "
            f"Received: 0 to {highest}, without {absent} in train."
        )
    if highest < 1:
        raise ValueError(
            f"All images of `{path}` are of one class. Expected two at least."
        )
    return Dataset(
        task,
        names,
        train,
        val,
        test,
        fingerprint=f"own:{md5_of(path)[:16]}:npz",
        notes=texts.get("notes", ("Split as given in the file.",)),
    )


# More classes are no classes but numbers, and would fill the memory.
MOST_CLASSES = 10_000


def find_size(path: Path) -> int | None:
    """Returns height and width of the images; `None` if they are no squares.

    Raises:
        ValueError: If the archive is damaged, or has no images.
    """
    shape, _ = describe_array(path, "train_images")
    return shape[1] if len(shape) > 2 and shape[1] == shape[2] else None


def read_groups(path: Path) -> list[str]:
    """Reads `train_groups`, `val_groups` and `test_groups`, if they are there.

    Returns:
        What stays in one split, such as a patient, of each image of train, val
        and test in turn, empty for -1; nothing without these arrays.

    Raises:
        ValueError: If some of them are missing, or have another length.
    """
    if not set(list_arrays(path)) & {f"{split}_groups" for split in SPLITS}:
        return []
    groups: list[str] = []
    for split in SPLITS:
        name = f"{split}_groups"
        shape, dtype = describe_array(path, name)
        length = describe_array(path, f"{split}_labels")[0][0]
        if shape not in ((length,), (length, 1)) or dtype.kind not in "iuU":
            raise ValueError(
                f"Array `{name}` of `{path}` must hold one whole number or "
                f"text an image, shape ({length},). Received: {dtype} of shape "
                f"{shape}."
            )
        groups += map(str, read_array(path, name).reshape(-1).tolist())
    return ["" if group == "-1" else group for group in groups]


def _read_split(path: Path, split: str, size: int) -> Split:
    shape, dtype = describe_array(path, f"{split}_images")
    if dtype != np.uint8 or len(shape) not in (3, 4) or 0 in shape:
        raise ValueError(
            f"Array `{split}_images` of `{path}` must be uint8 of shape (n, "
            f"height, width) or (n, height, width, 3). Received: {dtype} of "
            f"shape {shape}."
        )
    if len(shape) == 4 and shape[3] not in (1, 3):
        raise ValueError(
            f"Array `{split}_images` of `{path}` must have 1 or 3 channels. "
            f"Received: shape {shape}."
        )
    if shape[1:3] != (size, size):
        raise ValueError(
            f"`{path}` holds images of {shape[1]}x{shape[2]} pixels, which are "
            f"not resized. Received: size={size}. Set `size = {shape[1]}`."
        )
    describe_array(path, f"{split}_labels")  # Refuses Python objects.
    labels = read_array(path, f"{split}_labels")
    if labels.dtype.kind not in "iu" or labels.shape not in (
        (shape[0],),
        (shape[0], 1),
    ):
        raise ValueError(
            f"Array `{split}_labels` of `{path}` must hold one whole number an "
            f"image, shape ({shape[0]},) or ({shape[0]}, 1). Received: "
            f"{labels.dtype} of shape {labels.shape}."
        )
    labels = labels.reshape(-1)
    # Before they are narrowed: 2^32 + 1 would become 1.
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise ValueError(
            f"Array `{split}_labels` of `{path}` must hold labels from 0 to "
            f"{MOST_CLASSES - 1}. Received: values from {labels.min()} to "
            f"{labels.max()}."
        )
    labels = labels.astype(np.int32)
    images = map_array(path, f"{split}_images")
    return Split(images[..., None] if len(shape) == 3 else images, labels)
