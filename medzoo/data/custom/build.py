"""The cache of custom data: decoded, checked, split and written."""

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock

from medzoo.data.checksums import are_whole, sum_files
from medzoo.data.custom.address import MEDICAL, Address
from medzoo.data.custom.cache import (
    Cache,
    Manifest,
    array_path,
    make_fingerprint,
    make_stamp,
    masks_path,
)
from medzoo.data.custom.decode import (
    Images,
    Masks,
    decode_images,
    decode_masks,
    decode_slices,
    find_mixed,
)
from medzoo.data.custom.listing import Item, Listing, list_images
from medzoo.data.custom.masks import (
    MaskFacts,
    find_marking_faults,
    name_classes,
    read_values,
)
from medzoo.data.custom.options import Options
from medzoo.data.custom.pixels import HIGH, LOW, find_ranges, fit_channels
from medzoo.data.custom.table import Fault
from medzoo.data.folders import caching, derived_path
from medzoo.data.npz import create_array
from medzoo.data.splits import describe_torn, draw_splits
from medzoo.files import replacing, write_csv
from medzoo.messages import echo
from medzoo.tasks import SPLITS

COLUMNS = (
    "split", "label", "group", "path", "mode", "width", "height", "sha256",
)  # fmt: skip
# Labels of images that have no others: whether their mask marks anything.
PRESENCE = ("absent", "present")
# Splits of the images that a split is drawn from.
_TRAINED = ("", "train")
# Lines of faults that an error shows; all are in a file.
_MOST_LINES = 60
_CHUNK = 256
# Groups below which a split says little of other groups.
_FEW_GROUPS = 3


def open_cache(address: Address, options: Options) -> Cache:
    """Opens the decoded images of a source of files, or decodes them.

    As long as names, sizes and times of change of all files stay the same,
    nothing is read again. The cache is in the user's cache folder.

    Args:
        address: A folder or a CSV file, with or without masks.
        options: Of the source.

    Raises:
        FileNotFoundError: If the source is not there, or there is no room.
        ValueError: With a line for each bad file, row or class.
    """
    listing = list_images(address, options)
    key = repr(options) + repr(options.ranges) * bool(options.ranges)
    if address.kind in MEDICAL:
        o = options
        key += repr((o.window, o.slice, o.plane, o.group_by))
    name = f"{options.size}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    folder = _folder_of(address) / name
    stamp = make_stamp(listing, key + "".join(listing.notes))
    with caching(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock").acquire()
    with lock:
        found = _find(folder, stamp)
        return found or Cache(folder, _build(listing, stamp, folder, options))


def is_decoded(address: Address) -> bool:
    """Says whether images of a source were ever decoded on this machine."""
    return _folder_of(address).is_dir()


def _folder_of(address: Address) -> Path:
    return derived_path(address.path.resolve(), ".medzoo")


def _find(folder: Path, stamp: str) -> Cache | None:
    """Finds a cache of the files as they are now; says if it is damaged."""
    path = folder / "manifest.json"
    if not path.exists():
        return None
    manifest = Manifest.read(path)
    if manifest is not None and manifest.stamp != stamp:
        return None
    if manifest is not None and are_whole(folder, manifest.sums):
        cache = Cache(folder, manifest)
        if cache.is_readable():
            return cache
    echo(f"{folder} cannot be read, and is made anew.", file=sys.stderr)
    return None


def _build(
    listing: Listing, stamp: str, folder: Path, options: Options
) -> Manifest:
    """Decodes the images of a listing and writes all files of their cache."""
    raw = folder / "raw.npy", folder / "masks.raw.npy"
    items, masks = listing.items, None
    with caching(folder):
        try:
            if listing.has_masks:
                masks = decode_masks(items, raw[1], options)
            if listing.is_medical:
                images, items = decode_slices(items, raw[0], options)
                listing = replace(listing, items=items)
            else:
                images = decode_images(items, raw[0], options)
            selection = _select(listing, images, masks, folder, options)
            notes = [*listing.notes]
            notes += _describe_slices(options) if listing.is_medical else []
            return _write(
                images, masks, selection, stamp, folder, options, notes
            )
        finally:
            for path in raw:
                path.unlink(missing_ok=True)


class _Selection(NamedTuple):
    """The images that are used, in the order of the cache.

    Args:
        indices: Their rows among all images.
        items: With the labels that they get.
        splits: Of each.
        num_bad: Faults that were passed over.
    """

    indices: np.ndarray
    items: list[Item]
    splits: list[str]
    num_bad: int

    @property
    def classes(self) -> list[str]:
        """Names of the classes; those that are numbers in their order."""
        names = {item.label for item in self.items} - {""}
        is_numeric = all(name.isdecimal() for name in names)
        return sorted(names, key=int if is_numeric else None)


def _select(
    listing: Listing,
    images: Images,
    masks: Masks | None,
    folder: Path,
    options: Options,
) -> _Selection:
    """Leaves out what is bad, or raises with all of it."""
    items = listing.items
    faults = [
        *listing.faults,
        *(masks.faults if masks else ()),
        *images.faults,
        *find_mixed(items, images.facts, options),
    ]
    # Files come first: what is wrong with all masks may follow from one.
    if masks and (options.skip_bad or not masks.faults):
        faults += find_marking_faults(items, masks.facts, options)
    bad = {fault.name for fault in faults}
    kept = [at for at, item in enumerate(items) if item.name not in bad]
    if masks and not any(items[at].label for at in kept):
        items = _label_presence(items, kept, masks)
    trained = {items[at].label for at in kept if items[at].split in _TRAINED}
    good = []
    for at in kept:
        label, split = items[at].label, items[at].split
        if label in trained or not label:
            good.append(at)
        else:
            reason = f"class {label!r} is in {split}, but not in train"
            faults.append(Fault(items[at].name, reason))
    if faults:
        _show_files(listing, faults)
        _refuse(faults, folder / "faults.csv", options)
    splits = _complete_splits(items, good, masks, options)
    if not masks and len(trained) == 1:
        raise ValueError(_refuse_one_class(items, good))
    order = sorted(good, key=lambda at: (SPLITS.index(splits[at]), at))
    return _Selection(
        np.array(order),
        [items[at] for at in order],
        [splits[at] for at in order],
        len(faults),
    )


def _refuse_one_class(items: Sequence[Item], good: Sequence[int]) -> str:
    first = items[good[0]]
    return (
        f"All {len(good)} images are of one class, {first.label!r}. Expected "
        f"two classes at least. Received: {first.name}, ... Is the label in "
        "another column, or in another level of the folders?"
    )


def _label_presence(
    items: Sequence[Item], kept: Sequence[int], masks: Masks
) -> list[Item]:
    """Labels images by whether their masks mark anything.

    Where all of them do, or all of train, there is nothing to learn: no image
    is labelled.
    """
    labels = [
        "" if facts is None else PRESENCE[bool(facts.classes)]
        for facts in masks.facts
    ]
    trained = {labels[at] for at in kept if items[at].split in _TRAINED}
    if not set(PRESENCE) <= trained:
        return list(items)
    pairs = zip(items, labels, strict=True)
    return [item._replace(label=label) for item, label in pairs]


def _refuse(faults: Sequence[Fault], path: Path, options: Options) -> None:
    """Writes all faults, and raises one error of them unless bad is skipped."""
    write_csv(path, ("what", "fault"), faults)
    if options.skip_bad:
        return
    lines = [f"  {fault}" for fault in faults[:_MOST_LINES]]
    if len(faults) > _MOST_LINES:
        lines.append(f"  ... and {len(faults) - _MOST_LINES} more")
    count = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
    first = f"These data cannot be used as they are: {count}."
    last = (
        "Mend them, or pass --skip-bad (`skip_bad = true`) to leave them out; "
        f"the count is then in every table. All are in {path}."
    )
    raise ValueError("\n".join([first, *lines, last]))


def _show_files(listing: Listing, faults: Sequence[Fault]) -> None:
    """Says on a terminal, and in no log, which files numbers stand for."""
    if not (listing.is_medical and sys.stderr.isatty()):
        return
    paths = {item.name: item.paths[0] for item in listing.items}
    for fault in faults[:_MOST_LINES]:
        if fault.name in paths:
            echo(f"{fault.name} is {paths[fault.name]}", file=sys.stderr)


def _complete_splits(
    items: Sequence[Item],
    good: Sequence[int],
    masks: Masks | None,
    options: Options,
) -> dict[int, str]:
    """Returns the split of each good image: as given, or drawn.

    Where only train and test are given, val is drawn from train; where only
    train and val, test. Labels and mask classes keep their shares.

    Raises:
        ValueError: If some images have a split and others have none, or if a
            split would be empty.
    """
    splits = {at: items[at].split for at in good}
    given = set(splits.values())
    missing = [split for split in SPLITS if split not in given]
    if "" in given and len(given) > 1:
        num = sum(not split for split in splits.values())
        raise ValueError(
            f"{num} of {len(good)} images have no split. Expected one for "
            "every image or for none."
        )
    if missing and good:
        pool = [at for at in good if splits[at] in _TRAINED]
        strata = [
            _name_stratum(items[at], masks.facts[at]) if masks
            else items[at].label
            for at in pool
        ]  # fmt: skip
        drawn = draw_splits(
            np.unique(strata, return_inverse=True)[1],
            [items[at].group for at in pool],
            val=options.val if "val" in missing else 0.0,
            test=options.test if "test" in missing else 0.0,
            seed=options.split_seed,
            marks=_list_marks(items, pool, masks) if masks else None,
        )
        splits.update(zip(pool, drawn.tolist(), strict=True))
    empty = [split for split in SPLITS if split not in splits.values()]
    if empty:
        pool = [at for at in good if items[at].split in _TRAINED]
        few = [items[at] for at in pool]
        raise ValueError(_refuse_empty(few, empty, min(3, 1 + len(missing))))
    return splits


def _refuse_empty(
    items: Sequence[Item], empty: Sequence[str], needed: int
) -> str:
    """Words why a split has no image; `needed` groups would do."""
    groups = {item.group or f"{at}" for at, item in enumerate(items)}
    named = sorted({item.group for item in items} - {""})
    counts = Counter(item.label for item in items)
    label, most = counts.most_common(1)[0] if counts else ("", 0)
    text = (
        f"No image is left for {' and '.join(empty)}. Expected at least one "
        "class of three images, in three groups where there are groups. "
        f"Received: {len(items)} images"
    )
    if named and len(groups) < needed:
        return (
            f"{text} in {len(groups)} groups ({', '.join(named)}), and a group "
            f"stays in one split. Add images of {needed - len(groups)} more, "
            "or give a column `split`."
        )
    return (
        f"{text}, of the largest class, {label!r}, {most}. Add images of it, "
        "or give a column `split`."
    )


def _list_marks(
    items: Sequence[Item], pool: Sequence[int], masks: Masks
) -> np.ndarray:
    """Returns labels and classes of masks as marks for `draw_splits`."""
    marks = [
        {
            items[at].label,
            ("class", items[at].mask_class),
            *(masks.facts[at] or MaskFacts()).classes,
        }
        for at in pool
    ]
    kinds = sorted(set().union(*marks), key=repr)
    return np.array([[kind in held for kind in kinds] for held in marks])


def _name_stratum(item: Item, facts: MaskFacts | None) -> str:
    classes = facts and sorted(facts.classes)
    return f"{item.label} {item.mask_class} {classes}"


def _write(
    images: Images,
    masks: Masks | None,
    selection: _Selection,
    stamp: str,
    folder: Path,
    options: Options,
    notes: list[str],
) -> Manifest:
    """Writes arrays, rows and manifest, the manifest last."""
    rows = _list_rows(images, selection)
    fingerprint = _hash_content(rows, masks, selection, options)
    counts = Counter(selection.splits)
    ranges = list(options.ranges)
    if options.intensity != "bytes" and not ranges:
        train = selection.indices[: counts["train"]]
        ranges = find_ranges(images.values, train, options.intensity)
    notes = [*_make_notes(selection, counts, options, ranges), *notes]
    path = array_path(folder, fingerprint)
    used = {path, masks_path(folder, fingerprint)}
    names: tuple[str, ...] = ()
    if masks is not None:
        facts = [masks.facts[at] for at in selection.indices]
        names = name_classes(read_values(options), selection.items, facts)
        _write_masks(masks_path(folder, fingerprint), masks, selection, names)
        notes += _describe_masks(names, facts, options.size)
    channels = _write_images(path, images, selection, options, ranges)
    write_csv(folder / "images.csv", COLUMNS, rows, raw=True)
    written = {folder / "images.csv", *(p for p in used if p.is_file())}
    manifest = Manifest(
        stamp=stamp,
        fingerprint=fingerprint,
        classes=selection.classes or list(PRESENCE),
        channels=channels,
        num_images={split: counts[split] for split in SPLITS},
        notes=notes,
        ranges=ranges,
        mask_classes=list(names),
        sums=sum_files(written),
    )
    manifest.write(folder / "manifest.json")
    for stale in set(folder.glob("own-*.npy")) - used:
        stale.unlink()
    return manifest


def _hash_content(
    rows: Sequence[tuple[Any, ...]],
    masks: Masks | None,
    selection: _Selection,
    options: Options,
) -> str:
    """Makes the fingerprint of images, and of their masks if there are any."""
    # Groups decide what `drop_leaks` leaves out.
    images = [
        (row[0], row[1], row[-1], *filter(None, row[2:3])) for row in rows
    ]
    fingerprint = make_fingerprint(images, options)
    if masks is None:
        return fingerprint
    classes = sorted(read_values(options).classes.items())
    facts = [masks.facts[at] for at in selection.indices]
    digests = [(one.digest if one else "-",) for one in facts]
    named = [(item.mask_class,) for item in selection.items]
    content = [(fingerprint, repr(classes)), *digests, *named]
    if options.resize == "pad" and any(row[5] != row[6] for row in rows):
        content.append(("padding is -1",))
    return make_fingerprint(content, options)


def _list_rows(images: Images, selection: _Selection) -> list[tuple[Any, ...]]:
    """Lists the facts of each image, in the order of `COLUMNS`."""
    rows = []
    for at, item, split in zip(*selection[:3], strict=True):
        if facts := images.facts[at]:
            about = (*facts[1:4], facts.digest)
            rows.append((split, item.label, item.group, item.name, *about))
    return rows


def _write_images(
    path: Path,
    images: Images,
    selection: _Selection,
    options: Options,
    ranges: list[tuple[int, int]],
) -> int:
    """Copies images in their order, chunk by chunk; returns the channels."""
    indices = selection.indices
    facts = [images.facts[at] for at in indices]
    is_grey = options.mode == "auto" and all(f and f.is_grey for f in facts)
    depth = 1 if is_grey else images.values.shape[-1]
    # Models take grey or colour: a third channel beside two stays black.
    channels = 3 if depth == 2 else depth
    shape = (len(indices), *images.values.shape[1:3], channels)
    with replacing(path) as part:
        target = create_array(part, np.uint8, shape)
        for start in range(0, len(indices), _CHUNK):
            rows = slice(start, start + _CHUNK)
            values = images.values[indices[rows]]
            target[rows] = fit_channels(values, channels, ranges)
        target.flush()
    return channels


def _write_masks(
    path: Path, masks: Masks, selection: _Selection, names: Sequence[str]
) -> None:
    """Copies masks in the order of images, with the classes of a column."""
    shape = (len(selection.items), *masks.values.shape[1:])
    with replacing(path) as part:  # Others may have it mapped.
        target = create_array(part, np.int8, shape)
        for row, item in enumerate(selection.items):
            target[row] = mask = masks.values[selection.indices[row]]
            if item.mask_class in names:
                target[row][mask == 1] = names.index(item.mask_class)
        target.flush()


def _make_notes(
    selection: _Selection,
    counts: Counter[str],
    options: Options,
    ranges: Sequence[tuple[int, int]],
) -> list[str]:
    """Words splits, what was left out, and how 16 bits became 8."""
    groups = [item.group for item in selection.items]
    notes = [
        _describe_split(selection.items, counts, options)
        + describe_torn(groups, selection.splits)
    ]
    if num_bad := selection.num_bad:
        notes.append(
            f"{num_bad} bad file{'s' * (num_bad > 1)}, rows or classes were "
            "left out (skip_bad)."
        )
    if ranges:
        rule = "0 to 65535"
        if options.ranges:
            rule = "as for the training"
        elif options.intensity == "percentile":
            rule = f"percentiles {LOW} to {HIGH} of train"
        shown = ", ".join(f"{low} to {high}" for low, high in ranges)
        notes.append(f"16-bit values by channel: {rule}, {shown}, to 0 to 255.")
    return [*notes, *_describe_few_groups(selection)]


def _describe_few_groups(selection: _Selection) -> list[str]:
    """Says if val or test is of a few groups alone."""
    held: dict[str, set[str]] = {split: set() for split in SPLITS}
    for item, split in zip(selection.items, selection.splits, strict=True):
        held[split].add(item.group)
    few = [
        f"{split} {len(held[split])}"
        for split in SPLITS[1:]
        if "" not in held[split] and len(held[split]) < _FEW_GROUPS
    ]
    if not few:
        return []
    return [
        f"Few groups ({', '.join(few)}, train {len(held['train'])}): scores of "
        "so few say little of others. Cross-validate (`folds` in the table "
        "[data] of a study), or repeat with other values of `split_seed`."
    ]


def _describe_slices(options: Options) -> list[str]:
    """Says which values of which slices the images are of."""
    which = "the middle one" if options.slice < 0 else f"index {options.slice}"
    named = {"file": "that of each file", "range": "all values of the slice"}
    window = named.get(options.window, options.window)
    note = f"Slices: {which}; window: {window}"
    if options.group_by != "none":
        note += f"; group: {options.group_by}"
    return [f"{note}."]


def _describe_split(
    items: Sequence[Item], counts: Counter[str], options: Options
) -> str:
    sizes = ", ".join(f"{split} {counts[split]}" for split in SPLITS)
    given = {item.split for item in items}
    if given == set(SPLITS):
        return f"Split as given: {sizes}."
    drawn = " and ".join(split for split in SPLITS[1:] if split not in given)
    what = "Split" if given == {""} else f"Split of {drawn}"
    groups = len({item.group for item in items} - {""})
    by_group = f" and {groups} groups kept whole" if groups else ""
    return (
        f"{what} drawn here by class{by_group}, seed "
        f"{options.split_seed}: {sizes}."
    )


def _describe_masks(
    names: Sequence[str], facts: Sequence[MaskFacts | None], size: int
) -> list[str]:
    """Counts masks that are empty or unknown, and classes that were lost."""
    known = [one for one in facts if one is not None]
    marked = sum(bool(one.classes) for one in known)
    unknown = len(facts) - len(known)
    notes = [
        f"Masks of {', '.join(names)}: {marked} mark something, "
        f"{len(known) - marked} are empty"
        f"{f', {unknown} unknown' * bool(unknown)}."
    ]
    if lost := sum(bool(one.lost) for one in known):
        notes.append(
            f"{lost} of {marked} masks lose a class at {size} x {size} pixels: "
            "what they mark is too thin. A larger `size` keeps it."
        )
    return notes
