"""Runs that are not trained: `tests/faults` sleeps in their place."""

import json
import os
from collections import Counter
from multiprocessing import forkserver
from pathlib import Path

from medzoo.study.job import Job
from medzoo.study.local import LocalExecutor
from medzoo.study.runner import execute_jobs
from medzoo.study.store import Store
from medzoo.training.run import Run

FAULTS = Path(__file__).parent / "faults"


class Pretended:
    """A folder with a store, and a note of every execution.

    Args:
        folder: Where all of it lies.
        setenv: Sets a variable for the processes to come.
    """

    def __init__(self, folder, setenv):
        self.store = Store(folder / "runs")
        self.executions = folder / "executions"
        self.executions.touch()
        self.environment = {
            "PYTHONPATH": f"{FAULTS}:{os.environ.get('PYTHONPATH', '')}",
            "EXECUTIONS": str(self.executions),
            "MEDZOO_RUNS": str(self.store.folder),
        }
        for name, value in self.environment.items():
            setenv(name, value)
        self._setenv = setenv
        self.close()

    def close(self):
        """Ends the process that workers are forked from: it trains or not."""
        forkserver._forkserver._stop()

    def go_wrong(self, **faults):
        """Gives faults to seeds: `seed_3="hang"`."""
        faults = {k.removeprefix("seed_"): v for k, v in faults.items()}
        self._setenv("FAULTS", json.dumps(faults))

    def execute(self, runs, *, executor=None, workers=2, **options):
        """Executes runs; returns the records in the order of their ends."""
        records = []
        options.setdefault("on_record", records.append)
        keywords = {
            name: options.pop(name)
            for name in ("timeout", "memory")
            if name in options
        }
        with executor or LocalExecutor(workers, **keywords) as executor:
            execute_jobs(
                map(Job, runs), self.store, executor=executor, **options
            )
        return records

    def counts(self):
        """Counts the executions of each run."""
        lines = self.executions.read_text().splitlines()
        return Counter(line.split()[0] for line in lines)

    def stacks(self):
        """Lists how many runs each stack had."""
        stacks = self.executions.with_name(f"{self.executions.name}.stacks")
        return [int(line) for line in stacks.read_text().splitlines()]

    def processes(self):
        """Lists the processes that have executed something."""
        lines = self.executions.read_text().splitlines()
        return [int(line.split()[1]) for line in lines]


def make_runs(count, **values):
    """Makes runs that differ in their seed, with one graph."""
    values = {"task": "breastmnist", "data": "synthetic"} | values
    return [Run(seed=seed, **values) for seed in range(count)]
