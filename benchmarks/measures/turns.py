"""Ways that take turns, so that what else a machine does meets all alike."""

import time
from collections.abc import Callable, Mapping

from medzoo.data.dataset import Dataset


def take_turns(
    ways: Mapping[str, Callable[[], float]], turns: int, data: Dataset
) -> dict[str, float]:
    """Lets ways go over all images in turn; returns images/s of the fastest."""
    times: dict[str, list[float]] = {}
    for turn in range(turns + 1):
        for way, work in ways.items():
            taken = work()
            if turn:  # In the first one, each compiles what it needs.
                times.setdefault(way, []).append(taken)
    return {way: len(data.train) / min(taken) for way, taken in times.items()}


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Makes what does work and returns its seconds."""

    def run() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return run
