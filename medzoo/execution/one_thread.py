"""Execution of one run with one thread, in this process if possible."""

import importlib
import os
import sys

import numpy as np

from medzoo.execution.job import Job, Outcome
from medzoo.execution.local import LocalExecutor
from medzoo.execution.worker import run_one, set_threads
from medzoo.record import Record
from medzoo.study.store import Store
from medzoo.training.machine import name_backend

# Variables that set the number of threads of a backend.
THREADS = {"tensorflow": "TF_NUM_INTRAOP_THREADS", "jax": "NPROC"}


def run_with_one_thread(
    job: Job, store: Store
) -> tuple[Record, dict[str, np.ndarray]]:
    """Executes a job with one thread.

    A backend that has already computed with more threads cannot be limited; the
    job is then executed in a worker process.

    Args:
        job: The job.
        store: Holds the state of interrupted trainings; no record is written.

    Returns:
        The record, failed if an error ended it, and the predictions.
    """
    if limit_threads():
        return run_one(job, store)
    with LocalExecutor(1) as executor:
        outcomes: list[Outcome] = []
        while not outcomes:
            worker = executor.idle()
            if worker is not None:  # It is busy from then on.
                worker.start([job], store)
            outcomes = executor.wait(1.0)
    return outcomes[0].record, outcomes[0].predictions


def limit_threads() -> bool:
    """Limits the backend in this process to one thread.

    Returns:
        Whether it is limited: `False` if it has, or may have, computed with
        more threads before.
    """
    backend = name_backend()
    variable = THREADS[backend]
    if os.environ.get(variable) == "1":
        return True  # Already limited.
    if backend in sys.modules:
        if backend != "tensorflow":
            return False
        threading = importlib.import_module("tensorflow").config.threading
        try:
            threading.set_intra_op_parallelism_threads(1)
            threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:  # It has opened its devices.
            return False
    set_threads(1)
    return True
