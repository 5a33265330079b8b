"""A study on the screen: a bar, a line a finished run, the table at last."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from medzoo.conduct import Conduct, StudyResult
from medzoo.execution.options import ExecutionOptions
from medzoo.progress import ProgressBar
from medzoo.record import Record
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
) -> int:
    """Runs what is missing, then writes and prints the tables.

    Returns:
        The exit code: 0 all done, 1 some runs failed, 130 interrupted.
    """
    console = Console(stderr=True, highlight=False)
    conduct = Conduct(study, Store(), means=means, smoke=smoke, track=track)
    console.print(conduct.plan().text())
    interrupted = False
    try:
        with _Screen(console, study, means) as screen:
            end = conduct.execute(screen)
        if end == "failed":
            console.print("Stopped at the first failed run.")
        if end == "late":
            console.print(f"{means.hours:g} hours are over.")
            interrupted = True
    except KeyboardInterrupt:
        interrupted = True
    result = conduct.conclude(out, command=command)
    console.print(result.kept, soft_wrap=True, end="\n" * bool(result.kept))
    return _close(result, console, interrupted)


class _Screen(ProgressBar):
    """Prints a line a run beside the bar."""

    def __init__(
        self, console: Console, study: Study, means: ExecutionOptions
    ) -> None:
        super().__init__(console)
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


def _close(result: StudyResult, console: Console, interrupted: bool) -> int:
    report, candidates_failed = result.report, result.candidates_failed
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
