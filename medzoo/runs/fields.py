"""The fields of a run: each is declared once, with all that is known of it.

What keeps apart fields of one kind (the key of a graph, the runs of a stack,
the keys of a study file, the lines of a page) asks `list_fields`.
"""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
)
from pydantic_core import core_schema

from medzoo.data.custom.address import ANY_FORM, is_custom
from medzoo.messages import FieldError, unknown
from medzoo.models.options import Affects, Value
from medzoo.models.registry import Entry
from medzoo.runs.json_model import JsonModel
from medzoo.runs.plugins import (
    Plugin,
    choose_plugins,
    find_entry,
    list_registered,
)
from medzoo.tasks import split_tasks


class OptimizerChoice(NamedTuple):
    """An optimizer by its Keras class, with the defaults that it has here."""

    keras_class: str
    learning_rate: float
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False


# Learning rates are those of the papers and of Keras, but for Adadelta, whose
# Keras default of 0.001 is not the paper's 1.0.
OPTIMIZERS: dict[str, OptimizerChoice] = {
    "sgd": OptimizerChoice("SGD", 0.01),
    "momentum": OptimizerChoice("SGD", 0.01, momentum=0.9),
    "nesterov": OptimizerChoice("SGD", 0.01, momentum=0.9, nesterov=True),
    "rmsprop": OptimizerChoice("RMSprop", 1e-3),
    "adagrad": OptimizerChoice("Adagrad", 0.01),
    "adadelta": OptimizerChoice("Adadelta", 1.0),
    "adam": OptimizerChoice("Adam", 1e-3),
    "adamw": OptimizerChoice("AdamW", 1e-3, weight_decay=0.01),
    "adamax": OptimizerChoice("Adamax", 1e-3),
    "nadam": OptimizerChoice("Nadam", 1e-3),
    "ftrl": OptimizerChoice("Ftrl", 0.01),
    "lion": OptimizerChoice("Lion", 1e-4),
    "adafactor": OptimizerChoice("Adafactor", 0.01),
    "lamb": OptimizerChoice("Lamb", 1e-3),
}


def _list_defaults(field: str) -> str:
    """Lists the optimizers by their value of a field, the usual one last."""
    names: dict[float, list[str]] = {}
    for name, choice in OPTIMIZERS.items():
        names.setdefault(getattr(choice, field), []).append(name)
    usual = max(names, key=lambda value: len(names[value]))
    listed = [
        f"{value:g} of {', '.join(of)}"
        for value, of in names.items()
        if value != usual
    ]
    return f"{'; '.join(listed)}; {usual:g} of all others"


SCHEDULES = ("constant", "cosine", "step")

LOSSES = (
    "soft_f1",
    "weighted_soft_f1",
    "cross_entropy",
    "cross_entropy+soft_f1",
    "soft_harmonic_mean",
)

ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "tanh",
    "sigmoid",
    "hard_silu",
    "linear",
)

# `by_task` picks one of the strong ones by what the task allows.
AUGMENTATIONS = (
    "none",
    "flips",
    "light",
    "warp",
    "colour",
    "strong",
    "strong_any",
    "strong_fixed",
    "by_task",
)

MIXES = ("none", "mixup", "cutmix")

# What each way to treat imbalance changes: the loss of an image, or how often
# it is drawn.
IMBALANCES = {
    "none": "nothing",
    "class_weights": "loss",
    "effective_number": "loss",
    "oversample": "sampling",
    "balanced_batches": "sampling",
    "focal": "loss",
    "logit_adjustment": "loss",
}

# Where a study file has a field: in its trials, above its tables, or nowhere.
Place = Literal["trial", "study", "none"]


@dataclass(frozen=True)
class About:
    """What is known of a field besides its type, bounds and default.

    Args:
        affects: What it changes in a run.
        description: What it is, in a line.
        choices: Names that it may take; any if empty.
        place: Where a study file has it.
        quiet: Whether tables leave it out where it has its default.
        compared: Whether it acts on a trained model, and a record has the
            scores without it too.
        refused_by: Kinds of models that take its default only: `baseline`, a
            classifier of scikit-learn; `masks`, a network that predicts masks.
    """

    affects: Affects
    description: str
    choices: Collection[str] = ()
    place: Place = "trial"
    quiet: bool = False
    compared: bool = False
    refused_by: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        schema = handler(source)
        if not self.choices:
            return schema
        return core_schema.with_info_after_validator_function(
            self._check, schema
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        described = {**handler(schema), "description": self.description}
        return described | (
            {"enum": list(self.choices)} if self.choices else {}
        )

    def _check(self, value: str, info: ValidationInfo) -> str:
        name = info.field_name or ""
        if value not in self.choices and name not in info.data.get(
            "plugins", {}
        ):
            known = [*self.choices, *list_registered(name)]
            raise FieldError(unknown(name, value, known), name)
        return value


_NETWORKS = ("baseline",)
_NETWORKS_OF_LABELS = ("baseline", "masks")


class RunFields(JsonModel):
    """The fields of a run, without the rules for their combinations."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    # Before the fields that may name one.
    plugins: Annotated[
        dict[str, Plugin],
        About(
            "graph",
            "What fields name that is not of medzoo, as it was registered; in "
            "`run_id` it is the content that counts.",
            place="none",
        ),
    ] = {}
    task: Annotated[
        str,
        About(
            "data",
            "One of the 11 tasks; for `multi_head` several, joined by `+`, or "
            "`all`; of custom data any name.",
            place="study",
        ),
    ]
    data: Annotated[
        str,
        About(
            "data",
            "Data source: medmnist (the official files), synthetic, or custom "
            f"data as {ANY_FORM}.",
            place="study",
        ),
    ] = "medmnist"
    data_options: Annotated[
        Mapping[str, str | bool | int | float | tuple[str, ...]],
        About(
            "data",
            "What else decides the images, such as `drop_leaks`.",
            place="study",
        ),
    ] = {}
    fingerprint: Annotated[
        str,
        About(
            "data",
            "Content of custom data, as a study fills it in; in `run_id` it "
            "replaces their path and how they are read.",
            place="none",
        ),
    ] = ""
    size: Annotated[
        int,
        About(
            "data",
            "Height and width of the images: 28, 64, 128 or 224; of custom and "
            "synthetic data any.",
        ),
        Field(ge=1),
    ] = 28
    max_images: Annotated[
        int | None,
        About(
            "data",
            "At most so many images of train, drawn by class with `seed`.",
        ),
        Field(ge=1),
    ] = None
    resplit: Annotated[
        bool,
        About(
            "data",
            "Splits train and val anew with `seed`, to choose a recipe: a "
            "fifth is held out in place of test, which is not touched.",
        ),
    ] = False
    model: Annotated[str, About("graph", "A model of the zoo.")] = "skip_cnn"
    width: Annotated[
        int | None,
        About("graph", "Size of the model; its default if left out."),
        Field(ge=1, le=100_000),
    ] = None
    parameters: Annotated[
        int | None,
        About(
            "graph",
            "Trainable parameters instead of `width`, which is solved for each "
            "task so that they are met within 5 %.",
            refused_by=_NETWORKS,
        ),
        Field(ge=1, le=10_000_000_000),
    ] = None
    options: Annotated[
        Mapping[str, Value],
        About(
            "graph",
            "Options that only this model has, such as `dropout`; they may "
            "also be given beside the fields.",
            place="none",
        ),
    ] = {}
    activation: Annotated[
        str,
        About("graph", "Activation of the hidden layers.", choices=ACTIVATIONS),
    ] = "relu"
    output: Annotated[
        str,
        About(
            "graph",
            "What turns logits into probabilities.",
            choices=("softmax", "sigmoid"),
        ),
    ] = "softmax"
    augmentation: Annotated[
        str,
        About(
            "graph",
            "Preset of augmentation layers.",
            choices=AUGMENTATIONS,
            refused_by=_NETWORKS,
        ),
    ] = "none"
    mix: Annotated[
        str,
        About(
            "graph",
            "What is mixed with each image of a batch: nothing, or another "
            "image of it.",
            choices=MIXES,
            refused_by=_NETWORKS_OF_LABELS,
        ),
    ] = "none"
    loss: Annotated[
        str,
        About(
            "graph",
            "What training minimises. Soft F1 leaves probabilities "
            "overconfident; `adjust` set to `temperature` corrects them.",
            choices=LOSSES,
        ),
    ] = "soft_f1"
    loss_weight: Annotated[
        float,
        About("constants", "Weight of soft F1 in `cross_entropy+soft_f1`."),
        Field(ge=0, le=1),
    ] = 0.5
    imbalance: Annotated[
        str,
        About(
            "graph",
            "What makes up for classes of different sizes.",
            choices=IMBALANCES,
        ),
    ] = "none"
    optimizer: Annotated[
        str, About("graph", "Name of an optimizer.", choices=OPTIMIZERS)
    ] = "adam"
    learning_rate: Annotated[
        float | None,
        About(
            "course",
            "Peak learning rate; if left out that of the optimizer: "
            f"{_list_defaults('learning_rate')}.",
        ),
        Field(gt=0),
    ] = None
    weight_decay: Annotated[
        float | None,
        About(
            "constants",
            "Decoupled weight decay; if left out that of the optimizer: "
            f"{_list_defaults('weight_decay')}.",
        ),
        Field(ge=0),
    ] = None
    schedule: Annotated[
        str,
        About("course", "Course of the learning rate.", choices=SCHEDULES),
    ] = "constant"
    warmup: Annotated[
        float,
        About(
            "course",
            "Share of the steps over which the learning rate rises from 0.",
        ),
        Field(ge=0, lt=1),
    ] = 0.0
    batch_size: Annotated[
        int,
        About("data", "Images a step; all of train if it has fewer."),
        Field(ge=1, le=1_000_000),
    ] = 128
    epochs: Annotated[
        int | None,
        About(
            "budget",
            "Budget in passes over train; 20 if `steps` is not given either.",
        ),
        Field(ge=1, le=1_000_000),
    ] = None
    steps: Annotated[
        int | None,
        About("budget", "Budget in steps instead of `epochs`."),
        Field(ge=1, le=1_000_000_000),
    ] = None
    patience: Annotated[
        int | None,
        About(
            "course",
            "Ends training after so many checks on val without a better macro "
            "F1; never if left out.",
        ),
        Field(ge=1),
    ] = None
    keep: Annotated[
        str,
        About(
            "course",
            "Which weights are evaluated: of the best check on val by macro F1 "
            "(ties: the lower loss), or the last.",
            choices=("best", "last"),
        ),
    ] = "best"
    batch_statistics: Annotated[
        str,
        About(
            "course",
            "What batch normalisation is evaluated with: running averages over "
            "the steps, or statistics taken anew from images of train before "
            "each check, which a short budget needs.",
            choices=("running", "renewed"),
            quiet=True,
            refused_by=_NETWORKS,
        ),
    ] = "running"
    precision: Annotated[
        str,
        About(
            "graph",
            "What layers compute in; weights, images and logits are float32.",
            choices=("float32", "bfloat16"),
            quiet=True,
            refused_by=_NETWORKS,
        ),
    ] = "float32"
    ema: Annotated[
        float,
        About(
            "graph",
            "Decay a step of the average of weights that is evaluated in place "
            "of the weights themselves; 0 for none.",
            compared=True,
            refused_by=_NETWORKS_OF_LABELS,
        ),
        Field(ge=0, lt=1),
    ] = 0.0
    flip_test: Annotated[
        bool,
        About(
            "evaluation",
            "Averages the logits over the flips that the task allows.",
            compared=True,
            refused_by=_NETWORKS_OF_LABELS,
        ),
    ] = False
    adjust: Annotated[
        str,
        About(
            "evaluation",
            "`prior` shifts the logits by a multiple of the log shares of the "
            "classes in train, chosen by macro F1, `balanced_prior` by "
            "balanced accuracy, `temperature` divides them by one number, "
            "`vector` scales and shifts those of each class; val chooses the "
            "numbers.",
            choices=(
                "none",
                "prior",
                "balanced_prior",
                "temperature",
                "vector",
            ),
            compared=True,
            refused_by=("masks",),
        ),
    ] = "none"
    seed: Annotated[
        int,
        About(
            "course",
            "Seeds weights, order of images, dropout and augmentation.",
            place="study",
        ),
        Field(ge=0, lt=2**32),
    ] = 0

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it is about: several only for `multi_head`."""
        return list_tasks(self.task, self.data)

    @property
    def entry(self) -> Entry:
        """The entry of its model, with all options of the run."""
        return find_entry(self.model, self.options, self.plugins)

    def flatten(self) -> dict[str, Any]:
        """Returns plain values of the fields, and of options beside them."""
        return {
            **self.model_dump(mode="json", exclude={"options", "plugins"}),
            **self.options,
        }


FIELDS: dict[str, About] = {
    name: next(about for about in field.metadata if isinstance(about, About))
    for name, field in RunFields.model_fields.items()
}
DEFAULTS: dict[str, Any] = {
    name: field.default
    for name, field in RunFields.model_fields.items()
    if not field.is_required()
}


@functools.cache
def list_fields(
    *affects: Affects, place: Place | None = None, **about: Any
) -> tuple[str, ...]:
    """Lists the fields of a kind, in the order of their declaration.

    Args:
        *affects: What they change, one of these; anything if left out.
        place: Where a study file has them; anywhere if `None`.
        **about: Other attributes of `About`, by value.

    Example:

    >>> list_fields("budget"), list_fields(compared=True)
    (('epochs', 'steps'), ('ema', 'flip_test', 'adjust'))
    """
    wanted = {**about, **({} if place is None else {"place": place})}
    return tuple(
        name
        for name, field in FIELDS.items()
        if (not affects or field.affects in affects)
        and all(getattr(field, key) == v for key, v in wanted.items())
    )


def list_refused(run: RunFields, kind: str) -> dict[str, Any]:
    """Returns fields without their default that a kind of model refuses."""
    return {
        name: getattr(run, name)
        for name, about in FIELDS.items()
        if kind in about.refused_by and getattr(run, name) != DEFAULTS[name]
    }


@functools.lru_cache(maxsize=1_000)
def list_tasks(task: str, data: str) -> tuple[str, ...]:
    """Lists the tasks of a run by its fields; custom data have one, of any
    name.

    Raises:
        ValueError: For an unknown task, or one that is named twice.

    Example:

    >>> list_tasks("retinamnist+breastmnist", "synthetic")
    ('retinamnist', 'breastmnist')
    """
    return (task,) if is_custom(data) else split_tasks(task)


def model_of(values: Mapping[str, Any]) -> str:
    """Returns the model of a run of these fields, which may leave it out."""
    return str(values.get("model", DEFAULTS["model"]))


def entry_of(values: Mapping[str, Any]) -> Entry:
    """Returns the entry of the model of a run of these fields and options.

    Raises:
        FieldError: For an unknown model or backbone.
    """
    nested = values.get("options")
    options = {**values, **(nested if isinstance(nested, Mapping) else {})}
    return find_entry(model_of(values), options, choose_plugins(values))
