"""Images for a finished model, read as those of its training were."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medzoo.data.custom.address import Address, is_custom, parse_address
from medzoo.data.custom.listing import Item, list_images
from medzoo.data.custom.options import Options
from medzoo.data.custom.pixels import fit_channels, read_pixels
from medzoo.data.custom.table import BadImage, DeepImage, Fault
from medzoo.data.custom.walk import ENDINGS, is_image, walk
from medzoo.data.npz import list_arrays, read_array
from medzoo.data.resizing import shrink

# Endings of images of other kinds, which no training takes.
_OTHER = (".gif", ".jp2", ".dcm", ".heic", ".svg", ".psd")
_MOST_LINES = 60
# Images that the threads are given at a time.
_CHUNK = 1024


class Picture(NamedTuple):
    """One image as a model takes it.

    Args:
        name: Its path; `archive.npz:test_images[3]` in an archive; as in the
            table, if it is of one.
        values: `uint8`, shape `(height, width, channels)`.
        shape: Height and width before it was resized.
    """

    name: str
    values: np.ndarray
    shape: tuple[int, int]


@dataclass(frozen=True)
class Reader:
    """How images become the input of a model.

    Args:
        shape: Height, width and channels that the model takes.
        options: Of the data that it was trained on.
        ranges: Values of 16-bit files that become 0 and 255, by channel.
        has_masks: Whether those data had masks, which are no images.
        resize: Whether images of another size are resized.
        any_size: Whether the model takes such images as they are.
        faults: Images that cannot be used; filled while they are read.
    """

    shape: tuple[int, int, int]
    options: Options = field(default_factory=Options)
    ranges: tuple[tuple[int, int], ...] = ()
    has_masks: bool = False
    resize: bool = False
    any_size: bool = False
    faults: list[Fault] = field(default_factory=list)

    def read(self, paths: Iterable[str | Path]) -> Iterator[Picture]:
        """Yields the images that can be used, in order.

        A grey image fits a model of colours, and one of equal channels a model
        of grey images.

        Args:
            paths: Image files, folders that hold some at any depth, CSV files
                with the columns of the training, and npz archives with arrays
                called `images` or `<split>_images`.

        Raises:
            FileNotFoundError: If there is no such path, or no image in it.
            ValueError: If an archive or a table cannot be read.
        """
        names = list(map(str, paths))
        count = 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            left = self._list(names)
            while batch := [*itertools.islice(left, _CHUNK)]:
                # Pillow lets go of the interpreter while it decodes.
                for picture in pool.map(self._try, batch):
                    count += 1
                    if isinstance(picture, Fault):
                        self.faults.append(picture)
                    else:
                        yield picture
        if not count and not self.faults:
            raise FileNotFoundError(
                f"No image there. Expected files that end in "
                f"{', '.join(ENDINGS)}, folders of them, CSV files or npz "
                f"archives. Received: {', '.join(names)}."
            )

    def require_good(self, *, skip_bad: bool) -> str:
        """Words what could not be used, a line each.

        Raises:
            ValueError: With these lines, unless bad files are skipped.
        """
        if not self.faults:
            return ""
        lines = [f"  {fault}" for fault in self.faults[:_MOST_LINES]]
        if len(self.faults) > _MOST_LINES:
            lines.append(f"  ... and {len(self.faults) - _MOST_LINES} more")
        count = f"{len(self.faults)} file{'s' * (len(self.faults) > 1)}"
        if skip_bad:
            return "\n".join([f"{count} left out (--skip-bad):", *lines])
        raise ValueError(
            "\n".join(
                [
                    f"{count} cannot be used; nothing is written.",
                    *lines,
                    "Mend them, or pass --skip-bad to leave them out.",
                ]
            )
        )

    def _list(self, names: Iterable[str]) -> "Iterator[Item | Picture]":
        """Lists the files of images, and the images of archives."""
        files: list[Path] = []
        for name in names:
            path = Path(name)
            if not path.exists() and is_custom(name):
                path = parse_address(name).path
            if not path.exists():
                raise FileNotFoundError(f"No such file or folder: {path}.")
            if path.is_dir():
                if self.has_masks:
                    yield from self._list_masked(path)
                else:
                    found = [one for one in walk(path) if _is_image(one)]
                    yield from self._join(found, is_folder=True)
            elif path.suffix.lower() == ".npz":
                yield from self._read_archive(path)
            elif path.suffix.lower() in (".csv", ".tsv"):
                yield from self._list_table(path)
            else:
                files.append(path)
        yield from self._join(files)

    def _list_table(self, path: Path) -> list[Item]:
        """Lists the images of a table, with labels or without."""
        options = replace(
            self.options,
            path=self.options.path or "path",
            label="",
            split="",
            group="",
            mask="",
            mask_class="",
            page="",
        )
        listing = list_images(Address("csv", path), options)
        self.faults.extend(listing.faults)
        return listing.items

    def _list_masked(self, path: Path) -> list[Item]:
        """Lists the images of a folder that may hold their masks as well."""
        unlabelled = replace(
            Options(),
            mask=self.options.mask if "{" in self.options.mask else "",
            no_mask="empty",
        )
        listing = list_images(Address("masks", path), unlabelled)
        images = [fault for fault in listing.faults if _is_image(fault.name)]
        self.faults.extend(images)
        return [
            item._replace(name=str(item.paths[0])) for item in listing.items
        ]

    def _join(
        self, files: Sequence[Path], *, is_folder: bool = False
    ) -> list[Item]:
        """Makes an image of each file, or of the files of its channels.

        A folder may have other files beside them, as that of a training.
        """
        channels = self.options.channels
        if not channels or not files:
            return [Item(str(path), (path,), "") for path in files]
        shapes = [_to_shape(channel) for channel in channels]
        images: dict[tuple[Path, str], dict[int, Path]] = {}
        for path in files:
            matches = [shape.fullmatch(path.name) for shape in shapes]
            if not any(matches) and not is_folder:
                reason = f"no file of a channel ({', '.join(channels)})"
                self.faults.append(Fault(str(path), reason))
            for at, match in enumerate(matches):
                if match:
                    key = path.parent, match[1]
                    images.setdefault(key, {})[at] = path
        items = []
        for (folder, name), found in images.items():
            missing = [at for at in range(len(channels)) if at not in found]
            if missing:
                lacking = ", ".join(Path(channels[at]).name for at in missing)
                reason = f"no file of the channel {lacking}"
                self.faults.append(Fault(str(folder / name), reason))
                continue
            paths = tuple(found[at] for at in range(len(channels)))
            items.append(Item(str(paths[0]), paths, ""))
        return items

    def _try(self, one: "Item | Picture") -> Picture | Fault:
        try:
            if isinstance(one, Picture):
                return self._fit_array(one)
            return self._read_files(one)
        except DeepImage:
            reason = (
                "16 bits, where the files of the training have 8; save it in "
                "8 bits, scaled as they are"
            )
            return Fault(one.name, reason)
        except BadImage as bad:
            return Fault(one.name, str(bad))

    def _read_files(self, item: Item) -> Picture:
        height, width, channels = self.shape
        options = self.options
        if not is_image(item.paths[0]):
            kinds = ", ".join(ENDINGS)
            raise BadImage(f"not an image of the kinds {kinds}")
        values, facts = read_pixels(
            item.paths,
            size=height if self.resize else None,
            mode=options.mode,
            resize=options.resize,
            deep=options.intensity != "bytes",
        )
        self._check_size(*values.shape[:2])
        if channels == 1 and not facts.is_grey:
            _check_grey(values, facts.mode)
        return Picture(
            item.name,
            fit_channels(values, channels, self.ranges),
            (facts.height, facts.width),
        )

    def _fit_array(self, picture: Picture) -> Picture:
        height, _, channels = self.shape
        values = picture.values
        if self.resize and values.shape != self.shape:
            values = shrink(values, height, self.options.resize)
        self._check_size(*values.shape[:2])
        if channels == 1:
            _check_grey(values, "RGB")
        return picture._replace(values=fit_channels(values, channels))

    def _check_size(self, height: int, width: int) -> None:
        expected = self.shape[:2]
        if self.any_size or (height, width) == expected:
            return
        raise BadImage(
            f"{width}x{height} pixels, where {expected[1]}x{expected[0]} "
            "belong; --resize resizes images as for a training"
        )

    def _read_archive(self, path: Path) -> Iterator[Picture]:
        keys = [key for key in list_arrays(path) if key.endswith("images")]
        arrays = {key: read_array(path, key) for key in keys}
        if not arrays:
            raise ValueError(
                f"`{path}` holds no images. Expected an array called `images` "
                "or `<split>_images`."
            )
        for key, array in arrays.items():
            if array.ndim == 3:
                array = array[..., None]
            shape = array.shape
            if array.dtype != np.uint8 or shape[3:] not in ((1,), (3,)):
                raise ValueError(
                    f"Array `{key}` of `{path}` holds no images. Expected "
                    "uint8 of shape (n, height, width) or (n, height, width, "
                    f"3). Received: {array.dtype} of shape {shape}."
                )
            for at, values in enumerate(array):
                yield Picture(f"{path}:{key}[{at}]", values, shape[1:3])


def _is_image(path: str | Path) -> bool:
    return str(path).lower().endswith((*ENDINGS, *_OTHER))


def _check_grey(values: np.ndarray, mode: str) -> None:
    if not (values == values[..., :1]).all():
        raise BadImage(
            f"in colour (mode {mode}), where the images of the training were "
            "grey"
        )


def _to_shape(channel: str) -> re.Pattern[str]:
    """Turns the pattern of a channel's files into one of their names.

    Raises:
        ValueError: If it is the name of a column.
    """
    parts = re.split(r"\{[^{}]*\}", Path(channel).name)
    if len(parts) < 2:
        raise ValueError(
            "This model takes images of several files, which columns of a "
            "table name. Expected a CSV file with these columns. Received: "
            f"channels of {channel!r}."
        )
    middle = "(.+)" + "".join(f"{re.escape(p)}.+" for p in parts[1:-1])
    return re.compile(re.escape(parts[0]) + middle + re.escape(parts[-1]))
