"""The text of a study file, and sentences that say where it is wrong."""

import functools
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from medzoo.messages import FieldError

# The keys and list positions that lead to a value: ("axes", 0, "optimizer").
KeyPath = tuple[str | int, ...]
Fault = tuple[KeyPath, str]


def format_key(path: KeyPath) -> str:
    """Writes a key as people do: `axes.optimizer`, without positions."""
    return f"`{'.'.join(key for key in path if isinstance(key, str))}`"


def describe(error: ErrorDetails, path: KeyPath) -> str:
    """Turns one error of pydantic into a sentence about `path`."""
    key = format_key(path)
    if error["type"] == "missing":
        return f"{key} is missing."
    name = key.strip("`").rpartition(".")[2]
    if error["type"] == "value_error":
        sentence = str(error["ctx"]["error"])
        # An option names itself, and the key adds its place in the file.
        same = sentence.partition("`")[2].partition("`")[0] == name
        return sentence if same and key == f"`{name}`" else f"{key}: {sentence}"
    text = error["msg"].replace(" after validation", "")
    text = re.sub(r"a valid integer\b.*", "a whole number", text)
    text = re.sub(r"a valid (number|boolean)\b.*", r"a \1", text)
    text = text.replace("a valid dictionary", "a table")
    text = re.sub(r"^\w+ should", f"{key} must", text)
    return f"{text}. Received: {name}={error['input']!r}."


def find_faults(
    error: ValidationError, paths: Mapping[str, KeyPath], otherwise: KeyPath
) -> list[Fault]:
    """Words each error of a run, with the path of the key that it is about.

    Args:
        error: What `Run` raised.
        paths: Where each key of the run is.
        otherwise: The path of what is about none of them.
    """
    faults = []
    for details in error.errors():
        cause = details.get("ctx", {}).get("error")
        fields = cause.fields if isinstance(cause, FieldError) else ()
        known = [str(k) for k in (*fields, *details["loc"]) if k in paths]
        path = paths[known[0]] if known else otherwise
        faults.append((path, describe(details, path or details["loc"])))
    return faults


def _look_beside(path: Path, data: Any) -> Any:
    """Returns the address of data beside a file, if they are there.

    Other relative paths are of the current folder.
    """
    kind, colon, place = str(data).partition(":")
    found = path.parent / place
    return f"{kind}:{found}" if colon and place and found.exists() else data


@dataclass(frozen=True)
class Source:
    """A study file as it was read.

    Args:
        text: All of it.
    """

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file.

        Raises:
            ValueError: If it is not text in UTF-8.
        """
        try:
            return cls(path, path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ValueError(
                f"{path}, line {line}: not text in UTF-8 ({error.reason}). "
                "Save the file as UTF-8."
            ) from None

    def __str__(self) -> str:
        path, here = self.path.absolute(), Path.cwd()
        return str(
            path.relative_to(here) if path.is_relative_to(here) else path
        )

    def parse(self) -> dict[str, Any]:
        """Reads the TOML; data beside the file are found from anywhere.

        Raises:
            ValueError: If it is none, with the line and the reason.
        """
        try:
            values = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            reason = re.fullmatch(
                r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)",
                str(error),
            )
            what, line, column = reason.groups() if reason else (error, 0, 0)
            line = line or len(self.text.splitlines())
            column = f", column {column}" if column else ", at its end"
            raise ValueError(
                f"{self}, line {line}{column}: not valid TOML: {what}."
            ) from None
        table = values.get("data")
        if isinstance(table, dict) and "source" in table:
            table["source"] = _look_beside(self.path, table["source"])
        elif isinstance(table, str):
            values["data"] = _look_beside(self.path, table)
        return values

    def line_of(self, path: KeyPath) -> int | None:
        """Finds the line of a key, or of the nearest table or list above it.

        `None` if the text has neither.
        """
        while path:
            # `[axes]` is the only grid: a list of one.
            alone = tuple(key for key in path if key != 0)
            line = self._lines.get(path) or self._lines.get(alone)
            if line:
                return line
            path = path[:-1]
        return None

    @functools.cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return find_lines(self.text)

    def fault(self, *faults: Fault) -> ValueError:
        """Makes the error for sentences and the paths that they are about."""
        return ValueError(
            "\n".join(
                f"{self}, line {line}: {sentence}"
                if path and (line := self.line_of(path))
                else f"{self}: {sentence}"
                for path, sentence in faults
            )
        )


def write_toml(values: Mapping[str, Any]) -> str:
    """Writes values as TOML, tables after all else.

    Example:

    >>> print(write_toml({"axes": [{"model": ["mlp"]}], "seeds": [0]}))
    seeds = [0]
    axes = [{ model = ["mlp"] }]
    """
    last = sorted(values, key=lambda key: _holds_tables(values[key]))
    return "\n".join(f"{key} = {_write_value(values[key])}" for key in last)


def _holds_tables(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple)
        and any(isinstance(each, Mapping) for each in value)
    )


def _write_value(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{k} = {_write_value(v)}" for k, v in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, str | bool | int | float):
        # Of control characters JSON leaves one that TOML does not take.
        text = json.dumps(value, ensure_ascii=False)
        return text.replace("\x7f", "\\u007f")
    return f"[{', '.join(map(_write_value, value))}]"


# Lines of one value that are tried; then those alone that only close brackets.
_MOST_TRIES = 20


def find_lines(text: str) -> dict[KeyPath, int]:
    """Finds the line on which each key of a TOML document is set.

    The text is read once. Each statement is parsed by itself, so that inline
    tables, dotted keys and values of several lines need no grammar here.

    Example:

    >>> lines = find_lines("seeds = [0]\\n[[trials]]\\nwidth = 8")
    >>> lines["seeds",], lines["trials", 0], lines["trials", 0, "width"]
    (1, 2, 3)
    """
    lines: dict[KeyPath, int] = {}
    tables: Counter[KeyPath] = Counter()
    above: KeyPath = ()
    for number, document, is_header in _split_statements(text):
        if is_header:
            above = _enter_table(document, tables)
            for length in range(1, len(above) + 1):
                lines.setdefault(above[:length], number)
        for path in _list_paths(document) if not is_header else ():
            lines.setdefault((*above, *path), number)
    return lines


def _split_statements(text: str) -> Iterator[tuple[int, dict[str, Any], bool]]:
    """Yields the line of each statement, its content, and if it is a header."""
    statement: list[str] = []
    start = 1
    tries = 0
    for number, line in enumerate(text.split("\n"), 1):
        start = start if statement else number
        statement.append(line)
        # Only these end a value that goes on over several lines.
        if len(statement) > 1 and not re.search(r"[\]}]|\"\"\"|'''", line):
            continue
        # To try each line of a long list would take quadratic time.
        if tries > _MOST_TRIES and not re.match(r"\s*[\]}]+\s*(#|$)", line):
            continue
        tries += 1
        try:
            document = tomllib.loads("\n".join(statement))
        except tomllib.TOMLDecodeError:
            continue
        tries = 0
        if document:
            yield start, document, statement[0].lstrip().startswith("[")
        statement = []


def _enter_table(document: dict[str, Any], tables: Counter[KeyPath]) -> KeyPath:
    """Returns the path of the table that a header opens."""
    path: KeyPath = ()
    value: Any = document
    while value:
        if isinstance(value, list):
            tables[path] += 1
            path, value = (*path, tables[path] - 1), value[0]
            continue
        ((key, value),) = value.items()
        path = (*path, key)
        if isinstance(value, dict) and tables[path]:
            path = (*path, tables[path] - 1)
    return path


def _list_paths(value: Any) -> Iterator[KeyPath]:
    """Yields the path of each key below a value."""
    if isinstance(value, dict):
        items: Any = value.items()
    else:
        items = enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (key,)
        yield from ((key, *path) for path in _list_paths(below))
