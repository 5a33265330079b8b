"""The zoo: one builder a file, and one table that names them all.

The table holds names only, so that a study is validated without Keras.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from medzoo.messages import unknown
from medzoo.models.options import (
    MULTI_HEAD_TRAINING,
    SKIP_CNN_OPTIONS,
    TRANSFER_TRAINING,
    UNET_OPTIONS,
    UNET_TRAINING,
    check_features,
    check_multi_head,
    check_skip_cnn,
    check_transfer,
    check_unet,
)

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
        of_training: Those of them that its builder does not have.
        of_data: What else its builder is told of the data.
        check: Raises a `ValueError` for values of options that it refuses.
        baseline: Whether it is a classifier of scikit-learn, which has no
            builder and no width.
    """

    about: str
    width: int | None
    parameters: int
    options: Mapping[str, Any] = field(default_factory=dict)
    of_training: tuple[str, ...] = ()
    of_data: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], None] = lambda options: None
    baseline: bool = False


# What decides the features of a frozen trunk.
_FEATURES = {
    "backbone": "mobilenet_025",
    "weights": "imagenet",
    "taps": "three",
    "pool": "mean",
    "resize": 0,
}

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
        width=24,
        parameters=184_047,
        options=SKIP_CNN_OPTIONS,
        check=check_skip_cnn,
    ),
    "multi_head": Entry(
        "a trunk of the zoo under one head for each of several tasks",
        width=24,
        parameters=184_047,
        options={"trunk": "skip_cnn", "film": False, **MULTI_HEAD_TRAINING},
        check=check_multi_head,
        of_training=tuple(MULTI_HEAD_TRAINING),
    ),
    "unet": Entry(
        "encoder and decoder joined by skips: a mask and a label",
        width=16,
        parameters=1_971_692,
        options={**UNET_OPTIONS, **UNET_TRAINING},
        check=check_unet,
        of_training=tuple(UNET_TRAINING),
        of_data=("num_mask_classes",),
    ),
    "transfer": Entry(
        "a head on a pretrained trunk of keras.applications",
        width=128,
        parameters=223_481,
        options={
            **_FEATURES,
            "views": "plain",
            "freeze": "all",
            "head": "linear",
            "dropout": 0.2,
            **TRANSFER_TRAINING,
        },
        of_training=tuple(TRANSFER_TRAINING),
        check=check_transfer,
    ),
    "logistic_regression": Entry(
        "scikit-learn's, on features of a trunk; C is given or chosen on val",
        width=None,
        parameters=222_585,
        options={**_FEATURES, "views": "plain", "strength": 0.0},
        check=check_features,
        baseline=True,
    ),
    "knn": Entry(
        "nearest neighbours among features of a trunk; k is chosen on val",
        width=None,
        parameters=218_544,
        options=_FEATURES,
        check=check_features,
        baseline=True,
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
    others = {"trunk", "backbone", "levels"}
    known = [t for t, e in MODELS.items() if not others & {*e.options}]
    trunk = options.get("trunk", entry.options["trunk"])
    if trunk not in known:
        raise ValueError(unknown("trunk", trunk, known))
    found = MODELS[trunk]

    def check(values: Mapping[str, Any]) -> None:
        found.check(values)
        entry.check(values)

    return replace(
        entry,
        width=found.width,
        options={**found.options, **entry.options},
        check=check,
    )


def build_model(
    name: str,
    num_classes: int | Sequence[int],
    *,
    input_shape: tuple[int, ...],
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
    if entry.baseline:
        raise ValueError(
            f"`{name}` is a classifier of scikit-learn and no network to build."
        )
    for option in options:
        if option not in (*entry.options, *entry.of_data):
            raise ValueError(unknown(f"{name} option", option, entry.options))
    given = {**entry.options, **options}
    for option in entry.of_training:
        del given[option]
    module = importlib.import_module(f"medzoo.models.{name}")
    return module.build(
        num_classes,
        input_shape=input_shape,
        width=entry.width if width is None else width,
        activation=activation,
        augmentation=augmentation,
        **given,
    )
