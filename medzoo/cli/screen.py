"""A study on the screen: a bar, a line a finished run, the table at last."""

import functools
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich.box
import rich.table

from medzoo.cli.console import CommandConsole
from medzoo.conduct import Conduct, StudyResult
from medzoo.execution.cores import default_workers
from medzoo.execution.options import ExecutionOptions
from medzoo.messages import printable
from medzoo.progress import ProgressBar, find_leader
from medzoo.record import Record
from medzoo.report.evidence import Evidence
from medzoo.report.leaders import ValScores, describe_leaders
from medzoo.report.study_tables import judge_trials, make_short_summary
from medzoo.report.tables import format_cell
from medzoo.report.write import Report
from medzoo.scores.table import format_score
from medzoo.store import Store
from medzoo.study.spec import Study
from medzoo.tasks import format_tasks

if TYPE_CHECKING:
    from medzoo.training.predict import Scores


def run_on_screen(
    study: Study,
    out: Path,
    *,
    command: str,
    smoke: bool = False,
    means: ExecutionOptions,
    track: Iterable[str] = (),
    force: bool = False,
    verbose: bool = False,
    console: CommandConsole | None = None,
) -> int:
    """Runs what is missing, then writes and prints the tables.

    Args:
        study: The study.
        out: Folder of all reports.
        command: The command that runs it, as the pages show it.
        smoke: Whether each run has two steps only.
        means: How it is executed.
        track: Names of trackers.
        force: Whether the report replaces one with more results.
        verbose: Whether to list the files that are written.
        console: Where it is printed.

    Returns:
        The exit code: 0 all done, 1 some runs failed, 3 the report that is
        there has more, 130 interrupted, 143 terminated.
    """
    console, store = console or CommandConsole(), Store()
    conduct = Conduct(study, store, means=means, smoke=smoke, track=track)
    workers = means.workers or default_workers(means.workers_per_gpu)
    console.print(conduct.plan().text(workers), soft_wrap=True)
    signal_number = 0
    look = functools.partial(find_leader, study, store, smoke=smoke)
    try:
        with _Screen(console, look, study, means) as screen:
            end = conduct.execute(screen)
        if end == "failed":
            console.note("Stopped at the first failed run.")
        if end == "late":
            console.note(f"{means.hours:g} hours are over.")
            signal_number = signal.SIGINT
    except KeyboardInterrupt as interrupt:
        signal_number = interrupt.args[0] if interrupt.args else signal.SIGINT
    result = conduct.conclude(out, command=command, force=force)
    if result.kept:
        console.print(result.kept, soft_wrap=True)
    return _close(result, console, signal_number, verbose)


class _Screen(ProgressBar):
    """Prints a line a run beside the bar."""

    def __init__(
        self,
        console: CommandConsole,
        look: Callable[[], str],
        study: Study,
        means: ExecutionOptions,
    ) -> None:
        super().__init__(console, look)
        self._is_tuned = study.tuned is not None
        self._shard = means.shard

    def begin(self, num_units: int, num_jobs: int) -> None:
        if self._shard:
            number, parts = self._shard
            what = "choices" if self._is_tuned else "runs"
            self.console.print(
                f"Shard {number} of {parts}: {num_units} {what}, "
                f"{num_jobs} runs left{' for now' * self._is_tuned}."
            )

    def finish_run(self, name: str, record: Record) -> None:
        super().finish_run(name, record)
        self.console.print(_line(name, record))

    def retry_run(self, name: str, record: Record) -> None:
        self.console.print(f"{_line(name, record)} It is tried again.")

    def wait_for(self, where: str) -> None:
        self.console.print(
            f"What is left is executed by {where}; waiting for it."
        )


def _line(name: str, record: Record) -> str:
    """Words one finished run; only scores on val are shown on the way."""
    where = f"{name}, {format_tasks(record.run.task)}, seed {record.run.seed}"
    if record.status == "pruned":
        entry = record.history[-1]
        found = {key.removeprefix("val_"): v for key, v in entry.items()}
        return f"{where}: {format_val(found)} at step {entry['step']:.0f}"
    if record.status in ("done", "trained"):
        seconds = record.seconds["total"]
        found = record.scores["val"]
        return f"{where}: {format_val(found)} in {seconds:.1f} s"
    if record.status == "diverged":
        return f"{where}: diverged (the loss is no longer finite)"
    error = record.error or {}
    return f"{where}: failed, {error.get('type')}: {error.get('message')}"


def format_val(found: "Scores") -> str:
    """Words the scores on val that are shown on the way."""
    parts = [
        f"{format_score(name)} {found[name] or 0:.3f}"
        for name in ("dice", "macro_f1")
        if name in found
    ]
    return f"val {', '.join(parts)}"


def show_report(
    report: Report, console: CommandConsole, *, verbose: bool = False
) -> None:
    """Prints the verdict and the table of trials.

    Args:
        report: The report of a study.
        console: Where it is printed.
        verbose: Whether to list all files.
    """
    evidence = report.evidence
    for text in (evidence.verdict, *evidence.warnings, evidence.notes):
        if text:
            console.result(f"{text}\n")
    if evidence.statistics.complete:
        console.result(make_screen_table(evidence))
    elif leaders := describe_leaders(ValScores.of(evidence.results)):
        console.result(leaders)
    for path in report.paths if verbose else ():
        console.result(f"Wrote {path}", soft_wrap=True)


def show_page(report: Report, console: CommandConsole) -> None:
    """Prints how to go on, and the address of the page as the last line."""
    if is_undecided(report.evidence):
        console.result(
            "Undecided trials get more seeds with `--until decided`; "
            "`medzoo study plan NAME --detect 0.05` says how many that takes."
        )
    if report.page is not None:
        address = report.page.absolute().as_uri()
        console.result(f"Open {address}", soft_wrap=True)


def is_undecided(evidence: Evidence) -> bool:
    """Says whether further seeds may decide what is left of a study."""
    statistics = evidence.statistics
    found = map(statistics.to_reference, statistics.complete)
    return (
        evidence.is_concluded
        and not evidence.study.is_looked_at
        and any(d.verdict == "undecided" for d in found if d is not None)
    )


def make_screen_table(evidence: Evidence) -> rich.table.Table:
    """Makes the table of trials that fits into 80 columns."""
    short = make_short_summary(evidence)
    compared = evidence.statistics.baseline is not None
    places = judge_trials(evidence)
    judged = any(places.values())
    table = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, show_edge=False, padding=(0, 1)
    )
    numbers: dict[str, Any] = {"justify": "right", "no_wrap": True}
    table.add_column("rank", **numbers)
    table.add_column("trial", overflow="fold")
    table.add_column(f"{short.columns[1]}\n(95 %)", **numbers)
    if compared:
        name = f"difference\nto {evidence.statistics.baseline} (95 %)"
        table.add_column(printable(name), **numbers)
    if judged:
        table.add_column("verdict", no_wrap=True)
    for number, row in enumerate(short.rows, start=1):
        cells = [
            format_cell(column, cell)
            for column, cell in zip(short.columns, row, strict=True)
        ]
        shown = [str(number), *cells[: 2 + compared]]
        if judged:
            shown.append(places[cells[0]] or "")
        table.add_row(*map(printable, shown))
    return table


def _close(
    result: StudyResult,
    console: CommandConsole,
    signal_number: int,
    verbose: bool,
) -> int:
    """Prints the report and what is left to do; returns the exit code."""
    report, candidates_failed = result.report, result.candidates_failed
    if report.evidence.records:
        show_report(report, console, verbose=verbose)
        if report.unwritten:
            console.note(report.unwritten, soft_wrap=True)
    again = "Run the same command again to "
    if result.runs_failed:
        console.note(
            f"{result.runs_failed} runs failed; their errors are in "
            f"failed.md. {again}retry them."
        )
    if candidates_failed:
        console.note(
            f"{candidates_failed} candidate runs failed and were not chosen. "
            f"{again}retry them."
        )
    if result.unscored:
        console.note(f"{result.describe_unscored()} {again}retry them.")
    if signal_number:
        console.note(
            f"Interrupted; {result.runs_done} runs are kept. {again}go on."
        )
    show_page(report, console)
    if signal_number:
        return 128 + signal_number
    if result.runs_failed or candidates_failed or result.unscored:
        return 1
    return 3 if report.evidence.records and report.unwritten else 0
