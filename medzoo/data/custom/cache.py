"""Custom images, decoded once into a memory-mapped array that all share."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock

from medzoo.data.custom.address import Address
from medzoo.data.custom.build import build, build_masks
from medzoo.data.custom.folder import list_folder
from medzoo.data.custom.listing import Listing
from medzoo.data.custom.manifest import (
    Manifest,
    array_path,
    make_stamp,
    masks_path,
    read_rows,
)
from medzoo.data.custom.mask_listing import list_masks
from medzoo.data.custom.table import list_table
from medzoo.data.folders import derived_path
from medzoo.files import writing


class Cache(NamedTuple):
    """Decoded images on disk.

    Args:
        folder: Holds `manifest.json`, `images.csv` (each image with its split)
            and the array.
        manifest: What is known of them.
    """

    folder: Path
    manifest: Manifest

    def images(self) -> np.ndarray:
        """Maps the images: train, then val, then test."""
        path = array_path(self.folder, self.manifest.fingerprint)
        return np.lib.format.open_memmap(path, mode="r")

    def masks(self) -> np.ndarray:
        """Maps the masks of these images, if they have any."""
        path = masks_path(self.folder, self.manifest.fingerprint)
        return np.lib.format.open_memmap(path, mode="r")

    def rows(self) -> list[dict[str, str]]:
        """Reads `images.csv`: what is known of each image, in that order."""
        return read_rows(self.folder / "images.csv")

    def labels(self) -> np.ndarray:
        """Returns the labels of the images, `int32`; -1 of those without."""
        numbers = {name: at for at, name in enumerate(self.manifest.classes)}
        numbers[""] = -1
        found = [numbers[row["label"]] for row in self.rows()]
        return np.array(found, np.int32)


def open_cache(
    address: Address, size: int, options: Mapping[str, Any]
) -> Cache:
    """Opens the decoded images of a source of files, or decodes them.

    As long as names, sizes and times of change of all files stay the same,
    nothing is read again. The cache lies beside the source, or in the user's
    cache folder if that place is read-only.

    Args:
        address: A folder or a CSV file, with or without masks.
        size: Height and width of the images.
        options: All options of the source.

    Raises:
        FileNotFoundError: If the source is not there, or there is no room.
        ValueError: With a line for each bad file, row or class.
    """
    listing = list_images(address, options)
    what = json.dumps([size, dict(options)], sort_keys=True)
    key = f"{size}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"
    folder = derived_path(address.path.resolve(), ".medzoo") / key
    faults = [tuple(fault) for fault in listing.faults]
    stamp = make_stamp(listing.items, (what, faults, listing.empty_classes))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock").acquire()
    with lock:
        manifest = Manifest.read(folder / "manifest.json")
        if manifest is None or not _is_fresh(folder, manifest, stamp):
            make = build_masks if address.kind == "masks" else build
            manifest = make(listing, stamp, folder, size, options)
    return Cache(folder, manifest)


def list_images(address: Address, options: Mapping[str, Any]) -> Listing:
    """Lists the images of a folder or CSV file without opening them."""
    if address.kind == "masks":
        return list_masks(address.path, options)
    if address.kind == "folder":
        return list_folder(address.path, options["channels"])
    return list_table(address.path, options)


def _is_fresh(folder: Path, manifest: Manifest, stamp: str) -> bool:
    path = array_path(folder, manifest.fingerprint)
    return manifest.stamp == stamp and path.is_file()
