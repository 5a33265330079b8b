"""Files in a folder at any depth, but for what systems leave there."""

import os
from collections.abc import Iterator
from pathlib import Path

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_CLUTTER = (
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir",
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


def is_image(path: str | Path) -> bool:
    """Returns whether a file is called as one of an image."""
    return str(path).lower().endswith(ENDINGS)


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
