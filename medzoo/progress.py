"""The bar of a study that is executed, on the standard error stream."""

import time
from collections.abc import Callable, Iterable
from types import TracebackType

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from medzoo.conduct import Watch
from medzoo.console import PlainConsole
from medzoo.messages import printable
from medzoo.record import Record
from medzoo.report.leaders import ValScores, rank_leaders
from medzoo.report.results import read_every_seed
from medzoo.store import Store
from medzoo.study.spec import Study

# The leader is looked for again after so many times the seconds that it took,
# so that a large study does not spend its time on it.
_REST = 10


class ProgressBar(Watch):
    """Counts finished runs, and shows the leader on val below.

    Args:
        console: Where the bar is drawn; nothing is where that is no terminal.
        find_leader: Words which trial leads; empty while there is none.
    """

    def __init__(
        self, console: PlainConsole, find_leader: Callable[[], str]
    ) -> None:
        self.console = console
        self._find_leader = find_leader
        self._next_look = 0.0
        self._progress = _LedProgress(
            TextColumn("{task.description}", markup=False),
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
        self._progress.leader = ""
        self._progress.stop()

    def start_round(self, what: str, total: int) -> None:
        """Names the round, and starts the bar with the first one."""
        self._progress.update(self._bar, description=what, total=total)
        self._progress.start()

    def finish_run(self, name: str, record: Record) -> None:
        """Counts a run, and looks for the leader now and then."""
        self._progress.advance(self._bar)
        started = time.monotonic()
        if not self._progress.disable and started >= self._next_look:
            self._progress.leader = self._find_leader()
            self._progress.refresh()
            ended = time.monotonic()
            self._next_look = ended + _REST * (ended - started)


class _LedProgress(Progress):
    """A bar with a line below it."""

    leader = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.leader:
            yield Text(
                printable(self.leader), no_wrap=True, overflow="ellipsis"
            )


def find_leader(study: Study, store: Store, *, smoke: bool = False) -> str:
    """Words the trial that leads on val so far, as `medzoo study status`."""
    results = read_every_seed(study, store, smoke=smoke)
    leaders = rank_leaders(ValScores.of(results))
    if leaders is None:
        return ""
    return (
        f"leads on val so far: {leaders.names[0]}, {leaders.means[0]:.3f} "
        f"({leaders.num_shared} of {leaders.num_cells} tasks and seeds)"
    )
