"""The cache of decoded custom data: its files, facts and fingerprint."""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medzoo.data.custom.listing import Listing
from medzoo.data.custom.options import Options
from medzoo.files import replacing, state_of
from medzoo.messages import encode_text
from medzoo.tasks import SPLITS

# Part of every fingerprint. Raise it when the same files give other pixels.
VERSION = 1
# Part of every stamp. Raise it when the same files give other masks or splits.
_READING = 4


@dataclass(frozen=True)
class Manifest:
    """The facts of one cache of decoded images.

    Args:
        stamp: Names, sizes and times of change of the files that it was made
            from, as a hash: while it is the same, nothing is read again.
        fingerprint: `own:<content>:<options>`. The first hash is of bytes,
            labels and splits; the second of size and options of pixels.
        classes: Names of the classes, in the order of their labels.
        channels: 1 or 3.
        num_images: By split.
        notes: Remarks on the data for tables of results.
        ranges: Values that became 0 and 255, by channel, of 16-bit files.
        mask_classes: Names of the classes of pixels, of images with masks.
        sums: Checksums of the other files of the cache, by name.
    """

    stamp: str
    fingerprint: str
    classes: list[str]
    channels: int
    num_images: dict[str, int]
    notes: list[str]
    ranges: list[tuple[int, int]]
    mask_classes: list[str] = field(default_factory=list)
    sums: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Manifest | None":
        """Reads a manifest; `None` if there is none or it is damaged."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Writes the manifest in one step."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        with replacing(path) as part:
            part.write_bytes(encode_text(text))

    def rows(self, split: str) -> slice:
        """Returns the rows of the array that hold a split."""
        before = SPLITS[: SPLITS.index(split)]
        start = sum(self.num_images[name] for name in before)
        return slice(start, start + self.num_images[split])


class Cache(NamedTuple):
    """Decoded images on disk: train, then val, then test.

    Args:
        folder: Holds `manifest.json`, `images.csv` (each image with its split)
            and the arrays.
        manifest: What is known of them.
    """

    folder: Path
    manifest: Manifest

    def images(self) -> np.ndarray:
        """Maps the images."""
        path = array_path(self.folder, self.manifest.fingerprint)
        return np.lib.format.open_memmap(path, mode="r")

    def masks(self) -> np.ndarray:
        """Maps the masks of these images, if they have any."""
        path = masks_path(self.folder, self.manifest.fingerprint)
        return np.lib.format.open_memmap(path, mode="r")

    def rows(self) -> list[dict[str, str]]:
        """Reads `images.csv`: the facts of each image, in their order."""
        path = self.folder / "images.csv"
        with path.open(
            encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            return list(csv.DictReader(file))

    def is_readable(self) -> bool:
        """Says whether `images.csv` has a row and a known label an image."""
        try:
            num_rows = len(self.labels())
        except (OSError, KeyError, csv.Error):
            return False
        return num_rows == sum(self.manifest.num_images.values())

    def labels(self) -> np.ndarray:
        """Returns the labels of the images, `int32`; -1 of those without."""
        numbers = {name: at for at, name in enumerate(self.manifest.classes)}
        numbers[""] = -1
        labels = [numbers[row["label"]] for row in self.rows()]
        return np.array(labels, np.int32)


def array_path(folder: Path, fingerprint: str) -> Path:
    """Names the array by its content, so that a stale one is never taken."""
    return folder / f"{fingerprint.replace(':', '-')}.npy"


def masks_path(folder: Path, fingerprint: str) -> Path:
    """Names the array of masks beside that of images."""
    return array_path(folder, fingerprint).with_suffix(".masks.npy")


def make_stamp(listing: Listing, extra: str) -> str:
    """Hashes the names, sizes and times of change of all files."""
    faults = [tuple(fault) for fault in listing.faults]
    digest = hashlib.sha256(repr((_READING, extra, faults)).encode())
    for item in listing.items:
        digest.update(repr(item).encode())
        for path in (*item.paths, *item.masks):
            digest.update(repr(state_of(path)).encode())
    return digest.hexdigest()


def make_fingerprint(rows: Sequence[tuple[str, ...]], options: Options) -> str:
    """Hashes the content of a dataset.

    Args:
        rows: Split, label, digest and group, if any, of each image, in order.
        options: Those that change pixels are hashed beside the content.
    """
    content = hashlib.sha256(repr((VERSION, rows)).encode()).hexdigest()
    o = options
    pixels = [o.size, o.mode, o.resize, o.intensity]
    how = hashlib.sha256(repr(pixels).encode()).hexdigest()
    return f"own:{content[:16]}:{how[:8]}"
