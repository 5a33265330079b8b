"""The search space: the table `[space]` of a search file."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from medzoo.models.options import Value

Number = int | float


def _as_list(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


class Dimension(BaseModel):
    """One key of the space: a list of values, or a range of numbers.

    Args:
        values: What to choose from.
        low: The least number of a range, in place of `values`. A range between
            two whole numbers holds whole numbers only.
        high: The greatest number of a range; it belongs to it.
        step: Distance of two numbers of a range, with `log` the factor between
            them; whole numbers have 1 if it is left out, others any distance.
        log: Whether a range is sampled on a logarithmic scale.
        when: Values of other keys, above this one, at which this key counts.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    values: Annotated[list[Value], Field(min_length=1)] | None = None
    low: Number | None = None
    high: Number | None = None
    step: Annotated[Number, Field(gt=0)] | None = None
    log: bool = False
    when: dict[str, Annotated[list[Value], BeforeValidator(_as_list)]] = {}

    @model_validator(mode="after")
    def _check(self) -> "Dimension":
        if (self.values is None) == (self.low is None or self.high is None):
            raise ValueError(
                "Expected a list of values, or a range with `low` and `high`."
            )
        if self.values is not None:
            kinds = {type(value) for value in self.values}
            if len(kinds) > 1 and kinds != {int, float}:
                raise ValueError("Expected values of one type.")
            return self
        low, high = self.low or 0, self.high or 0
        if low >= high or (self.log and low <= 0):
            least = "0 < " if self.log else ""
            raise ValueError(
                f"Expected {least}low < high. Received: low={self.low}, "
                f"high={self.high}."
            )
        if self.log and self.step is not None and self.step <= 1:
            raise ValueError(
                "Expected a `step` above 1, the factor between two values, "
                f"with `log`. Received: step={self.step}."
            )
        return self

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def probes(self) -> list[Value]:
        """Returns values to validate: a whole list, or the ends of a range."""
        if self.values is not None:
            return self.values
        return [self.low or 0, self.high or 0]

    def grid(self) -> list[Value]:
        """Lists all values.

        Raises:
            ValueError: For a range without a `step`.

        Example:

        >>> Dimension(low=0.001, high=0.1, step=10, log=True).grid()
        [0.001, 0.01, 0.1]
        """
        if self.values is not None:
            return self.values
        step = 1 if self.step is None and self.is_whole else self.step
        if step is None or (self.log and step == 1):
            raise ValueError(
                "A grid needs a list of values, or a range with a `step`."
            )
        low, high = self.low or 0, self.high or 0
        if self.log:
            count = math.floor(math.log(high / low, step) + 1e-9) + 1
            return [self.clean(low * step**i) for i in range(count)]
        count = math.floor((high - low) / step + 1e-9) + 1
        return [self.clean(low + step * i) for i in range(count)]

    def clean(self, value: Any) -> Value:
        """Rounds a number to three significant digits."""
        if self.values is not None:
            near = [v for v in self.values if v == value]
            return near[0] if near else value
        return round(value) if self.is_whole else float(f"{value:.3g}")


Space = Mapping[str, Dimension]


def is_active(dimension: Dimension, values: Mapping[str, Value]) -> bool:
    """Returns whether a key is active, given the values of others."""
    return all(
        name in values and values[name] in allowed
        for name, allowed in dimension.when.items()
    )


def clean(space: Space, values: Mapping[str, Any]) -> dict[str, Value]:
    """Returns the rounded values of the active keys, in order.

    Example:

    >>> space = {"width": Dimension(low=8, high=64)}
    >>> clean(space, {"width": 8.0, "tuner/epochs": 2})
    {'width': 8}
    """
    found: dict[str, Value] = {}
    for name, dimension in space.items():
        if name in values and is_active(dimension, found):
            found[name] = dimension.clean(values[name])
    return found


def list_grid(space: Space) -> list[dict[str, Value]]:
    """Lists every choice once; the last key changes first.

    Example:

    >>> space = {
    ...     "model": Dimension(values=["mlp", "skip_cnn"]),
    ...     "stages": Dimension(values=[2, 3], when={"model": "skip_cnn"}),
    ... }
    >>> [tuple(choice.values()) for choice in list_grid(space)]
    [('mlp',), ('skip_cnn', 2), ('skip_cnn', 3)]
    """
    lists = [dimension.grid() for dimension in space.values()]
    every = (
        clean(space, dict(zip(space, values, strict=True)))
        for values in itertools.product(*lists)
    )
    return [dict(choice) for choice in dict.fromkeys(map(_frozen, every))]


def probe(space: Space) -> Iterator[dict[str, Value]]:
    """Yields choices in which each extreme of each key occurs."""
    first = {name: d.probes()[0] for name, d in space.items()}
    for name, dimension in space.items():
        needed = {other: v[0] for other, v in dimension.when.items()}
        for value in dimension.probes():
            yield clean(space, first | needed | {name: value})


def _frozen(choice: dict[str, Value]) -> tuple[tuple[str, Value], ...]:
    return tuple(choice.items())
