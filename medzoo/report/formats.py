"""The formats in which a table can be had."""

import html
from collections.abc import Callable

from medzoo.report.latex import to_latex
from medzoo.report.markdown import format_cell, format_table
from medzoo.report.tables import Table, to_csv


def to_html(table: Table) -> str:
    """Lays a table out as a table of HTML, without a page around it.

    Example:

    >>> print(to_html(Table(("model", "auc"), [["a<b", 0.5]])))
    <table>
    <tr><th>model</th><th>auc</th></tr>
    <tr><td>a&lt;b</td><td>0.5</td></tr>
    </table>
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = [
        "".join(
            f"<td>{html.escape(format_cell(name, cell))}</td>"
            for name, cell in zip(table.columns, row, strict=True)
        )
        for row in table.rows
    ]
    lines = [f"<tr>{cells}</tr>" for cells in (head, *rows)]
    return "\n".join(["<table>", *lines, "</table>"])


FORMATS: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": format_table,
    "latex": to_latex,
    "html": to_html,
}
