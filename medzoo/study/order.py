"""The order of jobs: equal graphs follow each other on one worker."""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from medzoo.study.job import Job
from medzoo.training.prepare import graph_key
from medzoo.training.run import Run


class Group(NamedTuple):
    """What runs are executed together, as one job of a worker.

    Args:
        size: How many at most.
        key: Returns a key that is equal for runs which may be executed
            together, `None` for a run that is executed alone.
    """

    size: int
    key: Callable[[Run], str | None]


class Queue:
    """Jobs that wait, those with an equal graph together.

    Tracing the graph of a small network costs as much as training it on a small
    task, and a worker does it once for all runs that differ in seed, learning
    rate or budget alone. Graphs come in the order of their first job, and jobs
    of one graph in the order in which they were put.

    Args:
        jobs: The first ones to wait.

    Example:

    >>> from medzoo.training.run import Run
    >>> runs = [
    ...     Run(task="breastmnist", optimizer=optimizer, seed=seed)
    ...     for seed in (0, 1)
    ...     for optimizer in ("sgd", "adam")
    ... ]
    >>> queue = Queue(map(Job, runs))
    >>> first = queue.take().run
    >>> second = queue.take(known=[graph_key(first)]).run
    >>> [(run.optimizer, run.seed) for run in (first, second)]
    [('sgd', 0), ('sgd', 1)]
    >>> queue.take(busy=[graph_key(first)]).run.optimizer
    'adam'
    """

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._groups: dict[str, deque[Job]] = {}
        for job in jobs:
            self.put(job)

    def __bool__(self) -> bool:
        return bool(self._groups)

    def put(self, job: Job) -> None:
        """Lets a job wait behind those with the same graph."""
        self._groups.setdefault(graph_key(job.run), deque()).append(job)

    def take(
        self, known: Iterable[str] = (), busy: Collection[str] = ()
    ) -> Job:
        """Takes the job that costs a worker the least.

        Args:
            known: Graphs that the worker has traced, the best choice first.
            busy: Graphs that other workers have traced; they are left to those
                as long as there is another one.
        """
        groups = self._groups
        fresh = (key for key in groups if key not in busy)
        old = (key for key in known if key in groups)
        key = next(old, None) or next(fresh, None) or next(iter(groups))
        job = groups[key].popleft()
        if not groups[key]:
            del groups[key]
        return job

    def take_alike(
        self, job: Job, group: Group, *, fits: Callable[[Job], bool]
    ) -> list[Job]:
        """Takes jobs that are executed together with one that was taken.

        Args:
            job: What they must be like; they are taken as far as it.
            group: How many at most, this one included, and which.
            fits: Says which of them may be taken.
        """

        def key(job: Job) -> tuple[str | None, float | None, bool]:
            return group.key(job.run), job.until, job.read_test

        wanted = key(job)
        found: list[Job] = []
        if wanted[0] is None:
            return found
        for graph, jobs in [*self._groups.items()]:
            left: deque[Job] = deque()
            for other in jobs:
                is_one = len(found) < group.size - 1 and key(other) == wanted
                (found if is_one and fits(other) else left).append(other)
            self._groups[graph] = left
            if not left:
                del self._groups[graph]
        return found
