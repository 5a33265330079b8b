"""Tables of plain values, as CSV, Markdown, LaTeX and HTML."""

import csv
import html
import io
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medzoo.report.comparisons import Difference
from medzoo.report.statistics import Estimate, Spread

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


_FORMATS = {
    "parameters": "{:,}",
    "parameters_in_all": "{:,}",
    "mflops": "{:,.2f}",
    "train_seconds": "{:.1f}",
    "images_per_second": "{:,.0f}",
    "p_holm": "{:.3f}",
    "val_macro_f1": "{:.3f}",
}


def format_table(table: Table) -> str:
    """Lays a table out in aligned columns, numbers to the right.

    Example:

    >>> print(format_table(Table(("model", "auc"), [["mlp", Spread(0.5, 0)]])))
    | model |   auc |
    | :---- | ----: |
    | mlp   | 0.500 |
    """
    texts = [
        [
            escape_markdown(name),
            *(escape_markdown(format_cell(name, row[i])) for row in table.rows),
        ]
        for i, name in enumerate(table.columns)
    ]
    words = [
        any(isinstance(row[i], str) for row in table.rows)
        for i in range(len(table.columns))
    ]
    columns = [_align(*pair) for pair in zip(texts, words, strict=True)]
    return "\n".join(
        f"| {' | '.join(line)} |" for line in zip(*columns, strict=True)
    )


def _align(texts: Sequence[str], words: bool) -> list[str]:
    """Pads one column, and puts the line below its name."""
    width = max(3, *map(len, texts))
    padded = [t.ljust(width) if words else t.rjust(width) for t in texts]
    dashes = "-" * (width - 1)
    return [padded[0], f":{dashes}" if words else f"{dashes}:", *padded[1:]]


def format_cell(name: str, cell: Cell) -> str:
    """Words one cell of the column `name`; no format has escaped it yet."""
    if is_empty(cell):
        return ""
    if isinstance(cell, str):
        return cell  # The value of an axis, whatever its name.
    if isinstance(cell, Spread):
        return f"{cell.mean:.3f}"
    if isinstance(cell, Estimate) and cell.ends:
        return "{:.3f} ({:.3f} to {:.3f})".format(cell.mean, *cell.ends)
    if isinstance(cell, Estimate):
        half = cell.half_width
        return f"{cell.mean:.3f}{'' if half is None else f' ± {half:.3f}'}"
    if isinstance(cell, Difference):
        interval = ""
        if cell.low is not None and cell.high is not None:
            interval = f" ({cell.low:+.3f} to {cell.high:+.3f})"
        return f"{cell.estimate:+.3f}{interval}"
    if name == "p_holm" and isinstance(cell, float) and cell < 0.001:
        return "<0.001"
    return _FORMATS.get(name, "{}").format(cell)


def escape_markdown(text: str) -> str:
    """Keeps a text on one line and in one cell.

    Example:

    >>> print(escape_markdown("a|b"))
    a\\|b
    """
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def format_list(items: dict[str, str]) -> str:
    """Lays facts out as a list, wrapped at 80 columns."""
    return "\n".join(
        textwrap.fill(
            f"- {name}: {text}",
            width=80,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, text in items.items()
    )


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def to_latex(table: Table) -> str:
    r"""Lays a table out as a `tabular` with the rules of booktabs.

    Words are set to the left, numbers to the right; underscores of column
    names become blanks.

    Example:

    >>> print(to_latex(Table(("model", "auc"), [["a_b", 0.5]])))
    \begin{tabular}{lr}
    \toprule
    model & auc \\
    \midrule
    a\_b & 0.5 \\
    \bottomrule
    \end{tabular}
    """
    sides = "".join(
        "l" if any(isinstance(row[i], str) for row in table.rows) else "r"
        for i in range(len(table.columns))
    )
    names = [escape_latex(name.replace("_", " ")) for name in table.columns]
    rows = [
        [
            escape_latex(format_cell(name, cell))
            for name, cell in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]
    lines = [f"\\begin{{tabular}}{{{sides}}}", r"\toprule", _join(names)]
    lines += [r"\midrule", *map(_join, rows), r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines)


def escape_latex(text: str) -> str:
    r"""Keeps every character of a text as it is.

    Example:

    >>> print(escape_latex("50 % of a_b"))
    50 \% of a\_b
    """
    special = f"[{re.escape(''.join(_SPECIAL))}]"
    words = " ".join(text.split())
    return re.sub(special, lambda found: _SPECIAL[found[0]], words)


def _join(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


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
