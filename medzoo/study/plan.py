"""What a study would run, how much is there, and how long the rest takes."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain, islice
from statistics import median
from typing import NamedTuple

from medzoo.study.expand import expand
from medzoo.study.spec import Study
from medzoo.study.store import Store
from medzoo.tasks import get_task
from medzoo.training.fit import count_steps
from medzoo.training.record import Record
from medzoo.training.run import Run

# Records that are read for their pace.
MAX_RECORDS = 300
# A shorter run, such as one of `--smoke`, says little of a longer one's pace.
MIN_STEPS = 10
# Images of train of a synthetic task before one has been run: 400 to 800.
SYNTHETIC_IMAGES = 600


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


@dataclass(frozen=True)
class Plan:
    """How far a study is.

    Args:
        study: What was asked.
        num_seeds: Seeds that are run; 1 in a smoke run.
        num_runs: Trials times tasks times seeds.
        done: Runs that are done.
        diverged: Runs that are finished, though with a loss that is not finite.
        failed: Runs that an error ended; they are left to be tried again.
        seconds_left: Estimate for what is left, one run after another.
        sources: What the estimate is made from, and for how many runs each.
    """

    study: Study
    num_seeds: int
    num_runs: int
    done: int
    diverged: int
    failed: int
    seconds_left: float
    sources: dict[str, int]

    @property
    def left(self) -> int:
        """Runs that are still to be executed, failed ones among them."""
        return self.num_runs - self.done - self.diverged

    def text(self) -> str:
        """Words the plan in a few lines."""
        trials, tasks = len(self.study.trials), len(self.study.tasks)
        return (
            f"{self.study.name}: {self.study.question}\n"
            f"{_count(trials, 'trial')} x {_count(tasks, 'task')} x "
            f"{_count(self.num_seeds, 'seed')} = "
            f"{_count(self.num_runs, 'run')} on {self.study.data} data\n"
            f"{self.status()}"
        )

    def status(self) -> str:
        """Words how far the study is, in a line or two."""
        counts = (
            f"{self.done} done, {self.failed} failed, "
            f"{self.diverged} diverged, {self.left} left"
        )
        if not self.left:
            return counts
        sources = "; ".join(
            f"{_count(count, 'run')} by {source}"
            for source, count in self.sources.items()
        )
        return (
            f"{counts}\nTime left with one worker: "
            f"{_duration(self.seconds_left)} (estimated: {sources})"
        )


def make_plan(study: Study, store: Store, *, smoke: bool = False) -> Plan:
    """Compares a study with the store, without running or importing a backend.

    Args:
        study: What is asked.
        store: What is there, from this study and others.
        smoke: As for `expand`.
    """
    runs = [item.run for item in expand(study, smoke=smoke)]
    status = {run: store.status(run.run_id) for run in dict.fromkeys(runs)}
    counts = Counter(status[run] for run in runs)
    left = [run for run, s in status.items() if s not in ("done", "diverged")]
    done = [run.run_id for run, s in status.items() if s == "done"]
    records = _read_some(store, done) if left else []
    estimates = _Estimates(records, least_steps=2 if smoke else MIN_STEPS)
    found = [estimates.of(run) for run in left]
    return Plan(
        study=study,
        num_seeds=len({run.seed for run in runs}),
        num_runs=len(runs),
        done=counts["done"],
        diverged=counts["diverged"],
        failed=counts["failed"],
        seconds_left=sum(seconds for seconds, _ in found),
        sources=dict(Counter(source for _, source in found)),
    )


def _read_some(store: Store, first: list[str]) -> list[Record]:
    run_ids = dict.fromkeys(chain(first[:MAX_RECORDS], store.run_ids()))
    return list(store.read_many(islice(run_ids, MAX_RECORDS)).values())


class _Estimates:
    """Expects of runs what the records of similar ones took."""

    def __init__(self, records: list[Record], *, least_steps: int) -> None:
        paces: dict[tuple, list[Pace]] = defaultdict(list)
        self._num_images: dict[tuple[str, str], int] = {}
        for record in records:
            run = record.run
            if record.status != "done" or _steps_of(record) < least_steps:
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
        alike, same_model = _keys(run)
        if alike in self._paces:
            source = "runs of the same model, width and task"
        elif same_model in self._paces:
            source = "runs of the same model"
        else:
            source = "a rough rule from the pixels"
        pace = self._paces.get(alike, self._paces.get(same_model, ROUGH))
        num_images = self._count_images(run)
        steps = count_steps(run, num_images)
        pixels = _pixels(run, num_images)
        return pace.rest + pace.pixel * pixels * steps, source

    def _count_images(self, run: Run) -> int:
        known = self._num_images.get((run.data, run.task))
        if known is None and run.data == "synthetic":
            known = SYNTHETIC_IMAGES
        if known is None:
            known = get_task(run.task).num_images["train"]
        return known if run.max_images is None else min(known, run.max_images)


def _keys(run: Run) -> tuple[tuple, tuple]:
    return (run.model, run.width, run.task), (run.model,)


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


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _duration(seconds: float) -> str:
    """Rounds to what an estimate is good for.

    >>> [_duration(hours * 3600) for hours in (0.005, 0.2, 2.5, 77.9)]
    ['under 1 min', '12 min', '2 h 30 min', '78 h']
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under 1 min"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 600:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{round(minutes / 60)} h"
