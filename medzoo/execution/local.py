"""The local executor: worker processes on this machine.

Process pools of libraries do not fit: pebble 5.2 does not notice a worker that
exits with code 0 during a run; loky and `concurrent.futures` fail all pending
jobs when one worker dies, and have no time limits; and in all three any worker
takes any job, so that none can be bound to a GPU or be given the runs whose
graph it has traced. Each worker here has a pipe of its own, and shares no lock
that `kill -9` could leave locked.
"""

from collections.abc import Iterator
from multiprocessing import connection
from pathlib import Path

from medzoo.execution.cores import (
    count_cores,
    default_workers,
    usable_gpus,
)
from medzoo.execution.job import Execute, Outcome
from medzoo.execution.limits import usable_memory
from medzoo.execution.process import Worker, WorkerServer
from medzoo.execution.worker import Setup
from medzoo.files import make_temporary

# TensorFlow leaks about 10 MB a run.
RUNS_A_WORKER = 20


class LocalExecutor:
    """Executes jobs in worker processes of this machine.

    A worker imports the backend once and is replaced after `RUNS_A_WORKER`
    runs, or earlier when it holds half of its share of the memory. With GPUs,
    workers are bound to them in turn, and the cores are divided.

    Args:
        workers: Processes at a time; `default_workers()` if `None`.
        timeout: Seconds after which a run is ended; never if `None`.
        memory: Bytes of private memory above which a worker is ended with its
            run; an equal share of 90 % of the machine, or of what its
            container may use, if `None`.
        execute: What workers do with jobs in place of training, which then
            need no backend.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        timeout: float | None = None,
        memory: float | None = None,
        execute: Execute | None = None,
    ) -> None:
        gpus = usable_gpus(stands_in=execute is not None)
        number = workers or default_workers(gpus=gpus)
        self._timeout = timeout
        self._memory = memory or 0.9 * usable_memory() / number
        self._logs = make_temporary()
        self._execute = execute
        self._server: WorkerServer | None = None
        threads = max(1, count_cores() // number) if gpus else 1
        self._setups = [
            Setup(
                threads=threads,
                gpu=gpus[index % len(gpus)] if gpus else None,
                execute=execute,
            )
            for index in range(number)
        ]
        self._workers: list[Worker | None] = [None] * number

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._server is not None:
            self._server.stop()
        self._logs.cleanup()

    def idle(self) -> Worker | None:
        """Returns a worker without a job, `None` if all are busy."""
        for index, worker in enumerate(self._workers):
            if worker is not None and worker.is_busy:
                continue
            if worker is None or not worker.is_alive():
                worker = Worker(self._running_server(), self._setups[index])
                self._workers[index] = worker
            return worker
        return None

    def is_busy(self) -> bool:
        """Returns whether any job is being executed."""
        return bool(self._busy())

    def graphs(self) -> set[str]:
        """Lists the graphs that the workers have traced."""
        workers = filter(None, self._workers)
        return {key for worker in workers for key in worker.known}

    def wait(self, seconds: float) -> list[Outcome]:
        """Waits for jobs to end, and ends those that exceed their limits."""
        busy = self._busy()
        ends = [end for worker in busy for end in worker.ends()]
        ready = connection.wait(ends, seconds)
        return list(self._collect(busy, ready))

    def stop(self) -> None:
        """Ends all jobs at once, and their workers."""
        for worker in filter(None, self._workers):
            worker.end()
        self._workers = [None] * len(self._workers)

    def _running_server(self) -> WorkerServer:
        """Returns the server that forks workers, restarted if it has died."""
        if self._server is not None and not self._server.is_alive():
            self._server.stop()
            self._server = None
        if self._server is None:
            logs = Path(self._logs.name)
            self._server = WorkerServer(logs, backend=self._execute is None)
        return self._server

    def _busy(self) -> list[Worker]:
        return [w for w in self._workers if w is not None and w.is_busy]

    def _collect(self, busy: list[Worker], ready: list) -> Iterator[Outcome]:
        for worker in busy:
            if any(end in ready for end in worker.ends()):
                yield from worker.collect()
                self._replace_if_old(worker)
            elif self._timeout and worker.seconds() > self._timeout * len(
                worker.jobs
            ):
                yield from worker.fail_jobs(
                    "TimeoutError",
                    f"The run took longer than {self._timeout:g} seconds and "
                    "was ended.",
                )
            elif worker.memory() > self._memory:
                yield from worker.fail_jobs(
                    "MemoryError",
                    f"The run took more than {self._memory / 2**30:.1f} GB, "
                    "the share of one worker, and was ended. Use fewer "
                    "workers (WORKERS=1) if it needs that much.",
                )

    def _replace_if_old(self, worker: Worker) -> None:
        is_old = worker.runs >= RUNS_A_WORKER
        if is_old or worker.memory() > self._memory / 2:
            worker.retire()
            self._workers[self._workers.index(worker)] = None
