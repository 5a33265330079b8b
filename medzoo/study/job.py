"""What is handed to an executor: a run, and how far to take it."""

from typing import NamedTuple

from medzoo.training.run import Run


class Job(NamedTuple):
    """One piece of work.

    Args:
        run: What to execute.
        until: Stop at the first check on val at or after this step, and keep
            the state of the training so that a later job goes on from there;
            train to the end if `None`.
        read_test: Score test. `False` leaves its labels untouched: the
            candidates of `[tuned]` are compared on val before any test label
            is read.
    """

    run: Run
    until: int | None = None
    read_test: bool = True
