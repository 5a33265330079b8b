"""Takes runs as far as their jobs say, from where the store has them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medzoo.study.job import Job
from medzoo.study.store import Store
from medzoo.training.execute import Predictions, complete, execute
from medzoo.training.record import Record
from medzoo.training.saved import save_model


def advance_all(
    jobs: Sequence[Job], store: Store, **watch: Any
) -> list[tuple[Record, Predictions]]:
    """Executes jobs, as one program where there are several to train.

    Args:
        jobs: One, or several that `Means.find_group` lets train together.
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
