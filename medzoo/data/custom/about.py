"""Names, groups and attributes of custom images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medzoo.data.custom.address import MEDICAL, parse_address
from medzoo.data.custom.arrays import read_groups
from medzoo.data.custom.attributes import read_attributes
from medzoo.data.custom.listing import list_images
from medzoo.data.custom.load import describe_rows
from medzoo.data.custom.options import Options, complete
from medzoo.data.custom.table import Table, read_csv
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
    rows = describe_rows(data, size, options)
    names = [row["path"] for row in rows]
    if address.path.is_dir():
        known = _read_beside(address.path, columns)
        if known and address.kind in MEDICAL:
            paths = {
                item.name: item.paths[0].relative_to(address.path).as_posix()
                for item in list_images(address, given).items
            }
            names = [paths[name] for name in names]
        _require_any(known, names, address.path)
    else:
        known = list_images(address, given).attributes
    none = ("",) * len(columns)
    cells = [known.get(name, none) for name in names]
    return About(
        [row["path"] for row in rows],
        [row["group"] for row in rows],
        {name: [row[at] for row in cells] for at, name in enumerate(columns)},
    )


def _read_beside(
    folder: Path, columns: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Reads the attributes of the images of a folder, by their paths."""
    if not columns:
        return {}
    table = _open_table(folder, ["path", *columns])
    return {
        row["path"]: tuple(row[name] for name in columns)
        for _, row in table.rows
    }


def _require_any(
    known: Mapping[str, object], names: Sequence[str], folder: Path
) -> None:
    """Checks that the table beside a folder names its images."""
    if known and not known.keys() & {*names}:
        raise ValueError(
            f"`{path_table(folder)}` has none of the images. Expected paths "
            f"such as {names[0]}. Received: {next(iter(known))}."
        )


def _open_table(path: Path, columns: Sequence[str]) -> Table:
    """Reads the table beside a folder or an archive, which has some columns."""
    beside = path_table(path)
    if not beside.is_file():
        raise FileNotFoundError(
            f"No file `{beside}`. Expected a CSV file there with the columns "
            f"{', '.join(columns)} and a row an image."
        )
    table = read_csv(beside)
    for name in columns:
        if name not in table.columns:
            raise ValueError(unknown("attribute", name, table.columns))
    return table


def _describe_arrays(path: Path, columns: Sequence[str]) -> About:
    """Reads the groups of an archive, and the table beside it, if any."""
    groups = read_groups(path)
    if not columns and not path_table(path).is_file():
        return About([], groups, {})
    table = _open_table(path, columns)
    shapes = [describe_array(path, f"{split}_labels")[0] for split in SPLITS]
    count = sum(shape[0] for shape in shapes)
    if len(table.rows) != count:
        raise ValueError(
            f"`{path_table(path)}` must have a row an image of `{path}`, "
            f"train, val and test in turn. Expected {count}. Received: "
            f"{len(table.rows)}."
        )
    cells = {
        name: [row[name] for _, row in table.rows]
        for name in dict.fromkeys([*columns, "path"])
        if name in table.columns
    }
    return About(
        cells.get("path", []), groups, {name: cells[name] for name in columns}
    )


def path_table(path: Path) -> Path:
    """Returns the path of the table beside a folder or an npz archive.

    Example:

    >>> path_table(Path("cells.npz")).name, path_table(Path("scans")).name
    ('cells.images.csv', 'scans.images.csv')
    """
    path = path.resolve()
    name = path.stem if path.suffix == ".npz" else path.name
    return path.with_name(f"{name}.images.csv")


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
    elif path.is_dir():
        _open_table(path, ["path", *columns])
    elif path.is_file():
        known = read_csv(path).columns
        for name in columns:
            if name not in known:
                raise ValueError(unknown("attribute", name, known))
