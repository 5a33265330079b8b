"""Names of classes and groups that are spelt in several ways."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

_PLURALS = {"class": "Classes", "group": "Groups"}
_NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?")


def require_one_spelling(
    labels: Iterable[tuple[str, str]], where: str, *, kind: str = "class"
) -> None:
    """Checks that no two names differ in case, zeros or blanks alone.

    Letters of the alphabet are names of their own: `a` and `A`.

    Args:
        labels: The class or group of each image, and its name.
        where: What to change, for the way out.
        kind: What they name, for the sentence.

    Raises:
        ValueError: With the first names that do.
    """
    names: dict[str, list[str]] = {}
    for label, name in labels:
        names.setdefault(label, []).append(name)
    spellings: dict[str, list[str]] = {}
    for label in names:
        spellings.setdefault(_simplify(label), []).append(label)
    for same in spellings.values():
        if len(same) > 1:
            raise ValueError(_refuse(same, names, where, kind))


def _simplify(name: str) -> str:
    r"""Returns what the spellings of a name have in common.

    Example:

    >>> _simplify("-1,0"), _simplify("01"), _simplify("Basal\u200b cell")
    ('-1', '1', 'basalcell')
    """
    if _NUMBER.fullmatch(name):
        # No float, to which long numbers are equal.
        number = unicodedata.normalize("NFKC", name).replace(",", ".")
        whole, _, rest = number.lstrip("+").partition(".")
        sign = "-" * whole.startswith("-")
        rest = f".{rest}".rstrip("0").rstrip(".")
        return f"{sign}{whole.lstrip('-0') or '0'}{rest}"
    if len(name) == 1:
        return name
    text = unicodedata.normalize("NFC", name).casefold()
    return "".join(char for char in text if not _is_unseen(char))


def _is_unseen(char: str) -> bool:
    """Says whether a character shows nothing, such as a blank of no width."""
    return char.isspace() or unicodedata.category(char) in ("Cc", "Cf")


def _refuse(
    same: Sequence[str], names: dict[str, list[str]], where: str, kind: str
) -> str:
    counts = [f"`{name}` (images: {len(names[name])})" for name in same]
    rare = min(same, key=lambda name: len(names[name]))
    return (
        f"{_PLURALS[kind]} {' and '.join(counts)} differ in case, zeros, "
        f"blanks or accents alone. Expected one spelling of a {kind}. "
        f"Received: {rare!r} for {names[rare][0]}. {where}"
    )
