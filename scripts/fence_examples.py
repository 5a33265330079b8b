"""Examples of docstrings as blocks of code, for the documentation.

An extension of Griffe, which reads the package for mkdocstrings.
"""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class FenceExamples(griffe.Extension):
    """Puts doctests that start a line between fences."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Changes the docstring of an object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(
                r"```pycon\n\g<0>\n```", obj.docstring.value
            )
