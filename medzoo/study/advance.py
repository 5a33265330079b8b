"""Takes a run as far as a job says, from where the store has it."""

from typing import Any

from medzoo.study.job import Job
from medzoo.study.store import Store
from medzoo.training.execute import Predictions, complete, execute
from medzoo.training.record import Record


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
