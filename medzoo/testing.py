"""A check of model builders: those of the zoo, and those of users."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from medzoo.files import make_temporary
from medzoo.models.registry import build_model
from medzoo.plugins.register import TARGETS

Builder = Callable[..., keras.Model]


def check_model(
    model: str | Builder,
    *,
    input_shape: tuple[int, int, int] = (28, 28, 3),
    num_classes: int = 3,
    **options: Any,
) -> None:
    """Checks that a builder keeps the contract of the zoo.

    Its models map raw `uint8` images to finite `float32` logits, and every
    trainable weight has a gradient. A seed decides all weights. A saved model
    gives the same logits when it is loaded.

    Args:
        model: A name of `MODELS` or of a registered model, or a function
            `build(num_classes, *, input_shape, **options)` that returns one.
        input_shape: `(height, width, channels)` of the images.
        num_classes: Number of logits.
        **options: Options of the model; without dropout, which may leave a
            weight without a gradient for one batch.

    Raises:
        ValueError: For the first property that does not hold.

    Example:

    >>> check_model("mlp", width=8)
    """
    builder: Builder
    registered = TARGETS.get(("model", str(model)))
    if registered is not None:
        builder = registered.target
        options = {**registered.plugin.defaults, **options}
    elif isinstance(model, str):
        builder = functools.partial(build_model, model)
    else:
        builder = model
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (16, *input_shape), dtype="uint8")
    built = _check_seeds(
        lambda: builder(num_classes, input_shape=input_shape, **options)
    )
    _check_logits(built, images, num_classes)
    _check_saving(built, images)
    _check_gradients(built, images, num_classes)


def _check_logits(
    model: keras.Model, images: np.ndarray, num_classes: int
) -> None:
    for logits in keras.tree.flatten(model(images)):
        dtype = keras.backend.standardize_dtype(logits.dtype)
        ends = logits.shape[0], logits.shape[-1]
        if ends != (len(images), num_classes) or dtype != "float32":
            raise ValueError(
                f"`{model.name}` must return float32 logits of shape "
                f"({len(images)}, ..., {num_classes}). Received: {dtype} of "
                f"shape {tuple(logits.shape)}."
            )
        if not np.isfinite(ops.convert_to_numpy(logits)).all():
            raise ValueError(
                f"`{model.name}` must return finite logits. Received: NaN or "
                "infinite values from raw images, 0 to 255. Rescale them "
                "inside the model."
            )


def _check_seeds(build: Callable[[], keras.Model]) -> keras.Model:
    weights = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        built = build()
        weights.append(built.get_weights())
    first, again, other = weights
    for found, same in ((again, True), (other, False)):
        if all(map(np.array_equal, first, found)) != same:
            raise ValueError(
                "A seed must decide all weights of a model. Received: "
                f"{'other' if same else 'equal'} weights with "
                f"{'the same seed' if same else 'another seed'}."
            )
    return built


def _check_saving(model: keras.Model, images: np.ndarray) -> None:
    with make_temporary() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    both = [keras.tree.flatten(net(images)) for net in (model, loaded)]
    for logits, again in zip(*both, strict=True):
        if not np.array_equal(*map(ops.convert_to_numpy, (logits, again))):
            raise ValueError(
                f"`{model.name}` must give the same logits when it was saved "
                "and loaded. Received: other ones."
            )


def _check_gradients(
    model: keras.Model, images: np.ndarray, num_classes: int
) -> None:
    """Takes a step, and looks for trainable weights that did not change."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=True)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    # Of a U-Net, a label and a mask.
    labels = keras.tree.map_structure(
        lambda logits: np.resize(
            np.arange(num_classes), (len(images), *logits.shape[1:-1])
        ),
        model.output,
    )
    model.train_on_batch(images, labels)
    for weight, value in zip(model.trainable_weights, before, strict=True):
        if np.array_equal(ops.convert_to_numpy(weight), value):
            raise ValueError(
                "Every trainable weight must have a gradient. Received: "
                f"`{weight.path}` of `{model.name}` does not change in a step."
            )
