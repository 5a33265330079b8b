"""What happens inside a worker process: one run after the other."""

import os
import signal
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from medzoo.study.job import Job
from medzoo.training.record import Record
from medzoo.training.run import Run


def start_worker(logs: Path, threads: int, parent: int) -> None:
    """Prepares a fresh process before the backend is imported.

    Args:
        logs: Folder in which `<pid>.log` takes what the process prints, so that
            a backend's messages do not cover the progress of the study.
        threads: Threads of the backend. Sums are added in another order with
            another number, so results are repeated bit for bit only with the
            same one.
        parent: Process that the worker may not outlive.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, args=[parent], daemon=True).start()
    log = os.open(logs / f"{os.getpid()}.log", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    set_threads(threads)


def set_threads(threads: int) -> None:
    """Sets the threads of a backend that is not imported yet."""
    os.environ.update(
        OMP_NUM_THREADS=str(threads),
        TF_NUM_INTRAOP_THREADS=str(threads),
        TF_NUM_INTEROP_THREADS="1",
    )


def run_one(job: Job) -> tuple[Record, dict]:
    """Executes a job; whatever it raises becomes a failed record."""
    from medzoo.training.execute import execute

    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        return execute(job.run)
    except Exception as error:  # noqa: BLE001 - the one place: a failed record
        return (
            failed_record(
                job.run,
                kind=type(error).__name__,
                message=str(error),
                trace=traceback.format_exc(),
                started=started,
            ),
            {},
        )


def failed_record(
    run: Run, *, kind: str, message: str, trace: str = "", started: str = ""
) -> Record:
    """Makes the record of a run that an error ended."""
    return Record(
        run=run,
        run_id=run.run_id,
        status="failed",
        error={"type": kind, "message": message, "traceback": trace},
        started=started or datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _watch_parent(parent: int) -> None:
    """Ends this process when its parent is gone, however that died."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
