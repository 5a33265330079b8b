"""Sentences for what was typed wrongly."""

import difflib
from collections.abc import Iterable, Mapping


def format_score(name: str) -> str:
    """Writes the name of a score as a sentence has it.

    Example:

    >>> format_score("macro_f1"), format_score("mean_iou")
    ('macro F1', 'mean IoU')
    """
    words = name.replace("_f1", " F1").replace("_", " ")
    return words.replace("dice", "Dice").replace("iou", "IoU")


def unknown(what: str, received: object, expected: Iterable[str]) -> str:
    """Words the error for a name that is not in a table.

    Args:
        what: The kind of name in the field's word, such as `optimizer`.
        received: What was given instead.
        expected: The names of the table, in its order.

    Example:

    >>> print(unknown("model", "skip_cn", ["mlp", "skip_cnn"]))
    Unknown model `skip_cn`. Expected one of: mlp, skip_cnn.
    Received: model='skip_cn'. Did you mean `skip_cnn`?
    """
    names = list(expected)
    close = difflib.get_close_matches(str(received), names, n=1)
    hint = f" Did you mean `{close[0]}`?" if close else ""
    return (
        f"Unknown {what} `{received}`. Expected one of: {', '.join(names)}. "
        f"Received: {what}={received!r}.{hint}"
    )


def check_names(
    tables: Mapping[str, Iterable[str]], given: Mapping[str, object]
) -> None:
    """Checks that values which are names stand in their tables.

    Args:
        tables: What each may be, by option; an option that is not given is not
            checked.
        given: Values by option.

    Raises:
        ValueError: For the first name that does not.

    Example:

    >>> check_names({"norm": ("batch", "group")}, {"norm": "group"})
    """
    for option, names in tables.items():
        if option in given and given[option] not in (known := list(names)):
            raise ValueError(unknown(option, given[option], known))
