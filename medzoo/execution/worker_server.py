"""The server that forks workers: `python -m medzoo.execution.worker_server`.

As a process of its own, it never imports a user's script. It imports Keras and
its backend once, which takes 5 to 8 seconds; forked workers share that import.
The import starts no threads, so a fork is safe; devices are opened by the first
tensor, inside the worker.

Each byte on its socket carries two file descriptors: the channel of a new
worker (see `serve`), and a pipe to which the server writes the process number
of the worker and later its exit code. When the other end of the socket closes,
the server kills its workers and exits.
"""

import contextlib
import faulthandler
import os
import select
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from medzoo.execution.worker import serve
from medzoo.training.backend import import_keras


def main() -> None:
    """Runs the server; arguments: socket number, log folder, `--backend`."""
    # Ctrl-C is handled by the driver; it was blocked until here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    faulthandler.enable()  # A crash in native code says where it was.
    number, logs, *flags = sys.argv[1:]
    if "--backend" in flags:
        _import_backend()
    channel = _fork_workers(socket.socket(fileno=int(number)))
    if channel is None:
        shutil.rmtree(logs, ignore_errors=True)
        return
    serve(channel, Path(logs))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # Skips the exit handlers of the backend.


def _import_backend() -> None:
    import_keras()
    import medzoo.execution.worker
    import medzoo.training.build  # noqa: F401


def _fork_workers(requests: socket.socket) -> Connection | None:
    """Forks a worker for each request.

    Returns:
        In a worker its channel; in the server `None`, when it has to end.
    """
    reports: dict[int, Connection] = {}
    with _child_signals() as ended:
        while True:
            ready, _, _ = select.select([requests.fileno(), ended], [], [])
            if ended in ready:
                os.read(ended, 4096)
                _report_ended(reports)
            if requests.fileno() not in ready:
                continue
            request, fds, _, _ = socket.recv_fds(requests, 1, 2)
            if not request:
                break
            channel, report = Connection(fds[0]), Connection(fds[1])
            pid = os.fork()
            if pid == 0:
                # Pipes of other workers must not stay open here.
                requests.close()
                for each in (report, *reports.values()):
                    each.close()
                return channel
            channel.close()
            reports[pid] = report
            _send(report, pid)
    for pid in reports:
        os.kill(pid, signal.SIGKILL)
    return None


@contextlib.contextmanager
def _child_signals() -> Iterator[int]:
    """Opens a pipe that becomes readable when a child process has ended."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(reader)
        os.close(writer)


def _report_ended(reports: dict[int, Connection]) -> None:
    """Sends the exit codes of workers that have ended."""
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        report = reports.pop(pid)
        _send(report, os.waitstatus_to_exitcode(status))
        report.close()


def _send(report: Connection, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # The driver has gone.
        report.send(number)


if __name__ == "__main__":
    main()
