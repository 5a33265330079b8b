"""What a study costs before it starts: a few steps of each kind of run."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from medzoo.models import get_entry
from medzoo.study.expand import Planned
from medzoo.study.job import Job
from medzoo.study.local import LocalExecutor
from medzoo.study.runner import execute_jobs
from medzoo.study.store import Store
from medzoo.training.budget import check_steps, count_steps
from medzoo.training.record import Record
from medzoo.training.run import Run

STEPS = 9
# Megabytes of a record, most of it history.
RECORD_MB = 0.005


@dataclass(frozen=True)
class Pace:
    """Measured seconds of one kind of run.

    Args:
        start: Building and tracing, paid once a worker and kind.
        step: One step of training.
        check: One look at val.
        evaluate: Scores of val and test at the end.
        num_images: Images of train.
        megabytes: Size of the stored probabilities.
    """

    start: float
    step: float
    check: float
    evaluate: float
    num_images: int
    megabytes: float

    def seconds(self, run: Run) -> float:
        """Returns the seconds of a run without its start."""
        steps = count_steps(run, self.num_images)
        checks = len(check_steps(run, self.num_images))
        return steps * self.step + checks * self.check + self.evaluate


def measure(run: Run) -> Pace:
    """Trains a few steps of a run, in the process that calls it."""
    from medzoo.training.execute import execute, load_data
    from medzoo.training.features import with_features
    from medzoo.training.prepare import prepare_model
    from medzoo.training.session import choose_trainer

    data = with_features(run, load_data(run))
    num_evaluated = len(data.val) + len(data.test)
    megabytes = num_evaluated * (data.num_classes + 1) * 4 / 2**20
    if get_entry(run.model).baseline:
        seconds = execute(run, read_test=False)[0].seconds["total"]
        return Pace(0.0, 0.0, 0.0, seconds, len(data.train), megabytes)
    budget = {"epochs": None, "steps": STEPS, "patience": None}
    short = run.model_copy(update=budget)
    trainer = choose_trainer(data)(prepare_model(short, data), data, short)
    trainer.train(until=1)
    first = dict(trainer.seconds)
    trainer.train()
    found = trainer.seconds
    check = (found["check"] - first["check"]) / (STEPS - 1)
    return Pace(
        start=first["first_step"] + first["check"] - check,
        step=found["train"] / (STEPS - 1),
        check=check,
        evaluate=check * num_evaluated / len(data.val),
        num_images=len(data.train),
        megabytes=megabytes,
    )


def kind_of(run: Run) -> str:
    """Names what makes runs take equally long a step."""
    other = {"seed", "learning_rate", "epochs", "steps", "patience", "keep"}
    return run.model_dump_json(exclude=other)


def measure_kinds(runs: Iterable[Run], *, workers: int) -> dict[str, Pace]:
    """Measures each kind of run once, in as many processes as a study uses.

    They share caches and memory as they do in the study, which a measurement
    of one process alone would not show.

    Raises:
        RuntimeError: If a run fails.
    """
    kinds = {kind_of(run): run for run in runs}
    with (
        tempfile.TemporaryDirectory(prefix="medzoo-") as folder,
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
        found = {
            kind: store.read_predictions(run.run_id) or {}
            for kind, run in kinds.items()
        }
    return {
        kind: Pace(**{name: value.item() for name, value in pace.items()})
        for kind, pace in found.items()
    }


def measure_all(
    jobs: Sequence[Job], store: Store
) -> list[tuple[Record, dict[str, np.ndarray]]]:
    """Measures runs in a worker; the pace of each is in its arrays."""
    return [
        (
            Record(run=job.run, run_id=job.run.run_id, status="trained"),
            {
                name: np.asarray(value)
                for name, value in asdict(measure(job.run)).items()
            },
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


def word_costs(
    planned: Iterable[Planned],
    paces: dict[str, Pace],
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
        pace = paces[kind]
        seconds = pace.seconds(run)
        if kind not in started:
            started.add(kind)
            seconds += pace.start * workers
        for name in (trial.name, "in all"):
            row = sums[name]
            row[0] += 1
            row[1] += seconds / workers / 3600
            row[2] += pace.megabytes + RECORD_MB
    total = sums.pop("in all", [0, 0.0, 0.0])
    width = max(map(len, [*sums, "in all"]))
    lines = [f"{'trial':<{width}}  runs     hours   disk MB"]
    for name, (runs, hours, megabytes) in {**sums, "in all": total}.items():
        lines.append(
            f"{name:<{width}}  {runs:>4}  {hours:>8.3f}  {megabytes:>8.1f}"
        )
    return "\n".join(lines)
