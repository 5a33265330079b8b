"""What the feature cache saves, beside `model.fit` through a frozen backbone.

    python benchmarks/transfer.py [--tasks breastmnist] [--epochs 10]

Ten heads on MobileNet (alpha 0.25, ImageNet, frozen, images of 96 pixels), each
trained once in both ways, each way in a process of its own with one thread and
an empty cache: wall time with imports, and the macro F1 on test that both ways
reach. The networks, data, optimizer and steps are the same.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any

from measures.origin import list_origin

from medzoo.runs.run import Run
from medzoo.training.backend import set_threads

OUT = Path("results/benchmarks/transfer.md")
HEADS: list[dict[str, Any]] = [
    {"head": head, "dropout": dropout, "width": width}
    for head, widths in (("linear", [128]), ("mlp", [32, 64, 128, 256]))
    for width in widths
    for dropout in (0.0, 0.5)
]


def main() -> None:
    """Measures both ways, compares, and writes the page."""
    options = _parse()
    if options.way:
        print(json.dumps(WAYS[options.way](options.tasks, options.epochs)))
        return
    rows = []
    for task in options.tasks.split(","):
        plain, cached = (_measure(way, task, options.epochs) for way in WAYS)
        rows.append(
            f"| {task} | {plain['seconds']:.0f} | {cached['seconds']:.1f} "
            f"| {plain['seconds'] / cached['seconds']:.0f} "
            f"| {fmean(plain['scores']):.3f} | {fmean(cached['scores']):.3f} |"
        )
    page = _write_page(rows, options.epochs)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(page)
    print(page)


def make_runs(task: str, epochs: int) -> list[Run]:
    """Makes a run for each of the heads."""
    return [
        Run(
            task=task,
            model="transfer",
            width=head["width"],
            options={
                "backbone": "mobilenet_025",
                "resize": 96,
                "head": head["head"],
                "dropout": head["dropout"],
            },
            loss="cross_entropy",
            epochs=epochs,
            keep="last",
        )
        for head in HEADS
    ]


def train_plainly(task: str, epochs: int) -> list[float]:
    """Trains each model with `fit`, as Keras's guide to transfer does."""
    import keras

    from medzoo.losses.classification import build_loss
    from medzoo.scores.probabilities import macro_f1
    from medzoo.training.build import build_network
    from medzoo.training.execute import load_data
    from medzoo.training.predict import to_probabilities

    found = []
    for run in make_runs(task, epochs):
        data = load_data(run)
        keras.utils.set_random_seed(run.seed)
        model = build_network(run, data, run.width or 0)
        # Keras's own choice, XLA, is slower on a CPU.
        model.compile("adam", build_loss(run.loss), jit_compile=False)
        model.fit(
            data.train.images,
            data.train.labels,
            batch_size=run.batch_size,
            epochs=epochs,
            validation_data=(data.val.images, data.val.labels),
            verbose=0,
        )
        logits = model.predict(data.test.images, verbose=0)
        probabilities = to_probabilities(logits)
        found.append(float(macro_f1(probabilities, data.test.labels)))
    return found


def train_cached(task: str, epochs: int) -> list[float]:
    """Trains each model as a study does."""
    from medzoo.training.execute import execute

    records = [execute(run)[0] for run in make_runs(task, epochs)]
    return [record.scores["test"]["macro_f1"] or 0.0 for record in records]


WAYS = {"plain": train_plainly, "cached": train_cached}


def _measure(way: str, task: str, epochs: int) -> dict:
    """Runs one way in a process of its own, with a cache that is empty."""
    command = [sys.executable, __file__, "--way", way, "--tasks", task]
    command += ["--epochs", str(epochs)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run(
            command,
            env={**os.environ, "XDG_CACHE_HOME": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - started
    scores = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": seconds, "scores": scores}


def _write_page(rows: list[str], epochs: int) -> str:
    return "\n".join(
        [
            "# What the feature cache saves",
            "",
            *list_origin("one thread"),
            "",
            f"{len(HEADS)} heads of {epochs} epochs on a frozen MobileNet "
            "(alpha 0.25, ImageNet, three depths, images of 96 pixels), on one "
            "core, each way in a process of its own from its start to its end. "
            "`fit` sends images through the backbone in every epoch; medzoo "
            "does so once, and its time includes that.",
            "",
            "| task | `fit`, seconds | medzoo, seconds | times faster "
            "| macro F1 on test, `fit` | medzoo |",
            "| :--- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            "Macro F1 is the mean over the heads, of the weights after the "
            "last epoch: the same training but for the order of the images.",
            "",
        ]
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default="breastmnist,retinamnist")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    set_threads(1)
    main()
