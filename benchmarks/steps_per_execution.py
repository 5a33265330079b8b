"""The loop of steps in one graph, beside Keras's `steps_per_execution`.

    python benchmarks/steps_per_execution.py [--turns 7] [--seconds 1]

The same training by `Trainer` (a call of Python for each step), by
`LoopedTrainer`, and by `fit` with `steps_per_execution`: one call for all steps
between two checks on val, batches in a `tf.data.Dataset`, and the learning rate
as a schedule of the optimizer. `fit` in one call for all epochs, with Keras's
own batches and without any check, shows what Keras could do at best.

All take turns in one process of one thread; only steps are timed, by wall time
and by CPU time of the process. Ratios are taken within a turn. The weights of
all but the last way must be equal bit by bit in the end.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measures.cases import SHAPE, make_images
from measures.origin import list_origin

from medzoo.data.dataset import Dataset
from medzoo.runs.run import Run
from medzoo.training.backend import set_threads

# Networks, widths and images: as breastmnist has, with 4 or 5 steps between two
# checks; and 64 steps, in which a convolution network takes too long to ask.
CASES = [
    ("mlp", 16, 546),
    ("mlp", 64, 546),
    ("skip_cnn", 16, 546),
    ("skip_cnn", 32, 546),
    ("mlp", 16, 8192),
    ("mlp", 64, 8192),
]
# No stretch between two checks is longer.
STEPS = 64
OTHERS = ("Trainer", "fit between checks", "fit in one call")
HEADER = (
    "| net | images | images/s "
    + "".join(f"| {way} | CPU time " for way in OTHERS)
    + "| equal weights |\n| :--- | ---: | ---: "
    + "| ---: | ---: " * len(OTHERS)
    + "| :--- |"
)
# Images by second of wall time and by second of CPU time.
Speed = tuple[float, float]


def main() -> None:
    """Measures all cases, and writes the page."""
    options = _parse()
    set_threads(1)
    rows = []
    for name, width, size in CASES:
        rows.append(measure(name, width, size, options))
        print(rows[-1], file=sys.stderr, flush=True)
    page = write_page(rows, options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page)
    print(page)


def measure(
    name: str, width: int, size: int, options: argparse.Namespace
) -> str:
    """Measures one network on one number of images; returns its row."""
    from medzoo.training.looped_tensorflow import LoopedTrainer
    from medzoo.training.trainer import Trainer

    data = make_images(size, SHAPE)
    run = Run(
        task="pathmnist",
        model=name,
        width=width,
        loss="cross_entropy",
        schedule="cosine",
        warmup=0.1,
        epochs=2000,
    )
    trainers = {
        "Trainer": timed(Trainer)(build(run, data), data, run),
        "LoopedTrainer": timed(LoopedTrainer)(build(run, data), data, run),
        "fit between checks": timed(fitting(Trainer))(
            build(run, data, in_graph=True), data, run
        ),
    }
    plain = build(run, data, in_graph=True)
    # The first checks trace all graphs; the next ones say how long a turn is.
    for steps in (1, 20):
        found = {way: each.train_on(steps) for way, each in trainers.items()}
    steps = round(options.seconds * found["LoopedTrainer"][0] / run.batch_size)
    epochs = max(1, round(steps * run.batch_size / size))
    fit_all(plain, run, data, 1)
    turns = []
    for _ in range(options.turns):
        found = {way: each.train_on(steps) for way, each in trainers.items()}
        found["fit in one call"] = fit_all(plain, run, data, epochs)
        turns.append(found)
    weights = [t.model.get_weights() for t in trainers.values()]
    equal = all(
        all(map(np.array_equal, weights[0], other)) for other in weights[1:]
    )
    return write_row(f"{name}, {width}", size, turns, equal)


def build(run: Run, data: Dataset, *, in_graph: bool = False) -> Any:
    """Builds and compiles a network of its own for a run.

    Args:
        run: Whose seed decides the weights.
        data: Of the run.
        in_graph: Whether the optimizer has the learning rate as a schedule, and
            `fit` does many steps a call.
    """
    import keras

    from medzoo.training.build import build_network, find_width
    from medzoo.training.objectives import make_objective
    from medzoo.training.optimizers import build_optimizer

    keras.utils.set_random_seed(run.seed)
    model = build_network(run, data, find_width(run, data))
    optimizer = build_optimizer(run)
    if in_graph:
        optimizer = type(optimizer)(learning_rate=make_schedule(run, data))
    model.compile(
        optimizer=optimizer,
        loss=make_objective(run, data).make_loss(),
        jit_compile=False,
        steps_per_execution=STEPS if in_graph else 1,
    )
    optimizer.build(model.trainable_variables)
    return model


def make_schedule(run: Run, data: Dataset) -> Any:
    """Makes the learning rates of a run, as a schedule in the graph."""
    import keras

    from medzoo.training.optimizers import rates_at
    from medzoo.training.trainer import count_steps

    num_steps = count_steps(run, len(data.train))
    table = [rates_at(run, step, num_steps)[0] for step in range(num_steps)]

    class Schedule(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return keras.ops.take(rates, step)

    rates = keras.ops.convert_to_tensor(table, "float32")
    return Schedule()


def fitting(base: Any) -> Any:
    """Makes a trainer that does the steps between two checks by `fit`."""
    import tensorflow as tf

    from medzoo.training.inputs import make_stretch

    class FittingTrainer(base):
        step: int

        def _train_to(self, check: int, batches: Iterator[np.ndarray]) -> float:
            indices = [next(batches) for _ in range(self.step, check)]
            made = make_stretch(
                self.run, self.data.train, indices, start=self.step
            )
            history = self.model.fit(
                tf.data.Dataset.from_tensor_slices(made), verbose=0
            )
            self.step = check
            return history.history["loss"][0]

    return FittingTrainer


def timed(base: Any) -> Any:
    """Makes a trainer that times its steps, without the checks on val."""

    class TimedTrainer(base):
        def train_on(self, steps: int) -> Speed:
            self.spent = np.zeros(2)
            before = self.step
            self.train(until=before + steps)
            images = self.run.batch_size * (self.step - before)
            return tuple(images / self.spent)

        def _train_to(self, check: int, batches: Iterator[np.ndarray]) -> float:
            started = clocks()
            loss = super()._train_to(check, batches)
            self.spent += clocks() - started
            return loss

    return TimedTrainer


def fit_all(model: Any, run: Run, data: Dataset, epochs: int) -> Speed:
    """Trains some epochs by one call of `fit`."""
    started = clocks()
    model.fit(
        data.train.images,
        data.train.labels,
        batch_size=run.batch_size,
        epochs=epochs,
        verbose=0,
    )
    return tuple(epochs * len(data.train) / (clocks() - started))


def clocks() -> np.ndarray:
    """Returns the seconds of the wall and those of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def write_row(
    name: str, size: int, turns: Sequence[Mapping[str, Speed]], equal: bool
) -> str:
    """Writes the medians of a network over all turns."""
    speed = median(turn["LoopedTrainer"][0] for turn in turns)
    cells = [name, f"{size:,}", f"{speed:,.0f}"]
    for way in OTHERS:
        for clock in (0, 1):
            ratios = [t["LoopedTrainer"][clock] / t[way][clock] for t in turns]
            cells.append(f"{median(ratios):.2f}")
    return f"| {' | '.join(cells)} | {'yes' if equal else 'no'} |"


def write_page(rows: list[str], options: argparse.Namespace) -> str:
    """Writes the page."""
    return "\n".join(
        [
            "# The loop of steps in one graph, beside `steps_per_execution`",
            "",
            *list_origin("one thread"),
            "- Images/s of `LoopedTrainer`, and how many times faster it is "
            "than each other way, by wall time and by CPU time: medians of "
            f"{options.turns} turns of about {options.seconds:g} s. Images of "
            "28 px and 3 channels, batches of 128, Adam, cosine with warmup. "
            "Ratios are taken within a turn, since other work on the machine "
            "changes images/s",
            f'- `steps_per_execution={STEPS}`. "Between checks" is a call of '
            "`fit` for the steps between two checks on val, on the batches of "
            '`Trainer`; "in one call" has Keras\'s own batches and no checks',
            "",
            HEADER,
            *rows,
            "",
        ]
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results/benchmarks/steps_per_execution.md"),
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
