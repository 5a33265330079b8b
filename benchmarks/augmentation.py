"""What each preset of augmentation costs, as a share of a training step.

    python benchmarks/augmentation.py

The step is that of `skip_cnn` at width 24 on batches of 128 colour images of 28
pixels, on one thread. Steps with each preset are timed in turns, so that a slow
moment of the machine meets all of them, and their medians are compared.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measures.origin import list_origin

from medzoo.training.backend import set_threads

SHAPE = (28, 28, 3)
HEADER = "| preset | ms a step | over none |\n| :--- | ---: | ---: |\n"


def main() -> None:
    """Times every preset, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks/augmentation.md")
    )
    options = parser.parse_args()
    set_threads(1)
    from medzoo.models.augmentation import AUGMENTATIONS

    steps = {
        name: make_step(name, options.width, options.batch_size)
        for name in AUGMENTATIONS
    }
    seconds = time_steps(steps, options.repeats)
    page = write_page(seconds, options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page)
    print(page)


def make_step(
    augmentation: str, width: int, batch_size: int
) -> Callable[[], object]:
    """Makes one training step of a model with a preset."""
    from medzoo.losses.classification import build_loss
    from medzoo.models.registry import build_model
    from medzoo.training.build import name_device

    model = build_model(
        "skip_cnn",
        9,
        input_shape=SHAPE,
        width=width,
        augmentation=augmentation,
    )
    model.compile(
        "adam",
        build_loss("cross_entropy"),
        jit_compile=name_device() != "cpu",
    )
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch_size, *SHAPE), dtype="uint8")
    labels = np.arange(batch_size, dtype="int32") % 9
    return lambda: model.train_on_batch(images, labels)


def time_steps(
    steps: dict[str, Callable[[], object]], repeats: int
) -> dict[str, float]:
    """Returns the seconds of the fastest step, after two that are not timed.

    What else a machine does makes steps slower and none faster, by more than
    augmentation takes.
    """
    seconds = dict.fromkeys(steps, float("inf"))
    for repeat in range(repeats + 2):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if repeat >= 2:
                taken = time.perf_counter() - started
                seconds[name] = min(seconds[name], taken)
    return seconds


def write_page(seconds: dict[str, float], options: argparse.Namespace) -> str:
    """Writes the times as a page."""
    origin = "\n".join(list_origin("one thread"))
    rows = [
        f"| {name} | {1000 * value:.1f} | {value / seconds['none'] - 1:+.1%} |"
        for name, value in seconds.items()
    ]
    table = "\n".join(rows)
    return (
        "# What augmentation costs\n\n"
        f"{origin}\n"
        f"- Step: skip_cnn, width {options.width}, {options.batch_size} images "
        "of 28x28x3\n\n"
        f"{HEADER}{table}\n\n"
        f"The fastest of {options.repeats} steps of each, in turns.\n"
    )


if __name__ == "__main__":
    main()
