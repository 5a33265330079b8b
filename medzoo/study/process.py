"""One worker process, as the process that started it sees it."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from medzoo.study.job import Job, Outcome
from medzoo.study.store import Store
from medzoo.study.worker import failed_record, serve
from medzoo.training.prepare import MAX_TRACED, graph_key

# Lines of what a process printed that are kept when it dies.
LOG_LINES = 40
# Workers are forked from a process that has imported the backend already.
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["medzoo.study.preload"])


class Setup(NamedTuple):
    """What a worker process is started with; see `serve`."""

    logs: Path
    threads: int
    gpu: str | None


class Worker:
    """A process that executes jobs, one stack after the other.

    Args:
        setup: What it is started with.

    Attributes:
        is_busy: Whether it has jobs.
        jobs: Those that it has, or had last: one, or a stack.
        known: Graphs that it has traced, the last used first.
        runs: How many times it was given any.
    """

    jobs: Sequence[Job]

    def __init__(self, setup: Setup) -> None:
        self.is_busy = False
        self.known: deque[str] = deque(maxlen=MAX_TRACED)
        self.runs = 0
        self._setup = setup
        self._started = 0.0
        self._channel, theirs = FORKSERVER.Pipe()
        self._process = FORKSERVER.Process(
            target=serve, args=(theirs, *setup, dict(os.environ)), daemon=True
        )
        with _interrupts_held():
            self._process.start()
        theirs.close()

    def start(self, jobs: Sequence[Job], store: Store) -> None:
        """Hands jobs over."""
        self.jobs, self.is_busy = jobs, True
        self._started = time.monotonic()
        self.runs += 1
        key = graph_key(jobs[0].run)
        if key in self.known:
            self.known.remove(key)
        self.known.appendleft(key)
        with contextlib.suppress(BrokenPipeError):  # `finish` will see it dead.
            self._channel.send((jobs, store))

    def is_alive(self) -> bool:
        """Says whether the process is there."""
        return self._process.is_alive()

    def ends(self) -> tuple:
        """Returns what becomes ready when the job ends, or the process."""
        return self._channel, self._process.sentinel

    def seconds(self) -> float:
        """Returns how long the job has taken."""
        return time.monotonic() - self._started

    def memory(self) -> float:
        """Returns the bytes that the process has for itself alone."""
        try:
            info = psutil.Process(self._process.pid).memory_info()
        except psutil.NoSuchProcess:
            return 0.0
        # Mapped files of data belong to all workers, and go when need be.
        return info.rss - getattr(info, "shared", 0)

    def finish(self) -> list[Outcome]:
        """Takes what the jobs gave; failed records if the process has died."""
        try:
            if not self._channel.poll():
                raise EOFError
            found = self._channel.recv()
        except (EOFError, OSError):
            self._process.join(5)
            return self.give_up(
                "ProcessExpired",
                "The worker process died with exit code "
                f"{self._process.exitcode}. Did the machine run out of memory?",
            )
        self.is_busy = False
        return [
            Outcome(job, *each)
            for job, each in zip(self.jobs, found, strict=True)
        ]

    def give_up(self, kind: str, message: str) -> list[Outcome]:
        """Ends the process and makes the failed records of its jobs."""
        self.end()
        log = self._log()
        return [
            Outcome(
                job,
                failed_record(job.run, kind=kind, message=message, trace=log),
                {},
            )
            for job in self.jobs
        ]

    def retire(self) -> None:
        """Lets an idle process end by itself."""
        self._channel.close()

    def end(self) -> None:
        """Ends the process at once; it holds nothing that could be lost."""
        self._process.kill()
        self._process.join()
        self._channel.close()
        self.is_busy = False

    def _log(self) -> str:
        log = self._setup.logs / f"{self._process.pid}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-LOG_LINES:])


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Starts processes that Ctrl-C does not reach, not even as they start."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
