"""Options of an execution: workers, retries, time limits, executors."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from medzoo.execution.job import Execute
from medzoo.execution.runner import Executor, Group
from medzoo.execution.shard import Shard, take_shard
from medzoo.execution.stacks import find_stacks
from medzoo.runs.run import Run


@dataclass(frozen=True)
class ExecutionOptions:
    """Options of an execution, on which no result depends.

    Args:
        workers: Runs at a time on this machine; one a core, or
            `workers_per_gpu` a GPU, if `None`.
        workers_per_gpu: Workers that share a GPU.
        executor: `local`, or `ray` for the machines of a Ray cluster.
        address: Of the Ray cluster, such as `auto`; Ray finds or starts one if
            `None`.
        shard: The part of the study to execute; all of it if `None`.
        retries: How often a run that raises, dies or hangs is tried again.
        timeout: Seconds after which a run is ended; never if `None`.
        hours: Hours after which no run is started; never if `None`.
        fail_fast: Whether the first failed run ends the study.
        stack: Runs with equal graphs that train as one program: a number,
            `off`, or `auto` for up to 32 on GPUs under JAX.
        keep: Trained models that are kept: `none`, those of the `best` trial,
            or `all`. Ray and runs that train as one program keep none.
        execute: What executors do with jobs in place of training.

    Raises:
        ValueError: For an address without Ray.
    """

    workers: int | None = None
    workers_per_gpu: int = 1
    executor: str = "local"
    address: str | None = None
    shard: Shard | None = None
    retries: int = 1
    timeout: float | None = None
    hours: float | None = None
    fail_fast: bool = False
    stack: str = "auto"
    keep: str = "none"
    execute: Execute | None = None
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.address is not None and self.executor != "ray":
            raise ValueError(
                "`address` is that of a Ray cluster. Expected `--executor ray` "
                f"beside it. Received: address={self.address!r}, "
                f"executor={self.executor!r}."
            )
        if self.stack != "auto":  # A wrong one is told with no job left too.
            find_stacks(self.stack, num_jobs=1, places=0)

    @property
    def deadline(self) -> float | None:
        """Value of `time.monotonic()` after which no run is started."""
        return None if self.hours is None else self.started + 3600 * self.hours

    def choose(self, runs: Sequence[Run]) -> list[Run]:
        """Returns those runs of a study that belong to the shard."""
        return take_shard(runs, self.shard) if self.shard else list(runs)

    def open_executor(self, num_jobs: int) -> AbstractContextManager[Executor]:
        """Makes an executor for `num_jobs` jobs.

        Raises:
            ValueError: For an unknown executor, or for Ray without its package.
        """
        if self.executor == "ray":
            from medzoo.execution.ray_executor import RayExecutor

            gpus = 1 / self.workers_per_gpu
            return RayExecutor(
                self.address,
                gpus_a_run=gpus,
                timeout=self.timeout,
                execute=self.execute,
            )
        from medzoo.execution.local import LocalExecutor

        return LocalExecutor(
            min(self.count_workers(), max(1, num_jobs)),
            timeout=self.timeout,
            execute=self.execute,
        )

    def count_workers(self) -> int:
        """Counts the processes at a time on this machine."""
        from medzoo.execution.cores import default_workers

        return self.workers or default_workers(
            self.workers_per_gpu, self._list_gpus()
        )

    def _list_gpus(self) -> list[str]:
        """Lists the GPUs that runs may use."""
        from medzoo.execution.cores import usable_gpus

        return usable_gpus(stands_in=self.execute is not None)

    def find_group(self, num_jobs: int) -> Group | None:
        """Returns which runs train as one program; each alone if `None`.

        Raises:
            ValueError: If `stack` is none of these, or a number without the
                JAX backend.
        """
        gpus = self._list_gpus() if self.stack == "auto" else []
        places = self.workers or len(gpus) * self.workers_per_gpu
        size, key = find_stacks(self.stack, num_jobs, places if gpus else 0)
        return Group(size, key) if size > 1 else None
