"""Files in a folder at any depth, but for what systems leave there."""

import os
from collections.abc import Iterator
from pathlib import Path

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
NIFTI = (".nii", ".nii.gz")
# Names of DICOM files often end in nothing, or in a part of a number.
_DICOM = (".dcm", ".dicom", ".ima", "")
_KINDS = {"nifti": NIFTI, "dicom": (*_DICOM[:-1], "nothing")}
_CLUTTER = (
    "dicomdir", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",
    "__macosx", "@eadir",
    "$recycle.bin", "system volume information", "lost+found",
)  # fmt: skip


def walk(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yields the files in a folder at any depth, but for clutter.

    Links to folders are followed.

    Args:
        folder: The folder.
        above: Real paths of the folders that it was reached by.

    Raises:
        FileNotFoundError: If a folder cannot be read.
        ValueError: If a link leads to a folder that it lies in.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise ValueError(
            f"`{folder}` is a link to a folder that it lies in, `{real}`: its "
            "images have no end. Delete the link."
        )
    folders = []
    for path in (Path(folder, name) for name in _list_names(folder)):
        if path.is_dir():
            folders.append(path)
        else:
            yield path
    for path in folders:
        yield from walk(path, (*above, real))


def list_folders(folder: Path) -> list[Path]:
    """Lists the folders in a folder, but for clutter."""
    inside = (Path(folder, name) for name in _list_names(folder))
    return [path for path in inside if path.is_dir()]


def list_files(folder: Path) -> list[Path]:
    """Lists the files in a folder, but for clutter."""
    inside = (Path(folder, name) for name in _list_names(folder))
    return [path for path in inside if not path.is_dir()]


def is_image(path: str | Path, kind: str = "") -> bool:
    """Returns whether a file is called as one of an image.

    Args:
        path: The file.
        kind: `dicom` or `nifti` for files of that kind.
    """
    name = os.path.basename(path).lower()
    if kind != "dicom":
        return name.endswith(list_endings(kind))
    ending = os.path.splitext(name)[1]
    return ending in _DICOM or ending[1:].isdecimal()


def list_endings(kind: str = "") -> tuple[str, ...]:
    """Lists how files of images end; see `is_image`."""
    return _KINDS.get(kind, ENDINGS)


def _list_names(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise FileNotFoundError(
            f"The folder `{folder}` cannot be read. Received: "
            f"{error.strerror or error}."
        ) from None
    return sorted(name for name in names if not _is_clutter(name))


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _CLUTTER
