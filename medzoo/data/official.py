"""Official MedMNIST files, verified and loaded."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from medzoo.data.checksums import verify
from medzoo.data.dataset import Dataset, Split
from medzoo.data.folders import find_file, find_missing
from medzoo.data.npz import check_arrays, map_array, read_array
from medzoo.files import in_checkout
from medzoo.tasks import SPLITS, Task, get_task

# Bytes above which images of size 28 are mapped as well: all processes of a
# machine then share one copy, of which only what is used need be in memory.
MAP_ABOVE = 2**24


def load_medmnist(task: str, size: int = 28) -> Dataset:
    """Loads the official file of a task from the data folder.

    Large arrays are memory-mapped, so that processes share one copy.

    Raises:
        FileNotFoundError: If the file is not there.
        ValueError: If the file is damaged, is not the published one or does not
            hold what the task's facts say.
    """
    require_files([task], size, download=False)
    facts = get_task(task)
    try:
        splits = read_npz(find_file(task, size), task, size)
    except ValueError as error:
        raise _with_way_out(error, task, size) from error
    fingerprint = f"medmnist:{task}:{size}:{facts.md5s[size]}"
    train, val, test = (splits[name] for name in SPLITS)
    return Dataset(task, facts.classes, train, val, test, fingerprint)


def read_npz(
    path: Path, task: str, size: int = 28, *, map_above: int = MAP_ABOVE
) -> dict[str, Split]:
    """Reads a file in MedMNIST's layout and checks all that it holds.

    Args:
        path: An npz archive with `train_images`, `train_labels` and so on.
        task: Name of the task whose classes, channels and split sizes it has.
        size: Height and width of the images. Those above 28 are memory-mapped.
        map_above: Arrays of more bytes are memory-mapped as well.

    Raises:
        ValueError: If an array is missing, damaged or not what it should be.
    """
    facts = get_task(task)
    check_arrays(path, _expected_shapes(facts, size))
    return {
        name: _read_split(path, facts, size, name, map_above) for name in SPLITS
    }


def require_files(
    tasks: Iterable[str], size: int = 28, *, download: bool = True
) -> None:
    """Makes sure that the published files are in the data folder.

    Args:
        size: Height and width of the images.
        download: Whether missing files are downloaded, with a progress bar.

    Raises:
        FileNotFoundError: If files are missing (and cannot be downloaded).
        ValueError: If a file is damaged or not the published one.
    """
    tasks = list(tasks)
    missing = [task for task in tasks if find_missing([task], size)]
    if missing:
        _download(missing, size, download)
    for task in tasks:
        try:
            _verify(find_file(task, size), get_task(task), size)
        except ValueError as error:
            raise _with_way_out(error, task, size) from error


def download_command(tasks: Iterable[str], size: int = 28) -> str:
    """Words the command that downloads the files of the tasks."""
    command = f"medzoo download {' '.join(tasks)}"
    return command if size == 28 else f"{command} --size {size}"


def _download(missing: list[str], size: int, download: bool) -> None:
    if not download:
        raise FileNotFoundError(_format_missing(missing, size))
    # requests and rich are not needed as long as the files are there.
    from medzoo.data.download import download_tasks

    try:
        download_tasks(missing, size)
    except FileNotFoundError as error:
        missing = [task for task in missing if find_missing([task], size)]
        raise FileNotFoundError(
            f"{error} {_format_missing(missing, size)}"
        ) from error


def _format_missing(tasks: list[str], size: int) -> str:
    names = ", ".join(f"`{task}`" for task in tasks)
    paths = ", ".join(map(str, find_missing(tasks, size)))
    return (
        f"No file for task {names} of size {size}. Looked for: {paths}. "
        f"Run `{download_command(tasks, size)}` where there is a network, set "
        "MEDZOO_DATA to the folder that has them, or pass --data synthetic"
        f"{' (with make: DATA=synthetic)' * in_checkout()}."
    )


def _with_way_out(error: ValueError, task: str, size: int) -> ValueError:
    command = download_command([task], size)
    return ValueError(f"{error} Remove it and run `{command}`.")


def _verify(path: Path, facts: Task, size: int) -> None:
    try:
        verify(path, facts.checksum(size))
    except ValueError:
        # A fault in the content says more than another checksum.
        check_arrays(path, _expected_shapes(facts, size))
        raise


def _expected_shapes(facts: Task, size: int) -> dict[str, tuple[int, ...]]:
    image = (size, size) if facts.channels == 1 else (size, size, 3)
    shapes: dict[str, tuple[int, ...]] = {}
    for split in SPLITS:
        shapes[f"{split}_images"] = (facts.num_images[split], *image)
        shapes[f"{split}_labels"] = (facts.num_images[split], 1)
    return shapes


def _read_split(
    path: Path, facts: Task, size: int, split: str, map_above: int
) -> Split:
    name = f"{split}_images"
    num_bytes = math.prod(_expected_shapes(facts, size)[name])
    is_large = size > 28 or num_bytes > map_above
    images = (map_array if is_large else read_array)(path, name)
    labels = read_array(path, f"{split}_labels")[:, 0].astype(np.int32)
    if labels.max() >= facts.num_classes:
        raise ValueError(
            f"Array `{split}_labels` of `{path}` must hold labels from 0 to "
            f"{facts.num_classes - 1}. Received: values from {labels.min()} to "
            f"{labels.max()}."
        )
    return Split(images if facts.channels == 3 else images[..., None], labels)
