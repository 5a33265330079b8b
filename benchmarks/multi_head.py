"""What eleven heads cost: images a second of training, against one head.

    python benchmarks/multi_head.py

The same backbone, batch and loss; the data are synthetic, and the time holds
all that a step of a run has, the gathering of its images too. All variants take
turns, so that whatever else the machine does meets them alike. The fastest turn
of each is compared, and, for the noise, the steps of each turn.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from measures.origin import list_origin

from medzoo.runs.run import Run
from medzoo.tasks import TASKS
from medzoo.training.backend import set_threads

ONE = "one head (bloodmnist)"
VARIANTS: dict[str, dict[str, Any]] = {
    ONE: {"task": "bloodmnist", "model": "skip_cnn"},
    "eleven heads": {},
    "eleven heads, film": {"options": {"film": True}},
    "eleven heads, soft_harmonic_mean": {"loss": "soft_harmonic_mean"},
    **{
        f"eleven heads, {name}": {"task_weighting": name}
        for name in ("uncertainty", "dwa", "gradnorm", "pcgrad")
    },
}
# Operations a second in float32, as NVIDIA's data sheets have them.
PEAKS = {"NVIDIA T4": 8.1e12, "NVIDIA A100": 19.5e12}
HEADER = (
    "| net | images/s | share of one head | by turns: median (range) |\n"
    "| :--- | ---: | ---: | ---: |"
)


def main() -> None:
    """Measures every variant in turns, and writes the page."""
    options = _parse()
    set_threads(1)
    step_of = {
        name: prepare(
            Run(
                **{
                    "task": "all",
                    "data": "synthetic",
                    "model": "multi_head",
                    "width": options.width,
                    "batch_size": options.batch_size,
                }
                | changes
            )
        )
        for name, changes in VARIANTS.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in step_of}
    for _ in range(options.turns):
        for name, step in step_of.items():
            started = time.perf_counter()
            for _ in range(options.steps):
                step()
            seconds[name].append(time.perf_counter() - started)
    page = write_page(seconds, options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page)
    print(page)


def prepare(run: Run) -> Callable[[], None]:
    """Returns what does one step of a run, traced already."""
    from medzoo.training.build import prepare_model
    from medzoo.training.execute import load_data
    from medzoo.training.objectives import make_objective

    data = load_data(run)
    model = prepare_model(run, data)
    batches = make_objective(run, data).batches()

    def step() -> None:
        indices = next(batches)
        model.train_on_batch(
            data.train.images[indices], data.train.labels[indices]
        )

    step()
    return step


def write_page(
    seconds: dict[str, list[float]], options: argparse.Namespace
) -> str:
    """Writes the table."""
    rows = []
    for name, found in seconds.items():
        shares = [a / b for a, b in zip(seconds[ONE], found, strict=True)]
        rate = options.steps * options.batch_size / min(found)
        rows.append(
            f"| {name} | {rate:,.0f} | {min(seconds[ONE]) / min(found):.1%} "
            f"| {median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%}) |"
        )
    origin = "\n".join(list_origin("one thread"))
    return (
        "# Eleven heads against one\n\n"
        f"{origin}\n"
        f"- Net: skip_cnn, width {options.width}, 28 px; soft F1; batch "
        f"{options.batch_size}\n"
        f"- {options.turns} turns of {options.steps} steps each; images/s "
        "of the fastest turn\n\n" + "\n".join([HEADER, *rows]) + "\n"
        "\n" + format_cost(options, min(seconds["eleven heads"]))
    )


def format_cost(options: argparse.Namespace, fastest: float) -> str:
    """Writes what training on all official images takes, here and elsewhere."""
    from medzoo.models.flops import count_flops
    from medzoo.models.registry import build_model

    images = sum(task.num_images["train"] for task in TASKS.values())
    net = build_model(
        "skip_cnn", 11, input_shape=(28, 28, 3), width=options.width
    )
    flops = 3 * images * (count_flops(net) or 0)
    here = images * fastest / (options.steps * options.batch_size)
    rows = [
        f"| one thread of this machine | {here / 60:.1f} | measured |",
        f"| two of them, one run each | {here / 120:.1f} | half of that |",
        *(
            f"| {name} | {flops / peak / 60:.3f} | at least: at its peak of "
            f"{peak / 1e12:g} TFLOP/s in float32 |"
            for name, peak in PEAKS.items()
        ),
    ]
    return (
        "## What all 11 tasks cost\n\n"
        f"An epoch is {images:,} images of train, each of "
        f"{flops / images / 1e6:.0f} MFLOP forward and back. GPUs were not "
        "measured; small nets stay far below a GPU's peak.\n\n"
        "| device | minutes an epoch | by what |\n| :--- | ---: | :--- |\n"
        + "\n".join(rows)
        + "\n"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks/multi_head.md")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
