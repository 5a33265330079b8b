"""The commands of `medzoo search`."""

import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medzoo.cli.help import App
from medzoo.cli.scope import (
    Address,
    ExecutorName,
    Force,
    LogFile,
    MaxHours,
    Out,
    Quiet,
    Retries,
    RunTimeout,
    Workers,
    suits_make,
)
from medzoo.messages import echo
from medzoo.scores.table import format_score

if TYPE_CHECKING:
    from medzoo.cli.console import CommandConsole
    from medzoo.execution.options import ExecutionOptions
    from medzoo.search.candidates import Tried
    from medzoo.search.search_file import Search
    from medzoo.store import Store

search_app = App(help="Look for one good choice of values with KerasTuner.")


@search_app.command("list", examples=["medzoo search list"])
def list_command() -> None:
    """List the searches."""
    from medzoo.search.search_file import find_searches, read_search

    for name, path in find_searches().items():
        try:
            echo(f"{name:<20} {read_search(path).document.question}")
        except ValueError as error:
            echo(f"{name:<20} broken: {error}")


@search_app.command(
    examples=[
        "medzoo search run skip_cnn",
        "medzoo search run searches/mine.toml --workers 2 --max-hours 8",
    ]
)
def run(
    name: Annotated[
        str,
        typer.Argument(help="A shipped search, one of ./searches, or a path."),
    ],
    out: Out = Path("results"),
    workers: Workers = None,
    executor: ExecutorName = "local",
    address: Address = None,
    retries: Retries = 1,
    run_timeout: RunTimeout = None,
    max_hours: MaxHours = None,
    force: Force = False,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Go on with a search, and write what it has found so far."""
    from medzoo.cli.console import CommandConsole
    from medzoo.execution.options import ExecutionOptions
    from medzoo.files import require_output
    from medzoo.report.search import write_search
    from medzoo.search.search_file import read_search
    from medzoo.store import Store

    require_output(out, folder=True)
    search = read_search(name)
    store = Store()
    store.require_room()
    means = ExecutionOptions(
        workers=workers,
        executor=executor,
        address=address,
        retries=retries,
        timeout=run_timeout,
        hours=max_hours,
    )
    console = CommandConsole(quiet=quiet, log_file=log_file)
    tried, code = _run(search, store, means, console)
    if not tried:
        console.note("No candidate was finished.")
        raise typer.Exit(code)
    report = write_search(
        search, tried, out, command=_format_command(name), force=force
    )
    if report.unwritten:
        console.note(report.unwritten, soft_wrap=True)
    for path in report.paths:
        console.print(f"Wrote {path}", soft_wrap=True)
    if report.best is not None:
        console.result(_word(report.best, search.document.score))
    if report.proof is not None:
        console.print(
            f"A search finds, a study proves: medzoo study run {report.proof}",
            soft_wrap=True,
        )
    failed = sum(each.score is None for each in tried)
    if failed:
        console.note(
            f"{failed} of {len(tried)} candidates failed; the reasons are in "
            "candidates.csv. Run the same command again to retry them."
        )
    if code:
        console.note("Run the same command again to go on.")
        raise typer.Exit(code)
    raise typer.Exit(1 if failed else 3 if report.unwritten else 0)


def _run(
    search: "Search",
    store: "Store",
    means: "ExecutionOptions",
    console: "CommandConsole",
) -> tuple[list["Tried"], int]:
    """Returns what was tried, and 0 or the exit code of what ended it."""
    from medzoo.search.search import run_search

    about = search.document
    console.print(f"{search.name}: {about.question}")
    tried: list[Tried] = []

    def on_tried(each: "Tried") -> None:
        tried.append(each)
        scores = [t.score for t in tried if t.score is not None]
        best = f"; best so far {max(scores):.3f}" if scores else ""
        console.print(f"{_word(each, about.score)}{best}", soft_wrap=True)

    workers = means.count_workers()
    try:
        with means.open_executor(workers) as executor:
            found = run_search(
                search,
                store,
                executor=executor,
                workers=workers,
                on_tried=on_tried,
                retries=means.retries,
                deadline=means.deadline,
            )
    except TimeoutError:
        if means.hours is None:  # Of a download.
            raise
        console.note(f"{means.hours:g} hours are over.")
        return tried, 128 + signal.SIGINT
    except KeyboardInterrupt as interrupt:
        console.note("Interrupted.")
        return tried, 128 + (interrupt.args or (signal.SIGINT,))[0]
    return found, 0


def _format_command(name: str) -> str:
    """Writes the command that goes on with a search, as for a study."""
    if suits_make(name):
        return f"make search NAME={name}"
    return f"medzoo search run {shlex.quote(name)}"


def _word(tried: "Tried", score: str) -> str:
    values = ", ".join(f"{key}={v}" for key, v in tried.values.items())
    share = "" if tried.share == 1 else f" ({tried.share:.0%} of the budget)"
    found = (
        f"failed, {tried.error}"
        if tried.score is None
        else f"val {format_score(score)} {tried.score:.3f}"
    )
    return f"Candidate {tried.number}{share}: {values}: {found}"
