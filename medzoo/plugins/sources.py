"""Files of what was defined in a notebook, so that other processes find it."""

import ast
import types
from typing import Any

from medzoo.data.folders import cache_folder, caching
from medzoo.files import replacing
from medzoo.plugins.identity import (
    Unidentified,
    list_enclosed,
    list_used,
    parse_code,
)


def write_module(target: Any, name: str) -> tuple[str, str]:
    """Writes a function or class, and all that it uses, as a module.

    Args:
        target: Of a notebook, of a script, or defined inside of a function.
        name: Of the file, without its ending.

    Returns:
        The file in the user's cache, and the name in it; both empty if a value
        cannot be written.
    """
    if not isinstance(target, types.FunctionType | type):
        return "", ""
    written = _Written(target.__module__)
    try:
        written.add(target.__name__, target)
    except Unidentified:
        return "", ""
    path = cache_folder() / "plugins" / f"{name}.py"
    with caching(path), replacing(path) as part:
        text = "\n\n".join(written.statements) + "\n"
        part.write_text(text, encoding="utf-8")
    return str(path), target.__name__


class _Written:
    """The statements of a module, each after those that it needs."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._names: set[str] = set()
        self.statements: list[str] = []

    def add(self, name: str, value: Any) -> None:
        """Adds the statement that gives a name its value."""
        if name in self._names:
            return
        self._names.add(name)
        self.statements.append(self._write(name, value))

    def _write(self, name: str, value: Any) -> str:
        if isinstance(value, types.ModuleType):
            return f"import {value.__name__} as {name}"
        module = getattr(value, "__module__", None)
        called = getattr(value, "__qualname__", "")
        if module == self._home and isinstance(
            value, types.FunctionType | type
        ):
            if list_enclosed(value) or name != value.__name__:
                raise Unidentified(f"`{called}` holds values of a function.")
            node = parse_code(value)
            for used, each in list_used(value, node).items():
                self.add(used, each)
            return ast.unparse(node)
        if isinstance(module, str) and called.isidentifier():
            return f"from {module} import {called} as {name}"
        try:
            if ast.literal_eval(repr(value)) == value:
                return f"{name} = {value!r}"
        except (ValueError, SyntaxError):
            pass
        raise Unidentified(f"`{name}` cannot be written.")
