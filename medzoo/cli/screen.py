"""A study on the screen: a bar, a line a finished run, the table at last."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from medzoo.cli.kept import keep_models
from medzoo.report.trackers import Tracking
from medzoo.report.write import Report, write_report
from medzoo.study.contests import list_units, name_runs
from medzoo.study.expand import expand
from medzoo.study.job import Job
from medzoo.study.kept import find_folder, with_models
from medzoo.study.means import Means
from medzoo.study.plan import make_plan
from medzoo.study.runner import execute_jobs
from medzoo.study.spec import Study
from medzoo.study.store import Store
from medzoo.study.tuning import next_jobs
from medzoo.tasks import word_tasks
from medzoo.training.record import Record
from medzoo.training.run import Run

if TYPE_CHECKING:
    from medzoo.training.evaluate import Scores


class Stopped(Exception):  # noqa: N818 - not an error
    """Ends a study at its first failed run."""


def run_on_screen(
    study: Study,
    out: Path,
    *,
    command: str,
    smoke: bool = False,
    means: Means,
    track: Iterable[str] = (),
) -> int:
    """Runs what is missing, then writes and prints the tables.

    Returns:
        The exit code: 0 all done, 1 some runs failed, 130 interrupted.
    """
    store = Store()
    console = Console(stderr=True, highlight=False)
    console.print(make_plan(study, store, smoke=smoke).text())
    tracking = Tracking(track, study, store, smoke=smoke)
    rounds = _Rounds(study, store, means, smoke)
    jobs = rounds.next()
    if means.shard:
        number, parts = means.shard
        what = "choices" if study.tuned else "runs"
        console.print(
            f"Shard {number} of {parts}: {len(rounds.units)} {what}, "
            f"{len(jobs)} runs left{' for now' * (study.tuned is not None)}."
        )
    interrupted = False
    try:
        if jobs and not _execute(
            rounds, jobs, console, means=means, tracking=tracking
        ):
            console.print(f"{means.hours:g} hours are over.")
            interrupted = True
    except KeyboardInterrupt:
        interrupted = True
    except Stopped:
        console.print("Stopped at the first failed run.")
    report = write_report(study, store, out, command=command, smoke=smoke)
    tracking.finish(report.results, report.paths)
    if rounds.models:
        kept = keep_models(
            report.results,
            store,
            rounds.models,
            keep=means.keep,
            asked=rounds.names,
        )
        console.print(kept, soft_wrap=True, end="\n" * bool(kept))
    return _close(report, rounds.candidates_failed(), console, interrupted)


def require_data(study: Study, runs: list[Run]) -> None:
    """Verifies the files that runs need before anything trains."""
    from medzoo.training.weights import fetch_weights

    fetch_weights(runs)
    if study.data == "medmnist":
        from medzoo.data.files import require_files

        for size in sorted({run.size for run in runs}):
            asked = [run for run in runs if run.size == size]
            names = {name for run in asked for name in run.tasks}
            require_files([task for task in study.tasks if task in names], size)


class _Rounds:
    """What is executed at once, before the next candidates can be cut."""

    def __init__(
        self, study: Study, store: Store, means: Means, smoke: bool
    ) -> None:
        self.study = study
        self.store = store
        self.smoke = smoke
        self.units = set(means.choose(list_units(study, smoke=smoke)))
        self.names = name_runs(study, smoke=smoke)
        self.trials = {i.run: i.trial for i in expand(study, smoke=smoke)}
        self.tried: list[Job] = []
        keeps = means.keep != "none" and means.executor == "local"
        self.models = find_folder(study, store, smoke=smoke) if keeps else None

    def next(self) -> list[Job]:
        """Lists the jobs of the next round, and makes sure of their files."""
        jobs = next_jobs(
            self.study,
            self.store,
            smoke=self.smoke,
            units=self.units,
            tried=self.tried,
        )
        require_data(self.study, [job.run for job in jobs])
        self.tried += jobs
        return with_models(jobs, self.models) if self.models else jobs

    def candidates_failed(self) -> int:
        """Counts candidates that failed in these rounds."""
        ids = {job.run.run_id for job in self.tried if not job.read_test}
        return sum(self.store.status(run_id) == "failed" for run_id in ids)


def _execute(
    rounds: _Rounds,
    jobs: list[Job],
    console: Console,
    *,
    means: Means,
    tracking: Tracking,
) -> bool:
    """Executes round after round; `False` if there was not enough time."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with (
        means.open_executor(len(jobs)) as executor,
        Progress(*columns, console=console) as progress,
    ):
        bar = progress.add_task("", total=0)

        def on_record(record: Record) -> None:
            progress.advance(bar)
            tracking.log(rounds.trials.get(record.run), record)
            progress.console.print(_line(rounds.names[record.run], record))
            if means.fail_fast and record.status == "failed":
                raise Stopped

        def on_retry(record: Record) -> None:
            line = _line(rounds.names[record.run], record)
            progress.console.print(f"{line} It is tried again.")

        while jobs:
            what = "" if jobs[0].read_test else "tuning"
            total = len(rounds.tried)
            progress.update(bar, description=what, total=total)
            if not execute_jobs(
                jobs,
                rounds.store,
                executor=executor,
                retries=means.retries,
                deadline=means.deadline,
                group=means.find_group(len(jobs)),
                on_record=on_record,
                on_retry=on_retry,
            ):
                return False
            jobs = rounds.next()
    return True


def _line(name: str, record: Record) -> str:
    """Words one finished run; only scores on val are shown on the way."""
    where = f"{name}, {word_tasks(record.run.task)}, seed {record.run.seed}"
    if record.status == "pruned":
        entry = record.history[-1]
        found = {key.removeprefix("val_"): v for key, v in entry.items()}
        return f"{where}: {word_val(found)} at step {entry['step']:.0f}"
    if record.status in ("done", "trained"):
        seconds = record.seconds["total"]
        found = record.scores["val"]
        return f"{where}: {word_val(found)} in {seconds:.1f} s"
    if record.status == "diverged":
        return f"{where}: diverged (the loss is no longer finite)"
    error = record.error or {}
    return f"{where}: failed, {error.get('type')}: {error.get('message')}"


def word_val(found: "Scores") -> str:
    """Words the scores on val that are shown on the way."""
    parts = [
        f"{name} {found[key] or 0:.3f}"
        for key, name in (("dice", "Dice"), ("macro_f1", "macro F1"))
        if key in found
    ]
    return f"val {', '.join(parts)}"


def _close(
    report: Report, candidates_failed: int, console: Console, interrupted: bool
) -> int:
    notes = "".join(f"{note}\n\n" for note in report.notes)
    print(f"{notes}{report.markdown}\n\n{report.verdict}\n")
    sys.stdout.flush()
    for path in report.paths:
        console.print(f"Wrote {path}", soft_wrap=True)
    if interrupted:
        console.print(
            f"Interrupted; {report.runs_done} runs are kept. "
            "Run the same command again to go on."
        )
        return 130
    if report.runs_failed:
        console.print(
            f"{report.runs_failed} runs failed; their errors are in failed.md. "
            "Run the same command again to retry them."
        )
    if candidates_failed:
        console.print(
            f"{candidates_failed} candidate runs failed and were not chosen. "
            "Run the same command again to retry them."
        )
    return 1 if report.runs_failed or candidates_failed else 0
