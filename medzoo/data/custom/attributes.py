"""Attributes of images, such as age, sex and site, for tables by subgroup."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Attribute(NamedTuple):
    """A column that scores are broken down by.

    Args:
        name: Of the column.
        edges: Ascending values at which a bin ends and the next one starts;
            empty for quartiles of a numeric column, and for words.
    """

    name: str
    edges: tuple[float, ...] = ()


def read_attributes(texts: Sequence[str]) -> list[Attribute]:
    """Reads columns as they are written in a study file.

    Args:
        texts: Names, each with edges of bins behind `=` where they are given.

    Raises:
        ValueError: For a name that is empty or there twice, and for edges that
            are no ascending numbers.

    Example:

    >>> read_attributes(["sex", "age=40/60"])
    [Attribute(name='sex', edges=()), Attribute(name='age', edges=(40.0, 60.0))]
    """
    found = [_read(text) for text in texts]
    names = [attribute.name for attribute in found]
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(
            "`attributes` are columns, each named once, such as age,sex. "
            f"Received: {', '.join(texts)}."
        )
    return found


def _read(text: str) -> Attribute:
    name, mark, rest = text.partition("=")
    if not mark:
        return Attribute(name.strip())
    try:
        edges = tuple(float(part) for part in rest.split("/"))
    except ValueError:
        edges = (math.nan,)
    ascends = all(a < b for a, b in zip(edges, edges[1:], strict=False))
    if not ascends or not all(map(math.isfinite, edges)):
        raise ValueError(
            "Edges of an attribute must be ascending numbers with `/` between, "
            f"such as `age=30/50/70`. Received: {text}."
        )
    return Attribute(name.strip(), edges)
