"""The zoo: one builder a file, and one table that names them all.

The table holds names only, so that a study is validated without Keras.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from medzoo.messages import FieldError, unknown
from medzoo.models.options import (
    FEATURE_OPTIONS,
    LOGISTIC_OPTIONS,
    MLP_OPTIONS,
    MULTI_HEAD_OPTIONS,
    SKIP_CNN_OPTIONS,
    TRANSFER_OPTIONS,
    UNET_OPTIONS,
    Options,
    Value,
    check_features,
    check_options,
    check_transfer,
    check_unet,
)

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Entry:
    """A model as the table has it, without building it.

    Args:
        about: One line for `medzoo models`.
        width: Default of the size option.
        parameters: Weights at that width, for 28x28x3 images and 9 classes.
        options: Options that not every model has.
        of_data: Facts of the data that its builder takes.
        check_together: Checks values of options that do not go together.
        baseline: Whether it is a classifier of scikit-learn, which has no
            builder and no width.
    """

    about: str
    width: int | None
    parameters: int
    options: Options = field(default_factory=dict)
    of_data: tuple[str, ...] = ()
    check_together: Callable[[Mapping[str, Any]], None] = lambda options: None
    baseline: bool = False

    @property
    def defaults(self) -> dict[str, Value]:
        """The value of each option that is left out."""
        return {name: option.default for name, option in self.options.items()}

    def check(self, options: Mapping[str, Any]) -> None:
        """Checks options, each by itself and then together.

        Raises:
            FieldError: For an unknown option or a wrong value.
        """
        of_data = set(self.of_data)
        own = {k: v for k, v in options.items() if k not in of_data}
        check_options(self.options, own)
        self.check_together({**self.defaults, **options})


# The builder of `x` is the function `build` of `medzoo/models/x.py`.
MODELS: dict[str, Entry] = {
    "mlp": Entry(
        "flatten, three hidden layers: width, width/2, width/4",
        width=512,
        parameters=1_370_121,
        options=MLP_OPTIONS,
    ),
    "skip_cnn": Entry(
        "residual stages joined by skips, adaptive pooling, dropout",
        width=24,
        parameters=184_047,
        options=SKIP_CNN_OPTIONS,
    ),
    "multi_head": Entry(
        "a backbone of the zoo under one head for each of several tasks",
        width=24,
        parameters=184_047,
        options=MULTI_HEAD_OPTIONS,
    ),
    "unet": Entry(
        "encoder and decoder joined by skips: a mask and a label",
        width=16,
        parameters=1_971_692,
        options=UNET_OPTIONS,
        check_together=check_unet,
        of_data=("num_mask_classes",),
    ),
    "transfer": Entry(
        "a head on a pretrained backbone of keras.applications",
        width=128,
        parameters=223_481,
        options=TRANSFER_OPTIONS,
        check_together=check_transfer,
    ),
    "logistic_regression": Entry(
        "scikit-learn's, on features of a backbone; C is given or chosen on "
        "val",
        width=None,
        parameters=222_585,
        options=LOGISTIC_OPTIONS,
        check_together=check_features,
        baseline=True,
    ),
    "knn": Entry(
        "nearest neighbours among features of a backbone; k is chosen on val",
        width=None,
        parameters=218_544,
        options=FEATURE_OPTIONS,
        check_together=check_features,
        baseline=True,
    ),
}


def get_entry(name: str) -> Entry:
    """Returns the entry called `name`.

    Raises:
        FieldError: For an unknown name.
    """
    if name not in MODELS:
        raise FieldError(unknown("model", name, MODELS), "model")
    return MODELS[name]


def find_entry(name: str, options: Mapping[str, Any]) -> Entry:
    """Returns the entry of a model that is built with some options.

    A net on a backbone of the zoo has its options and its width too.

    Raises:
        FieldError: For an unknown model or backbone.

    Example:

    >>> find_entry("multi_head", {"trunk": "mlp"}).width
    512
    """
    entry = get_entry(name)
    if "trunk" not in entry.options:
        return entry
    others = {"trunk", "backbone", "levels"}
    known = [t for t, e in MODELS.items() if not others & {*e.options}]
    trunk = options.get("trunk", entry.options["trunk"].default)
    if trunk not in known:
        raise FieldError(unknown("trunk", trunk, known), "trunk")
    below = MODELS[trunk]
    return replace(
        entry,
        width=below.width,
        options={**below.options, **entry.options},
        check_together=below.check_together,
    )


def build_model(
    name: "str | Callable[..., keras.Model]",
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
        name: A name of `MODELS`, or a builder that takes what is left.
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
    if callable(name):
        return name(
            num_classes,
            input_shape=input_shape,
            width=width,
            activation=activation,
            augmentation=augmentation,
            **options,
        )
    entry = find_entry(name, options)
    if entry.baseline:
        raise ValueError(
            f"`{name}` is a classifier of scikit-learn and no network to build."
        )
    for option in options:
        if option not in (*entry.options, *entry.of_data):
            raise ValueError(unknown(f"{name} option", option, entry.options))
    values = {
        key: value
        for key, value in {**entry.defaults, **options}.items()
        if key in entry.of_data or entry.options[key].in_builder
    }
    module = importlib.import_module(f"medzoo.models.{name}")
    return module.build(
        num_classes,
        input_shape=input_shape,
        width=entry.width if width is None else width,
        activation=activation,
        augmentation=augmentation,
        **values,
    )
