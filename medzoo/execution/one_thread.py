"""One run with one thread: in this process, or in a worker where need be."""

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

# Variables of `set_threads` that tell a backend its threads.
THREADS = {"tensorflow": "TF_NUM_INTRAOP_THREADS", "jax": "NPROC"}


def run_alone(job: Job, store: Store) -> tuple[Record, dict[str, np.ndarray]]:
    """Executes a job with one thread.

    Args:
        job: What to execute.
        store: Where its state lies. The record is not written here.

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
        Whether it is limited. It is not if it has computed with more threads
        before; one that is imported but is not known to be unused counts as
        used.
    """
    backend = name_backend()
    variable = THREADS[backend]
    if os.environ.get(variable) == "1":
        return True  # By an earlier call, or since the process was started.
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
