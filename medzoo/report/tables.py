"""A table of plain values that no format has touched yet, and its CSV."""

import csv
import io
import math
from dataclasses import dataclass

from medzoo.report.aggregate import Spread

Cell = str | bool | int | float | Spread | None


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
    """Names the columns of the CSV: those of a spread are `x` and `x_std`.

    Example:

    >>> csv_columns(Table(("model", "auc"), [["mlp", Spread(0.5, 0.1)]]))
    ['model', 'auc', 'auc_std']
    """
    names = []
    for index, name in enumerate(table.columns):
        names.append(name)
        if any(isinstance(row[index], Spread) for row in table.rows):
            names.append(f"{name}_std")
    return names


def to_csv(table: Table) -> str:
    """Writes a table as CSV: a spread as two columns, unknown as empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(csv_columns(table))
    for row in table.rows:
        writer.writerow([text for cell in row for text in _texts(cell)])
    return out.getvalue()


def _texts(cell: Cell) -> list[str]:
    if isinstance(cell, Spread):
        return ["" if math.isnan(x) else str(round(x, 6)) for x in cell]
    return ["" if is_empty(cell) else str(cell)]
