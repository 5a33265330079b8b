"""Images as they are listed, before any of them is opened."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
# Other common names of the splits.
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# Lines of faults that an error shows; the others are in a file.
MOST_LINES = 60


class Item(NamedTuple):
    """One image.

    Args:
        name: Its path relative to the folder of the data, for people.
        paths: Its files: one, or one a channel, or one and those of its masks.
        label: Name of its class; empty for an unlabelled image with masks.
        split: `train`, `val` or `test`; empty where none is given.
        group: What must not be torn apart, such as a patient; may be empty.
        mask_class: Class of all that its masks mark, where a column names it.
    """

    name: str
    paths: tuple[Path, ...]
    label: str
    split: str = ""
    group: str = ""
    mask_class: str = ""


class Fault(NamedTuple):
    """A file, row or class that cannot be used, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass
class Listing:
    """All images of a source, in order, and what is wrong with the others."""

    items: list[Item] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    empty_classes: list[str] = field(default_factory=list)


def name_split(text: str) -> str | None:
    """Returns the split that a name means; `None` if it means none.

    Example:

    >>> name_split("Validation"), name_split("cats")
    ('val', None)
    """
    return _SPLITS.get(text.strip().lower())


def format_faults(
    what: str, faults: Iterable[Fault], way_out: str
) -> ValueError:
    """Makes one error of all faults, a line each.

    Args:
        what: What they are faults of.
        faults: At least one.
        way_out: The last sentence.
    """
    lines = [f"  {fault}" for fault in faults]
    count = f"{len(lines)} fault{'s' * (len(lines) > 1)}"
    if len(lines) > MOST_LINES:
        left = len(lines) - MOST_LINES
        lines = [*lines[:MOST_LINES], f"  ... and {left} more"]
    return ValueError("\n".join([f"{what}: {count}.", *lines, way_out]))
