"""What the U-Net costs here and with plain Keras, and what its data cost.

    python benchmarks/unet.py [--size 128] [--width 16] [--images 10000]

Speed: images a second of training, by a run's own trainer and by `fit` on the
same layers, losses, images and batches. Both are traced before, and take turns
in one process of one thread, so that whatever else the machine does meets them
alike. Memory: 10,000 image files of 256x256 with their masks, decoded once, and
one epoch of batches drawn from them, each in a process of its own.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from measures.cases import make_masked
from measures.origin import list_origin

from medzoo.data.batches import batch_indices, gather
from medzoo.data.dataset import MaskedDataset
from medzoo.data.shapes import MASK_CLASSES, make_shapes
from medzoo.data.sources import load
from medzoo.runs.run import Run
from medzoo.training.backend import set_threads

SIDE = 256
WAYS = ("medzoo", "`fit`")


def main() -> None:
    """Measures both parts and writes the page."""
    options = _parse()
    if options.part:
        PARTS[options.part](options.folder)
        return
    speed = measure_speed(options)
    memory = measure_memory(options)
    page = write_page(speed, memory, options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page)
    print(page)


def measure_speed(options: argparse.Namespace) -> dict[str, list[float]]:
    """Trains in turns; returns images a second of each."""
    set_threads(1)
    from alternatives.keras_unet import build_unet, compile_unet

    from medzoo.training.build import prepare_model
    from medzoo.training.trainer import Trainer

    data = make_masked(options.steps * options.batch_size, options.size)
    run = Run(
        task="shapes",
        data="synthetic",
        size=options.size,
        model="unet",
        width=options.width,
        options={"mask_loss": "cross_entropy"},
        loss="cross_entropy",
        batch_size=options.batch_size,
        epochs=1,
    )
    plain = build_unet(
        data.input_shape, data.num_mask_classes, data.num_classes, options.width
    )
    # Keras's own choice, XLA, is slower on a CPU.
    compile_unet(plain, jit_compile=False)

    def train() -> float:
        trainer = Trainer(prepare_model(run, data), data, run)
        trainer.train()
        return trainer.seconds["first_step"] + trainer.seconds["train"]

    def fit() -> float:
        started = time.perf_counter()
        plain.fit(
            data.train.images,
            {"mask": data.train.masks, "label": data.train.labels},
            batch_size=options.batch_size,
            verbose=0,
        )
        return time.perf_counter() - started

    train(), fit()  # Traces both.
    if prepare_model(run, data).count_params() != plain.count_params():
        raise ValueError("Both nets must have the same weights.")
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.turns):
        for way, measure in zip(WAYS, (train, fit), strict=True):
            found[way].append(len(data.train) / measure())
    return found


def measure_memory(options: argparse.Namespace) -> dict[str, tuple]:
    """Returns seconds and peak megabytes of each part."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), options.images)
        return {part: _measure(part, folder) for part in PARTS}


def write_files(folder: Path, num_images: int) -> None:
    """Writes images and masks as PNG files, each of them another one."""
    from PIL import Image

    images, masks, _ = make_shapes(0, -(-num_images // 20), SIDE)
    for kind, arrays in (("images", images[..., 0]), ("masks", masks)):
        (folder / kind).mkdir()
        for index in range(num_images):
            part, shift = divmod(index, 20)
            moved = np.roll(arrays[part], 8 * shift, axis=1).astype("uint8")
            path = folder / kind / f"{index:05}.png"
            Image.fromarray(moved).save(path, compress_level=1)


def open_data(folder: str) -> MaskedDataset:
    """Opens the files as a run does; they are decoded the first time."""
    values = [f"{number}={name}" for number, name in enumerate(MASK_CLASSES)]
    options = (("mask_values", tuple(values)),)
    found: Any = load("shapes", f"masks:{folder}", SIDE, options=options)
    return found


def draw(folder: str) -> None:
    """Draws one epoch of batches."""
    train = open_data(folder).train
    batches = batch_indices(len(train), 16, seed=0)
    for _ in range(len(train) // 16):
        gather(train, next(batches))


# Each is done in a process of its own; the first only imports.
PARTS: dict[str, Callable[[str], object]] = {
    "start": lambda folder: None,
    "decode": open_data,
    "draw": draw,
}


def _measure(part: str, folder: str) -> tuple[float, float]:
    """Watches what a process and its children have for themselves alone.

    Mapped files count for no one: they lie in memory once, and give way.
    """
    started, peak = time.perf_counter(), 0.0
    command = [sys.executable, __file__, "--part", part, "--folder", folder]
    with subprocess.Popen(command) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            own = 0
            with contextlib.suppress(psutil.Error):
                for one in (watched, *watched.children(recursive=True)):
                    info = one.memory_info()
                    own += info.rss - info.shared
            peak = max(peak, own / 2**20)
            time.sleep(0.02)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - started, peak


def write_page(
    speed: dict[str, list[float]],
    memory: dict[str, tuple],
    options: argparse.Namespace,
) -> str:
    """Writes both tables."""
    ours, plain = (speed[way] for way in WAYS)
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    arrays = options.images * SIDE**2 * 2 / 2**20
    names = {
        "start": "a process that has imported the data path",
        "decode": f"decoding {options.images:,} images and masks, once",
        "draw": "opening them again, one epoch of batches of 16",
    }
    return "\n".join(
        [
            "# The U-Net: speed of its training, memory of its data",
            "",
            *list_origin("one thread"),
            f"- Net: unet, width {options.width}, {options.size} px, grey; "
            f"cross entropy of mask and label; Adam; batch "
            f"{options.batch_size}",
            f"- {options.turns} turns of {options.steps} steps each",
            "",
            "| training by | images/s, median | range |",
            "| :--- | ---: | ---: |",
            *(
                f"| {way} | {median(found):.1f} "
                f"| {min(found):.1f} to {max(found):.1f} |"
                for way, found in speed.items()
            ),
            "",
            f"medzoo trains at {median(ratios):.1%} of the speed of plain "
            f"Keras, turn by turn ({min(ratios):.1%} to {max(ratios):.1%}), "
            "with all that a step of a run has.",
            "",
            f"{options.images:,} images of {SIDE}x{SIDE} with their masks, as "
            "PNG files:",
            "",
            "| process | seconds | peak memory of its own, MB |",
            "| :--- | ---: | ---: |",
            *(
                f"| {names[part]} | {seconds:.1f} | {peak:,.0f} |"
                for part, (seconds, peak) in memory.items()
            ),
            "",
            f"As `uint8` arrays in memory they would be {arrays:,.0f} MB in "
            f"each process, as `float32` {4 * arrays:,.0f} MB (computed). Here "
            "they are files that all processes map, whose pages count for "
            "none of them.",
            "",
        ]
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks/unet.md")
    )
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
