"""Workers on many machines: the tasks of a Ray cluster."""

import os
import signal
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from medzoo.execution.job import Execute, Job, Outcome
from medzoo.execution.local import RUNS_A_WORKER
from medzoo.execution.worker import failed_record, run_all
from medzoo.plugins.files import Sources, place_sources, read_sources
from medzoo.record import Predictions, Record
from medzoo.store import Store
from medzoo.training.backend import set_threads

# How often Ray itself starts a task again whose node or process was lost.
LOST_NODES = 3
# Tasks that are handed to Ray for each run that fits on the cluster, so that no
# node waits for the driver.
TASKS_A_PLACE = 2
# Seconds between two looks at the size of the cluster, which may change.
LOOK_AT_CLUSTER = 5.0


class RayExecutor:
    """Executes jobs as tasks of Ray, one core each.

    Every node finds or downloads its data by the rules of one machine. Records
    come back to the process that made this object. A run that has lost its
    node is started again by Ray. A training that was stopped on the way goes
    on only where the store is a folder that all nodes share; elsewhere it is
    trained anew, with the same result.

    Args:
        address: Of the cluster, such as `auto` or `ray://host:10001`; Ray finds
            or starts one if `None`.
        gpus_a_run: Share of a GPU for each run, on clusters that have any.
        timeout: Seconds after which a run is ended; never if `None`.
        execute: What is done with jobs in place of training.

    Raises:
        ValueError: If Ray is not installed.
    """

    known: tuple[str, ...] = ()

    def __init__(
        self,
        address: str | None = None,
        *,
        gpus_a_run: float = 1.0,
        timeout: float | None = None,
        execute: Execute | None = None,
    ) -> None:
        self._ray = _import_ray()
        self._ray.init(
            address=address,
            ignore_reinit_error=True,
            log_to_driver=False,
            logging_level="error",
        )
        has_gpus = self._ray.cluster_resources().get("GPU", 0) > 0
        self._needs = {"CPU": 1.0} | ({"GPU": gpus_a_run} if has_gpus else {})
        self._execute = self._ray.remote(
            num_cpus=1,
            num_gpus=self._needs.get("GPU", 0),
            max_retries=LOST_NODES,
            max_calls=RUNS_A_WORKER,
        )(run_on_node)
        self._about = (timeout, execute)
        self._running: dict[Any, Sequence[Job]] = {}
        self._places = 0
        self._looked = -LOOK_AT_CLUSTER

    def __enter__(self) -> "RayExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._ray.shutdown()

    def idle(self) -> "RayExecutor | None":
        """Returns itself as long as the cluster takes more jobs."""
        if time.monotonic() - self._looked > LOOK_AT_CLUSTER:
            self._looked = time.monotonic()
            there = self._ray.cluster_resources()
            fits = (there.get(k, 0) / need for k, need in self._needs.items())
            self._places = max(1, int(min(fits)))
        is_full = len(self._running) >= self._places * TASKS_A_PLACE
        return None if is_full else self

    def start(self, jobs: Sequence[Job], store: Store) -> None:
        """Hands jobs to Ray, as one task."""
        plugins = [
            plugin
            for job in jobs
            for plugin in (*job.run.plugins.values(), *job.watchers)
        ]
        sources = read_sources(plugins)
        task = self._execute.remote(jobs, store, *self._about, sources)
        self._running[task] = jobs

    def is_busy(self) -> bool:
        """Says whether any job is with Ray."""
        return bool(self._running)

    def graphs(self) -> set[str]:
        """Returns nothing: Ray decides where a job goes."""
        return set()

    def wait(self, seconds: float) -> list[Outcome]:
        """Waits until a job has ended, at most so long."""
        if not self._running:
            time.sleep(seconds)
            return []
        tasks = list(self._running)
        ready, _ = self._ray.wait(tasks, num_returns=1, timeout=seconds)
        if ready:  # Others may have ended with it.
            count = len(tasks)
            ready, _ = self._ray.wait(tasks, num_returns=count, timeout=0)
        return [outcome for task in ready for outcome in self._take(task)]

    def stop(self) -> None:
        """Ends all jobs at once."""
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._running.clear()

    def _take(self, task: Any) -> list[Outcome]:
        jobs = self._running.pop(task)
        try:
            found = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            text = str(error).strip() or type(error).__name__
            about = {
                "kind": type(error).__name__,
                "message": text.splitlines()[-1],
                "trace": text,
            }
            return [
                Outcome(
                    job,
                    failed_record(job.run, **about),
                    Predictions(),
                    again=False,
                )
                for job in jobs
            ]
        pairs = zip(jobs, found, strict=True)
        return [Outcome(job, *each) for job, each in pairs]


def run_on_node(
    jobs: Sequence[Job],
    store: Store,
    timeout: float | None,
    execute: Execute | None,
    sources: Sources,
) -> list[tuple[Record, Predictions]]:
    """Executes jobs in a process of Ray, as a worker of one machine does."""
    from medzoo.training.execute import require_data

    def end(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"The run took longer than {timeout:g} seconds.")

    set_threads(1)
    place_sources(sources)
    for job in jobs:
        require_data(job.run)
    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, (timeout or 0) * len(jobs))
    try:
        return run_all(jobs, store, execute=execute)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _import_ray() -> Any:
    # Ray would replace what a person has said about the threads and the GPUs.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise ValueError(
            "The executor `ray` needs the package ray. Expected it to be "
            "installed. Run `pip install 'medzoo[ray]'`, or leave out "
            "`--executor ray`."
        ) from None
    return ray
