"""Networks at work: each way to train them and to predict, in turn."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from medzoo.data.split import Dataset, Split
from medzoo.training.run import Run

SHAPE, NUM_CLASSES, BATCH_SIZE = (28, 28, 3), 9, 128


def measure_net(
    name: str, width: int, *, turns: int, seconds: float
) -> dict[str, Any]:
    """Measures one network: every way to train it and to predict in turn.

    Args:
        name: Of the zoo.
        width: Its size.
        turns: How often each way is taken; the fastest turn counts.
        seconds: About how long a turn lasts.

    Returns:
        `parameters`, `flops` an image, seconds to the `first_step`, `memory` in
        MB, and `speed`: images a second by way.
    """
    started = time.perf_counter()
    from medzoo.models.flops import count_flops
    from medzoo.training.machine import peak_memory_mb

    few = make_data(4 * BATCH_SIZE)
    trainer = make_trainer(name, width, few, BATCH_SIZE)
    built = time.perf_counter() - started
    trainer.train(until=5)
    first_step = built + trainer.seconds["first_step"]
    images_per_second = trainer.images_per_second() or 1
    wanted = round(seconds * images_per_second / BATCH_SIZE)
    data = make_data(BATCH_SIZE * min(max(wanted, 4), 128))
    memory = peak_memory_mb()
    times: dict[str, list[float]] = {}
    ways = dict(list_ways(name, width, data))
    for turn in range(turns + 1):
        for way, work in ways.items():
            taken = work()
            if turn:  # In the first one, each compiles what it needs.
                times.setdefault(way, []).append(taken)
    return {
        "parameters": trainer.model.count_params(),
        "flops": count_flops(trainer.model),
        "first_step": first_step,
        "memory": memory,
        "speed": {
            way: len(data.train) / min(taken) for way, taken in times.items()
        },
    }


def list_ways(
    name: str, width: int, data: Dataset
) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yields what goes over all images once and returns its seconds."""
    import keras

    from medzoo.models import build_model
    from medzoo.training.evaluate import predict_logits

    images, labels = data.train.images, data.train.labels
    trainer = make_trainer(name, width, data, BATCH_SIZE)

    def train() -> float:
        before = trainer.seconds["train"]
        trainer.train(until=trainer.step + 1)
        return trainer.seconds["train"] - before

    net = build_model(name, NUM_CLASSES, input_shape=SHAPE, width=width)
    net.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    fit = functools.partial(net.fit, shuffle=True, verbose=0)
    yield "medzoo", train
    yield "fit", _timed(lambda: fit(images, labels, batch_size=BATCH_SIZE))
    if keras.backend.backend() == "tensorflow":
        from alternatives.tensorflow_data import make_dataset

        dataset = make_dataset(images, labels, BATCH_SIZE)
        yield "tf.data", _timed(lambda: fit(dataset))
    yield "inference", _timed(lambda: predict_logits(trainer.model, images))
    predict = functools.partial(net.predict, verbose=0)
    yield "predict", _timed(lambda: predict(images, batch_size=BATCH_SIZE))


def make_data(num_images: int) -> Dataset:
    """Makes random images, with few of val."""
    chance = np.random.default_rng(0)

    def split(count: int) -> Split:
        images = chance.integers(0, 256, (count, *SHAPE)).astype("uint8")
        labels = chance.integers(0, NUM_CLASSES, count).astype("int32")
        return Split(images, labels)

    classes = tuple(map(str, range(NUM_CLASSES)))
    val = split(BATCH_SIZE)
    return Dataset("pathmnist", classes, split(num_images), val, val, "made")


def make_trainer(name: str, width: int, data: Dataset, batch_size: int) -> Any:
    """Makes what trains a run without an end, as a study would."""
    from medzoo.training.prepare import prepare_model
    from medzoo.training.resident import choose_trainer

    run = Run(
        task="pathmnist",
        model=name,
        width=width,
        loss="cross_entropy",
        batch_size=batch_size,
        epochs=1000,
    )
    trainer = choose_trainer(data)
    return trainer(prepare_model(run, data), data, run)


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return run
