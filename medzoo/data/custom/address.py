"""Addresses of custom data: a kind, such as `folder`, and a path."""

import os
from pathlib import Path
from typing import NamedTuple

from medzoo.data.folders import expand_path
from medzoo.messages import unknown

PUBLISHED = ("medmnist", "synthetic")
# Files of patients, whose names and headers are kept nowhere.
MEDICAL = ("dicom", "nifti")
KINDS = ("folder", "csv", "npz", "masks", *MEDICAL)
# As help and errors name them.
FORMS = tuple(
    f"{kind}:{'FILE' if kind in ('csv', 'npz') else 'PATH'}" for kind in KINDS
)
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
# Endings of tables, where a path may be that of a folder as well.
_TABLES = (".csv", ".tsv", ".txt")
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
ANY_FORM = f"{', '.join(FORMS[:-1])} or {FORMS[-1]}"


class Address(NamedTuple):
    """Kind and path of custom data.

    Args:
        kind: One of `KINDS`.
        path: With `~` and `$MEDZOO_DATA` written out; relative to the current
            folder.
    """

    kind: str
    path: Path

    @property
    def task(self) -> str:
        """The default name of the task; bytes that are not UTF-8 as `\\xe4`.

        That of a folder is whole, as `.2` in `cells.2` is no ending.
        """
        path = Path(os.path.realpath(self.path))
        # By the address alone: a study has it where the data are not there.
        is_table = path.suffix.lower() in _TABLES and self.kind != "folder"
        is_file = is_table or self.kind in ("csv", "npz")
        name = os.fsencode(path.stem if is_file else path.name)
        return name.decode("utf-8", "backslashreplace")

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}"


def is_custom(data: str) -> bool:
    """Returns whether a data source is custom data.

    Example:

    >>> is_custom("folder:cells"), is_custom("medmnist")
    (True, False)
    """
    return ":" in data


def has_files(data: str) -> bool:
    """Returns whether a data source consists of image files."""
    return is_custom(data) and not data.startswith("npz:")


def parse_address(data: str) -> Address:
    """Reads the address of custom data.

    Raises:
        ValueError: If it has another form.

    Example:

    >>> parse_address("csv:cells/labels.csv").task
    'labels'
    >>> parse_address("folder:cells.v2").task
    'cells.v2'
    """
    kind, colon, path = data.partition(":")
    if not colon or kind not in KINDS:
        sentence = unknown("data", data, (*PUBLISHED, *FORMS))
        if not colon and os.path.exists(data):
            sentence += (
                f" Is it the data at that path? Give {find_address(data)}."
            )
        raise ValueError(sentence)
    if not path:
        raise ValueError(
            f"`{kind}:` has no path behind it. Expected, for example, "
            f"{kind}:../cells. Received: data={data!r}."
        )
    return Address(kind, expand_path(path))


def find_address(what: str) -> Address:
    """Reads an address, or a plain path, whose kind follows from its ending.

    Raises:
        FileNotFoundError: If there is nothing at a plain path.
    """
    if is_custom(what):
        return parse_address(what)
    path = Path(what).expanduser()
    if path.is_dir():
        return Address("folder", path)
    ending = path.suffix.lower()
    if path.is_file() and ending in (".csv", ".npz"):
        return Address(ending[1:], path)
    if path.is_file():
        raise ValueError(_refuse_file(path))
    raise FileNotFoundError(
        "No data there. Expected a task, a folder of images, a .csv or .npz "
        f"file, or {', '.join(FORMS)}. Received: {what}."
    )


def _refuse_file(path: Path) -> str:
    """Words that a file is none of data, and what to give in its place."""
    ending = path.suffix.lower()
    way_out = "Give its folder, or a table of paths and labels: csv:FILE."
    if ending in _ARCHIVES and ".nii" not in path.suffixes:
        way_out = "Unpack it, and give the folder."
    elif ending in _SHEETS:
        way_out = "Save it as CSV UTF-8, and give that."
    elif ending in (".tsv", ".txt"):
        way_out = f"Is it a table of paths and labels? Then give csv:{path}."
    elif ending in (".npy", ".h5", ".hdf5", ".pkl", ".pt"):
        way_out = (
            "Save an npz archive in MedMNIST's layout (`train_images`, "
            "`train_labels`, and so on of val and test), and give that."
        )
    return (
        f"`{path}` is a file of no kind that is read. Expected a folder of "
        f"images, a .csv or .npz file, or {', '.join(FORMS)}. {way_out}"
    )
