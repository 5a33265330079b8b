"""Runs that are not trained: workers sleep in their place, or go wrong."""

import os
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from medzoo.execution.job import Job
from medzoo.execution.local import LocalExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.record import (
    Parameters,
    Predictions,
    Record,
    SplitPredictions,
)
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.tasks import get_task

NAMES = (
    "macro_f1", "balanced_accuracy", "accuracy", "auc", "loss", "cross_entropy",
)  # fmt: skip


class Pretended:
    """A folder with a store, and a note of every execution.

    Args:
        folder: Where all of it lies.

    Attributes:
        seconds: How long a run takes.
        faults: What goes wrong, by seed.
    """

    def __init__(self, folder):
        self.store = Store(folder / "runs")
        self.executions = folder / "executions"
        self.executions.touch()
        self.seconds = 0.05
        self.faults = {}

    def go_wrong(self, **faults):
        """Gives faults to seeds: `seed_3="hang"`."""
        self.faults = {
            int(k.removeprefix("seed_")): v for k, v in faults.items()
        }

    @property
    def stand_in(self):
        """What an executor does in place of training."""
        return partial(
            pretend,
            executions=self.executions,
            seconds=self.seconds,
            faults=self.faults,
        )

    def execute(self, runs, *, executor=None, workers=2, **options):
        """Executes runs; returns the records in the order of their ends."""
        records = []
        options.setdefault("on_record", records.append)
        keywords = {
            name: options.pop(name)
            for name in ("timeout", "memory")
            if name in options
        }
        with executor or LocalExecutor(
            workers, execute=self.stand_in, **keywords
        ) as executor:
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

    def gpus(self):
        """Lists the GPUs of each execution, as they are numbered."""
        lines = self.executions.read_text().splitlines()
        return [line.split()[2] for line in lines]


def make_runs(count, **values):
    """Makes runs that differ in their seed, with one graph."""
    values = {"task": "breastmnist", "data": "synthetic"} | values
    return [Run(seed=seed, **values) for seed in range(count)]


def pretend(jobs, store, *, executions, seconds=0.05, faults=()):
    """Sleeps in place of the training of jobs.

    Args:
        jobs: Each adds a line to `executions`: its run, process and GPU.
        store: Is not used.
        executions: A file.
        seconds: How long each takes.
        faults: Names of faults by seed.
    """
    if len(jobs) > 1:
        with open(f"{executions}.stacks", "a") as file:
            file.write(f"{len(jobs)}\n")
    return [
        _pretend_one(job.run, Path(executions), seconds, dict(faults))
        for job in jobs
    ]


def _pretend_one(run, executions, seconds, faults):
    with open(executions, "a") as file:
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES") or "none"
        file.write(f"{run.run_id} {os.getpid()} {gpu}\n")
    fault = faults.get(run.seed)
    go_wrong(fault, run, executions)
    time.sleep(seconds)
    classes = get_task(run.task).classes
    value = int(run.run_id, 16) / 16**16
    scores = {split: dict.fromkeys(NAMES, value) for split in ("val", "test")}
    record = Record(
        run=run,
        run_id=run.run_id,
        status="diverged" if fault == "nan" else "done",
        scores={} if fault == "nan" else scores,
        per_class_f1=dict.fromkeys(("val", "test"), [value] * len(classes)),
        history=[{"step": 1.0, "loss": value}],
        best_step=1,
        parameters=Parameters(total=1, trainable=1),
        num_images={"train": 100, "val": 100, "test": 1000},
        classes=classes,
        seconds=dict.fromkeys(("total", "train", "evaluate"), 0.1),
        started="2026-01-01T00:00:00+00:00",
    )
    return record, _draw_predictions(run, len(classes))


def _draw_predictions(run, num_classes):
    chance = np.random.default_rng(run.seed)
    predictions = Predictions()
    for split, number in (("val", 100), ("test", 1000)):
        found = chance.dirichlet(np.ones(num_classes), number)
        labels = chance.integers(num_classes, size=number)
        predictions = predictions.with_split(
            split,
            SplitPredictions(found.astype("float32"), labels.astype("int32")),
        )
    return predictions


def go_wrong(fault, run, executions):
    if fault == "raise":
        raise RuntimeError("broken on purpose")
    if fault == "raise once" and executions.read_text().count(run.run_id) == 1:
        raise RuntimeError("broken on purpose")
    if fault == "hang":
        time.sleep(1e6)
    if fault == "exit":
        print("the last words", flush=True)
        os._exit(0)
    if fault == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "eat":
        eaten = []
        while True:
            eaten.append(np.ones(4_000_000))
            time.sleep(0.01)
