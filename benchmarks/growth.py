"""How plan, status and report grow with the number of records.

    python benchmarks/growth.py [--sizes 1000,10000,100000] [--limit 600]

Stores of made-up records with predictions of 100 images of val and test: 50
trials on 10 tasks, and as many seeds as it takes. CPU seconds and peak memory
of each command in a process of its own, and the slope of the seconds: 1 is
linear growth.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measures.origin import list_origin

from medzoo.record import Parameters, Predictions, Record, SplitPredictions
from medzoo.report.bootstrap import read_replicates
from medzoo.runs.run import Run
from medzoo.scores.counts import confusion_matrix, macro_f1
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.spec import read_study
from medzoo.tasks import NAMES, get_task

OUT = Path(__file__).parents[1] / "results" / "benchmarks"
NUM_TRIALS, NUM_TASKS, NUM_IMAGES = 50, 10, 100
SCORES = ("macro_f1", "balanced_accuracy", "accuracy", "auc", "mcc", "loss")
# The first report makes the bootstraps of all runs, a few milliseconds each.
FIRST, MOST_OF_FIRST = "first report", 10_000
COMMANDS = {
    "plan": ["study", "plan", "grow.toml"],
    "status": ["study", "status", "grow.toml"],
    FIRST: ["study", "report", "grow.toml", "--out", "first"],
    "report": ["study", "report", "grow.toml"],
}


def main() -> None:
    """Measures each size, and writes the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--limit", type=float, default=600.0)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    found = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            bootstraps = make_store(Path(folder), size)
            for name, words in COMMANDS.items():
                if name == FIRST and size > MOST_OF_FIRST:
                    continue
                if name == "report":
                    keep_bootstraps(Path(folder), bootstraps)
                found[name, size] = measure(words, Path(folder), options.limit)
    OUT.mkdir(parents=True, exist_ok=True)
    page = format_page(sizes, found, options.limit)
    (OUT / "growth.md").write_text(page, encoding="utf-8")
    print(page)


def make_store(folder: Path, size: int) -> dict[str, bytes]:
    """Writes a study and the records of all its runs, as files alone.

    Returns:
        The bootstrap of each run.
    """
    seeds = list(range(max(1, size // (NUM_TRIALS * NUM_TASKS))))
    rates = [round(0.001 * (at + 1), 4) for at in range(NUM_TRIALS)]
    (folder / "grow.toml").write_text(
        f'question = "How does it grow?"\ndata = "synthetic"\n'
        f"tasks = {json.dumps(NAMES[:NUM_TASKS])}\nseeds = {seeds}\n"
        f"[axes]\nlearning_rate = {rates}\n"
        '[fixed]\nmodel = "mlp"\nwidth = 8\nsteps = 20\n',
        encoding="utf-8",
    )
    one = Store(folder / "one")
    drafts: dict[tuple[str, int], tuple[Record, bytes, bytes]] = {}
    bootstraps = {}
    for number, (_, run) in enumerate(expand(read_study(folder / "grow.toml"))):
        key = (run.task, number % 7)
        if key not in drafts:
            one.write(*make_record(run, number))
            path = one.folder / run.run_id[:2] / f"{run.run_id}.npz"
            record = make_record(run, number)[0]
            read_replicates(one, record)
            kept = path.with_suffix(".boot.npy").read_bytes()
            drafts[key] = (record, path.read_bytes(), kept)
        record, arrays, bootstraps[run.run_id] = drafts[key]
        record = record.model_copy(update={"run": run, "run_id": run.run_id})
        target = folder / "runs" / run.run_id[:2] / f"{run.run_id}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = record.model_dump_json(exclude={"status"})
        target.write_text(f'{{"status":"done",{text[1:]}\n', encoding="utf-8")
        target.with_suffix(".npz").write_bytes(arrays)
    return bootstraps


def keep_bootstraps(folder: Path, bootstraps: dict[str, bytes]) -> None:
    """Writes the bootstraps that a report would have kept."""
    for run_id, content in bootstraps.items():
        path = folder / "runs" / run_id[:2] / f"{run_id}.boot.npy"
        path.write_bytes(content)


def make_record(run: Run, number: int) -> tuple[Record, Predictions]:
    """Makes what a run of that task might have left."""
    chance = np.random.default_rng(number)
    count = get_task(run.task).num_classes
    # The same images in every run of a task.
    images = np.random.default_rng(NAMES.index(run.task))
    labels = images.integers(count, size=NUM_IMAGES).astype("int32")
    splits: dict[str, SplitPredictions] = {}
    scores: dict[str, dict[str, float | None]] = {}
    for split in ("val", "test"):
        drawn = chance.dirichlet(np.ones(count), NUM_IMAGES)
        drawn[np.arange(NUM_IMAGES), labels] += chance.random(NUM_IMAGES)
        drawn = (drawn / drawn.sum(1, keepdims=True)).astype("float32")
        counts = confusion_matrix(labels, drawn.argmax(1), count)
        scores[split] = dict.fromkeys(SCORES, float(macro_f1(counts)))
        splits[split] = SplitPredictions(drawn, labels)
    score = scores["val"]["macro_f1"]
    entry = {"loss": 1.0, "val_loss": 1.0, "val_macro_f1": score}
    history: list[dict[str, float | None]] = [
        {"step": step + 1.0, "epoch": 1.0, **entry} for step in range(20)
    ]
    record = Record(
        run=run,
        run_id=run.run_id,
        status="done",
        scores=scores,
        per_class_f1={split: [0.5] * count for split in scores},
        history=history,
        best_step=20,
        parameters=Parameters(total=100, trainable=100),
        seconds={"train": 1.0, "total": 2.0},
        num_images={"train": 400, "val": NUM_IMAGES, "test": NUM_IMAGES},
        classes=[str(label) for label in range(count)],
        started="2026-03-02T10:00:00+00:00",
    )
    return record, Predictions(val=splits["val"], test=splits["test"])


def measure(
    words: list[str], folder: Path, limit: float
) -> tuple[float, float] | None:
    """Returns CPU seconds and peak megabytes; `None` beyond the limit."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit)))

    process = subprocess.Popen(
        [sys.executable, "-m", "medzoo", *words],
        cwd=folder,
        env=os.environ | {"MEDZOO_RUNS": str(folder / "runs")},
        stdout=subprocess.DEVNULL,
        preexec_fn=bound,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        return None
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def format_page(
    sizes: list[int],
    found: dict[tuple[str, int], tuple[float, float] | None],
    limit: float,
) -> str:
    """Words the table: a row a command, two columns a size, and the slope."""
    columns = [f"{size:,} records (s) | MB" for size in sizes]
    lines = [
        "# How commands grow with the records of a study",
        "\n".join(list_origin("as many threads as each command takes")),
        f"{NUM_TRIALS} trials on {NUM_TASKS} tasks, records with predictions. "
        "CPU seconds and peak memory, at most "
        f"{limit:g} s. The first report of a study makes a bootstrap of each "
        "run, which later ones read. The slope is that of the logarithms, "
        "between the two largest sizes that ended.",
        "\n".join(
            [
                f"| command | {' | '.join(columns)} | slope |",
                "| :-- " + "| --: " * (2 * len(sizes) + 1) + "|",
                *(_format_row(name, sizes, found) for name in COMMANDS),
            ]
        ),
    ]
    return "\n\n".join(lines) + "\n"


def _format_row(
    name: str,
    sizes: list[int],
    found: dict[tuple[str, int], tuple[float, float] | None],
) -> str:
    costs = {size: found.get((name, size)) for size in sizes}
    missing = {s: "did not end" for s in sizes if (name, s) in found}
    cells = [
        f"{cost[0]:.1f} | {cost[1]:.0f}"
        if cost
        else f"{missing.get(size, 'not tried')} | "
        for size, cost in costs.items()
    ]
    ended = [(size, cost[0]) for size, cost in costs.items() if cost][-2:]
    slope = ""
    if len(ended) == 2:
        (small, before), (large, after) = ended
        slope = f"{math.log(after / before) / math.log(large / small):.2f}"
    return f"| {name} | {' | '.join(cells)} | {slope} |"


if __name__ == "__main__":
    main()
