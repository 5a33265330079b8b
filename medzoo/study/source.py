"""The text of a study file, and sentences that say where it is wrong."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_core import ErrorDetails

# The keys and list positions that lead to a value: ("axes", 0, "optimizer").
Place = tuple[str | int, ...]


def key_of(place: Place) -> str:
    """Writes a place as people do: `axes.optimizer`, without positions."""
    return f"`{'.'.join(key for key in place if isinstance(key, str))}`"


def not_listed(key: str, what: str, expected: Iterable[str]) -> str:
    """Words the error for a key that does not exist.

    Example:

    >>> print(not_listed("`axes.lr`", "a field of a run", ["steps", "width"]))
    `axes.lr` is not a field of a run. Expected one of: steps, width.
    """
    names = list(expected)
    close = difflib.get_close_matches(
        key.strip("`").rpartition(".")[2], names, n=1
    )
    hint = f" Did you mean `{close[0]}`?" if close else ""
    return f"{key} is not {what}.{hint} Expected one of: {', '.join(names)}."


def describe(error: ErrorDetails, place: Place) -> str:
    """Turns one error of pydantic into a sentence about `place`."""
    key = key_of(place)
    if error["type"] == "missing":
        return f"{key} is missing."
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}"
    text = error["msg"].replace(" after validation", "")
    text = text.replace("a valid dictionary", "a table")
    text = re.sub(r"^\w+ should", f"{key} must", text)
    name = key.strip("`").rpartition(".")[2]
    return f"{text}. Received: {name}={error['input']!r}."


def find_faults(
    error: ValidationError, places: Mapping[str, Place], otherwise: Place
) -> list[tuple[Place, str]]:
    """Words each error of a run, with the place of the key that it is about.

    Args:
        error: What `Run` raised.
        places: Where each key of the run stands.
        otherwise: The place of what is about none of them.
    """
    found = []
    for e in error.errors():
        # A rule about several fields names them in its sentence.
        keys = [str(key) for key in e["loc"] if key in places]
        keys += [key for key in places if f"{key}=" in e["msg"]]
        place = places[keys[0]] if keys else otherwise
        found.append((place, describe(e, place or e["loc"])))
    return found


@dataclass(frozen=True)
class Source:
    """A study file as it was read.

    Args:
        path: Where it lies.
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
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text in UTF-8.") from None

    def __str__(self) -> str:
        path, here = self.path.absolute(), Path.cwd()
        return str(
            path.relative_to(here) if path.is_relative_to(here) else path
        )

    def parse(self) -> dict[str, Any]:
        """Reads the TOML.

        Raises:
            ValueError: If it is none, with the line and the reason.
        """
        try:
            return tomllib.loads(self.text)
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

    def line_of(self, place: Place) -> int | None:
        """Finds the line of a key, or `None` if the text does not have it.

        The key's statement is the one that the shortest prefix of whole lines
        that parses and holds the place has in addition to the one before it, so
        tables, inline tables and values of several lines need no grammar here.
        """
        lines = self.text.split("\n")
        start = 1
        for end in range(1, len(lines) + 1):
            try:
                document = tomllib.loads("\n".join(lines[:end]))
            except tomllib.TOMLDecodeError:
                continue  # Inside a value of several lines.
            if _holds(document, place):
                return start
            start = end + 1
        return None

    def fault(self, *faults: tuple[Place, str]) -> ValueError:
        """Makes the error for sentences and the places that they are about."""
        return ValueError(
            "\n".join(
                f"{self}, line {line}: {sentence}"
                if place and (line := self.line_of(place))
                else f"{self}: {sentence}"
                for place, sentence in faults
            )
        )


def _holds(document: Any, place: Place) -> bool:
    for step in place:
        if isinstance(document, dict) and isinstance(step, int):
            continue  # `[axes]` is the only grid: a list of one.
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
