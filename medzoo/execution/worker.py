"""Execution of runs inside a worker process."""

import contextlib
import os
import select
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from threadpoolctl import threadpool_limits

from medzoo.execution.job import Execute, Job
from medzoo.execution.running import ProgressNote
from medzoo.execution.stacks import execute_stack
from medzoo.plugins.watchers import Watching
from medzoo.record import Predictions, Record
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.training.backend import set_threads
from medzoo.training.execute import complete, execute
from medzoo.training.plugins import install_plugins
from medzoo.training.saved import load_model, save_model
from medzoo.training.trainer import Entry

if TYPE_CHECKING:
    import keras


class Setup(NamedTuple):
    """Settings of a worker.

    Args:
        threads: Threads of the backend. Their number decides the order of sums,
            so results repeat bit for bit only with the same number.
        gpu: The only device that the process sees; all of them if `None`.
        execute: Function that executes jobs; `execute_group` if `None`.
    """

    threads: int
    gpu: str | None
    execute: Execute | None


def serve(channel: Connection, logs: Path) -> None:
    """Executes jobs from a channel until its other end closes.

    The process exits when the driver dies, for whatever reason.

    Args:
        channel: Receives a `Setup`, then pairs of jobs and their store; the
            results of `run_all` are sent back.
        logs: Folder of `<pid>.log`, the output of the process.
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
            os.truncate(log, 0)  # The log holds the output of one group.
            channel.send(run_all(jobs, store, execute=execute))


def _end_with(channel: int) -> None:
    """Exits when the other end of the channel closes."""
    poll = select.poll()
    poll.register(channel, 0)  # Reports hang-ups only.
    poll.poll()
    os._exit(0)


def run_one(
    job: Job, store: Store, **callbacks: Any
) -> tuple[Record, Predictions]:
    """Executes a job; whatever it raises becomes a failed record.

    Args:
        job: What to execute.
        store: Holds states and predictions of earlier executions.
        **callbacks: Callbacks of `medzoo.training.execute.execute`.
    """
    return run_all([job], store, **callbacks)[0]


def run_all(
    jobs: Sequence[Job],
    store: Store,
    *,
    execute: Execute | None = None,
    **callbacks: Any,
) -> list[tuple[Record, Predictions]]:
    """Executes jobs together; whatever one raises becomes a failed record.

    A group that raises is halved until the failing jobs are alone, since a
    group may exceed the memory of its device.

    Args:
        jobs: What to execute.
        store: Holds states and predictions of earlier executions.
        execute: Function that executes them; `execute_group` if `None`.
        **callbacks: Callbacks of `medzoo.training.execute.execute`.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        # For scikit-learn; the backend has its own setting.
        with threadpool_limits(1):
            return (execute or execute_group)(jobs, store, **callbacks)
    except Exception as error:  # noqa: BLE001 - the one place: a failed record
        if len(jobs) == 1:
            record = failed_record(
                jobs[0].run,
                kind=type(error).__name__,
                message=str(error),
                trace=traceback.format_exc(),
                started=started,
            )
            return [(record, Predictions())]
        traceback.print_exc()
    # Outside of `except`, the memory of the device is free again.
    half = len(jobs) // 2
    return [
        pair
        for part in (jobs[:half], jobs[half:])
        for pair in run_all(part, store, execute=execute)
    ]


def failed_record(
    run: Run, *, kind: str, message: str, trace: str = "", started: str = ""
) -> Record:
    """Makes the record of a run that failed."""
    return Record(
        run=run,
        run_id=run.run_id,
        status="failed",
        error={"type": kind, "message": message, "traceback": trace},
        started=started or datetime.now(UTC).isoformat(timespec="seconds"),
    )


def execute_group(
    jobs: Sequence[Job], store: Store, **callbacks: Any
) -> list[tuple[Record, Predictions]]:
    """Executes jobs, several of them as one program.

    Args:
        jobs: One, or several that `ExecutionOptions.find_group` lets train
        together.
        store: Holds states and predictions; no record is written.
        **callbacks: Callbacks of `execute`, for a single job.

    Returns:
        The result of `execute_job` for each.
    """
    trained = [store.status(job.run.run_id) == "trained" for job in jobs]
    stack = [job for job, done in zip(jobs, trained, strict=True) if not done]
    together = iter(execute_stack(stack, store) if len(stack) > 1 else [])
    return [
        execute_job(job, store, **callbacks)
        if done or len(stack) == 1
        else show_history(job, *next(together))
        for job, done in zip(jobs, trained, strict=True)
    ]


def show_history(
    job: Job, record: Record, predictions: Predictions
) -> tuple[Record, Predictions]:
    """Shows watchers what was trained as a part of one program, afterwards."""
    watching = Watching(job.run, job.watchers)
    for entry in record.history:
        watching.show(entry)
    record.warnings += watching.warnings
    return record, predictions


def execute_job(
    job: Job, store: Store, **callbacks: Any
) -> tuple[Record, Predictions]:
    """Executes a job, continuing from what earlier jobs have trained.

    For a trained run, only test is scored. A run that was stopped continues
    from the state beside its record, in any process; if the job stops it
    again, the new state is written before the record. Corrupted images need
    the model: that of a trained run is read if it was kept, else the run is
    trained again, with the same numbers.

    Args:
        job: The run, and how far to train it.
        store: Holds its state and predictions; no record is written.
        **callbacks: Callbacks of `execute`.

    Returns:
        The record and the predictions, as of `execute`.
    """
    models: list[keras.Model] = []
    found = _complete_earlier(job, store, models)
    if found is None:
        found = _train(job, store, models, callbacks)
    if not job.corruptions or not models:
        return found
    from medzoo.training.robustness import with_corrupted

    return with_corrupted(models[0], *found)


def _complete_earlier(
    job: Job, store: Store, models: list["keras.Model"]
) -> tuple[Record, Predictions] | None:
    """Completes what was trained, unless that takes a training.

    Args:
        models: Gets the model, if it is needed.
    """
    run_id = job.run.run_id
    record = store.read(run_id)
    known = ("trained", "done") if job.corruptions else ("trained",)
    if record is None or record.status not in known:
        return None
    if job.corruptions:
        if not Path(job.model).is_file():
            return None
        sources = {plugin.source for plugin in job.run.plugins.values()}
        install_plugins(sorted(filter(None, sources)))
        models.append(load_model(Path(job.model)))
    predictions = store.read_predictions(run_id) or Predictions()
    if record.status == "done" or not job.read_test:
        return record, predictions
    return complete(record, predictions) if predictions.test_logits else None


def _train(
    job: Job,
    store: Store,
    models: list["keras.Model"],
    callbacks: dict[str, Any],
) -> tuple[Record, Predictions]:
    """Trains as far as the job says.

    Args:
        models: Gets the model, if it is needed.
    """
    run_id = job.run.run_id

    def keep(model: "keras.Model") -> None:
        if job.model:
            save_model(model, Path(job.model))
        if job.corruptions:
            models[:] = [model]

    if job.model or job.corruptions:
        callbacks["on_model"] = keep
    watching = Watching(job.run, job.watchers)
    note = ProgressNote(store.folder, run_id)
    note.write()
    shows = (note.write, watching.show)
    callbacks["on_check"] = _after(shows, callbacks.get("on_check"))
    record, predictions = execute(
        job.run,
        until=job.until,
        read_test=job.read_test,
        state=store.read_state(run_id),
        on_stop=lambda state: store.write_state(run_id, state),
        **callbacks,
    )
    record.warnings += watching.warnings
    return record, predictions


def _after(
    shows: Iterable[Callable[[Entry], None]],
    on_check: Callable[[Entry], bool | None] | None,
) -> Callable[[Entry], bool | None]:
    """Makes a callback that shows a check to each, then calls another."""

    def show(entry: Entry) -> bool | None:
        for each in shows:
            each(entry)
        return on_check(entry) if on_check else None

    return show
