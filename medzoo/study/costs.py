"""Time that runs take, estimated by the records of others."""

import math
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain, islice
from statistics import median
from typing import NamedTuple

from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.runs.sources import facts_of
from medzoo.store import Store
from medzoo.training.features import is_cacheable
from medzoo.training.trainer import count_steps

# Records that are read to estimate costs.
MAX_RECORDS = 300
# A shorter run, such as one of `--smoke`, says little of a longer one.
MIN_STEPS = 10
# Images of a synthetic task before one has been run: 400 to 800 of train.
SYNTHETIC_IMAGES = {"train": 600, "test": 300}
# What a run shares with those of each of its `_keys`.
_SHARED = (
    "model, options, width and task",
    "model, options and width",
    "model, width and task",
    "model",
)
# Status of runs that were trained to the end.
_WHOLE = ("done", "trained")


class RunCost(NamedTuple):
    """How long runs take.

    Args:
        pixel: Seconds of training for each pixel that is seen (of one channel).
        overhead: Seconds for all but training: loading, tracing, evaluation.
        corrupted: Seconds of scores on corrupted images, for each pixel of
            test; not a number if there are none.
    """

    pixel: float
    overhead: float
    corrupted: float


# Right to a factor of ten or so.
ROUGH = RunCost(pixel=6e-7, overhead=3.0, corrupted=4e-5)


def read_some(store: Store, first: list[str]) -> list[Record]:
    """Reads records to estimate costs: of the runs in `first`, then of any."""
    run_ids = dict.fromkeys(chain(first[:MAX_RECORDS], store.run_ids()))
    return list(store.read_many(islice(run_ids, MAX_RECORDS)).values())


class Estimates:
    """Estimates of seconds by the records of similar runs."""

    def __init__(self, records: list[Record], *, least_steps: int) -> None:
        costs: dict[tuple, list[RunCost]] = defaultdict(list)
        self._num_images: dict[tuple[str, str], dict[str, int]] = {}
        for record in records:
            run = record.run
            if not _is_measured(record) or (
                not run.entry.baseline and _steps_of(record) < least_steps
            ):
                continue
            for key in _keys(run):
                costs[key].append(_measure(record))
            if run.max_images is None:
                self._num_images[run.data, run.task] = record.num_images
        self._costs = {
            key: RunCost(*map(_median, zip(*found, strict=True)))
            for key, found in costs.items()
        }

    def of(self, run: Run) -> tuple[float, str]:
        """Returns the seconds of a run, and what says so."""
        found = (
            (self._costs[key], f"earlier runs of the same {shared}")
            for key, shared in zip(_keys(run), _SHARED, strict=True)
            if key in self._costs
        )
        cost, source = next(found, (ROUGH, "steps and pixels, roughly"))
        num_images = self._count_train(run)
        # Of features that are cached, a backbone sees each image once.
        once = cost is ROUGH and is_cacheable(run)
        steps = count_steps(run, num_images)
        pixels = _count_pixels(run, num_images, None if once else steps)
        return cost.overhead + cost.pixel * pixels, source

    def of_corruptions(self, run: Run) -> float:
        """Returns the seconds of scores on corrupted test images."""
        known = (
            self._costs[k].corrupted for k in _keys(run) if k in self._costs
        )
        seconds = (cost for cost in known if not math.isnan(cost))
        pixels = self._count_images(run, "test") * run.size**2
        return next(seconds, ROUGH.corrupted) * pixels

    def _count_train(self, run: Run) -> int:
        known = self._count_images(run, "train")
        return min(known, (run.max_images or known) * len(run.tasks))

    def _count_images(self, run: Run, split: str) -> int:
        known = self._num_images.get((run.data, run.task))
        if known is not None:
            return known[split]
        if run.data == "synthetic":
            return SYNTHETIC_IMAGES[split] * len(run.tasks)
        return facts_of(run).num_images[split]


def _keys(run: Run) -> tuple[tuple, ...]:
    """Names the groups of runs that it is like, the nearest first."""
    net = run.model, run.width, run.parameters
    options = tuple(run.options.items())
    # A frozen backbone and a trained one differ more than two tasks do.
    kind = run.model, is_cacheable(run)
    return (
        (*net, options, run.task),
        (*net, options),
        (*net, run.task, *kind),
        kind,
    )


def _is_measured(record: Record) -> bool:
    """Says whether a record has all that an estimate is made from."""
    return (
        record.status in _WHOLE
        and record.seconds.keys() >= {"train", "total"}
        and all(record.num_images.get(s, 0) > 0 for s in ("train", "test"))
    )


def _steps_of(record: Record) -> int:
    return int(record.history[-1].get("step") or 0) if record.history else 0


def _count_pixels(run: Run, num_images: int, steps: int | None) -> int:
    """Counts the pixels that so many steps see, or all images once."""
    on_backbone = "backbone" in run.options
    side = int(on_backbone and run.options.get("resize") or run.size)
    if run.entry.baseline or steps is None:
        return num_images * side**2
    return steps * min(run.batch_size, num_images) * side**2


def _measure(record: Record) -> RunCost:
    """Computes the cost of a recorded run, without its slow first step."""
    seconds = record.seconds
    training = seconds["train"] + seconds.get("check", 0.0)
    corrupted = seconds.get("corruptions", 0.0)
    pixels = _count_pixels(
        record.run, record.num_images["train"], max(1, _steps_of(record) - 1)
    )
    of_test = record.num_images["test"] * record.run.size**2
    return RunCost(
        training / pixels,
        seconds["total"] - training - corrupted,
        corrupted / of_test if corrupted else math.nan,
    )


def _median(values: Iterable[float]) -> float:
    """Returns the median of the numbers; not a number without any."""
    found = [value for value in values if not math.isnan(value)]
    return median(found) if found else math.nan
