"""Sentences for what was typed wrongly."""

import contextlib
import difflib
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any


class FieldError(ValueError):
    """A wrong value, with the names of the fields that the error is about.

    Args:
        sentence: What is wrong.
        *fields: Fields or options of a run; the first is the one to change.

    Example:

    >>> FieldError("A run has one budget.", "epochs", "steps").fields
    ('epochs', 'steps')
    """

    def __init__(self, sentence: str, *fields: str) -> None:
        super().__init__(sentence)
        self.fields = fields


@contextlib.contextmanager
def naming(*fields: str) -> Iterator[None]:
    """Adds the fields that a `ValueError` is about, where it has none."""
    try:
        yield
    except FieldError:
        raise
    except ValueError as error:
        raise FieldError(str(error), *fields) from None


# Control characters but tab and line feed, and those that turn the direction.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


# Bytes of a file's name that are not UTF-8, as Python reads them.
_BYTES = re.compile("[\udc80-\udcff]")


def printable(text: object, *, keep_bytes: bool = False) -> str:
    r"""Writes out characters that a terminal or a browser would obey.

    Args:
        text: Anything.
        keep_bytes: Whether bytes of names that are not UTF-8 stay, for a file
            that is written with `surrogateescape`.

    Example:

    >>> print(printable("a\x1b[2Jb"))
    a\x1b[2Jb
    """

    def escape(found: re.Match[str]) -> str:
        if keep_bytes and _BYTES.match(found[0]):
            return found[0]
        return found[0].encode("unicode_escape").decode()

    return _CONTROLS.sub(escape, str(text))


def echo(text: object, **options: Any) -> None:
    r"""Prints text that a terminal obeys in nothing.

    Names of files and classes, questions and errors may have escape sequences.
    Bytes of names that are not UTF-8 stay for a pipe.

    Args:
        text: Anything.
        **options: As for `print`.
    """
    print(printable(text, keep_bytes=True), **options)  # noqa: T201


def encode_text(text: str) -> bytes:
    r"""Encodes a page, or JSON, as UTF-8; names that are not UTF-8 by escapes.

    A file's name that is not UTF-8 has a lone surrogate for each such byte.

    Example:

    >>> encode_text("größe"), encode_text("gr\udcf6")
    (b'gr\xc3\xb6\xc3\x9fe', b'gr\\udcf6')
    """
    return text.encode("utf-8", "backslashreplace")


@contextlib.contextmanager
def tolerating(what: str, way_out: str = "") -> Iterator[None]:
    """Turns any fault of a display, on which no result depends, into a warning.

    Args:
        what: What may fail, such as `The progress bar`.
        way_out: A further sentence.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a display ends no study
        lines = printable(error).strip().splitlines()
        reason = ": ".join([type(error).__name__, *lines[:1]])
        warnings.warn(
            f"{what} has stopped ({reason}). {way_out}".strip(), stacklevel=3
        )


def not_listed(key: str, what: str, expected: Iterable[str]) -> str:
    """Words the error for a key that does not exist.

    Example:

    >>> print(not_listed("`axes.lr`", "a field of a run", ["steps", "width"]))
    `axes.lr` is not a field of a run. Expected one of: steps, width.
    """
    names = list(expected)
    hint = _suggest(key.strip("`").rpartition(".")[2], names)
    return f"{key} is not {what}.{hint} Expected one of: {', '.join(names)}."


def unknown(what: str, received: object, expected: Iterable[str]) -> str:
    """Words the error for a name that is not in a table.

    Args:
        what: The kind of name in the field's word, such as `optimizer`.
        received: What was given instead.
        expected: The names of the table, in its order.

    Example:

    >>> print(unknown("model", "skip_cn", ["mlp", "skip_cnn"]))
    Unknown model `skip_cn`. Did you mean `skip_cnn`? Expected one of: mlp,
    skip_cnn. Received: model='skip_cn'.
    """
    names = list(expected)
    hint = _suggest(str(received), names)
    return (
        f"Unknown {what} `{printable(received)}`.{hint} Expected one of: "
        f"{', '.join(names)}. Received: {what}={received!r}."
    )


def _suggest(received: str, names: list[str]) -> str:
    close = difflib.get_close_matches(received, names, n=1)
    return f" Did you mean `{close[0]}`?" if close else ""
