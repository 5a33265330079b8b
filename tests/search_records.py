"""A small search, and records of it without any training."""

import math

from medzoo.execution.job import Outcome
from medzoo.record import Predictions, Record
from medzoo.search.search import run_search
from medzoo.search.search_file import read_search

FILE = """\
question = "Which tiny MLP is best?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0]
tuner = "random"
trials = 12
data = "synthetic"

[space]
optimizer = ["adam", "sgd"]
learning_rate = { low = 0.001, high = 0.1, log = true }
dropout = { low = 0.0, high = 0.4, step = 0.2 }
loss = ["soft_f1", "cross_entropy+soft_f1"]

[space.loss_weight]
low = 0.2
high = 0.8
when = { loss = "cross_entropy+soft_f1" }

[fixed]
model = "mlp"
width = 8
epochs = 9
max_images = 64
batch_size = 32
"""
# Ranges with steps, so that a grid has an end.
GRID = FILE.replace("log = true", "step = 10, log = true").replace(
    "high = 0.8", "high = 0.8\nstep = 0.3"
)


def read(folder, *changes, tuner="random"):
    """Reads the search after changes `(old, new)` of its text."""
    text = GRID if tuner == "grid" else FILE
    if tuner == "bayesian":  # Each proposal after the first 7 takes a second.
        text = text.replace("trials = 12", "trials = 9")
    for old, new in (('"random"', f'"{tuner}"'), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "tiny.toml"
    path.write_text(text)
    return read_search(path)


def goal(run):
    """The macro F1 on val that a run is said to end with."""
    rate = 1 - (math.log10(run.learning_rate) + 2) ** 2 / 2
    return rate * (0.9 if run.optimizer == "adam" else 0.6)


def pretend(job):
    """Makes the record that a job might end with, without any training."""
    run = job.run
    last = 9 if job.until is None else math.ceil(9 * job.until)
    history = [
        # Two steps an epoch: 64 images in batches of 32.
        {
            "step": 2 * epoch,
            "val_macro_f1": goal(run) * epoch / 9,
            "val_loss": 1.0,
        }
        for epoch in range(1, last + 1)
    ]
    return Record(
        run=run,
        run_id=run.run_id,
        status="trained" if job.until is None else "pruned",
        scores={"val": {"macro_f1": goal(run)}} if last == 9 else {},
        history=history,
        num_images={"train": 64},
        seconds={"total": 10.0 * last / 9},
    )


class Executed:
    """An executor that pretends; it notes its jobs, and may fall over.

    Args:
        store: Where the search keeps its records.
        workers: Jobs at a time.
        falls_at: The number of jobs after which it is interrupted.
        make: Makes the record of a job.
        latest_first: Whether of several jobs the last one ends first.
    """

    known = ()

    def __init__(
        self,
        store,
        *,
        workers=1,
        falls_at=None,
        make=pretend,
        latest_first=False,
    ):
        self.store, self.workers, self.falls_at = store, workers, falls_at
        self.make, self.latest_first = make, latest_first
        self.jobs, self.running = [], []

    def search(self, search, **options):
        """Runs a search with it."""
        options = {"workers": self.workers} | options
        return run_search(search, self.store, executor=self, **options)

    def idle(self):
        return self if len(self.running) < self.workers else None

    def start(self, jobs, store):
        self.running += jobs

    def is_busy(self):
        return bool(self.running)

    def graphs(self):
        return set()

    def wait(self, seconds):
        if not self.running:
            return []
        if len(self.jobs) == self.falls_at:
            raise KeyboardInterrupt
        job = self.running.pop(-1 if self.latest_first else 0)
        self.jobs.append(job)
        return [Outcome(job, self.make(job), Predictions())]

    def stop(self):
        self.running.clear()
