"""Jobs and their outcomes: what executors take and return."""

from collections.abc import Callable
from typing import NamedTuple

from medzoo.record import Predictions, Record
from medzoo.runs.plugins import Plugin
from medzoo.runs.run import Run
from medzoo.store import Store


class Job(NamedTuple):
    """A run to execute, and how far.

    Args:
        run: What to execute.
        until: Stop at the first check on val at or after this share of the
            budget, 0 to 1, and keep the state of the training so that a later
            job goes on from there; train to the end if `None`.
        read_test: Score test. `False` leaves its labels untouched: the
            candidates of `[tuned]` are compared on val before any test label
            is read.
        model: File to save the trained model to; not saved if empty.
        watchers: Plugins that see each check of the training.
        corruptions: Score corrupted test images as well.
    """

    run: Run
    until: float | None = None
    read_test: bool = True
    model: str = ""
    watchers: tuple[Plugin, ...] = ()
    corruptions: bool = False

    def is_answered_by(self, store: Store) -> bool:
        """Returns whether what is in a store completes the job."""
        status = store.status(self.run.run_id)
        if status == "done" and self.corruptions:
            return store.has_corrupted(self.run.run_id)
        finished = status in ("done", "diverged")
        return finished or (status == "trained" and not self.read_test)


class Outcome(NamedTuple):
    """The result of a job.

    Args:
        job: What was executed.
        record: Its record, failed if an error ended it.
        predictions: What the run predicted, to be kept beside the record.
        again: Whether a failed job may be tried again.
    """

    job: Job
    record: Record
    predictions: Predictions
    again: bool = True


# A function from jobs and their store to a record and arrays for each job. It
# is pickled for the workers, so it must be a function of a module, or a
# `functools.partial` of one.
Execute = Callable[..., list[tuple[Record, Predictions]]]
