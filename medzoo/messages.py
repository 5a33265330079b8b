"""Sentences for what was typed wrongly."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator


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
        f"Unknown {what} `{received}`.{hint} Expected one of: "
        f"{', '.join(names)}. Received: {what}={received!r}."
    )


def _suggest(received: str, names: list[str]) -> str:
    close = difflib.get_close_matches(received, names, n=1)
    return f" Did you mean `{close[0]}`?" if close else ""
