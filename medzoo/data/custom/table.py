"""CSV files as tables: a row an image, with the columns it has."""

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medzoo.files import read_regular

# Other common names of the splits.
_SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_DELIMITERS = ",;\t|"
# Rows that are looked at for the delimiter.
_SAMPLE = 50
# How R, pandas, Excel and databases write that there is no value.
_MISSING = ("NA", "<NA>", "N/A", "#N/A", "NaN", "nan", "NULL", "null")

Row = dict[str, str]


class Fault(NamedTuple):
    """A file, row or class that cannot be used, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Table(NamedTuple):
    """A source of images as a table.

    Args:
        path: The folder or CSV file.
        columns: Names of the columns, as often as they are there.
        rows: By the number of their line, or by the path of their image.
        faults: Files and lines that are no row.
    """

    path: Path
    columns: list[str]
    rows: list[tuple[str, Row]]
    faults: list[Fault]

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir()


class BadImage(Exception):  # noqa: N818 - a finding, not an error
    """Says why a file cannot be used."""


class DeepImage(BadImage):
    """Says that a file has 16 bits where files of 8 are read."""


def name_split(text: str) -> str | None:
    """Returns the split that a name means; `None` if it means none.

    Example:

    >>> name_split("Validation"), name_split("cats")
    ('val', None)
    """
    return _SPLITS.get(text.strip().lower())


def read_csv(path: Path) -> Table:
    """Reads a CSV file with commas, semicolons, tabs or bars.

    It is UTF-8, or UTF-16 with a mark, as Excel writes it; names of files may
    have other bytes. Blanks around a cell
    do not count, nor do rows of empty cells; `NA`, `NaN` and `NULL` are empty.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no CSV file, or has no rows.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No file `{path}`. Expected a CSV file of paths and labels."
        )
    text = _read_text(path)
    delimiter = _find_delimiter(text)
    numbered = _number_rows(path, _parse(text, delimiter))
    _, columns = next(numbered, (0, []))
    rows = [(f"line {line}", cells) for line, cells in numbered]
    if not rows:
        raise ValueError(
            f"`{path}` has no rows. Expected a line of column names, such as "
            f"`path,label`, and a line an image. Received: {columns}."
        )
    faults = {
        line: reason
        for line, cells in rows
        if (reason := _compare(columns, cells))
    }
    if len(faults) == len(rows) > 1:
        raise ValueError(_refuse_all(path, columns, rows))
    return Table(
        path,
        columns,
        [
            (line, dict(zip(columns, cells, strict=False)))
            for line, cells in rows
            if line not in faults
        ],
        [Fault(line, reason) for line, reason in faults.items()],
    )


def _read_text(path: Path) -> str:
    try:
        content = read_regular(path)
    except ValueError as error:
        raise ValueError(
            f"`{path}` is {error}. Expected a CSV file, and no pipe or folder."
        ) from None
    is_wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        text = content.decode("utf-8-sig", "surrogateescape")
        if not _names_files(text, path.parent):
            line = content[: error.start].count(b"\n") + 1
            raise ValueError(
                f"`{path}` is not text in UTF-8 ({error.reason} at byte "
                f"{error.start}, line {line}). Save it as CSV UTF-8."
            ) from None
    first, end, rest = text.partition("\n")
    if "\0" in first:
        raise ValueError(
            f"`{path}` is not text in UTF-8, or in UTF-16 with a mark. "
            f"Received: {first[:20]!r}. Save it as CSV UTF-8."
        )
    # Excel takes the delimiter from such a line.
    is_hint = re.fullmatch(r"sep=.\r?", first)
    return f"{end}{rest}" if is_hint else text


def _names_files(text: str, folder: Path) -> bool:
    """Says whether bytes that are not UTF-8 are those of a file's name."""
    with contextlib.suppress(csv.Error):
        for cell in itertools.chain(*_parse(text, _find_delimiter(text))):
            is_odd = any("\udc80" <= char <= "\udcff" for char in cell)
            if is_odd and (folder / cell.strip()).exists():
                return True
    return False


def _parse(text: str, delimiter: str) -> Iterator[list[str]]:
    """Returns a reader of rows, whose lines end as `csv` says, not Unicode."""
    lines = io.StringIO(text, newline=None)
    return csv.reader(
        lines, delimiter=delimiter, strict=True, skipinitialspace=True
    )


def _find_delimiter(text: str) -> str:
    """Returns what divides the first line, and the rows after it alike."""

    def rate(delimiter: str) -> tuple[int, int]:
        rows = itertools.islice(_parse(text, delimiter), _SAMPLE)
        counts = []
        with contextlib.suppress(csv.Error):  # Told where rows are read.
            for row in filter(None, rows):
                counts.append(len(row))
        columns = counts[0] if counts else 0
        return (counts.count(columns) if columns > 1 else 0), columns

    return max(_DELIMITERS, key=rate)


def _number_rows(
    path: Path, reader: Iterator[list[str]]
) -> Iterator[tuple[int, list[str]]]:
    """Yields rows with something in them, and the number of their line."""
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, ["" if c in _MISSING else c for c in cells]
            line = reader.line_num + 1  # type: ignore[attr-defined]
    except csv.Error as error:
        raise ValueError(
            f"`{path}`, line {line}: no CSV ({error}). Expected quotes in "
            f"pairs and cells of at most {csv.field_size_limit():,} characters."
        ) from None


def _compare(columns: list[str], cells: list[str]) -> str | None:
    """Says which cells of a row are missing, or have no column."""
    wanted, found = len(columns), len(cells)
    extra = [repr(cell) for cell in cells[wanted:] if cell]
    if found >= wanted and not extra:
        return None
    reason = f"not the {wanted} cells of the first line, but {found}"
    if extra:
        return f"{reason}: there is no column for {', '.join(extra)}"
    missing = [f"`{name}`" for name in columns[found:]]
    return f"{reason}: no cell of {', '.join(missing)}"


def _refuse_all(
    path: Path, columns: list[str], rows: list[tuple[str, list[str]]]
) -> str:
    """Words that no row has the cells of the first line."""
    line, cells = rows[0]
    hint = "Were decimal commas, or commas in a text, left without quotes?"
    if all(len(cells) == len(columns) + 1 for _, cells in rows):
        hint = (
            "Was it written by R's write.table, which names no column of row "
            "names? write.csv does."
        )
    return (
        f"No row of `{path}` has the {len(columns)} cells of its first line "
        f"({', '.join(columns)}). Received: {len(cells)} in {line} "
        f"({', '.join(cells)}). {hint}"
    )
