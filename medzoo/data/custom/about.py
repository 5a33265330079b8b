"""Names, groups and attributes of custom images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medzoo.data.custom.address import parse_address
from medzoo.data.custom.attributes import read_attributes
from medzoo.data.custom.listing import list_images
from medzoo.data.custom.load import describe_rows
from medzoo.data.custom.options import Options, complete
from medzoo.data.custom.table import read_csv
from medzoo.data.npz import describe_array
from medzoo.messages import unknown
from medzoo.tasks import SPLITS


class About(NamedTuple):
    """What is known of images beside their labels, train, val and test in turn.

    Args:
        names: Of their files; empty where they have none.
        groups: What stays in one split, such as patients; may be empty.
        attributes: Cells of each column of the data option `attributes`.
    """

    names: list[str]
    groups: list[str]
    attributes: dict[str, list[str]]


def describe_images(data: str, size: int, options: Mapping[str, Any]) -> About:
    """Returns names, groups and attributes of custom images.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If a column is missing.
    """
    address, given = parse_address(data), complete(data, size, options)
    columns = [each.name for each in read_attributes(given.attributes)]
    if address.kind == "npz":
        return _describe_arrays(address.path, columns)
    listing = list_images(address, given)
    rows = describe_rows(data, size, options)
    cells = [listing.attributes[row["path"]] for row in rows]
    return About(
        [row["path"] for row in rows],
        [row["group"] for row in rows],
        {name: [row[at] for row in cells] for at, name in enumerate(columns)},
    )


def _describe_arrays(path: Path, columns: Sequence[str]) -> About:
    """Reads the table beside an archive, if there is one."""
    beside = path_table(path)
    if not beside.is_file():
        if not columns:
            return About([], [], {})
        raise FileNotFoundError(
            f"No file `{beside}`. Expected a CSV file there with the columns "
            f"{', '.join(columns)} and a row an image: train, val and test in "
            "turn."
        )
    table = read_csv(beside)
    shapes = [describe_array(path, f"{split}_labels")[0] for split in SPLITS]
    count = sum(shape[0] for shape in shapes)
    if len(table.rows) != count:
        raise ValueError(
            f"`{beside}` must have a row an image of `{path}`. Expected "
            f"{count}. Received: {len(table.rows)}."
        )
    for name in columns:
        if name not in table.columns:
            raise ValueError(unknown("attribute", name, table.columns))
    cells = {
        name: [row[name] for _, row in table.rows]
        for name in dict.fromkeys([*columns, "path", "group"])
        if name in table.columns
    }
    return About(
        cells.get("path", []),
        cells.get("group", []),
        {name: cells[name] for name in columns},
    )


def path_table(path: Path) -> Path:
    """Returns the path of the table beside an npz archive.

    Example:

    >>> path_table(Path("cells.npz")).name
    'cells.images.csv'
    """
    return path.with_suffix(".images.csv")


def require_attributes(data: str, options: Mapping[str, Any]) -> None:
    """Checks that there are the columns of the data option `attributes`.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If a column is missing.
    """
    if not options.get("attributes"):
        return
    given = complete(data, Options().size, options)
    columns = [each.name for each in read_attributes(given.attributes)]
    path = parse_address(data).path
    if data.startswith("npz:"):
        _describe_arrays(path, columns)
        return
    known = read_csv(path).columns if path.is_file() else []
    for name in columns:
        if path.is_file() and name not in known:
            raise ValueError(unknown("attribute", name, known))
