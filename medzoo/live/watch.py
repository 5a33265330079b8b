"""The page of a study, renewed while it runs in another process."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

from medzoo.execution.running import Running
from medzoo.live.server import Content, Server
from medzoo.live.state import Progress, Watched
from medzoo.messages import encode_text, tolerating
from medzoo.report.evidence import Evidence
from medzoo.report.html import make_html, render
from medzoo.report.without_test import read_without_test

# Seconds between two looks at the leases and notes of workers.
TICK = 1.0
# Records are read again after at least so many seconds, and after so many times
# the seconds of computing that it took, so that runs do not lose their time.
REST = 3.0, 5.0
# To files beside the report, which are not served.
_LINK = re.compile(r'<a href="[\w./]+">([^<]*)</a>')
_FAILED = "The last look at the study failed; the terminal says why."
_OUTDATED = "The page could not be renewed; this is an earlier one."


class Live:
    """The page of a study and its state, as they are served.

    Args:
        watched: The study.
        command: The command that runs it, as its page shows it.
        contents: Receives the page and the state.
        rest: See `REST`.

    Attributes:
        state: How far the study is.
    """

    def __init__(
        self,
        watched: Watched,
        command: str,
        contents: dict[str, Content],
        *,
        rest: tuple[float, float] = REST,
    ) -> None:
        self.state: dict[str, Any] = {"ended": False, "lines": [""]}
        self._watched, self._command = watched, command
        self._contents = contents
        self._rests, self._next = rest, 0.0
        self._shown: object = None
        self._version = 0
        self._trouble = ""
        title = watched.study.folder_name(smoke=watched.smoke)
        self._contents["/"] = Content.of_page(
            render("waiting.html", title=title, version=self._version)
        )
        self._stamp = self._find_stamp(watched.list_running())
        self._progress = self._read()

    def look(self) -> None:
        """Looks at workers, and at records if there are new ones.

        What fails is said on the page, and tried again with the next look.
        """
        state = self.state | {"trouble": _FAILED}
        with tolerating("A look at the study"):
            running = self._watched.list_running()
            self._read_progress(running)
            state = self._watched.describe(self._progress, running)
            self._renew_page(ended=state["ended"])
            state |= {"version": self._version, "trouble": self._trouble}
        self.state = state
        body = encode_text(json.dumps(state, allow_nan=False))
        self._contents["/state.json"] = Content("application/json", body)

    def _read_progress(self, running: list[Running]) -> None:
        """Reads records, if the store has changed and it is time again."""
        stamp = self._find_stamp(running)
        if stamp != self._stamp and time.monotonic() >= self._next:
            started = time.process_time()
            self._progress = self._read()
            self._stamp = stamp
            self._rest(started)

    def _find_stamp(self, running: list[Running]) -> object:
        """Returns what changes where records may have."""
        return self._watched.stamp(), [each.run_id for each in running]

    def _read(self) -> Progress:
        watched = self._watched
        return Progress.read(watched.study, watched.store, smoke=watched.smoke)

    def _renew_page(self, *, ended: bool) -> None:
        """Makes the page anew if its records have changed.

        What fails keeps the last good page, and is tried with the next record.
        """
        wanted = self._progress.known, ended
        if not self._progress.known or wanted == self._shown:
            return
        self._shown, started = wanted, time.process_time()
        self._trouble = _OUTDATED
        with tolerating("The page of the study"):
            self._make_page(ended=ended)
            self._trouble = ""
        self._rest(started)

    def _make_page(self, *, ended: bool) -> None:
        """Makes the page, with scores of test only once all has ended."""
        study, store = self._watched.study, self._watched.store
        read = Evidence.read if ended else read_without_test
        smoke = self._watched.smoke
        evidence = read(study, store, smoke=smoke, command=self._command)
        version = self._version + 1
        page = make_html(evidence, template="watch.html", version=version)
        self._contents["/"] = Content.of_page(_LINK.sub(r"\1", page))
        self._version = version

    def _rest(self, started: float) -> None:
        """Waits with the next reading of records, by the time of this one."""
        least, times = self._rests
        rest = max(least, times * (time.process_time() - started))
        self._next = max(self._next, time.monotonic() + rest)


def watch(
    watched: Watched,
    *,
    command: str,
    port: int,
    on_open: Callable[[str], None],
    on_end: Callable[[str], None],
) -> None:
    """Serves the page of a study until it is interrupted.

    Args:
        watched: The study.
        command: The command that runs it, as its page shows it.
        port: Of the server; any free one if 0.
        on_open: Called with the address, once the page is there.
        on_end: Called with a line whenever the study has ended.

    Raises:
        ValueError: If the port is taken.
    """
    with Server(port) as server:
        live = Live(watched, command, server.contents)
        live.look()
        server.start()
        on_open(server.address)
        told = False
        while True:
            if live.state["ended"] and not told:
                on_end(live.state["lines"][0])
            told = live.state["ended"]
            time.sleep(TICK)
            live.look()
