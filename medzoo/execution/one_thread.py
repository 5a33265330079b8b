"""Execution of one run with one thread, in this process if possible."""

from medzoo.execution.job import Job, Outcome
from medzoo.execution.local import LocalExecutor
from medzoo.execution.worker import run_one
from medzoo.record import Predictions, Record
from medzoo.store import Store
from medzoo.training.backend import import_keras, limit_threads


def run_with_one_thread(job: Job, store: Store) -> tuple[Record, Predictions]:
    """Executes a job with one thread.

    A backend that has already computed with more threads, or was imported
    without oneDNN, computes otherwise than a worker; the job is then executed
    in a worker process.

    Args:
        job: The job.
        store: Holds the state of interrupted trainings; no record is written.

    Returns:
        The record, failed if an error ended it, and the predictions.
    """
    if limit_threads():
        import_keras()
        return run_one(job, store)
    with LocalExecutor(1) as executor:
        outcomes: list[Outcome] = []
        while not outcomes:
            worker = executor.idle()
            if worker is not None:  # It is busy from then on.
                worker.start([job], store)
            outcomes = executor.wait(1.0)
    return outcomes[0].record, outcomes[0].predictions
