"""A study on the screen: a bar, a line a finished run, the table at last."""

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from medzoo.report.write import Report, write_report
from medzoo.study.expand import Planned, expand
from medzoo.study.job import Job
from medzoo.study.plan import make_plan
from medzoo.study.runner import default_workers, execute_jobs
from medzoo.study.spec import Study
from medzoo.study.store import Store
from medzoo.training.record import Record
from medzoo.training.run import Run


class Stopped(Exception):  # noqa: N818 - not an error
    """Ends a study at its first failed run."""


def run_on_screen(
    study: Study,
    out: Path,
    *,
    command: str,
    smoke: bool = False,
    workers: int | None = None,
    timeout: float | None = None,
    fail_fast: bool = False,
) -> int:
    """Runs what is missing, then writes and prints the tables.

    Returns:
        The exit code: 0 all done, 1 some runs failed, 130 interrupted.
    """
    store = Store()
    console = Console(stderr=True, highlight=False)
    planned = expand(study, smoke=smoke)
    console.print(make_plan(study, store, smoke=smoke).text())
    missing = find_missing_runs(planned, store)
    if missing:
        _require_data(study, missing)
    workers = min(workers or default_workers(), max(1, len(missing)))
    interrupted = False
    try:
        _execute(planned, missing, store, console, workers, timeout, fail_fast)
    except KeyboardInterrupt:
        interrupted = True
    except Stopped:
        console.print("Stopped at the first failed run.")
    report = write_report(study, store, out, command=command, smoke=smoke)
    return _close(report, console, interrupted)


def find_missing_runs(planned: tuple[Planned, ...], store: Store) -> list[Run]:
    """Returns the runs without a finished record, each once.

    Failed runs are missing too: calling a study again tries them again.
    """
    runs = dict.fromkeys(item.run for item in planned)
    return [run for run in runs if not store.has_done(run.run_id)]


def _require_data(study: Study, runs: list[Run]) -> None:
    if study.data == "medmnist":
        from medzoo.data.files import require_files

        for size in sorted({run.size for run in runs}):
            names = {run.task for run in runs if run.size == size}
            require_files([task for task in study.tasks if task in names], size)


def _execute(
    planned: tuple[Planned, ...],
    missing: list[Run],
    store: Store,
    console: Console,
    workers: int,
    timeout: float | None,
    fail_fast: bool,
) -> None:
    runs = {item.run: item for item in planned}
    done = len(runs) - len(missing)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        bar = progress.add_task("", total=len(runs), completed=done)

        def on_record(record: Record) -> None:
            progress.advance(bar)
            progress.console.print(_line(runs[record.run], record))
            if fail_fast and record.status == "failed":
                raise Stopped

        execute_jobs(
            map(Job, missing),
            store,
            workers=workers,
            timeout=timeout,
            on_record=on_record,
        )


def _line(item: Planned, record: Record) -> str:
    """Words one finished run; only scores on val are shown on the way."""
    where = f"{item.trial.name}, {record.run.task}, seed {record.run.seed}"
    if record.status == "done":
        found = record.scores["val"]["macro_f1"]
        seconds = record.seconds["total"]
        return f"{where}: val macro F1 {found:.3f} in {seconds:.1f} s"
    if record.status == "diverged":
        return f"{where}: diverged (the loss is no longer finite)"
    error = record.error or {}
    return f"{where}: failed, {error.get('type')}: {error.get('message')}"


def _close(report: Report, console: Console, interrupted: bool) -> int:
    print(report.markdown)
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
        return 1
    return 0
