"""Networks at work: each way to train them and to predict, in turn."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from measures.cases import NUM_CLASSES, Case, make_data, make_trainer, make_turn
from measures.turns import take_turns, timed

from medzoo.data.dataset import Dataset, MaskedDataset

# Steps that `fit` does with one call of the graph, where it may.
STEPS_A_CALL = 8


def measure_net(case: Case, *, turns: int, seconds: float) -> dict[str, Any]:
    """Measures one network: every way to train it and to predict in turn.

    Args:
        case: The network.
        turns: How often each way is taken; the fastest turn counts.
        seconds: About how long a turn lasts.

    Returns:
        `parameters`, `flops` an image, seconds to the `first_step`, `memory` in
        MB, and `speed`: images a second by way.
    """
    started = time.perf_counter()
    from medzoo.models.flops import count_flops
    from medzoo.training.build import net_of
    from medzoo.training.machine import peak_memory_mb

    trainer = make_trainer(case, make_data(case, 4 * case.batch_size))
    built = time.perf_counter() - started
    trainer.train(until=5)
    first_step = built + trainer.seconds["first_step"]
    data = make_turn(case, trainer.images_per_second() or 1, seconds)
    memory = peak_memory_mb()
    return {
        "parameters": trainer.model.count_params(),
        "flops": count_flops(net_of(trainer.model)),
        "first_step": first_step,
        "memory": memory,
        "speed": take_turns(dict(list_ways(case, data)), turns, data),
    }


def list_ways(
    case: Case, data: Dataset
) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yields what goes over all images once and returns its seconds."""
    import keras

    from medzoo.training.predict import predict_logits

    images = data.train.images
    trainer = make_trainer(case, data)

    def train() -> float:
        before = trainer.seconds["train"]
        trainer.train(until=trainer.step + 1)
        return trainer.seconds["train"] - before

    net = build_plain(case, data)
    targets = data.train.targets(np.arange(len(images)))
    fit = functools.partial(net.fit, shuffle=True, verbose=0)
    yield "medzoo", train
    yield (
        "fit",
        timed(lambda: fit(images, targets, batch_size=case.batch_size)),
    )
    if keras.backend.backend() == "tensorflow":
        from alternatives.tensorflow_data import make_dataset

        dataset = make_dataset(images, targets, case.batch_size)
        yield "tf.data", timed(lambda: fit(dataset))
        many = build_plain(case, data, steps_per_execution=STEPS_A_CALL)
        fit_many = functools.partial(many.fit, dataset, verbose=0)
        yield "many steps", timed(fit_many)
    predict = functools.partial(net.predict, verbose=0)
    if case.model != "unet":
        yield (
            "inference",
            timed(lambda: predict_logits(trainer.model, images)),
        )
    yield "predict", timed(lambda: predict(images, batch_size=case.batch_size))


def build_plain(case: Case, data: Dataset, **options: Any) -> Any:
    """Builds and compiles the same layers without medzoo's training."""
    import keras

    from medzoo.models.registry import build_model

    # Keras's own choice, XLA, is slower on a CPU.
    if _on_a_cpu():
        options["jit_compile"] = False
    if isinstance(data, MaskedDataset):
        from alternatives.keras_unet import build_unet, compile_unet

        net = build_unet(
            data.input_shape,
            data.num_mask_classes,
            data.num_classes,
            case.width,
        )
        compile_unet(net, **options)
        return net
    net = build_model(
        case.model,
        NUM_CLASSES,
        input_shape=case.shape,
        width=case.width,
        **case.options,
    )
    net.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return net


def _on_a_cpu() -> bool:
    from medzoo.training.build import name_device

    return name_device() == "cpu"
