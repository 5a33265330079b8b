"""What medzoo's runner takes, beside a Keras loop and KerasTuner's grid search.

    python benchmarks/runner.py [--data synthetic] [--epochs 20] [--workers 2]

The 12 runs of `runner.toml`, each way in processes of their own, one after the
other: wall time, CPU time and peak memory of all processes of each. Then one
run on many images, for which training is nearly everything.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import psutil
from measures.origin import list_origin

from medzoo.execution.cores import default_workers
from medzoo.store import Store

HERE = Path(__file__).parent
OUT = HERE.parent / "results" / "benchmarks"
NUM_RUNS = 12


class Cost(NamedTuple):
    """What a command took.

    Args:
        wall: Seconds.
        cpu: Seconds of all cores, in all its processes.
        memory: Peak of the memory of all its processes, in MB.
        output: The last line that it printed.
    """

    wall: float
    cpu: float
    memory: float
    output: str


def main() -> None:
    """Measures, compares, and writes the page."""
    options = _parse()
    alternatives = {
        name: _measure(_alternative(part, options.data, options.epochs))
        for name, part in (
            ("a loop around `model.fit`", "keras_loop"),
            ("KerasTuner `GridSearch`", "keras_tuner"),
        )
    }
    with tempfile.TemporaryDirectory() as folder:
        cost, share, score = _measure_medzoo(Path(folder), options)
    steps = json.loads(
        _measure(_alternative("steps", options.images, 2)).output
    )
    page = _write_page(options, alternatives, cost, share, score, steps)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "runner.md").write_text(page)
    print(page)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="medmnist")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=default_workers())
    return parser.parse_args()


def _alternative(part: str, source: object, epochs: int) -> list[str]:
    script = HERE / "alternatives" / "keras_runs.py"
    return [sys.executable, str(script), part, str(source), str(epochs)]


def _measure_medzoo(
    folder: Path, options: argparse.Namespace
) -> tuple[Cost, float, float]:
    """Runs the study as a person does; returns also its steps and its score."""
    text = (HERE / "runner.toml").read_text()
    study = folder / "runner.toml"
    study.write_text(text.replace("epochs = 20", f"epochs = {options.epochs}"))
    command = [
        *(sys.executable, "-m", "medzoo", "study", "run", str(study)),
        *("--data", options.data, "--workers", str(options.workers)),
        *("--out", str(folder / "results")),
    ]
    cost = _measure(command, MEDZOO_RUNS=str(folder / "runs"))
    store = Store(folder / "runs")
    records = list(store.read_many(store.run_ids()).values())
    inside = sum(r.seconds["train"] + r.seconds["check"] for r in records)
    score = fmean(r.scores["test"]["macro_f1"] or 0.0 for r in records)
    return cost, inside / options.workers / cost.wall, score


def _measure(command: list[str], **environment: str) -> Cost:
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=HERE.parent,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    peak = 0.0
    cpu: dict[int, float] = {}
    while process.poll() is None:
        memory, seconds = _look_at(process.pid)
        peak, cpu = max(peak, memory), cpu | seconds
        time.sleep(0.5)
    wall = time.perf_counter() - started
    output = process.communicate()[0].strip()
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}.")
    return Cost(wall, sum(cpu.values()), peak, output.splitlines()[-1])


def _look_at(pid: int) -> tuple[float, dict[int, float]]:
    """Returns the memory of a process and its children, shared pages once.

    Also the CPU seconds of each so far: whoever forks workers need not wait for
    them, so that the system does not add theirs to those of the parent.
    """
    memory, seconds = 0.0, {}
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):  # It has just ended.
                memory += member.memory_full_info().pss / 2**20
                times = member.cpu_times()
                seconds[member.pid] = times.user + times.system
    return memory, seconds


def _write_page(
    options: argparse.Namespace,
    alternatives: dict[str, Cost],
    cost: Cost,
    share: float,
    score: float,
    steps: dict[str, float],
) -> str:
    name = f"medzoo, {options.workers} workers"
    rows = [
        (who, found, json.loads(found.output)["score"])
        for who, found in alternatives.items()
    ] + [(name, cost, score)]
    table = [
        f"| {who} | {c.wall:.0f} | {cost.wall / c.wall:.2f} | {c.cpu:.0f} "
        f"| {c.memory:.0f} | {found:.3f} |"
        for who, c, found in rows
    ]
    overhead = steps["train"] / steps["steps"] - 1
    return "\n".join(
        [
            "# What the runner takes",
            "",
            *list_origin("all of them"),
            "",
            f"{NUM_RUNS} runs of `benchmarks/runner.toml` (breastmnist, "
            f"{options.data} data, {options.epochs} epochs), each way from "
            "start to end.",
            "",
            "| | seconds | medzoo takes | CPU seconds | peak MB "
            "| macro F1 on test |",
            "| :--- | ---: | ---: | ---: | ---: | ---: |",
            *table,
            "",
            f"Of medzoo's time {share:.0%} was inside training and validation "
            "steps.",
            "",
            f"One run of 2 epochs on {options.images:,} images of 28x28x3: "
            f"{steps['steps']:.1f} s inside the steps of a plain loop, "
            f"{steps['train']:.1f} s in medzoo's training without its looks "
            f"at val ({steps['check']:.1f} s): {overhead:+.1%}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
