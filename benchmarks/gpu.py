"""What one accelerator gains under JAX, beside plain Keras `fit` on it.

    KERAS_BACKEND=jax python benchmarks/gpu.py

One run on a large task by resident training, and a stack of runs on a small
task, each beside `fit` with the same net, batch, epochs and looks at val, in
one process and in under 8 minutes. `--tiny` goes through all of it on a CPU, to
see that it works; its figures say nothing.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from measures.cases import NUM_CLASSES, SHAPE, make_images
from measures.limit import measure_limit
from measures.origin import list_origin
from measures.times import (
    Times,
    make_run,
    time_fit,
    time_resident,
    time_stack,
)

from medzoo.data.dataset import Dataset
from medzoo.models.flops import count_flops
from medzoo.runs.run import Run
from medzoo.training.backend import set_threads

NETS = (("skip_cnn", 32), ("mlp", 512))
HEADER = (
    "| net | task | way | first epoch, s | a later epoch, s | a whole run, s "
    "| images/s | share of peak | times `fit`: later epochs | whole runs |\n"
    "| :--- | :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def main() -> None:
    """Measures both, and writes the page."""
    options = _parse()
    set_threads(1)
    import keras

    if keras.backend.backend() != "jax":
        raise SystemExit(
            "Resident and stacked training need JAX. Expected "
            "KERAS_BACKEND=jax. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}."
        )
    from medzoo.training.build import name_device

    if name_device() == "cpu" and not options.tiny:
        raise SystemExit(
            "There is no accelerator that JAX can see. Pass --tiny to go "
            "through the measurement on a CPU."
        )
    rows: list[str] = []
    limit = measure_limit(3)
    most = max(limit["matrix"], limit["convolution"])
    for name, width in options.nets:
        large = make_images(options.large)
        run = make_run(name, width, options.large_epochs)
        rough = run.model_copy(update={"precision": "bfloat16"})
        rows += format_task(
            run,
            large,
            {
                "`fit`": time_fit(run, large),
                "resident": time_resident(run, large),
                "resident, bfloat16": time_resident(rough, large),
            },
            most,
        )
        small = make_images(options.small)
        runs = [
            make_run(name, width, options.small_epochs, seed=seed)
            for seed in range(options.stack)
        ]
        rows += format_task(
            runs[0],
            small,
            {
                "`fit`": time_fit(runs[0], small),
                "resident": time_resident(runs[0], small),
                f"stack of {len(runs)}": time_stack(runs, small),
            },
            most,
        )
    page = write_page(limit, rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page)
    print(page)


def format_task(
    run: Run, data: Dataset, times: dict[str, Times], most: float
) -> list[str]:
    """Writes the rows of one net on one task, with what each way gains."""
    from medzoo.models.registry import build_model

    net = build_model(
        run.model, NUM_CLASSES, input_shape=SHAPE, width=run.width
    )
    flops, fit = 3 * (count_flops(net) or 0), times["`fit`"]
    rows = []
    for way, found in times.items():
        images = len(data.train) / found.later
        cells = [
            f"{run.model}, {run.width}",
            f"{len(data.train):,} images, {run.epochs} epochs",
            way,
            f"{found.first:.2f}",
            f"{found.later:.4f}",
            f"{found.whole:.2f}",
            f"{images:,.0f}",
            f"{images * flops / most:.1%}",
            f"{fit.later / found.later:.1f}",
            f"{fit.whole / found.whole:.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def write_page(limit: dict[str, Any], rows: list[str]) -> str:
    """Writes the page."""
    return "\n".join(
        [
            "# Resident and stacked training, beside `fit`",
            "",
            *list_origin(f"and {name_hardware()}"),
            "- Limit, measured in the same run: matrix product "
            f"{limit['matrix'] / 1e9:,.0f} GFLOP/s, 3x3 convolution "
            f"{limit['convolution'] / 1e9:,.0f} GFLOP/s; shares are of the "
            "larger one",
            f"- Images {SHAPE}, batch {Run(task='pathmnist').batch_size}, "
            "Adam, cross entropy, a look at val each epoch",
            "- Seconds and images/s of a stack are those of one of its runs; "
            "the first epoch has all that is compiled, a whole run the "
            "building of its net too",
            "",
            HEADER,
            *rows,
            "",
        ]
    )


def name_hardware() -> str:
    """Names the device as JAX does."""
    import jax

    return jax.devices()[0].device_kind


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--large", type=int, default=90_000, help="images")
    parser.add_argument("--large-epochs", type=int, default=5)
    parser.add_argument("--small", type=int, default=546, help="images")
    parser.add_argument("--small-epochs", type=int, default=20)
    parser.add_argument("--stack", type=int, default=32, help="runs")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks/gpu.md")
    )
    options = parser.parse_args()
    options.nets = NETS
    if options.tiny:
        options.large, options.small, options.stack = 512, 256, 2
        options.large_epochs = options.small_epochs = 3
        options.nets = (("mlp", 16),)
    return options


if __name__ == "__main__":
    main()
