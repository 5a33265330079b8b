"""Layouts of folders that mean another task than their names would."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from medzoo.data.custom.table import name_split
from medzoo.data.custom.walk import (
    NIFTI,
    is_image,
    list_files,
    list_folders,
)

# Folders of folders: the names that are in each.
_Names = Mapping[str, Sequence[str]]
_EXPECTED = "Expected <class>/*.png or {train,val,test}/<class>/*.png in it."


class _WayOut(NamedTuple):
    """What is expected of a folder, and which table may stand in its place."""

    expected: str
    table: str


_OF_CLASSES = _WayOut(_EXPECTED, "csv:FILE")
_WITH_MASKS = _WayOut(
    "Expected *.png, <class>/*.png or {train,val,test}/*.png in it, and masks "
    "in folders of the same names.",
    'masks:FILE; or say label = "" in the table [data] to read no classes',
)
# Words in names of folders of splits, of images and of their masks.
_PARTS = {
    "train": ("train", "training", "trainset"),
    "val": ("val", "valid", "validation", "valset", "dev"),
    "test": ("test", "testing", "testset", "holdout"),
}
_IMAGES = ("image", "images", "img", "imgs", "input", "inputs", "originals")
_MASKS = (
    "mask", "masks", "groundtruth", "gt", "truth", "segmentation",
    "segmentations", "annotation", "annotations",
)  # fmt: skip
_MASK_NAME = re.compile(r"(.+?)[ _-](?:mask|segmentation|gt)(?:[ _-]?\d+)?")
_MEDICAL_MASK = re.compile(
    r"(.+?)[ _-](?:masks?|segmentation|seg|gt|labels?)(?:[ _-]?\d+)?"
)
# Names of numbered patients or folds.
_NUMBERED = re.compile(
    r"(fold|cv|part|batch|set|site|patient|subject|case|p|s)?[ _-]*\d+"
)
# Names of numbered parts of a set that was cut for its download.
_CUT = re.compile(
    r".*(images?|imgs?|parts?|batch|chunk|shard|subset|fold)[ _-]*\d+"
)
_FEW = 8
# Share of the numbered folders that a class is in.
_MOST = 0.8


def require_classes(root: Path) -> bool:
    """Checks that the folders in a folder are classes, or splits of them.

    Returns:
        Whether they are splits.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are none, or if they are probably anything else.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"No folder `{root}`. Expected one with a sub-folder a class."
        )
    names = _read_names(root)
    if not names:
        raise ValueError(
            f"`{root}` has no folders of classes. {_EXPECTED} Received: "
            f"{len(list_files(root))} files. {_name_above(root)}"
        )
    refuse = (
        _find_copy, _find_mask_folders, _find_split_names, _find_folds,
        _find_parts,
    )  # fmt: skip
    for find in refuse:
        if text := find(root, names):
            raise ValueError(text)
    if all(map(name_split, names)):
        _require_split_classes(root, names)
        return True
    if len(names) == 1:
        raise ValueError(_refuse_one_class(root))
    if text := _find_siblings(root, names):
        raise ValueError(text)
    return False


def require_images(root: Path, *, have_labels: bool = True) -> Path:
    """Returns the folder of the images of a folder with masks.

    Args:
        root: The folder with masks.
        have_labels: Whether folders of images are classes, unless they are
            splits.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folders of images and masks lie deeper, or if those
            of images are probably no classes.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"No folder `{root}`. Expected one with the folders `images` and "
            "`masks`, or a CSV file of both."
        )
    if (root / "images").is_dir():
        _require_groups_of_images(root / "images", have_labels)
        return root / "images"
    names = _read_names(root)
    pairs = [name for name, inside in names.items() if _have_masks(inside)]
    if len(pairs) == 1:
        raise ValueError(
            f"`{root}` has no folder of images. Expected `images` and `masks` "
            f"in it. Received: {_list(names[pairs[0]])} in `{pairs[0]}`. Did "
            f"you mean masks:{root / pairs[0]}?"
        )
    if pairs:
        raise ValueError(
            f"`{root}` has images and masks in each of its folders "
            f"{_list(pairs)}. Expected images/<folder>/*.png and "
            "masks/<folder>/*.png (folders called train, val and test are "
            "splits, others are classes), or a CSV file of both."
        )
    _require_groups_of_images(root, have_labels)
    return root


def _require_groups_of_images(base: Path, have_labels: bool) -> None:
    """Checks the folders of images beside masks, as those of classes are."""
    names = _read_names(base)
    refuse = [_find_split_names, *[_find_folds, _find_parts] * have_labels]
    for find in refuse:
        if text := find(base, names, _WITH_MASKS):
            raise ValueError(text)


def refuse_masks(root: Path, images: Iterable[Path], kind: str = "") -> None:
    """Raises a `ValueError` if some images are the masks of others.

    Args:
        root: The folder of all.
        images: Their paths.
        kind: `dicom` or `nifti`, whose names may be those of patients, and are
            not told.
    """
    stems = {_remove_ending(path) for path in images}
    pattern = _MEDICAL_MASK if kind else _MASK_NAME
    for stem in stems:
        match = pattern.fullmatch(stem.name.lower())
        if not match or stem.with_name(stem.name[: match.end(1)]) not in stems:
            continue
        if kind:
            end = stem.name[match.end(1) :]
            raise ValueError(
                f"`{root}` has masks among its images, whose names end in "
                f"`{end}`, and which would be images of a class. Move them "
                f"elsewhere, or give a CSV file of the images: {kind}:FILE."
            )
        raise ValueError(
            f"`{root}` has masks among its images, such as `{stem}`, which "
            f"would be images of a class. Did you mean masks:{root}? Or "
            "give a CSV file of the images."
        )


def _remove_ending(path: Path) -> Path:
    """Returns a path without its ending, that of `x.nii.gz` being two."""
    name = path.name
    ending = next((e for e in NIFTI if name.lower().endswith(e)), path.suffix)
    return path.with_name(name[: len(name) - len(ending)])


def _read_names(root: Path) -> dict[str, list[str]]:
    return {
        folder.name: [inside.name for inside in list_folders(folder)]
        for folder in list_folders(root)
    }


def _list(names: Iterable[str]) -> str:
    """Lists names, the first few of many."""
    shown = [f"`{name}`" for name in names]
    more = len(shown) - _FEW
    last = [f"{more} more"] if more > 0 else []
    return ", ".join([*shown[:_FEW], *last])


def _name_above(root: Path) -> str:
    """Proposes the folder above where that one has folders of classes."""
    above = root.resolve().parent
    if any(map(is_image, list_files(root))) and len(list_folders(above)) > 1:
        return (
            f"Is it one class of several? Then give folder:{root.parent}. A "
            "table of labels is given as csv:FILE."
        )
    return "A table of labels is given as csv:FILE."


def _find_copy(root: Path, names: _Names) -> str | None:
    """Finds a folder that holds all the folders that lie beside it."""
    for name, inside in names.items():
        others = {other.lower() for other in names if other != name}
        if others and others <= {one.lower() for one in inside}:
            beside = _list(other for other in names if other != name)
            return (
                f"`{root / name}` has in it the folders that lie beside it "
                f"({beside}), and would be a class of its own: archives often "
                "hold their data twice. Delete one of both, or give "
                f"folder:{root / name}."
            )
    return None


def _find_mask_folders(root: Path, names: _Names) -> str | None:
    """Finds folders of images and masks, which are no classes."""
    if _have_masks(names):
        return (
            f"`{root}` has the folders {_list(names)}, which are images and "
            f"masks by their names and would be classes. {_EXPECTED} Did you "
            f"mean masks:{root}?"
        )
    for name, inside in names.items():
        if _have_masks(inside):
            return (
                f"`{root / name}` has the folders {_list(inside)}: its masks "
                f"would be images of a class. {_EXPECTED} Move the masks "
                "elsewhere, or give a CSV file of images and masks: masks:FILE."
            )
    return None


def _have_masks(names: Iterable[str]) -> bool:
    words = [set(re.split(r"[^a-z]+", name.lower())) for name in names]
    has_images = any(found & {*_IMAGES} - {*_MASKS} for found in words)
    return has_images and any(found & {*_MASKS} for found in words)


def _find_split_names(
    root: Path, names: _Names, way_out: _WayOut = _OF_CLASSES
) -> str | None:
    """Finds folders that are splits by their names, and not all read so."""
    are_named = all(map(name_split, names))
    splits = {name: _guess_split(name) for name in names}
    found = set(splits.values()) - {None}
    is_trained = "train" in found
    if not names or are_named == is_trained or found == {"train"}:
        return None
    renamed, ways = [], []
    for split in dict.fromkeys(filter(None, splits.values())):
        alike = [name for name in names if splits[name] == split]
        odd = [name for name in alike if not name_split(name)]
        if len(alike) == len(odd) == 1:
            renamed.append(f"`{odd[0]}` to `{split}`")
        elif odd:
            ways.append(
                f"Make one folder `{split}` of {_list(alike)}, or move the "
                "others elsewhere."
            )
    if renamed:
        ways.insert(0, f"Rename {', '.join(renamed)}.")
    if others := [name for name, split in splits.items() if not split]:
        ways.append(f"Move {_list(others)} elsewhere.")
    if are_named:
        ways.append("Call one of them `train`.")
    return (
        f"`{root}` has the folders {_list(names)}, which would be classes and "
        f"are splits by their names. {way_out.expected} {' '.join(ways)}"
    )


def _guess_split(name: str) -> str | None:
    words = re.split(r"[^a-z]+", name.lower())
    for split, known in _PARTS.items():
        if not {*words}.isdisjoint(known):
            return split
    return None


def _find_folds(
    root: Path, names: _Names, way_out: _WayOut = _OF_CLASSES
) -> str | None:
    """Finds numbered folders with the same classes in each of them."""
    classes = sorted({inside for one in names.values() for inside in one})
    is_number = all(name.isdecimal() for name in classes)
    many = max(len(classes), 9 if is_number else 2)
    held = sum(map(len, names.values()))
    if (
        len(classes) < 2
        or len(names) <= many
        or held < _MOST * len(names) * len(classes)
        or not all(_NUMBERED.fullmatch(name.lower()) for name in names)
    ):
        return None
    return (
        f"`{root}` has the folders {_list(names)}, which would be classes, and "
        f"the same folders in each of them: {_list(classes)}. "
        f"{way_out.expected} Are those the classes? Then exchange the two "
        "levels (<class>/<patient or fold>/*.png), or give a CSV "
        f"file: {way_out.table}."
    )


def _find_parts(
    root: Path, names: _Names, way_out: _WayOut = _OF_CLASSES
) -> str | None:
    """Finds folders that are parts of one set by their numbers."""
    if len(names) < 2 or not all(
        _CUT.fullmatch(name.lower()) for name in names
    ):
        return None
    return (
        f"`{root}` has the folders {_list(names)}, which would be classes and "
        f"are parts of one set by their names. {way_out.expected} Are the "
        "labels in a table? Then give a CSV file of paths and labels: "
        f"{way_out.table}."
    )


def _require_split_classes(root: Path, names: _Names) -> None:
    """Checks the folders of classes in folders of splits."""
    train = [name for name in names if name_split(name) == "train"]
    classes = {inside for found in names.values() for inside in found}
    if not classes:
        raise ValueError(
            f"`{root}` has the folders {_list(names)} and no folders of "
            f"classes in them. {_EXPECTED} Are the labels in a table, or in "
            "the names of files? Then give a CSV file of paths and labels: "
            "csv:FILE."
        )
    if len(classes) == 1 or all(map(name_split, classes)):
        at = train[0] if train else next(iter(names))
        raise ValueError(
            f"`{root / at}` has the folders {_list(sorted(classes))}, where "
            f"two classes at least belong. {_EXPECTED} Are the classes in "
            "these? Then move them up."
        )


def _refuse_one_class(root: Path) -> str:
    """Words that a folder would have one class, and what may be meant."""
    (first,) = list_folders(root)
    found, deepest = first, first
    while len(inside := list_folders(found)) == 1:
        found = deepest = inside[0]
    way_out = "A table of labels is given as csv:FILE."
    if len(inside) > 1:
        way_out = (
            f"Are the classes those in it, {_list(one.name for one in inside)}?"
            f" Then give folder:{deepest}."
        )
    return (
        f"`{root}` has one folder, `{first.name}`, which would be the only "
        f"class. Expected two classes at least. {way_out}"
    )


def _find_siblings(root: Path, names: _Names) -> str | None:
    """Finds other splits beside a folder that is a split by its name."""
    place = root.resolve()
    if not name_split(place.name):
        return None
    for other in list_folders(place.parent):
        if not name_split(other.name) or other.name == place.name:
            continue
        if {*names} == {one.name for one in list_folders(other)}:
            return (
                f"`{root}` is a split by its name, and `{other.name}` beside "
                f"it has the same classes ({_list(names)}). Give "
                f"folder:{place.parent} for both, or call it otherwise to use "
                "it alone."
            )
    return None
