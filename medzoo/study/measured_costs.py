"""Time and disk space that runs take, measured."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from medzoo.execution.job import Job
from medzoo.execution.local import LocalExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.files import make_temporary
from medzoo.record import Predictions, Record
from medzoo.runs.fields import list_fields
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.expand import PlannedRun
from medzoo.training.trainer import check_steps, count_steps

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
    from medzoo.training.features import with_features

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
