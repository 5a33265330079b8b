"""What every table made from own data has to say about them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medzoo.data.own.intensity import HIGH, LOW
from medzoo.data.own.items import Item
from medzoo.tasks import SPLITS


def make_notes(
    items: Sequence[Item],
    counts: Counter[str],
    num_bad: int,
    options: Mapping[str, Any],
    ranges: Sequence[tuple[int, int]] | None,
) -> list[str]:
    """Words how images were split, what was left out, and what became of 16
    bits.

    Args:
        items: The images that are used.
        counts: Of the splits.
        num_bad: Faults that were passed over.
        options: All options of the source.
        ranges: Values that became 0 and 255 of each channel, if any.
    """
    notes = [_word_split(items, counts, options)]
    if num_bad:
        notes.append(
            f"{num_bad} bad file{'s' * (num_bad > 1)}, rows or classes were "
            "left out (skip_bad)."
        )
    if ranges:
        rule = "0 to 65535"
        if options["intensity"] == "percentile":
            rule = f"percentiles {LOW} to {HIGH} of train"
        shown = ", ".join(f"{low} to {high}" for low, high in ranges)
        notes.append(f"16-bit values by channel: {rule}, {shown}, to 0 to 255.")
    return notes


def _word_split(
    items: Sequence[Item], counts: Counter[str], options: Mapping[str, Any]
) -> str:
    sizes = ", ".join(f"{split} {counts[split]}" for split in SPLITS)
    given = {item.split for item in items}
    if given == set(SPLITS):
        return f"Split as given: {sizes}."
    drawn = " and ".join(split for split in SPLITS[1:] if split not in given)
    what = "Split" if given == {""} else f"Split of {drawn}"
    groups = len({item.group for item in items} - {""})
    by_group = f" and {groups} groups kept whole" if groups else ""
    return (
        f"{what} drawn here by class{by_group}, seed "
        f"{options['split_seed']}: {sizes}."
    )
