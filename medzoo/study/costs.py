"""Time and disk space that runs take, estimated or measured."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from statistics import median
from typing import NamedTuple

from medzoo.execution.job import Job
from medzoo.execution.local import LocalExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.files import make_temporary
from medzoo.record import Predictions, Record
from medzoo.runs.fields import list_fields
from medzoo.runs.run import Run
from medzoo.runs.sources import facts_of
from medzoo.store import Store
from medzoo.study.expand import PlannedRun
from medzoo.training.features import is_cacheable, with_features
from medzoo.training.trainer import check_steps, count_steps

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
        steps = count_steps(run, num_images)
        pixels = _count_pixels(run, num_images, steps)
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


def _steps_of(record: Record) -> float:
    return record.history[-1].get("step") or 0 if record.history else 0


def _count_pixels(run: Run, num_images: int, steps: int) -> int:
    """Counts the pixels that a training sees; a baseline sees images once."""
    on_backbone = "backbone" in run.options
    side = int(on_backbone and run.options.get("resize") or run.size)
    if run.entry.baseline:
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


STEPS = 9
# Megabytes of a record, most of it history.
RECORD_MB = 0.005


@dataclass(frozen=True)
class MeasuredCost:
    """Measured seconds of one kind of run.

    Args:
        start: Building and tracing, paid once a worker and kind.
        step: One step of training.
        check: One check on val.
        evaluate: Scores of val and test at the end.
        num_images: Images of train.
        megabytes: Size of the stored probabilities.
    """

    start: float
    step: float
    check: float
    evaluate: float
    num_images: float
    megabytes: float

    def seconds(self, run: Run) -> float:
        """Returns the seconds of a run without its start."""
        steps = count_steps(run, int(self.num_images))
        checks = len(check_steps(run, int(self.num_images)))
        return steps * self.step + checks * self.check + self.evaluate


def measure(run: Run) -> MeasuredCost:
    """Trains a few steps of a run, in the process that calls it."""
    from medzoo.training.build import prepare_model
    from medzoo.training.execute import choose_trainer, execute, load_data

    data = with_features(run, load_data(run))
    num_evaluated = len(data.val) + len(data.test)
    megabytes = num_evaluated * (data.num_classes + 1) * 4 / 2**20
    if run.entry.baseline:
        seconds = execute(run, read_test=False)[0].seconds["total"]
        return MeasuredCost(0.0, 0.0, 0.0, seconds, len(data.train), megabytes)
    budget = {"epochs": None, "steps": STEPS, "patience": None}
    short = run.model_copy(update=budget)
    trainer = choose_trainer(data)(prepare_model(short, data), data, short)
    trainer.train(until=1)
    first = dict(trainer.seconds)
    trainer.train()
    found = trainer.seconds
    check = (found["check"] - first["check"]) / (STEPS - 1)
    return MeasuredCost(
        start=first["first_step"] + first["check"] - check,
        step=found["train"] / (STEPS - 1),
        check=check,
        evaluate=check * num_evaluated / len(data.val),
        num_images=len(data.train),
        megabytes=megabytes,
    )


def kind_of(run: Run) -> str:
    """Names what makes runs take equally long a step."""
    other = set(list_fields("constants", "course", "budget"))
    return run.model_dump_json(exclude=other)


def measure_kinds(
    runs: Iterable[Run], *, workers: int
) -> dict[str, MeasuredCost]:
    """Measures each kind of run once, in as many processes as a study uses.

    They share caches and memory as they do in the study, which a measurement
    of one process alone would not show.

    Raises:
        RuntimeError: If a run fails.
    """
    kinds = {kind_of(run): run for run in runs}
    with (
        make_temporary() as folder,
        LocalExecutor(workers, execute=measure_all) as executor,
    ):
        store = Store(folder)
        execute_jobs(
            [Job(run) for run in kinds.values()],
            store,
            executor=executor,
            retries=0,
            on_record=_require_measured,
        )
        records = store.read_many(run.run_id for run in kinds.values())
    return {
        kind: MeasuredCost(**records[run.run_id].seconds)
        for kind, run in kinds.items()
    }


def measure_all(
    jobs: Sequence[Job], store: Store
) -> list[tuple[Record, Predictions]]:
    """Measures runs in a worker; the cost of each is in its `seconds`."""
    return [
        (
            Record(
                run=job.run,
                run_id=job.run.run_id,
                status="trained",
                seconds=asdict(measure(job.run)),
            ),
            Predictions(),
        )
        for job in jobs
    ]


def _require_measured(record: Record) -> None:
    if record.error is not None:
        kind, message = record.error["type"], record.error["message"]
        raise RuntimeError(
            f"`{record.run.model}` on {record.run.task} could not be measured. "
            f"{kind}: {message}"
        )


def format_costs(
    planned: Iterable[PlannedRun],
    costs: dict[str, MeasuredCost],
    *,
    workers: int,
) -> str:
    """Writes a table of runs, hours and megabytes: by trial, and in all.

    Hours are those of the whole study divided among its workers.
    """
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    started: set[str] = set()
    for trial, run in planned:
        kind = kind_of(run)
        cost = costs[kind]
        seconds = cost.seconds(run)
        if kind not in started:
            started.add(kind)
            seconds += cost.start * workers
        for name in (trial.name, "in all"):
            row = sums[name]
            row[0] += 1
            row[1] += seconds / workers / 3600
            row[2] += cost.megabytes + RECORD_MB
    total = sums.pop("in all", [0, 0.0, 0.0])
    width = max(map(len, [*sums, "in all"]))
    lines = [f"{'trial':<{width}}  runs     hours   disk MB"]
    for name, (runs, hours, megabytes) in {**sums, "in all": total}.items():
        lines.append(
            f"{name:<{width}}  {runs:>4}  {hours:>8.3f}  {megabytes:>8.1f}"
        )
    return "\n".join(lines)
