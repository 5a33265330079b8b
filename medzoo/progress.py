"""The bar of a study that is executed, on the standard error stream."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from medzoo.conduct import Watch
from medzoo.record import Record


class ProgressBar(Watch):
    """Counts finished runs.

    Args:
        console: Where the bar is drawn; nothing is where that is no terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("runs"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("", total=0)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def start_round(self, what: str, total: int) -> None:
        """Names the round, and starts the bar with the first one."""
        self._progress.start()
        self._progress.update(self._bar, description=what, total=total)

    def finish_run(self, name: str, record: Record) -> None:
        """Counts a run."""
        self._progress.advance(self._bar)
