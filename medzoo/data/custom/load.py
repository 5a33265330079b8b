"""Custom data as a `Dataset`, with the facts of its task."""

import dataclasses
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from medzoo.data.audit.leaks import drop_leaks
from medzoo.data.custom import arrays
from medzoo.data.custom.address import parse_address
from medzoo.data.custom.build import open_cache
from medzoo.data.custom.cache import Cache
from medzoo.data.custom.options import Option, complete
from medzoo.data.dataset import Dataset, MaskedDataset, MaskedSplit, Split
from medzoo.data.folders import derived_path
from medzoo.data.kept import keep
from medzoo.data.splits import describe_absent
from medzoo.tasks import SPLITS, Task

Options = tuple[tuple[str, Option], ...]


def load_custom(
    task: str, data: str, size: int, options: Mapping[str, Any]
) -> Dataset:
    """Loads custom images as they were when this process first read them.

    Arguments and errors are those of `read_custom`.
    """
    given = tuple(sorted(options.items()))
    return _load(task, data, size, given, os.getcwd())


def describe_custom(
    task: str, data: str, size: int, options: Mapping[str, Any]
) -> Task:
    """Returns the facts of custom data, in the form that the 11 tasks have."""
    dataset = load_custom(task, data, size, options)
    counts = {name: len(getattr(dataset, name)) for name in SPLITS}
    two = dataset.num_classes == 2
    return Task(
        name=task,
        title=task,
        kind="binary-class" if two else "multi-class",
        classes=dataset.classes,
        channels=dataset.input_shape[-1],
        num_images=MappingProxyType(counts),
        licence="custom data",
        urls=MappingProxyType({}),
        md5s=MappingProxyType({}),
    )


@keep(8)
def _load(
    task: str, data: str, size: int, options: Options, _folder: str
) -> Dataset:
    # A relative path means other data in another folder.
    return read_custom(task, data, size, dict(options))


def read_custom(
    task: str, data: str, size: int, options: Mapping[str, Any]
) -> Dataset:
    """Reads custom images; they are decoded unless their files are unchanged.

    Args:
        task: The name that they get.
        data: Their address, such as `folder:PATH`.
        size: Height and width of the images.
        options: Those that do not hold their default.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: With a line for each bad file, row or class.
    """
    dataset = _read(task, data, size, options)
    notes = (*dataset.notes, *describe_absent(dataset))
    return dataclasses.replace(dataset, notes=notes)


def _read(
    task: str, data: str, size: int, options: Mapping[str, Any]
) -> Dataset:
    given = dict(options)
    given.pop("folds", None)  # Of the dataset that this makes.
    leaks = given.pop("drop_leaks", False)
    address = parse_address(data)
    if address.kind == "npz":
        dataset = arrays.load_arrays(address.path, task, size)
        if not leaks:
            return dataset
        ending = f".{dataset.fingerprint.replace(':', '-')}.leaks.npy"
        path = derived_path(address.path.resolve(), ending)
        return drop_leaks(dataset, arrays.read_groups(address.path), path)
    cache = open_custom(data, size, given)
    dataset = _make_dataset(task, cache)
    if not leaks:
        return dataset
    groups = [row["group"] for row in cache.rows()]
    name = dataset.fingerprint.replace(":", "-")
    return drop_leaks(dataset, groups, cache.folder / f"{name}.leaks.npy")


def _make_dataset(task: str, cache: Cache) -> Dataset:
    about, images, labels = cache.manifest, cache.images(), cache.labels()
    rows = {name: about.rows(name) for name in SPLITS}
    facts: dict[str, Any] = {
        "task": task,
        "classes": tuple(about.classes),
        "fingerprint": about.fingerprint,
        "notes": tuple(about.notes),
        "ranges": tuple((low, high) for low, high in about.ranges),
    }
    if not about.mask_classes:
        splits = {k: Split(images[r], labels[r]) for k, r in rows.items()}
        return Dataset(**facts | splits)
    masks, names = cache.masks(), tuple(about.mask_classes)
    masked = {
        k: MaskedSplit(images[r], labels[r], masks[r]) for k, r in rows.items()
    }
    return MaskedDataset(**facts | masked, mask_classes=names)


def describe_rows(
    data: str, size: int, options: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Returns the facts of each image, in the order of train, val and test.

    Returns:
        `split`, `label`, `group`, `path`, `mode`, `width`, `height`, `sha256`;
        nothing for the arrays of an archive, which are no files.
    """
    if data.startswith("npz:"):
        return []
    return open_custom(data, size, options).rows()


def read_groups(data: str, size: int, options: Mapping[str, Any]) -> list[str]:
    """Returns what must stay in one split, such as the patient of each image.

    Returns:
        Of train, val and test in turn, empty for an image in no group; nothing
        for an archive without groups.
    """
    if data.startswith("npz:"):
        return arrays.read_groups(parse_address(data).path)
    return [row["group"] for row in describe_rows(data, size, options)]


def open_custom(data: str, size: int, options: Mapping[str, Any]) -> Cache:
    """Opens the cache of a folder or CSV file; decodes what is not there."""
    return open_cache(parse_address(data), complete(data, size, options))
