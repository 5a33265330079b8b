"""How long runs take, from the records of similar ones."""

from collections import defaultdict
from itertools import chain, islice
from statistics import median
from typing import NamedTuple

from medzoo.study.store import Store
from medzoo.training.budget import count_steps
from medzoo.training.record import Record
from medzoo.training.run import Run
from medzoo.training.sources import facts_of

# Records that are read for their pace.
MAX_RECORDS = 300
# A shorter run, such as one of `--smoke`, says little of a longer one's pace.
MIN_STEPS = 10
# Images of train of a synthetic task before one has been run: 400 to 800.
SYNTHETIC_IMAGES = 600
# What a run shares with those of each of its `_keys`.
_SHARED = (
    "model, options, width and task",
    "model, options and width",
    "model, width and task",
    "model",
)
# Records of such runs tell the time of a whole training.
_WHOLE = ("done", "trained")


class Pace(NamedTuple):
    """How long runs take.

    Args:
        pixel: Seconds a step, for each pixel of its batch (of one channel).
        rest: Seconds for all but the steps: loading, tracing, evaluation.
    """

    pixel: float
    rest: float


# Right to a factor of ten or so.
ROUGH = Pace(pixel=6e-7, rest=3.0)


def rough_seconds(run: Run) -> float:
    """Estimates the seconds of a run without any record, the same anywhere."""
    seconds, _ = Estimates([], least_steps=MIN_STEPS).of(run)
    return seconds


def read_some(store: Store, first: list[str]) -> list[Record]:
    """Reads records for their pace: of the runs in `first`, then of any."""
    run_ids = dict.fromkeys(chain(first[:MAX_RECORDS], store.run_ids()))
    return list(store.read_many(islice(run_ids, MAX_RECORDS)).values())


class Estimates:
    """Expects of runs what the records of similar ones took."""

    def __init__(self, records: list[Record], *, least_steps: int) -> None:
        paces: dict[tuple, list[Pace]] = defaultdict(list)
        self._num_images: dict[tuple[str, str], int] = {}
        for record in records:
            run = record.run
            if record.status not in _WHOLE or _steps_of(record) < least_steps:
                continue
            for key in _keys(run):
                paces[key].append(_measure(record))
            if run.max_images is None:
                num_images = record.num_images["train"]
                self._num_images[run.data, run.task] = num_images
        self._paces = {
            key: Pace(*map(median, zip(*found, strict=True)))
            for key, found in paces.items()
        }

    def of(self, run: Run) -> tuple[float, str]:
        """Returns the seconds of a run, and what says so."""
        found = (
            (self._paces[key], f"runs of the same {shared}")
            for key, shared in zip(_keys(run), _SHARED, strict=True)
            if key in self._paces
        )
        pace, source = next(found, (ROUGH, "a rough rule from the pixels"))
        num_images = self._count_images(run)
        steps = count_steps(run, num_images)
        pixels = _pixels(run, num_images)
        return pace.rest + pace.pixel * pixels * steps, source

    def _count_images(self, run: Run) -> int:
        known = self._num_images.get((run.data, run.task))
        if known is None and run.data == "synthetic":
            known = SYNTHETIC_IMAGES * len(run.tasks)
        if known is None:
            known = facts_of(run).num_images["train"]
        most = (run.max_images or known) * len(run.tasks)
        return min(known, most)


def _keys(run: Run) -> tuple[tuple, ...]:
    """Names the groups of runs that it is like, the nearest first."""
    net = run.model, run.width, run.parameters
    options = tuple(run.options.items())
    # A frozen trunk and a trained one differ more than two tasks do.
    return (*net, options, run.task), (*net, options), (*net, run.task), net[:1]


def _steps_of(record: Record) -> int:
    return int(record.history[-1]["step"] or 0) if record.history else 0


def _pixels(run: Run, num_images: int) -> int:
    """Counts the pixels of one batch."""
    return min(run.batch_size, num_images) * run.size**2


def _measure(record: Record) -> Pace:
    """Takes the pace of a record; `train` leaves out the slow first step."""
    seconds = record.seconds
    training = seconds["train"] + seconds.get("check", 0.0)
    pixels = _pixels(record.run, record.num_images["train"])
    return Pace(
        training / (_steps_of(record) - 1) / pixels,
        seconds["total"] - training,
    )
