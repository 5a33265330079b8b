"""A table of plain values that no format has touched yet, and its CSV."""

import csv
import io
import math
from dataclasses import dataclass

from medzoo.report.aggregate import Spread
from medzoo.report.compare import Difference
from medzoo.report.intervals import Estimate

Cell = str | bool | int | float | Spread | Estimate | Difference | None
# What a cell of several numbers adds to its column's name in CSV.
_ENDINGS: dict[type, tuple[str, ...]] = {
    Spread: ("_std",),
    Estimate: ("_std", "_low", "_high"),
    Difference: ("_low", "_high"),
}


@dataclass(frozen=True)
class Table:
    """Named columns, and rows of one cell a column.

    Args:
        columns: Names, each once.
        rows: Cells in the order of `columns`; `None` and NaN are empty.
    """

    columns: tuple[str, ...]
    rows: list[list[Cell]]


def is_empty(cell: Cell) -> bool:
    """Says whether a cell holds nothing; a 0 is not nothing."""
    value = cell.mean if isinstance(cell, Spread) else cell
    return value is None or (isinstance(value, float) and math.isnan(value))


def csv_columns(table: Table) -> list[str]:
    """Names the columns of the CSV, several for a cell of several numbers.

    Example:

    >>> csv_columns(Table(("model", "auc"), [["mlp", Spread(0.5, 0.1)]]))
    ['model', 'auc', 'auc_std']
    """
    names = []
    for index, name in enumerate(table.columns):
        endings = _endings([row[index] for row in table.rows])
        names += [name, *(f"{name}{ending}" for ending in endings)]
    return names


def _endings(cells: list[Cell]) -> tuple[str, ...]:
    """Returns what the cells of one column have beside their first number."""
    return max((_ENDINGS.get(type(c), ()) for c in cells), key=len, default=())


def to_csv(table: Table) -> str:
    """Writes a table as CSV; what is unknown is empty."""
    endings = [
        _endings([row[index] for row in table.rows])
        for index in range(len(table.columns))
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(csv_columns(table))
    for row in table.rows:
        cells = zip(row, endings, strict=True)
        writer.writerow([t for pair in cells for t in _texts(*pair)])
    return out.getvalue()


def _texts(cell: Cell, endings: tuple[str, ...]) -> list[str]:
    """Writes a cell and the numbers that its column has beside the first."""
    if isinstance(cell, Spread | Estimate):
        first = cell.mean
    elif isinstance(cell, Difference):
        first = cell.estimate
    else:
        text = "" if is_empty(cell) else str(cell)
        return [text] + [""] * len(endings)
    rest = (getattr(cell, ending[1:], None) for ending in endings)
    return [
        "" if value is None or math.isnan(value) else str(round(value, 6))
        for value in (first, *rest)
    ]
