"""CSV files of paths and labels, with splits and groups where known."""

import csv
import os
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medzoo.data.custom.listing import Fault, Item, Listing, name_split
from medzoo.messages import unknown

Row = dict[str, str]


def list_table(path: Path, options: Mapping[str, Any]) -> Listing:
    """Lists the images of a CSV file.

    Args:
        path: A CSV file in UTF-8 with a line of column names, separated by
            commas, semicolons or tabs.
        options: All options of the source: `path` names the column of paths or
            is a pattern with columns in braces; `channels` are such patterns,
            one a file of the image; `root` is the folder that paths are
            relative to, that of the CSV file if empty.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no CSV file, or lacks a column.
    """
    columns, rows = read_rows(path)
    patterns = [as_pattern(p, columns) for p in options["channels"]]
    patterns = patterns or [as_pattern(options["path"], columns)]
    asked = {key: options[key] for key in ("label", "split", "group")}
    needed = {asked["label"], *(n for p in patterns for n in names_in(p))}
    # These are taken where they exist; named otherwise, they have to exist.
    needed |= {name for key, name in asked.items() if name not in ("", key)}
    way = "Set `label`, `path` or `channels` to what the file has."
    require_columns(path, needed, columns, way)
    root = path.parent / options["root"]
    listing = Listing()
    seen: dict[tuple[str, ...], int] = {}
    for number, row in rows:
        where = f"line {number}"
        if None in row or None in row.values():
            reason = f"not the {len(columns)} cells of the first line"
            listing.faults.append(Fault(where, reason))
            continue
        parts = tuple(pattern.format_map(row) for pattern in patterns)
        fault = find_fault(root, parts, seen)
        if all(parts) and not row[asked["label"]].strip():
            fault = "no label"
        split = row.get(asked["split"], "").strip()
        if split and name_split(split) is None:
            fault = fault or f"split {split!r}, where train, val or test belong"
        if fault:
            name = f"{where}, {parts[0] or 'no path'}"
            listing.faults.append(Fault(name, fault))
            continue
        seen[parts] = number
        listing.items.append(
            Item(
                parts[0],
                tuple(root / part for part in parts),
                row[asked["label"]].strip(),
                name_split(split) or "",
                row.get(asked["group"], "").strip(),
            )
        )
    return listing


def require_columns(
    path: Path, needed: Iterable[str], columns: Sequence[str], way_out: str
) -> None:
    """Checks that there are columns.

    Raises:
        ValueError: With the way out, if one is missing.
    """
    for name in sorted(needed):
        if name not in columns:
            sentence = unknown("column", name, columns)
            raise ValueError(f"`{path}`: {sentence} {way_out}")


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """Reads a CSV file; see `list_table`.

    Returns:
        Names of its columns, and each row with the number of its line.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No file `{path}`. Expected a CSV file of paths and labels."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{path}` is not text in UTF-8 ({error.reason} at byte "
            f"{error.start}). Save it as CSV UTF-8."
        ) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ValueError(
            f"`{path}`, line {reader.line_num}: no CSV ({error})."
        ) from None
    columns = [str(name) for name in reader.fieldnames or []]
    if not rows:
        raise ValueError(
            f"`{path}` has no rows. Expected a line of column names, such as "
            f"`path,label`, and a line an image. Received: {columns}."
        )
    return columns, rows


def as_pattern(text: str, columns: Sequence[str]) -> str:
    """Takes a bare name for a column, and the rest for a pattern."""
    return text if "{" in text and text not in columns else f"{{{text}}}"


def names_in(pattern: str) -> list[str]:
    """Lists the columns that a pattern names."""
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(
            f"A pattern has names of columns in braces ({error}). "
            f"Received: {pattern!r}."
        ) from None
    return [name for _, name, _, _ in parts if name is not None]


def find_fault(
    root: Path,
    parts: tuple[str, ...],
    seen: Mapping[tuple[str, ...], int],
) -> str | None:
    """Says what is wrong with the paths of a row."""
    if not all(parts):
        return "no path"
    if parts in seen:
        return f"the same path as line {seen[parts]}"
    base = os.path.abspath(root)
    for part in parts:
        whole = os.path.abspath(os.path.join(base, part))
        if os.path.commonpath([base, whole]) != base:
            return (
                f"{part} leads out of {root}; set `root` to a folder that "
                "holds all images"
            )
        if not os.path.isfile(whole):
            return f"no file {part}" if len(parts) > 1 else "no such file"
    return None
