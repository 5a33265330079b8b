"""Files of studies and searches, by their names or paths."""

from collections.abc import Mapping
from pathlib import Path

import medzoo
from medzoo.wording import unknown


def list_files(folder: str) -> dict[str, Path]:
    """Returns the TOML files of a folder by name, sorted.

    Args:
        folder: `studies` or `searches`: the one beside the package and the one
            of the current folder, whose files win.
    """
    checkout = Path(medzoo.__file__).parents[1]
    folders = (checkout / folder, Path(folder))
    files = {p.stem: p for each in folders for p in each.glob("*.toml")}
    return dict(sorted(files.items()))


def find_file(
    what: str, name_or_path: str | Path, known: Mapping[str, Path]
) -> Path:
    """Returns the path of a file that is called by name or by path.

    Args:
        what: What it holds: `study` or `search`.
        name_or_path: A name of `known`, or a path to any TOML file.
        known: Files by name.

    Raises:
        FileNotFoundError: If there is no file at that path.
        ValueError: For an unknown name.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and len(path.parts) <= 1:
        if str(name_or_path) not in known:
            raise ValueError(unknown(what, str(name_or_path), known))
        return known[str(name_or_path)]
    if not path.is_file():
        raise FileNotFoundError(
            f"No {what} file there. Expected a TOML file, or the name of a "
            f"{what}: {', '.join(known)}. Received: {path}."
        )
    return path
