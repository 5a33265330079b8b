"""Worker processes and the server that forks them, as seen by their driver."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from medzoo.execution.job import Job, Outcome
from medzoo.execution.worker import Setup, failed_record
from medzoo.study.store import Store
from medzoo.training.build import MAX_TRACED, graph_key

# Lines of what a process printed that are kept when it dies.
LOG_LINES = 40
# Seconds in which a process that was killed is gone, or its end is told.
GONE_AFTER = 5.0


class WorkerServer:
    """A process that starts workers; see `medzoo.execution.worker_server`.

    Args:
        logs: Folder for what it and its workers print.
        backend: Whether it imports the backend of Keras before.
    """

    def __init__(self, logs: Path, *, backend: bool) -> None:
        self.logs = logs
        log, path = tempfile.mkstemp(suffix=".log", dir=logs)
        self._log = Path(path)
        self._requests, theirs = socket.socketpair()
        module = [sys.executable, "-P", "-m", "medzoo.execution.worker_server"]
        arguments = [str(theirs.fileno()), str(logs), *["--backend"] * backend]
        with _interrupts_held():
            self._process = subprocess.Popen(
                [*module, *arguments],
                env=os.environ | _list_variables(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        theirs.close()
        os.close(log)

    def is_alive(self) -> bool:
        """Says whether the process is there."""
        return self._process.poll() is None

    def fork(self) -> tuple[Connection, Connection]:
        """Starts a worker.

        Returns:
            Its channel, and the pipe that brings its process number and, in the
            end, its exit code; nothing if the server dies before.
        """
        channel, its_channel = Pipe()
        report, its_report = Pipe(duplex=False)
        fds = [its_channel.fileno(), its_report.fileno()]
        with contextlib.suppress(ConnectionError):  # `report` will say so.
            socket.send_fds(self._requests, [b"1"], fds)
        its_channel.close()
        its_report.close()
        return channel, report

    def format_end(self) -> tuple[str, str]:
        """Words how the process has died, and returns what it said at last."""
        code = self._process.wait(GONE_AFTER)
        message = f"The process that starts workers died with exit code {code}."
        return message, read_log(self._log)

    def stop(self) -> None:
        """Ends the process, and with it all workers."""
        self._requests.close()
        self._process.wait()


def read_log(path: Path) -> str:
    """Returns the last lines that a process has printed."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return "\n".join(text.splitlines()[-LOG_LINES:])


def _list_variables() -> dict[str, str]:
    """Returns the environment in which all is found that is found here."""
    return {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        # A library of linear algebra starts its threads when it is loaded.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


class Worker:
    """A process that executes jobs, one stack after the other.

    Args:
        server: Starts it.
        setup: What it is started with.

    Attributes:
        is_busy: Whether it has jobs.
        jobs: Those that it has, or had last: one, or a stack.
        known: Graphs that it has traced, the last used first.
        runs: How many times it was given any.
    """

    jobs: Sequence[Job]

    def __init__(self, server: WorkerServer, setup: Setup) -> None:
        self.is_busy = False
        self.known: deque[str] = deque(maxlen=MAX_TRACED)
        self.runs = 0
        self._server = server
        self._started = 0.0
        self._channel, self._report = server.fork()
        self._process: psutil.Process | None = None
        with contextlib.suppress(EOFError, psutil.NoSuchProcess):
            self._process = psutil.Process(self._report.recv())
        with contextlib.suppress(ConnectionError):
            self._channel.send(setup)

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
        return not self._report.poll()

    def ends(self) -> tuple[Connection, Connection]:
        """Returns what becomes ready when the job ends, or the process."""
        return self._channel, self._report

    def seconds(self) -> float:
        """Returns how long the job has taken."""
        return time.monotonic() - self._started

    def memory(self) -> float:
        """Returns the bytes that the process has for itself alone."""
        if self._process is None:
            return 0.0
        try:
            info = self._process.memory_info()
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
            return self.give_up("ProcessExpired", *self._format_end())
        self.is_busy = False
        return [
            Outcome(job, *each)
            for job, each in zip(self.jobs, found, strict=True)
        ]

    def give_up(
        self, kind: str, message: str, log: str | None = None
    ) -> list[Outcome]:
        """Ends the process and makes the failed records of its jobs.

        Args:
            kind: Of the error.
            message: What has happened.
            log: What was printed at last; by the process if `None`.
        """
        self.end()
        log = self._read_log() if log is None else log
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
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.kill()
            self._report.poll(GONE_AFTER)
        self._channel.close()
        self.is_busy = False

    def _format_end(self) -> tuple[str, str]:
        """Words how the process has died, and returns what was said at last."""
        try:
            code = self._report.poll(GONE_AFTER) and self._report.recv()
        except EOFError:
            return self._server.format_end()
        message = (
            f"The worker process died with exit code {code}. "
            "Did the machine run out of memory?"
        )
        return message, self._read_log()

    def _read_log(self) -> str:
        pid = self._process.pid if self._process is not None else 0
        return read_log(self._server.logs / f"{pid}.log")


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Starts a process that Ctrl-C does not reach, not even as it starts."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
