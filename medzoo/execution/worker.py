"""Execution of runs inside a worker process."""

import contextlib
import os
import select
import sys
import threading
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from medzoo.execution.job import Execute, Job
from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.study.store import Store
from medzoo.training.execute import Predictions, complete, execute
from medzoo.training.saved import save_model


class Setup(NamedTuple):
    """What a worker is started with.

    Args:
        threads: Threads of the backend. Sums are added in another order with
            another number, so results are repeated bit for bit only with the
            same one.
        gpu: The only device that the process sees; all of them if `None`.
        execute: What it does with jobs; `advance_all` if `None`.
    """

    threads: int
    gpu: str | None
    execute: Execute | None


def serve(channel: Connection, logs: Path) -> None:
    """Executes the jobs that arrive, until the other end of the pipe closes.

    The process does not outlive the one at the other end, however that dies.

    Args:
        channel: Brings a `Setup`, then pairs of jobs and their store, and takes
            what `run_all` returns for them.
        logs: Folder in which `<pid>.log` takes what the process prints, so that
            a backend's messages do not cover the progress of the study.
    """
    log = os.open(
        logs / f"{os.getpid()}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND
    )
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    watch = [channel.fileno()]
    threading.Thread(target=_end_with, args=watch, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        threads, gpu, execute = channel.recv()
        if gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        set_threads(threads)
        while True:
            jobs, store = channel.recv()
            os.truncate(log, 0)  # A log tells of one run.
            channel.send(run_all(jobs, store, execute=execute))


def _end_with(channel: int) -> None:
    """Ends this process when the other end of its channel is closed."""
    poll = select.poll()
    poll.register(channel, 0)  # Nothing but the end of the connection.
    poll.poll()
    os._exit(0)


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
    jobs: Sequence[Job],
    store: Store,
    *,
    execute: Execute | None = None,
    **watch: Any,
) -> list[tuple[Record, dict]]:
    """Executes jobs together; whatever one raises becomes a failed record.

    Several that raise are halved, until those that fail stand alone: a stack
    may be larger than the memory of its device.

    Args:
        jobs: As for `medzoo.execution.worker.advance_all`.
        store: As for `run_one`.
        execute: What is done with them; `advance_all` if `None`.
        **watch: As for `run_one`.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        # What is not the backend's: scikit-learn's baselines.
        with threadpool_limits(1):
            return (execute or _advance_all)(jobs, store, **watch)
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
    return [
        pair
        for part in (jobs[:half], jobs[half:])
        for pair in run_all(part, store, execute=execute)
    ]


def _advance_all(
    jobs: Sequence[Job], store: Store, **watch: Any
) -> list[tuple[Record, dict]]:
    """Imports the backend when there is something to train."""

    return advance_all(jobs, store, **watch)


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


def advance_all(
    jobs: Sequence[Job], store: Store, **watch: Any
) -> list[tuple[Record, Predictions]]:
    """Executes jobs, as one program where there are several to train.

    Args:
        jobs: One, or several that `ExecutionOptions.find_group` lets train
        together.
        store: As for `advance`.
        **watch: As for `advance`, of a job that is alone.

    Returns:
        What `advance` returns for each.
    """
    trained = [store.status(job.run.run_id) == "trained" for job in jobs]
    stack = [job for job, done in zip(jobs, trained, strict=True) if not done]
    together = iter(_advance_stack(stack, store) if len(stack) > 1 else [])
    return [
        advance(job, store, **watch)
        if done or len(stack) == 1
        else next(together)
        for job, done in zip(jobs, trained, strict=True)
    ]


def _advance_stack(
    jobs: Sequence[Job], store: Store
) -> list[tuple[Record, Predictions]]:
    from medzoo.training.stacked_jax import execute_stack

    return execute_stack(
        [job.run for job in jobs],
        until=jobs[0].until,
        read_test=jobs[0].read_test,
        states=[store.read_state(job.run.run_id) for job in jobs],
        on_stop=store.write_state,
    )


def advance(job: Job, store: Store, **watch: Any) -> tuple[Record, Predictions]:
    """Executes a job; what earlier jobs trained is not trained again.

    A run that waits for its test labels alone has them read. One that was
    stopped on the way goes on from the state that lies beside its record, in
    whatever process; should the job stop it as well, the new state takes the
    place of the old one, before its record does.

    Args:
        job: The run, and how far to take it.
        store: Where its state and what it predicted lie. The record is not
            written here.
        **watch: Callbacks of `execute` that look on.

    Returns:
        The record and the predictions, as of `execute`.
    """
    run_id = job.run.run_id
    if job.model:
        watch["on_model"] = lambda model: save_model(model, Path(job.model))
    record = store.read(run_id)
    if record is not None and record.status == "trained":
        predictions = store.read_predictions(run_id) or {}
        if not job.read_test:
            return record, predictions
        if "test_logits" in predictions:
            return complete(record, predictions)
    return execute(
        job.run,
        until=job.until,
        read_test=job.read_test,
        state=store.read_state(run_id),
        on_stop=lambda state: store.write_state(run_id, state),
        **watch,
    )
