"""Tables and their pages as Markdown that also reads well as plain text."""

import textwrap
from collections.abc import Sequence

from medzoo.report.aggregate import Spread
from medzoo.report.compare import Difference
from medzoo.report.intervals import Estimate
from medzoo.report.tables import Cell, Table, is_empty

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
            escape(name),
            *(escape(format_cell(name, row[i])) for row in table.rows),
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
    if isinstance(cell, Estimate):
        half = cell.half_width
        return f"{cell.mean:.3f}{'' if half is None else f' ± {half:.3f}'}"
    if isinstance(cell, Difference):
        interval = ""
        if cell.low is not None and cell.high is not None:
            interval = f" ({cell.low:+.3f} to {cell.high:+.3f})"
        return f"{cell.estimate:+.3f}{interval}"
    return _FORMATS.get(name, "{}").format(cell)


def escape(text: str) -> str:
    """Keeps a text on one line and in one cell.

    Example:

    >>> print(escape("a|b"))
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
