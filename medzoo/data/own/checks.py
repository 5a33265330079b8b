"""What can only be wrong of images together, and not of one alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medzoo.data.own.decode import Seen
from medzoo.data.own.items import Fault, Item


def find_mixed(
    items: Sequence[Item],
    seen: Sequence[Seen | None],
    options: Mapping[str, Any],
) -> list[Fault]:
    """Finds the grey images among coloured ones, or the reverse: the fewer.

    Args:
        items: All images.
        seen: What was seen of each.
        options: All options of the source; a `mode` other than `auto` says what
            is meant.
    """
    kinds = Counter(about.is_grey for about in seen if about is not None)
    if options["mode"] != "auto" or options["channels"] or len(kinds) < 2:
        return []
    (most, _), _ = kinds.most_common()
    what = ("in colour", "grey")
    return [
        Fault(
            item.name,
            f"{what[not most]} (mode {about.mode}), where most are "
            f'{what[most]}; say what is meant: mode = "rgb" or "grey"',
        )
        for item, about in zip(items, seen, strict=True)
        if about is not None and about.is_grey != most
    ]


def find_class_faults(items: Sequence[Item]) -> dict[int, Fault]:
    """Finds images of classes that a given train does not have, by index."""
    trained = {item.label for item in items if item.split in ("", "train")}
    trained |= {""}  # Not labelled.
    return {
        index: Fault(
            item.name,
            f"class {item.label!r} is in {item.split}, but not in train",
        )
        for index, item in enumerate(items)
        if item.label not in trained
    }
