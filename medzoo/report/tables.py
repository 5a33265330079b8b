"""Tables of plain values, as CSV, Markdown, LaTeX and HTML."""

import csv
import functools
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from medzoo.files import defuse
from medzoo.messages import printable
from medzoo.report.comparisons import Difference
from medzoo.report.statistics import Estimate, Spread

if TYPE_CHECKING:
    import pandas as pd

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
    rows: Sequence[Sequence[Cell]]


def is_empty(cell: Cell) -> bool:
    """Whether a cell is empty; a 0 is not."""
    value = cell.mean if isinstance(cell, Spread) else cell
    return value is None or (isinstance(value, float) and math.isnan(value))


def make_frame(table: Table) -> "pd.DataFrame":
    """Lays a table out in plain values, several columns for some cells.

    Example:

    >>> make_frame(Table(("model", "auc"), [["mlp", Spread(0.5, 0.1)]]))
      model  auc auc_std
    0   mlp  0.5     0.1
    """
    import pandas as pd

    return pd.DataFrame(_list_columns(table), dtype=object)


def _list_columns(table: Table) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for index, name in enumerate(table.columns):
        cells = [row[index] for row in table.rows]
        kinds = {*map(type, cells)}
        columns[name] = _list_values(cells, kinds)
        endings = (_ENDINGS.get(kind, ()) for kind in kinds)
        for ending in max(endings, key=len, default=()):
            rest = [getattr(cell, ending[1:], None) for cell in cells]
            columns[f"{name}{ending}"] = [_round(value) for value in rest]
    return columns


def _list_values(cells: list[Cell], kinds: set[type]) -> list[Any]:
    if kinds <= {str, bool, int, type(None)}:
        return cells
    if kinds <= {float, int, type(None)}:  # NaN alone is not itself.
        return [cell if cell == cell else None for cell in cells]
    return [_first_value(cell) for cell in cells]


def _first_value(cell: Cell) -> Any:
    if isinstance(cell, Spread | Estimate):
        return _round(cell.mean)
    if isinstance(cell, Difference):
        return _round(cell.estimate)
    return None if is_empty(cell) else cell


def _round(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 6)


def to_csv(table: Table) -> str:
    """Writes a table as CSV; what is unknown is empty."""
    columns = _list_columns(table)
    # Most texts are those of the row above.
    safe = functools.lru_cache(maxsize=10_000)(defuse)
    cells = (
        [safe(cell) if isinstance(cell, str) else cell for cell in column]
        if str in {*map(type, column)}
        else column
        for column in columns.values()
    )
    # `io.StringIO` has four bytes a character.
    lines: list[str] = []
    writer = csv.writer(_Lines(lines.append), lineterminator="\n")
    writer.writerow(map(defuse, columns))
    writer.writerows(zip(*cells, strict=True))
    return "".join(lines)


class _Lines(NamedTuple):
    write: Callable[[str], object]


_FORMATS = {
    "parameters": "{:,}",
    "parameters_in_all": "{:,}",
    "mflops": "{:,.2f}",
    "train_seconds": "{:.1f}",
    "train time": "{:.1f}",
    "images_per_second": "{:,.0f}",
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
    if name in ("p", "p_holm") and isinstance(cell, float):
        return "< 0.001" if cell < 0.001 else f"{cell:.3f}"
    return _FORMATS.get(name.partition(" (")[0], "{}").format(cell)


# What Markdown takes for more than a character: not the `_` inside of a word.
_MARKDOWN = re.compile(r"[\\|`*\[\]]|<(?=[\w/!?])|(?<!\w)_|_(?!\w)")


def escape_markdown(text: str) -> str:
    """Keeps every character of a text as it is, on one line and in one cell.

    Example:

    >>> print(escape_markdown("a|b"))
    a\\|b
    """
    words = " ".join(printable(text).split())
    return _MARKDOWN.sub(r"\\\g<0>", words)


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
    "<": "$<$",
    ">": "$>$",
    "−": "$-$",
    "–": "--",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    # A row that begins with a bracket would be an argument of the line before.
    "[": "{[}",
    "]": "{]}",
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
    return escape_signs(" ".join(printable(text).split()))


def escape_signs(text: str) -> str:
    """Escapes the signs of a part of a text, whose blanks are kept."""
    special = f"[{re.escape(''.join(_SPECIAL))}]"
    return re.sub(special, lambda found: _SPECIAL[found[0]], text)


def _join(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def to_html(table: Table) -> str:
    """Lays a table out as a table of HTML, without a page around it."""
    import pandas as pd

    rows = [
        [
            printable(format_cell(*pair))
            for pair in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]
    frame = pd.DataFrame(rows, columns=list(table.columns), dtype=object)
    with pd.option_context("display.max_colwidth", None):
        return frame.to_html(index=False, border=0)


FORMATS: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": format_table,
    "latex": to_latex,
    "html": to_html,
}
