"""Runs that train as one program on JAX: which do, and their execution.

The only module that knows `medzoo.training.stacked_jax`.
"""

from collections.abc import Callable, Sequence

from medzoo.execution.job import Job
from medzoo.record import Predictions, Record
from medzoo.runs.run import Run
from medzoo.store import Store


def find_stacks(
    asked: str, num_jobs: int, places: int
) -> tuple[int, Callable[[Run], str | None]]:
    """Returns how many runs train together, and a key that is equal for them.

    Args:
        asked: `auto`, `off`, or a number of runs.
        num_jobs: Jobs to be executed.
        places: Workers on GPUs.

    Raises:
        ValueError: If `asked` is none of these, or a number without the JAX
            backend.
    """
    from medzoo.training.stacked_jax import choose_size, stack_key

    return choose_size(asked, num_jobs, places), stack_key


def execute_stack(
    jobs: Sequence[Job], store: Store
) -> list[tuple[Record, Predictions]]:
    """Executes jobs as one program.

    Args:
        jobs: Several of equal keys.
        store: Holds their states.
    """
    from medzoo.training.stacked_jax import execute_stack as execute

    return execute(
        [job.run for job in jobs],
        until=jobs[0].until,
        read_test=jobs[0].read_test,
        states=[store.read_state(job.run.run_id) for job in jobs],
        on_stop=store.write_state,
    )
