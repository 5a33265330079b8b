"""A study in parts, for clusters that start many jobs and no Ray."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from medzoo.runs.run import Run


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

    A run belongs to a part by its `run_id` alone, so that every place finds the
    same parts, whatever it has finished already.

    Args:
        runs: Runs of a study.
        shard: Which part of them.

    Example:

    >>> runs = [Run(task="breastmnist", seed=seed) for seed in range(4)]
    >>> parts = [take_shard(runs, Shard(number, 2)) for number in (1, 2)]
    >>> sorted(run.seed for part in parts for run in part)
    [0, 1, 2, 3]
    """
    return [run for run in runs if hash(run) % shard.parts == shard.number - 1]
