"""Text on a terminal: never markup, and never commands to the terminal."""

from typing import Any

from rich.console import Console
from rich.text import Text

from medzoo.messages import printable


class PlainConsole(Console):
    """A console that prints strings as they are.

    Questions, paths and errors have brackets, which rich would read as markup,
    and may have escape sequences, which a terminal would obey.

    Args:
        **options: As for `rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)
