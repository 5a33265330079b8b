"""Images with their masks as they are listed, before any of them is opened."""

import bisect
import fnmatch
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from medzoo.data.custom.address import MEDICAL, Address
from medzoo.data.custom.attributes import read_attributes
from medzoo.data.custom.folder import read_class_folders, read_image_folder
from medzoo.data.custom.mask_names import find_mask_pattern
from medzoo.data.custom.options import Options
from medzoo.data.custom.paths import find_fault, locate
from medzoo.data.custom.pattern import Pattern, read_pattern
from medzoo.data.custom.spelling import require_one_spelling
from medzoo.data.custom.table import Fault, Row, Table, name_split, read_csv
from medzoo.data.custom.unread import (
    describe_one_hot,
    note_groups,
    note_unread,
    refuse_several,
    refuse_unread,
)
from medzoo.data.custom.walk import ENDINGS, walk
from medzoo.data.folders import data_folder, expand_path
from medzoo.messages import unknown

MASK_ENDINGS = (*ENDINGS, ".gif")


class Item(NamedTuple):
    """One image.

    Args:
        name: Its path relative to the folder of the data, for people; a number
            for files of patients, whose paths are written nowhere.
        paths: Its files: one, or one a channel.
        label: Name of its class; empty for an unlabelled image with masks.
        split: `train`, `val` or `test`; empty where none is given.
        group: What must stay in one split, such as a patient; may be empty.
        masks: The files that are joined to its mask.
        mask_class: Class of all that its masks mark, where a column names it.
    """

    name: str
    paths: tuple[Path, ...]
    label: str
    split: str = ""
    group: str = ""
    masks: tuple[Path, ...] = ()
    mask_class: str = ""


@dataclass
class Listing:
    """All images of a source, in order, and what is wrong with the others.

    Args:
        items: The images.
        faults: What is wrong with the others.
        has_masks: Whether they have masks.
        is_medical: Whether they are slices of DICOM or NIfTI files.
        attributes: Of each image, by its name and in the order of the data
            option; beside the items, as they decide nothing about them.
        notes: What else is to be known of them.
    """

    items: list[Item]
    faults: list[Fault]
    has_masks: bool = False
    is_medical: bool = False
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def list_images(address: Address, options: Options) -> Listing:
    """Lists the images of a folder or CSV file without opening them.

    A folder is read as if it were a table of its files. Columns of `split` and
    `group` are taken where they exist; named otherwise, they have to exist.

    `path` and `mask` are columns, or patterns with columns in braces; a mask
    may have `*`, or several paths with `|` between, for files that are joined.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it is no CSV file, or lacks a column.
    """
    _require_source(address, options)
    table, images, mask = _read_source(address, options)
    is_medical = address.kind in MEDICAL
    lister = _Lister(table, images, mask, options, is_medical=is_medical)
    lister.add_rows()
    if mask and table.is_folder:
        if not options.mask:
            _propose_pattern(table, lister.listing, images[0])
        lister.leave_out_masks()
        if not options.mask and (address.path / "masks").is_dir():
            faults = _find_orphans(address.path, lister.listing.items)
            lister.listing.faults += faults
    lister.leave_out_shared()
    where = f"Spell it alike in `{address.path}`."
    items = lister.listing.items
    refuse_several([item.label for item in items], str(address.path))
    for labels in (
        [(item.label, item.name) for item in items],
        [(item.mask_class, item.name) for item in items],
    ):
        require_one_spelling(labels, where)
    if not is_medical:  # Whose groups are patients, and in no sentence.
        groups = [(item.group, item.name) for item in items]
        require_one_spelling(groups, where, kind="group")
    return lister.listing


def _require_source(address: Address, options: Options) -> None:
    """Checks that published data are there, and says where to get them."""
    needed = (address.path, address.path.parent / expand_path(options.root))
    missing = [path for path in needed if not path.exists()]
    if options.page and missing:
        raise FileNotFoundError(
            f"No data at `{missing[0]}`: get them from {options.page} and "
            "unpack them there (MEDZOO_DATA names the data folder, now "
            f"{data_folder()}), or run the same on made-up images with "
            "`--data synthetic`."
        )


def _read_source(
    address: Address, options: Options
) -> tuple[Table, Sequence[str], str]:
    """Returns a source as a table, and where it has images and masks."""
    path = address.path
    if address.kind == "folder":
        channels = options.channels
        images = [f"{{folder}}/{part}" for part in channels] or ["path"]
        return read_class_folders(path, channels), images, ""
    if address.kind == "csv":
        return read_csv(path), options.channels or [options.path], ""
    if address.kind in MEDICAL:
        if path.is_file() or path.suffix == ".csv":
            return read_csv(path), [options.path or "path"], ""
        return read_class_folders(path, kind=address.kind), ["path"], ""
    if path.is_file() or path.suffix == ".csv":
        table, image, mask = read_csv(path), "path", "mask"
    else:
        have_labels = bool(options.label)
        table = read_image_folder(path, have_labels=have_labels)
        image, mask = _find_patterns(path, options)
    return table, [options.path or image], options.mask or mask


def _find_patterns(root: Path, options: Options) -> tuple[str, str]:
    """Returns where images and masks are in a folder.

    Images are in `images/` and masks of the same names in `masks/`; without
    these folders, the mask of `x.png` is every file beside it that begins with
    `x_mask`.

    Raises:
        FileNotFoundError: If it has `images` and no `masks`.
    """
    if not (root / "images").is_dir():
        return "{path}", "{folder}/{stem}_mask*"
    is_optional = options.mask or options.no_mask != "fault"
    if not is_optional and not (root / "masks").is_dir():
        names = ", ".join(sorted(path.name for path in root.iterdir()))
        raise FileNotFoundError(
            f"`{root}` has a folder `images`, but no `masks`. Expected masks "
            "there, called as their images, or a pattern such as mask = "
            f'"truth/{{stem}}.png". Received: {names}.'
        )
    return "images/{path}", "masks/{folder}/{stem}.*"


def _propose_pattern(table: Table, listing: Listing, image: str) -> None:
    """Raises a `ValueError` if masks are called otherwise, and says how."""
    masks = {path for item in listing.items for path in item.masks}
    found = {
        item.name
        for item in listing.items
        if item.masks or item.paths[0] in masks
    } | {path.relative_to(table.path).as_posix() for path in masks}
    prefix = image.replace("{path}", "")
    names = [prefix + row["path"] for _, row in table.rows]
    missing = [name for name in names if name not in found]
    if 2 * len(missing) < len(names):
        return
    files = [
        path.relative_to(table.path).as_posix()
        for path in walk(table.path)
        if path.suffix.lower() in MASK_ENDINGS
    ]
    match = find_mask_pattern(missing, files, prefix.rstrip("/"))
    if match is not None:
        pattern, first, mask = match
        raise ValueError(
            f"{len(missing)} of {len(names)} images of `{table.path}` have no "
            "mask called as they are. Expected a pattern of the names: mask = "
            f'"{pattern}" in the table [data] of a study file. Received: '
            f"`{first}` with `{mask}`."
        )


def _find_orphans(root: Path, items: Iterable[Item]) -> list[Fault]:
    """Finds masks whose image is missing, or has another name."""
    used = {path for item in items for path in item.masks}
    return [
        Fault(path.relative_to(root).as_posix(), "a mask without an image")
        for path in walk(root / "masks")
        if path.suffix.lower() in MASK_ENDINGS and path not in used
    ]


class _Lister:
    """Turns the rows of a table into items, or into faults.

    Args:
        table: The rows.
        images: Column or pattern of each file of an image.
        mask: That of its masks; empty for images without.
        options: Of the source.
        is_medical: Whether images get numbers in place of paths.
    """

    def __init__(
        self,
        table: Table,
        images: Sequence[str],
        mask: str,
        options: Options,
        *,
        is_medical: bool,
    ) -> None:
        self.options, self.table, self.has_masks = options, table, bool(mask)
        self.is_medical = is_medical
        self.images = [self._read_pattern(text) for text in images]
        self.mask = self._read_pattern(mask) if mask else None
        folder = table.path if table.is_folder else table.path.parent
        self.root = folder / expand_path(options.root)
        faults = table.faults
        if is_medical and table.is_folder:
            faults = [
                fault
                if (self.root / fault.name).is_dir()
                else fault._replace(name="a file")
                for fault in faults
            ]
        self.listing = Listing([], faults, self.has_masks, is_medical)
        # Those of a folder are in a table beside it.
        asked = read_attributes(() if table.is_folder else options.attributes)
        self.attributes = [attribute.name for attribute in asked]
        self._require_columns()
        self._seen: dict[tuple[str, ...], tuple[str, str]] = {}
        self._files: dict[str, list[str]] = {}
        # Images by the file of their mask, and by the pattern with a `*`.
        self._meant: dict[Path, dict[str, list[Path]]] = {}

    def _read_pattern(self, text: str) -> Pattern:
        try:
            return read_pattern(text, self.table.columns)
        except ValueError as error:
            raise self._refuse(error) from None

    def _refuse(self, sentence: object) -> ValueError:
        way_out = "Set `label`, `path` or `channels` to what the file has."
        if self.options.label not in self.table.columns:
            way_out += describe_one_hot(self.table)
        if self.has_masks:
            way_out = (
                "Set `path`, `mask`, `label` or `mask_class` to what there is, "
                "as a name of a column or a pattern such as "
                "`masks/{stem}_mask*.png`."
            )
        return ValueError(f"`{self.table.path}`: {sentence} {way_out}")

    def _require_columns(self) -> None:
        """Checks that each column that is read is there, and once."""
        keys = ("label", "split", "group", "mask_class")
        named = {key: getattr(self.options, key) for key in keys}
        needed = {name for key, name in named.items() if name not in ("", key)}
        needed |= {*self.attributes}
        if not self.mask:
            needed |= {named["label"]} - {""}
        columns = self.table.columns
        for name in sorted(needed - {*columns}):
            raise self._refuse(unknown("column", name, columns))
        patterns = filter(None, [*self.images, self.mask])
        read = {name for pattern in patterns for name in pattern.columns}
        read |= {*self.attributes}
        for name in sorted((read | {*named.values()}) - {""}):
            if columns.count(name) > 1:
                places = [
                    at for at, one in enumerate(columns, 1) if one == name
                ]
                raise ValueError(
                    f"`{self.table.path}` has {len(places)} columns called "
                    f"`{name}` (the {_count(places)}). Expected one. Received: "
                    f"{', '.join(columns)}. Call the others otherwise."
                )
        if not self.table.is_folder:
            read |= {*named.values()}
            refuse_unread(self.table, self.options, read)
            self.listing.notes = note_unread(self.table, self.options, read)
        elif not self.is_medical:
            self.listing.notes = note_groups(self.table, self.options)

    def add_rows(self) -> None:
        """Adds the item of each row, or its fault."""
        for at, (place, row) in enumerate(self.table.rows, 1):
            written = tuple(pattern.fill(row) for pattern in self.images)
            parts = tuple(locate(self.root, part) for part in written)
            masks, fault = self._check(row, parts)
            name = parts[0] or "no path"
            if self.is_medical:
                name = f"file {at}" if self.table.is_folder else place
            elif fault and not self.table.is_folder:
                name = f"{place}, {name}"
            if fault:
                self.listing.faults.append(Fault(name, fault))
                continue
            self._seen[_to_key(parts)] = place, self._read(row, "label")
            item = Item(
                name,
                tuple(self.root / part for part in parts),
                self._read(row, "label"),
                name_split(self._read(row, "split")) or "",
                self._read(row, "group"),
                tuple(self.root / part for part in masks),
                self._read(row, "mask_class"),
            )
            self.listing.items.append(item)
            cells = (" ".join(row[name].split()) for name in self.attributes)
            self.listing.attributes[item.name] = tuple(cells)

    def _read(self, row: Row, option: str) -> str:
        """Reads the column that an option names; one may name none.

        Blanks at its ends go, and inside of it all but single ones.
        """
        name = getattr(self.options, option)
        return " ".join(row.get(name, "").split()) if name else ""

    def _check(
        self, row: Row, parts: tuple[str, ...]
    ) -> tuple[list[str], str | None]:
        """Finds the masks of a row, or says what is wrong with it."""
        split, label = self._read(row, "split"), self._read(row, "label")
        columns = self.images[0].columns
        fault = self._find_fault(parts, *columns[:1])
        fault = fault or self._find_double(parts, label)
        if split and name_split(split) is None:
            fault = fault or f"split {split!r}, where train, val or test belong"
        if not self.mask:
            is_missing = self.options.label and all(parts) and not label
            return [], "no label" if is_missing else fault
        if fault:
            return [], fault
        masks, fault = self._find_masks(row, self.mask, parts[0])
        is_known = masks or self.options.no_mask == "empty" or label
        return masks, fault or (
            None if is_known else "neither a mask nor a label"
        )

    def _find_fault(self, parts: Sequence[str], *column: str) -> str | None:
        follow_links = self.options.follow_links
        fault = find_fault(self.root, parts, *column, follow_links=follow_links)
        if fault and self.is_medical:
            return (
                f"no such file in {self.root}, or a link that leads out of it"
            )
        return fault

    def _find_double(self, parts: tuple[str, ...], label: str) -> str | None:
        """Says where the same image was before, and if it had another label."""
        if _to_key(parts) not in self._seen:
            return None
        place, other = self._seen[_to_key(parts)]
        labels = f", which has the label {other!r} where this has {label!r}"
        return f"the same path as {place}{labels if label != other else ''}"

    def leave_out_masks(self) -> None:
        """Leaves out images that are masks of other ones."""
        items, faults = self.listing.items, self.listing.faults
        masks = {path for item in items for path in item.masks}
        names = {path.relative_to(self.root).as_posix() for path in masks}
        items[:] = [item for item in items if item.paths[0] not in masks]
        faults[:] = [fault for fault in faults if fault.name not in names]

    def leave_out_shared(self) -> None:
        """Leaves out images of which a `*` means the mask of another one.

        Rows with the same pattern share a mask on purpose.
        """
        items = self.listing.items
        names = {item.paths[0]: item.name for item in items}
        good = []
        for item in items:
            for path in item.masks:
                meant = self._meant.get(path, {}).values()
                owners = [[names[i] for i in some if i in names]
                          for some in meant]  # fmt: skip
                if len(owners := [*filter(None, owners)]) > 1:
                    fault = self._describe_shared(path, owners)
                    self.listing.faults.append(Fault(item.name, fault))
                    break
            else:
                good.append(item)
        items[:] = good

    def _describe_shared(self, mask: Path, owners: list[list[str]]) -> str:
        first, other = (names[0] for names in owners[:2])
        return (
            f"the `*` means {mask.relative_to(self.root).as_posix()} as the "
            f"mask of {first} and of {other}; say by `mask` what is between "
            'the name of an image and the `*`, such as "masks/{stem}_*.png"'
        )

    def _find_masks(
        self, row: Row, mask: Pattern, image: str
    ) -> tuple[list[str], str | None]:
        """Finds the files of a mask, or says what is wrong with them."""
        text = mask.fill(row, lambda cell: cell.replace("[", "[[]")).strip()
        masks: list[str] = []
        for part in filter(None, map(str.strip, text.split("|"))):
            pattern = os.path.normpath(locate(self.root, part))
            matches = self._match(pattern, os.path.splitext(image)[1])
            if "*" in pattern:
                for match in matches:
                    meant = self._meant.setdefault(self.root / match, {})
                    meant.setdefault(pattern, []).append(self.root / image)
            if not matches and self.options.no_mask == "fault":
                return [], (
                    f"no mask {pattern.replace('[[]', '[')}; if it is meant to "
                    'have none, say no_mask = "unlabelled" or "empty"'
                )
            masks += matches
        fault = self._find_fault(masks) if masks else None
        if image in masks:
            fault = "the image itself"
        return masks, fault and f"mask: {fault}"

    def _match(self, pattern: str, ending: str) -> list[str]:
        """Lists the files that a pattern means; only names may have a `*`.

        Args:
            pattern: Of paths.
            ending: That of the image.
        """
        folder, name = os.path.split(pattern)
        folder = folder.replace("[[]", "[")
        if folder not in self._files:
            path = self.root / folder
            names = os.listdir(path) if path.is_dir() else []
            self._files[folder] = sorted(names)
        names = self._files[folder]
        # Names that begin alike are next to each other.
        start = name.replace("[[]", "[").partition("*")[0].partition("?")[0]
        matches = []
        for at in range(bisect.bisect_left(names, start), len(names)):
            if not names[at].startswith(start):
                break
            is_image = names[at].lower().endswith(MASK_ENDINGS)
            if is_image and _fits(names[at], name, ending):
                matches.append(os.path.join(folder, names[at]))
        return matches


def _fits(file: str, pattern: str, ending: str) -> bool:
    """Says whether a pattern means a file.

    At its end, `.*` is one ending, or that of the image with another: the mask
    of `1.png` is `1.tif` or `1.png.tif`, and not `1.1.tif`.
    """
    if not pattern.endswith(".*"):
        return fnmatch.fnmatchcase(file, pattern)
    stem = os.path.splitext(file)[0]
    return any(
        fnmatch.fnmatchcase(one, pattern.removesuffix(".*"))
        for one in (stem, stem.removesuffix(ending))
    )


def _to_key(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Returns paths by which two rows are of the same image."""
    return tuple(map(os.path.normpath, parts))


def _count(places: Iterable[int]) -> str:
    """Words places, such as `2nd and 3rd`."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return " and ".join(f"{at}{endings.get(at, 'th')}" for at in places)
