"""What an executor takes and gives: a run to execute, and its record."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from medzoo.record import Record
from medzoo.runs.run import Run


class Job(NamedTuple):
    """One piece of work.

    Args:
        run: What to execute.
        until: Stop at the first check on val at or after this share of the
            budget, 0 to 1, and keep the state of the training so that a later
            job goes on from there; train to the end if `None`.
        read_test: Score test. `False` leaves its labels untouched: the
            candidates of `[tuned]` are compared on val before any test label
            is read.
        model: File to save the trained model to; not saved if empty.
    """

    run: Run
    until: float | None = None
    read_test: bool = True
    model: str = ""

    def is_answered_by(self, status: str | None) -> bool:
        """Says whether a record of that status leaves nothing to do."""
        finished = status in ("done", "diverged")
        return finished or (status == "trained" and not self.read_test)


class Outcome(NamedTuple):
    """What came of a job.

    Args:
        job: What was executed.
        record: Its record, failed if an error ended it.
        predictions: Arrays by name, to be kept beside the record.
        again: Whether a failed job may be tried again.
    """

    job: Job
    record: Record
    predictions: dict[str, np.ndarray]
    again: bool = True


# What an executor does with jobs: from jobs and their store to a record and
# arrays for each. A worker gets it by its name, so that it must be a function
# of a module, or a `functools.partial` of one.
Execute = Callable[..., list[tuple[Record, dict[str, np.ndarray]]]]
