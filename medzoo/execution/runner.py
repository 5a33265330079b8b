"""Execution of jobs on any executor, with retries and a time limit."""

import contextlib
import math
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from types import FrameType
from typing import NamedTuple, Protocol

from medzoo.execution.job import Job, Outcome
from medzoo.execution.leases import FOLDER, Leases
from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.training.build import graph_key


class Group(NamedTuple):
    """A rule for runs that are executed together by one worker.

    Args:
        size: How many at most.
        key: Returns a key that is equal for runs which may be executed
            together, `None` for a run that is executed alone.
    """

    size: int
    key: Callable[[Run], str | None]


class Queue:
    """A queue of jobs, grouped by equal graphs.

    Tracing the graph of a small network takes as long as training it on a
    small task, and a worker does it once for all runs that differ only in seed,
    learning rate or budget. Graphs come in the order of their first job, jobs
    of one graph in the order in which they were added.

    Args:
        jobs: Initial content.

    Example:

    >>> from medzoo.runs.run import Run
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
        """Adds a job behind those with the same graph."""
        self._groups.setdefault(graph_key(job.run), deque()).append(job)

    def take(
        self, known: Iterable[str] = (), busy: Collection[str] = ()
    ) -> Job:
        """Removes and returns the job that is cheapest for a worker.

        Args:
            known: Graphs that the worker has traced, the best choice first.
            busy: Graphs that other workers have traced; they are left to those
                workers while there are others.
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
        """Removes and returns jobs that are executed together with another.

        Args:
            job: The other job, with the same `until` and `read_test`.
            group: Which jobs, and how many at most, `job` included.
            fits: Returns whether a job may be taken.
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


# Seconds between two checks of limits, signals and leases.
TICK = 0.2
# Seconds between two checks of runs that other processes execute.
CHECK_ELSEWHERE = 1.0


class WorkerSlot(Protocol):
    """A free place for one more job."""

    @property
    def known(self) -> Iterable[str]:
        """Graphs that its worker has traced, the last used first."""

    def start(self, jobs: Sequence[Job], store: Store) -> None:
        """Starts one job, or several that are executed together."""


class Executor(Protocol):
    """Executes several jobs at a time, on one machine or on many."""

    def idle(self) -> WorkerSlot | None:
        """Returns a free slot, or `None`."""

    def is_busy(self) -> bool:
        """Returns whether any job is being executed."""

    def graphs(self) -> set[str]:
        """Lists the graphs that any worker has traced."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Waits until a job has ended, for `seconds` at most."""

    def stop(self) -> None:
        """Ends all jobs at once."""


def execute_jobs(
    jobs: Iterable[Job],
    store: Store,
    *,
    executor: Executor,
    retries: int = 1,
    deadline: float | None = None,
    group: Group | None = None,
    on_record: Callable[[Record], None],
    on_retry: Callable[[Record], None] = lambda record: None,
    on_wait: Callable[[str], None] = lambda where: None,
) -> bool:
    """Executes jobs and writes each record as soon as its run ends.

    A run that raises, dies or hangs is tried again at the end, then becomes a
    failed record; the others go on. Runs that another process executes on the
    same store are waited for and not repeated. On Ctrl-C (or SIGTERM) the jobs
    are ended and `KeyboardInterrupt` is raised, after the records that are
    finished were written; a second one raises it at once.

    Args:
        jobs: The jobs, each run once.
        store: Receives the records; only this process writes them.
        executor: Executes the jobs. It is stopped if this function ends early,
            and can be used again.
        retries: How often a failed job is tried again.
        deadline: Value of `time.monotonic()` after which no job is started.
        group: Which runs are executed together; each alone if `None`.
        on_record: Called with each record after it was stored, in the order in
            which runs end.
        on_retry: Called with the failed record of each job that is tried again;
            it is not stored.
        on_wait: Called when only runs are left that other processes execute,
            with who they are.

    Returns:
        Whether all jobs were executed; `False` if the deadline came first.

    Raises:
        FileNotFoundError: If the store cannot be written.
        KeyboardInterrupt: After Ctrl-C, or SIGTERM with its number.
    """
    execution = _Execution(
        store,
        executor,
        retries,
        deadline,
        group,
        on_record,
        on_retry,
        on_wait,
        Queue(jobs),
    )
    try:
        with _interrupts() as interrupted:
            return execution.run(interrupted)
    except BaseException:
        executor.stop()
        raise
    finally:
        execution.leases.release_all()


class _Execution:
    """The state of one call of `execute_jobs`."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        retries: int,
        deadline: float | None,
        group: Group | None,
        on_record: Callable[[Record], None],
        on_retry: Callable[[Record], None],
        on_wait: Callable[[str], None],
        queue: Queue,
    ) -> None:
        self.store = store
        self.executor = executor
        self.retries = retries
        self.deadline = math.inf if deadline is None else deadline
        self.group = group
        self.on_record = on_record
        self.on_retry = on_retry
        self.on_wait = on_wait
        self.waits_for = ""
        self.queue = queue
        self.leases = Leases(store.folder / FOLDER)
        self.attempts: Counter[Job] = Counter()
        # Jobs that other processes execute, and the records that were there
        # when that was noticed.
        self.elsewhere: list[Job] = []
        self.seen: dict[Job, Record | None] = {}
        self.looked = time.monotonic()

    def run(self, interrupted: list[int]) -> bool:
        while True:
            self._start_jobs()
            is_left = bool(self.queue or self.elsewhere)
            if not self.executor.is_busy() and (not is_left or self._is_late()):
                return not is_left
            if not self.executor.is_busy() and not self.queue:
                self._say_for_whom()
            outcomes = self.executor.wait(TICK)
            if not interrupted:
                self._start_jobs()  # No worker waits for the disk.
            # Whatever a callback raises, all that has ended is in the store.
            for record in [self._finish(outcome) for outcome in outcomes]:
                if record is not None:
                    self._tell(record)
            if interrupted:
                raise _interrupt(interrupted[0])
            self.leases.refresh()
            self._requeue_elsewhere()

    def _is_late(self) -> bool:
        return time.monotonic() >= self.deadline

    def _start_jobs(self) -> None:
        """Gives every idle place the job that costs it the least."""
        while self.queue and not self._is_late():
            place = self.executor.idle()
            if place is None:
                return
            job = self.queue.take(place.known, self.executor.graphs())
            jobs = [each for each in self._join(job) if self._claim(each)]
            if jobs:
                place.start(jobs, self.store)

    def _join(self, job: Job) -> list[Job]:
        """Adds jobs to be executed with this one, unless one has failed."""
        if self.group is None or self.attempts[job]:
            return [job]
        others = self.queue.take_alike(
            job, self.group, fits=lambda other: not self.attempts[other]
        )
        return [job, *others]

    def _claim(self, job: Job) -> bool:
        """Says whether a job is left for this process to execute."""
        if not self.leases.claim(job.run.run_id):
            self.elsewhere.append(job)
            if job not in self.seen:
                self.seen[job] = self.store.read(job.run.run_id)
            return False
        record = self._find_answer(job)
        if record is not None:
            self._tell(record)
        return record is None

    def _find_answer(self, job: Job) -> Record | None:
        """Returns the record that another process has written meanwhile."""
        if job.is_answered_by(self.store):
            return self.store.read(job.run.run_id)
        status = self.store.status(job.run.run_id)
        if status == "failed" and job in self.seen:
            record = self.store.read(job.run.run_id)
            return None if record == self.seen[job] else record
        return None

    def _finish(self, outcome: Outcome) -> Record | None:
        """Stores the record of a job; `None` if the job is tried again."""
        job, record, predictions, again = outcome
        self.attempts[job] += 1
        again = again and self.attempts[job] <= self.retries
        if record.status == "failed" and again:
            self.leases.release(record.run_id)
            self.queue.put(job)
            self.on_retry(record)
            return None
        self.store.write(record, predictions)
        return record

    def _tell(self, record: Record) -> None:
        """Tells of a record, and lets other processes tell of it only then."""
        self.on_record(record)
        self.leases.release(record.run_id)

    def _say_for_whom(self) -> None:
        ids = [job.run.run_id for job in self.elsewhere]
        holders = sorted({str(h) for h in map(self.leases.holder, ids) if h})
        if holders and self.waits_for != (where := ", ".join(holders)):
            self.waits_for = where
            self.on_wait(where)

    def _requeue_elsewhere(self) -> None:
        """Lets the runs of other processes wait again: they may be free."""
        if time.monotonic() - self.looked >= CHECK_ELSEWHERE:
            self.looked = time.monotonic()
            for job in self.elsewhere:
                self.queue.put(job)
            self.elsewhere.clear()


def _interrupt(number: int) -> KeyboardInterrupt:
    """Makes the exception of a signal; that of Ctrl-C has no arguments."""
    is_ctrl_c = number == signal.SIGINT
    return KeyboardInterrupt() if is_ctrl_c else KeyboardInterrupt(number)


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects the first Ctrl-C or SIGTERM; a second one raises at once."""
    interrupted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if interrupted:
            raise _interrupt(number)
        interrupted.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # Signals arrive in the main thread.
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    old = {number: signal.signal(number, note) for number in numbers}
    try:
        yield interrupted
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
