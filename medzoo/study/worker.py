"""What happens inside a worker process: one run after the other."""

import contextlib
import faulthandler
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from medzoo.study.job import Job
from medzoo.study.store import Store
from medzoo.training.record import Record
from medzoo.training.run import Run


def serve(
    channel: Connection,
    logs: Path,
    threads: int,
    gpu: str | None,
    environment: Mapping[str, str],
) -> None:
    """Executes the jobs that arrive, until the other end of the pipe closes.

    Args:
        channel: Brings pairs of jobs and their store, and takes what `run_all`
            returns for them.
        logs: As for `start_worker`.
        threads: As for `start_worker`.
        gpu: The only device that the process sees; all of them if `None`.
        environment: Of the process that asked for this one.
    """
    os.environ.update(environment)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    start_worker(logs, threads)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            jobs, store = channel.recv()
            os.truncate(sys.stdout.fileno(), 0)  # A log tells of one run.
            channel.send(run_all(jobs, store))


def start_worker(logs: Path, threads: int) -> None:
    """Prepares a fresh process before the backend opens its devices.

    It does not outlive the process that asked for it, however that dies.

    Args:
        logs: Folder in which `<pid>.log` takes what the process prints, so that
            a backend's messages do not cover the progress of the study.
        threads: Threads of the backend. Sums are added in another order with
            another number, so results are repeated bit for bit only with the
            same one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, args=[logs], daemon=True).start()
    flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
    log = os.open(logs / f"{os.getpid()}.log", flags)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    faulthandler.enable()  # A crash in native code says where it was.
    set_threads(threads)


def set_threads(threads: int) -> None:
    """Sets the threads of a backend that has computed nothing yet.

    On a GPU it also takes memory as it needs it, so that several workers fit on
    one device (`TF_FORCE_GPU_ALLOW_GROWTH`, `XLA_PYTHON_CLIENT_PREALLOCATE`).
    """
    os.environ.update(
        OMP_NUM_THREADS=str(threads),
        TF_NUM_INTRAOP_THREADS=str(threads),
        TF_NUM_INTEROP_THREADS="1",
        NPROC=str(threads),  # How JAX on a CPU counts the cores.
        TF_FORCE_GPU_ALLOW_GROWTH="true",
        XLA_PYTHON_CLIENT_PREALLOCATE="false",
    )


def run_one(job: Job, store: Store, **watch: Any) -> tuple[Record, dict]:
    """Executes a job; whatever it raises becomes a failed record.

    Args:
        job: What to execute.
        store: Where its state and what it predicted lie.
        **watch: Callbacks of `medzoo.training.execute.execute`.
    """
    return run_all([job], store, **watch)[0]


def run_all(
    jobs: Sequence[Job], store: Store, **watch: Any
) -> list[tuple[Record, dict]]:
    """Executes jobs together; whatever one raises becomes a failed record.

    Several that raise are halved, until those that fail stand alone: a stack
    may be larger than the memory of its device.

    Args:
        jobs: As for `medzoo.study.advance.advance_all`.
        store: As for `run_one`.
        **watch: As for `run_one`.
    """
    from medzoo.study.advance import advance_all

    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        return advance_all(jobs, store, **watch)
    except Exception as error:  # noqa: BLE001 - the one place: a failed record
        if len(jobs) == 1:
            record = failed_record(
                jobs[0].run,
                kind=type(error).__name__,
                message=str(error),
                trace=traceback.format_exc(),
                started=started,
            )
            return [(record, {})]
        traceback.print_exc()
    # The error has let go of the device by now.
    half = len(jobs) // 2
    return run_all(jobs[:half], store) + run_all(jobs[half:], store)


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


def _watch_parent(logs: Path) -> None:
    """Ends this process, and its log, when the one that asked for it is gone.

    A driver that ends by itself ends its workers before.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(logs, ignore_errors=True)
        os._exit(1)
