"""Tables as LaTeX, for a paper that loads booktabs."""

import re

from medzoo.report.markdown import format_cell
from medzoo.report.tables import Table

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
    names = [escape(name.replace("_", " ")) for name in table.columns]
    rows = [
        [
            escape(format_cell(name, cell))
            for name, cell in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]
    lines = [f"\\begin{{tabular}}{{{sides}}}", r"\toprule", _join(names)]
    lines += [r"\midrule", *map(_join, rows), r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines)


def escape(text: str) -> str:
    r"""Keeps every character of a text as it is.

    Example:

    >>> print(escape("50 % of a_b"))
    50 \% of a\_b
    """
    special = f"[{re.escape(''.join(_SPECIAL))}]"
    words = " ".join(text.split())
    return re.sub(special, lambda found: _SPECIAL[found[0]], words)


def _join(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
