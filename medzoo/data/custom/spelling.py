"""Names of classes that are spelt in several ways."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?")


def require_one_spelling(labels: Iterable[tuple[str, str]], where: str) -> None:
    """Checks that no two classes differ in case, zeros or blanks alone.

    Letters of the alphabet are classes of their own: `a` and `A`.

    Args:
        labels: The class of each image, and its name.
        where: What to change, for the way out.

    Raises:
        ValueError: With the first classes that do.
    """
    names: dict[str, list[str]] = {}
    for label, name in labels:
        names.setdefault(label, []).append(name)
    spellings: dict[str, list[str]] = {}
    for label in names:
        spellings.setdefault(_simplify(label), []).append(label)
    for same in spellings.values():
        if len(same) > 1:
            raise ValueError(_refuse(same, names, where))


def _simplify(name: str) -> str:
    """Returns what the spellings of a name have in common.

    Example:

    >>> _simplify("1,0"), _simplify("01"), _simplify("Basal cell")
    ('1', '1', 'basalcell')
    """
    if _NUMBER.fullmatch(name):
        return f"{float(name.replace(',', '.')):g}"
    if len(name) == 1:
        return name
    text = unicodedata.normalize("NFC", name).casefold()
    return "".join(text.split())


def _refuse(
    same: Sequence[str], names: dict[str, list[str]], where: str
) -> str:
    counts = [f"`{name}` (images: {len(names[name])})" for name in same]
    rare = min(same, key=lambda name: len(names[name]))
    return (
        f"Classes {' and '.join(counts)} differ in case, zeros, blanks or "
        "accents alone. Expected one spelling of a class. Received: "
        f"{rare!r} for {names[rare][0]}. {where}"
    )
