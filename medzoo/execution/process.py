"""Handles of worker processes and of the server that forks them."""

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
from medzoo.execution.running import private_memory
from medzoo.execution.worker import Setup, failed_record
from medzoo.record import Predictions
from medzoo.store import Store
from medzoo.training.build import MAX_TRACED, graph_key

# Last lines of its output that are kept when a process dies.
LOG_LINES = 40
# Seconds to wait for the exit code of a process that was killed.
EXIT_TIMEOUT = 5.0


class WorkerServer:
    """A process that starts workers; see `medzoo.execution.worker_server`.

    Args:
        logs: Folder for the output of the server and its workers.
        backend: Whether the server imports the backend of Keras.
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
        """Returns whether the process is running."""
        return self._process.poll() is None

    def fork(self) -> tuple[Connection, Connection]:
        """Starts a worker.

        Returns:
            Its channel, and a pipe from which its process number and later its
            exit code are read; the pipe is closed if the server dies.
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
        """Returns a message with the exit code, and the last output."""
        code = self._process.wait(EXIT_TIMEOUT)
        message = f"The process that starts workers died with exit code {code}."
        return _quote_last(message, read_log(self._log)), read_log(self._log)

    def stop(self) -> None:
        """Ends the server and all of its workers."""
        self._requests.close()
        self._process.wait()


def read_log(path: Path) -> str:
    """Returns the last lines of a log."""
    text = (
        path.read_text(encoding="utf-8", errors="replace")
        if path.exists()
        else ""
    )
    return "\n".join(text.splitlines()[-LOG_LINES:])


def _quote_last(message: str, log: str) -> str:
    """Adds the last words of a process to the message of its death."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f"{message} Its last words: {lines[-1][:300]}" if lines else message


def _list_variables() -> dict[str, str]:
    """Returns variables with which a process imports what this one does."""
    return {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        # BLAS libraries start their threads when they are loaded.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


class Worker:
    """A process that executes jobs, one group after the other.

    Args:
        server: Forks the process.
        setup: Threads, GPU and function of the process.

    Attributes:
        is_busy: Whether it has jobs.
        jobs: The current or last group of jobs.
        known: Graphs that it has traced, the last used first.
        runs: Number of groups that it was given.
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
        """Sends jobs to the process."""
        self.jobs, self.is_busy = jobs, True
        self._started = time.monotonic()
        self.runs += 1
        key = graph_key(jobs[0].run)
        if key in self.known:
            self.known.remove(key)
        self.known.appendleft(key)
        with contextlib.suppress(
            BrokenPipeError
        ):  # `collect` reports its death.
            self._channel.send((jobs, store))

    def is_alive(self) -> bool:
        """Returns whether the process is running."""
        return not self._report.poll()

    def ends(self) -> tuple[Connection, Connection]:
        """Returns connections that are ready when the job or process ends."""
        return self._channel, self._report

    def seconds(self) -> float:
        """Returns the seconds since the jobs were sent."""
        return time.monotonic() - self._started

    def memory(self) -> float:
        """Returns the private memory of the process in bytes."""
        if self._process is None:
            return 0.0
        try:
            return private_memory(self._process)
        except psutil.NoSuchProcess:
            return 0.0

    def collect(self) -> list[Outcome]:
        """Returns the outcomes; failed records if the process has died."""
        try:
            if not self._channel.poll():
                raise EOFError
            found = self._channel.recv()
        except (EOFError, OSError):
            return self.fail_jobs("ProcessExpired", *self._format_end())
        self.is_busy = False
        return [
            Outcome(job, *each)
            for job, each in zip(self.jobs, found, strict=True)
        ]

    def fail_jobs(
        self, kind: str, message: str, log: str | None = None
    ) -> list[Outcome]:
        """Ends the process and makes the failed records of its jobs.

        Args:
            kind: Type of the error.
            message: Message of the error.
            log: Last output; that of the process if `None`.
        """
        self.end()
        log = self._read_log() if log is None else log
        return [
            Outcome(
                job,
                failed_record(job.run, kind=kind, message=message, trace=log),
                Predictions(),
            )
            for job in self.jobs
        ]

    def retire(self) -> None:
        """Lets an idle process end by itself."""
        self._channel.close()

    def end(self) -> None:
        """Kills the process."""
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.kill()
            self._report.poll(EXIT_TIMEOUT)
        self._channel.close()
        self.is_busy = False

    def _format_end(self) -> tuple[str, str]:
        """Returns a message with the exit code, and the last output."""
        try:
            code = self._report.poll(EXIT_TIMEOUT) and self._report.recv()
        except EOFError:
            return self._server.format_end()
        message = (
            f"The worker process died with exit code {code}. "
            "Did the machine run out of memory?"
        )
        return _quote_last(message, self._read_log()), self._read_log()

    def _read_log(self) -> str:
        pid = self._process.pid if self._process is not None else 0
        return read_log(self._server.logs / f"{pid}.log")


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Blocks Ctrl-C for processes that are started inside."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
