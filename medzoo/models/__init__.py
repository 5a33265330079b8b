"""The zoo: one builder a file, and one table that names them all.

The table holds names only, so that a study is validated without Keras.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from medzoo.wording import unknown

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Entry:
    """What the table knows of a model without building it.

    Args:
        about: One line for `medzoo models`.
        width: Default of the size dial.
        parameters: Weights at that width, for 28x28x3 images and 9 classes.
        options: Options that not every model has, with their defaults.
    """

    about: str
    width: int
    parameters: int
    options: Mapping[str, Any] = field(default_factory=dict)


# The builder of `x` is the function `build` of `medzoo/models/x.py`.
MODELS: dict[str, Entry] = {
    "mlp": Entry(
        "flatten, three hidden layers: width, width/2, width/4",
        width=512,
        parameters=1_370_121,
        options={"dropout": 0.0, "hidden": ""},
    ),
    "skip_cnn": Entry(
        "residual stages joined by skips, adaptive pooling, dropout",
        width=32,
        parameters=310_249,
        options={"dropout": 0.2, "stages": 3, "blocks": 1, "members": 1},
    ),
    "multi_head": Entry(
        "a trunk of the zoo under one head for each of several tasks",
        width=32,
        parameters=310_249,
        options={"trunk": "skip_cnn", "film": False},
    ),
}


def get_entry(name: str) -> Entry:
    """Returns the entry called `name`, or says which names there are."""
    if name not in MODELS:
        raise ValueError(unknown("model", name, MODELS))
    return MODELS[name]


def find_entry(name: str, options: Mapping[str, Any]) -> Entry:
    """Returns the entry of a model that is built with some options.

    A net on a trunk of the zoo has the options and the width of that trunk too.

    Example:

    >>> find_entry("multi_head", {"trunk": "mlp"}).width
    512
    """
    entry = get_entry(name)
    if "trunk" not in entry.options:
        return entry
    trunks = [t for t, e in MODELS.items() if "trunk" not in e.options]
    trunk = options.get("trunk", entry.options["trunk"])
    if trunk not in trunks:
        raise ValueError(unknown("trunk", trunk, trunks))
    found = MODELS[trunk]
    return replace(
        entry, width=found.width, options={**found.options, **entry.options}
    )


def build_model(
    name: str,
    num_classes: int | Sequence[int],
    *,
    input_shape: tuple[int, int, int],
    width: int | None = None,
    activation: str = "relu",
    augmentation: str = "none",
    **options: Any,
) -> "keras.Model":
    """Builds a model of the zoo.

    Args:
        name: A name of `MODELS`.
        num_classes: Number of logits; for `multi_head` those of each task.
        input_shape: `(height, width, channels)` of the `uint8` images.
        width: The size dial; the model's default if `None`.
        activation: Activation of the hidden layers.
        augmentation: A name of `medzoo.models.augmentation.AUGMENTATIONS`.
        **options: Options of this model, as its entry in `MODELS` lists them.

    Returns:
        A Functional model from raw images to `float32` logits of shape
        `(batch, num_classes)`.

    Raises:
        ValueError: For an unknown model or option.
    """
    entry = find_entry(name, options)
    for option in options:
        if option not in entry.options:
            raise ValueError(unknown(f"{name} option", option, entry.options))
    module = importlib.import_module(f"medzoo.models.{name}")
    return module.build(
        num_classes,
        input_shape=input_shape,
        width=entry.width if width is None else width,
        activation=activation,
        augmentation=augmentation,
        **{**entry.options, **options},
    )
