"""A study in parts, for clusters that start many jobs and no Ray."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from medzoo.runs.run import Run
from medzoo.study.costs import rough_seconds


class Shard(NamedTuple):
    """One part of a study.

    Args:
        number: Which part, from 1 to `parts`.
        parts: How many there are.
    """

    number: int
    parts: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads a shard as `--shard` has it.

        Raises:
            ValueError: If it is not `i/n` with 1 <= i <= n.

        Example:

        >>> Shard.parse("2/8")
        Shard(number=2, parts=8)
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(
                "`shard` must be i/n with i from 1 to n, such as 2/8. "
                f"Received: shard={text!r}."
            )
        return cls(int(found[1]), int(found[2]))


def take_shard(runs: Sequence[Run], shard: Shard) -> list[Run]:
    """Returns the runs of one shard, in their order.

    The longest run goes first, always to the part that has the least to do. All
    parts must be made from the same runs in the same order, so give it all runs
    of a study, and not those that are missing here. Costs are estimated from
    the runs alone, and not from records, which differ from place to place.

    Args:
        runs: All runs of a study, each once.
        shard: Which part of them.

    Example:

    >>> runs = [Run(task="breastmnist", epochs=n) for n in (900, 1, 2, 700)]
    >>> parts = [take_shard(runs, Shard(number, 2)) for number in (1, 2)]
    >>> [[run.epochs for run in part] for part in parts]
    [[900], [1, 2, 700]]
    """
    loads = [0.0] * shard.parts
    mine = set()
    for seconds, run in sorted(
        ((rough_seconds(run), run) for run in runs), key=lambda pair: -pair[0]
    ):
        lightest = loads.index(min(loads))
        loads[lightest] += seconds
        if lightest == shard.number - 1:
            mine.add(run)
    return [run for run in runs if run in mine]
