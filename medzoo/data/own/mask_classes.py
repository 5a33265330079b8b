"""The classes of pixels: what the values of masks mean, and what is missing."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medzoo.data.own.items import Fault, Item
from medzoo.data.own.mask_pixels import Marks

IGNORED = "ignore"


class Values(NamedTuple):
    """What the values of masks mean.

    Args:
        names: Of the classes, in the order of their numbers; the first is the
            background.
        classes: Number of each value, -1 for what is ignored; empty where 0 is
            the background and one other value is not.
    """

    names: tuple[str, ...]
    classes: dict[int, int]


def read_values(options: Mapping[str, Any]) -> Values:
    """Reads what the options say of the values of masks.

    Args:
        options: All options of the source: `mask_values` has texts such as
            `0=background`, where several values may have one name, and `ignore`
            is no class; `mask_class` is a column that names the class of all
            that the mask of an image marks.

    Raises:
        ValueError: For what is no such text, fewer than two classes, or both.

    Example:

    >>> read_values({"mask_values": ("0=skin", "9=mole"), "mask_class": ""})
    Values(names=('skin', 'mole'), classes={0: 0, 9: 1})
    """
    texts, column = options["mask_values"], options["mask_class"]
    if texts and column:
        raise ValueError(
            "`mask_values` and `mask_class` both say what masks mark. Expected "
            f"one of them. Received: mask_values={list(texts)}, "
            f"mask_class={column!r}."
        )
    if not texts:
        return Values(("background", "foreground"), {})
    pairs = [text.partition("=")[::2] for text in texts]
    names = dict.fromkeys(n for _, n in pairs if n and n != IGNORED)
    numbers = {name: at for at, name in enumerate(names)} | {IGNORED: -1}
    classes = {
        int(value): numbers[name]
        for value, name in pairs
        if value.strip().isdecimal() and name
    }
    if len(classes) < len(pairs) or len(names) < 2:
        raise ValueError(
            "`mask_values` name each value of a mask once, the background "
            'first. Expected, for example, ["0=background", "255=lesion"]. '
            f"Received: mask_values={list(texts)}."
        )
    return Values(tuple(names), classes)


def name_classes(
    values: Values,
    items: Sequence[Item],
    marks: Sequence[Marks | None],
) -> tuple[str, ...]:
    """Names the classes of pixels, the background first.

    Args:
        values: What the values of masks mean.
        items: All images; the column of their `segment` names classes, if any.
        marks: Of the mask of each; `None` where it is not known.
    """
    named = {
        item.segment
        for item, mark in zip(items, marks, strict=True)
        if mark is not None and mark.classes and item.segment
    }
    return ("background", *sorted(named)) if named else values.names


def find_marking_faults(
    items: Sequence[Item],
    marks: Sequence[Marks | None],
    options: Mapping[str, Any],
) -> list[Fault]:
    """Finds what is wrong with masks together.

    Args:
        items: All images.
        marks: Of the mask of each; `None` where it is not known.
        options: All options of the source.

    Raises:
        ValueError: If no mask marks anything, or if it is not clear by which
            value.
    """
    known = [mark for mark in marks if mark is not None]
    values = sorted({value for mark in known for value in mark.values})
    if known and not any(mark.classes for mark in known):
        raise ValueError(
            "No mask marks a pixel. Expected masks with a class beside the "
            f"background. Received: {len(known)} masks, all of them empty."
        )
    if len(values) > 1 and not options["mask_values"]:
        raise ValueError(
            f"Some masks mark by {values[0]} and others by {values[-1]}. "
            'Expected one value, or mask_values = ["0=background", '
            f'"{values[0]}=...", ...]. Received: {values}.'
        )
    if not options["mask_class"]:
        return []
    reason = f"its mask marks pixels, but {options['mask_class']!r} is empty"
    return [
        Fault(item.name, reason)
        for item, mark in zip(items, marks, strict=True)
        if mark is not None and mark.classes and not item.segment
    ]
