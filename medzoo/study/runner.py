"""Executes the missing runs of a study in worker processes."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, TimeoutError, wait
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from medzoo.study.job import Job
from medzoo.study.store import Store
from medzoo.study.worker import failed_record, run_one, start_worker
from medzoo.training.record import Record
from medzoo.training.run import Run

# A process leaks about 10 MB a run in TensorFlow, whatever is cleared.
RUNS_A_WORKER = 20


def default_workers() -> int:
    """Returns one worker a core: each run uses one thread, everywhere alike."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def execute_jobs(
    jobs: Iterable[Job],
    store: Store,
    *,
    workers: int,
    threads: int = 1,
    timeout: float | None = None,
    on_record: Callable[[Record], None],
) -> None:
    """Executes runs and writes each record as soon as it is there.

    A run that raises, dies or hangs becomes a failed record, and the others go
    on. On `KeyboardInterrupt` the workers are stopped and it is raised again;
    every record written until then stays.

    Args:
        jobs: What to execute, in this order.
        store: Where the records go.
        workers: Processes at a time.
        threads: Threads a worker.
        timeout: Seconds after which a run is ended; never if `None`.
        on_record: Called with each record once it is written.
    """
    with (
        tempfile.TemporaryDirectory(prefix="medzoo-") as logs,
        ProcessPool(
            max_workers=workers,
            max_tasks=RUNS_A_WORKER,
            initializer=start_worker,
            initargs=[Path(logs), threads, os.getpid()],
            context=multiprocessing.get_context("spawn"),
        ) as pool,
    ):
        try:
            for job, future in _finished(pool, jobs, workers, timeout):
                try:
                    record, predictions = future.result()
                except (TimeoutError, ProcessExpired) as error:
                    record = _lost(job.run, error, Path(logs), timeout)
                    predictions = {}
                store.write(record, predictions)
                on_record(record)
        except BaseException:
            pool.stop()
            pool.join()
            raise


def _finished(
    pool: ProcessPool, jobs: Iterable[Job], workers: int, timeout: float | None
) -> Iterator[tuple[Job, Future]]:
    """Keeps the workers busy and yields what is finished."""
    waiting = iter(jobs)
    running: dict[Future, Job] = {}
    while True:
        for job in waiting:
            future: Future = pool.schedule(run_one, args=[job], timeout=timeout)
            running[future] = job
            if len(running) > workers:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future


def _lost(
    run: Run,
    error: TimeoutError | ProcessExpired,
    logs: Path,
    timeout: float | None,
) -> Record:
    """Makes the record of a run whose worker is gone."""
    if isinstance(error, TimeoutError):
        message = f"The run took longer than {timeout:g} seconds and was ended."
        return failed_record(run, kind="TimeoutError", message=message)
    log = logs / f"{error.pid}.log"
    lines = log.read_text(errors="replace") if log.exists() else ""
    return failed_record(
        run,
        kind="ProcessExpired",
        message=(
            f"The worker process died with exit code {error.exitcode}. "
            "Did the machine run out of memory?"
        ),
        trace="\n".join(lines.splitlines()[-20:]),
    )
