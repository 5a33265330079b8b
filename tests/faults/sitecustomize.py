"""Python runs this at its start where `tests/faults` is on the path.

It replaces the training in worker processes by a short sleep that goes wrong
where `FAULTS` says so: a JSON object from seeds to the names of faults. Each
execution adds a line with its run to the file `EXECUTIONS`, and `SECONDS` tells
how long one takes.
"""

import json
import os
import signal
import sys
import time
import types
from pathlib import Path

import numpy as np

from medzoo.study import advance
from medzoo.tasks import get_task
from medzoo.training.record import Parameters, Record

NAMES = (
    "macro_f1", "balanced_accuracy", "accuracy", "auc", "loss", "cross_entropy",
)  # fmt: skip


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


def pretend(job, store):
    run = job.run
    executions = Path(os.environ["EXECUTIONS"])
    with open(executions, "a") as file:
        file.write(f"{run.run_id} {os.getpid()}\n")
    fault = json.loads(os.environ.get("FAULTS", "{}")).get(str(run.seed))
    go_wrong(fault, run, executions)
    time.sleep(float(os.environ.get("SECONDS", "0.05")))
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
    chance = np.random.default_rng(run.seed)
    predictions = {}
    for split, number in (("val", 100), ("test", 1000)):
        found = chance.dirichlet(np.ones(len(classes)), number)
        predictions[split] = found.astype("float32")
        labels = chance.integers(len(classes), size=number)
        predictions[f"{split}_labels"] = labels.astype("int32")
    return record, predictions


def pretend_stack(jobs, store):
    with open(f"{os.environ['EXECUTIONS']}.stacks", "a") as file:
        file.write(f"{len(jobs)}\n")
    return [pretend(job, store) for job in jobs]


if "EXECUTIONS" in os.environ:
    advance.advance = pretend
    advance._advance_stack = pretend_stack
    # Nothing is trained, so no worker needs a backend.
    sys.modules["medzoo.study.preload"] = types.ModuleType("preload")
