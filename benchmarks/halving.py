"""What halving saves, and how often it finds the winner of the full grid.

    python benchmarks/halving.py --tasks breastmnist,retinamnist \
        --seeds 0,1,2 --epochs 20

Every candidate of `halving.toml` is trained to its end, once, and its test
labels are not read. A training that is stopped and resumed has the same history
(a test holds that), so the cuts of halving are replayed from histories: both
ways to choose are compared on the same trainings. Runs lie in MEDZOO_RUNS, and
the same command goes on where it was interrupted.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from medzoo.execution.cores import default_workers
from medzoo.execution.job import Job
from medzoo.execution.local import LocalExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.record import Record
from medzoo.store import Store
from medzoo.study.spec import Study, read_study
from medzoo.study.tuning import (
    HALVING,
    TuningProblem,
    compare,
    make_tuning_problems,
    steps_until,
)

HERE = Path(__file__).parent
HEADER = (
    "| task | seeds a choice | choices | same winner | steps saved "
    "| macro F1 lost, mean | at most |\n"
    "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


class Comparison(NamedTuple):
    """One choice, made by the full grid and by halving.

    Args:
        task: Name of the task.
        same: Whether both choose the same candidate.
        saved: Share of the steps of the grid that halving leaves out.
        lost: Macro F1 on val of the grid's choice minus that of halving's.
    """

    task: str
    same: bool
    saved: float
    lost: float


def main() -> None:
    """Trains what is missing, compares, and writes the page."""
    options = _parse()
    study = read_study(HERE / "halving.toml").override(
        tasks=options.tasks.split(","),
        seeds=[int(seed) for seed in options.seeds.split(",")],
        data=options.data,
    )
    changes = {
        "epochs": options.epochs,
        "width": options.width,
        "batch_statistics": options.batch_statistics,
    }
    study = dataclasses.replace(study, fixed=study.fixed | changes)
    store = Store()
    _train(study, store, options.workers)
    page = write_page(study, store)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page)
    print(page)


def compare_ways(problem: TuningProblem, store: Store) -> Comparison:
    """Makes one choice in both ways from the histories of all candidates."""
    records = [
        [store.read(run.run_id) for run in runs] for runs in problem.runs
    ]
    grid, halving = compare(records), compare(records, HALVING)
    winner, best = halving.winner or 0, grid.winner or 0
    halving.shares[winner] = 1.0  # It is trained to its end in any case.
    spent = sum(map(_count_steps, records, halving.shares))
    return Comparison(
        problem.task,
        winner == best,
        1 - spent / sum(_count_steps(found, 1.0) for found in records),
        _macro_f1(records[best]) - _macro_f1(records[winner]),
    )


def write_page(study: Study, store: Store) -> str:
    """Writes the table: by task, for one seed and for all seeds a choice."""
    rows = []
    together = [compare_ways(c, store) for c in make_tuning_problems(study)]
    apart = [
        compare_ways(problem, store)
        for seed in study.seeds
        for problem in make_tuning_problems(study.override(seeds=[seed]))
    ]
    for num_seeds, found in ((1, apart), (len(study.seeds), together)):
        for task in study.tasks:
            mine = [choice for choice in found if choice.task == task]
            rows.append(_row(task, num_seeds, mine))
        rows.append(_row("**in all**", num_seeds, found))
    tuned = study.tuned.values if study.tuned else {}
    values = ", ".join(str(v) for v in tuned["learning_rate"])
    trials = ", ".join(trial.name for trial in study.trials)
    fixed = ", ".join(f"{key} {value}" for key, value in study.fixed.items())
    runs = (
        run for c in make_tuning_problems(study) for r in c.runs for run in r
    )
    records = [r for run in runs if (r := store.read(run.run_id)) is not None]
    versions = records[0].versions.items()
    return (
        "# Halving against the full grid\n\n"
        f"- Command: `python {' '.join(sys.argv)}`\n"
        f"- Date: records of {min(r.started for r in records)[:10]}\n"
        f"- Versions: {', '.join(f'{n} {v}' for n, v in versions)}\n"
        f"- Data: {study.data}\n- Trials: {trials}\n"
        f"- Candidates: learning_rate of {values}\n"
        f"- Seeds: {', '.join(map(str, study.seeds))}\n- Fixed: {fixed}\n"
        "- Halving: all candidates to a quarter of the budget, the better half "
        "to a half, the better half of those to the end\n\n"
        + "\n".join([HEADER, *rows])
        + "\n\nA choice is made for each trial, task and seed, or for all "
        "seeds together. By chance the winners would be the same in "
        f"{1 / len(tuned['learning_rate']):.0%} of the choices. Macro F1 is on "
        "val, of the best check.\n"
    )


def _train(study: Study, store: Store, workers: int) -> None:
    runs = [
        run
        for problem in make_tuning_problems(study)
        for candidate in problem.runs
        for run in candidate
    ]
    jobs = [Job(run, read_test=False) for run in dict.fromkeys(runs)]
    left = [job for job in jobs if not job.is_answered_by(store)]
    number = len(jobs) - len(left)

    def on_record(record: Record) -> None:
        nonlocal number
        number += 1
        told = f"{number} of {len(jobs)}: {record.run.task} {record.status}"
        print(told, file=sys.stderr)

    with LocalExecutor(workers) as executor:
        execute_jobs(left, store, executor=executor, on_record=on_record)


def _count_steps(records: Iterable[Record | None], share: float) -> int:
    return sum(steps_until(r, share) for r in records if r and r.history)


def _macro_f1(records: Iterable[Record | None]) -> float:
    return fmean(r.scores["val"]["macro_f1"] or 0 for r in records if r)


def _row(task: str, num_seeds: int, found: list[Comparison]) -> str:
    same = sum(choice.same for choice in found)
    lost = [choice.lost for choice in found]
    return (
        f"| {task} | {num_seeds} | {len(found)} | {same} "
        f"({same / len(found):.0%}) | {fmean(c.saved for c in found):.0%} "
        f"| {fmean(lost):.4f} | {max(lost):.4f} |"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tasks", default="breastmnist,retinamnist")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--data", default="medmnist")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch-statistics", default="running")
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks/halving.md")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
