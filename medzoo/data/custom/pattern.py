"""Patterns of paths, with names of columns in braces."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from medzoo.messages import unknown


@dataclass(frozen=True)
class Pattern:
    """A text with cells of a row in the place of the names of columns.

    Args:
        texts: What is between the columns; one more than these.
        columns: Names of columns, in their order.
    """

    texts: tuple[str, ...]
    columns: tuple[str, ...]

    def fill(
        self, row: Mapping[str, str], change: Callable[[str], str] = str
    ) -> str:
        """Puts the cells of a row in the place of their columns.

        Args:
            row: Cells by column.
            change: Is called with each cell.
        """
        first, *texts = self.texts
        cells = [change(row[name]) for name in self.columns]
        pairs = zip(cells, texts, strict=True)
        return "".join([first, *(cell + text for cell, text in pairs)])


def read_pattern(text: str, columns: Sequence[str]) -> Pattern:
    """Reads the name of a column, or a pattern of several.

    A column that exists is a column, whatever its name: `image.path` and
    `{image.path}` alike.

    Raises:
        ValueError: If it names a column that is not there.

    Example:

    >>> pattern = read_pattern("masks/{file.name}.png", ["file.name"])
    >>> pattern.fill({"file.name": "7"})
    'masks/7.png'
    """
    if text in columns:
        return Pattern(("", ""), (text,))
    if "{" not in text:
        raise ValueError(unknown("column", text, columns))
    longest = sorted({*columns} - {""}, key=len, reverse=True)
    names = "|".join(map(re.escape, longest))
    parts = re.split(rf"\{{({names})\}}", text) if names else [text]
    for part in parts[::2]:
        wrong = re.search(r"\{([^{}]*)\}?", part)
        if wrong and wrong[1] in columns:
            raise ValueError(
                "A brace is not closed. Expected names of columns in braces, "
                f"such as `{{{wrong[1]}}}`. Received: {text!r}."
            )
        if wrong:
            raise ValueError(unknown("column", wrong[1], columns))
    return Pattern(tuple(parts[::2]), tuple(parts[1::2]))
