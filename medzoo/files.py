"""Files that are whole or not there; the fault where none can be written."""

import contextlib
import csv
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path


@contextlib.contextmanager
def writing(path: Path, *, way_out: str = "") -> Iterator[None]:
    """Words any fault in writing `path` as one sentence.

    Args:
        path: What is written.
        way_out: Further sentences.

    Raises:
        FileNotFoundError: If the disk is full, the folder is read-only, ...
    """
    try:
        yield
    except OSError as error:
        text = (
            f"`{path}` cannot be written. Expected a folder with room and with "
            f"write permission. Received: {error.strerror or error}. {way_out}"
        )
        raise FileNotFoundError(text.rstrip()) from error


def in_checkout() -> bool:
    """Says whether this package is that of a checkout, with its Makefile."""
    return Path(__file__).parents[1].joinpath("Makefile").is_file()


@contextlib.contextmanager
def replacing(path: Path, *, ending: str = ".tmp") -> Iterator[Path]:
    """Yields a path to write to, which takes the place of `path` at the end.

    Whatever reads `path` meanwhile, or ends this process, finds the file of
    before or the new one. The folder is made if there is none.

    Args:
        path: The file.
        ending: Of the name that is yielded; it begins with a dot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}{ending}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_csv(
    path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]
) -> None:
    """Writes a CSV file in one step."""
    with (
        replacing(path) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
