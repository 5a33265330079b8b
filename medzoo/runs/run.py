"""A run: all that decides the outcome of one training, and nothing else."""

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from medzoo.data.custom.options import make_canonical
from medzoo.messages import unknown
from medzoo.models.registry import find_entry
from medzoo.runs.fields import OPTIMIZERS, TABLES
from medzoo.runs.rules import check_heads, check_pairs, list_tasks
from medzoo.runs.sources import check_source, check_task

# Part of every run_id. Raise it when the same run would train differently, or
# when a default changes.
RUN_VERSION = 2


class Run(BaseModel):
    """One training, flat, typed, immutable and hashable.

    Values that are left out and depend on other fields (`width`,
    `learning_rate`, `weight_decay`) are filled in at once, so that two runs
    that train alike are equal.

    Args:
        task: Name of one of the 11 tasks, or, for the model `multi_head`, of
            several, joined by `+`, or `all`; of custom data, any name.
        data: Data source: `medmnist` (the official files), `synthetic`, or own
            data as `folder:PATH`, `csv:FILE`, `npz:FILE` or `masks:PATH`.
        data_options: What else decides the images, such as `drop_leaks`.
        fingerprint: Content of custom data, as a study fills it in; it then
        stands
            in `run_id` for where they lie and how they were found there.
        size: Height and width of the images: 28, 64, 128 or 224; of custom data
            any.
        max_images: At most so many images of train, drawn by class with `seed`.
        resplit: Splits train and val anew with `seed`, to choose a recipe: a
            fifth is held out in place of test, which is not touched.
        model: A name of the zoo.
        width: The model's size dial; its default in the zoo if left out.
        parameters: Trainable parameters instead of `width`, which is solved for
            each task so that they are met within 5 %.
        options: Options that only this model has, such as `dropout`; they may
            be given beside the fields.
        activation: Activation of the hidden layers.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.
        augmentation: A preset of augmentation layers.
        mix: What is mixed with each image of a batch: `none`, or another image
            of it by `mixup` or `cutmix`.
        loss: What training minimises.
        loss_weight: Weight of soft F1 in `cross_entropy+soft_f1`, 0 to 1.
        imbalance: What makes up for classes of different sizes, if anything.
        optimizer: Name of an optimizer.
        learning_rate: Peak learning rate; the optimizer's default if left out.
        weight_decay: Decoupled weight decay; the optimizer's default if left
            out.
        schedule: Course of the learning rate: `constant`, `cosine` or `step`.
        warmup: Share of the steps over which the learning rate rises from 0.
        batch_size: Images a step; all of train if it has fewer.
        epochs: Budget in passes over train.
        steps: Budget in steps instead of `epochs`.
        patience: Ends training after so many checks on val without a better
            macro F1; never if left out.
        keep: Which weights are evaluated: of the `best` check on val by macro
            F1 (ties: the lower loss), or the `last`.
        precision: What layers compute in: `float32`, or `bfloat16` with
            weights, images and logits in `float32`.
        ema: Decay a step of the average of weights that is evaluated in place
            of the weights themselves, 0 to 1; 0 for none.
        flip_test: Averages the logits over the flips that the task allows.
        adjust: `prior` shifts the logits by a multiple of the log shares of the
            classes in train; val chooses the multiple.
        seed: Seeds weights, order of images, dropout and augmentation.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    task: str
    data: str = "medmnist"
    data_options: Mapping[str, str | bool | int | float | tuple[str, ...]] = {}
    fingerprint: str = ""
    size: int = Field(28, ge=1)
    max_images: int | None = Field(None, ge=1)
    resplit: bool = False
    model: str = "skip_cnn"
    width: int | None = Field(None, ge=1)
    parameters: int | None = Field(None, ge=1)
    options: Mapping[str, str | bool | int | float] = {}
    activation: str = "relu"
    output: Literal["softmax", "sigmoid"] = "softmax"
    augmentation: str = "none"
    mix: str = "none"
    loss: str = "soft_f1"
    loss_weight: float = Field(0.5, ge=0, le=1)
    imbalance: str = "none"
    optimizer: str = "adam"
    learning_rate: float | None = Field(None, gt=0)
    weight_decay: float | None = Field(None, ge=0)
    schedule: str = "constant"
    warmup: float = Field(0.0, ge=0, lt=1)
    batch_size: int = Field(128, ge=1)
    epochs: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)
    patience: int | None = Field(None, ge=1)
    keep: Literal["best", "last"] = "best"
    precision: Literal["float32", "bfloat16"] = "float32"
    ema: float = Field(0.0, ge=0, lt=1)
    flip_test: bool = False
    adjust: Literal["none", "prior"] = "none"
    seed: int = Field(0, ge=0, lt=2**32)

    @field_validator("data")
    @classmethod
    def _check_data(cls, value: str) -> str:
        check_source(value)
        return value

    @field_validator(*TABLES)
    @classmethod
    def _check_name(cls, value: str, info: Any) -> str:
        table = TABLES[info.field_name]
        if value not in table:
            raise ValueError(unknown(info.field_name, value, table))
        return value

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Writes out what follows from other fields."""
        if not isinstance(values, Mapping):
            return values
        given = values.get("options") or {}
        if not isinstance(given, Mapping):
            return values
        filled = dict(values)
        entry = find_entry(model_of(filled), {**filled, **given})
        beside = [key for key in values if key in entry.options]
        given = {**given, **{key: filled.pop(key) for key in beside}}
        data = str(filled.get("data", cls.model_fields["data"].default))
        if isinstance(filled.get("task"), str):
            filled["task"] = "+".join(list_tasks(filled["task"], data))
        if filled.get("data_options"):
            filled["data_options"] = make_canonical(
                data, filled["data_options"]
            )
        name = filled.get("optimizer", cls.model_fields["optimizer"].default)
        if isinstance(name, str) and name in OPTIMIZERS:
            choice = OPTIMIZERS[name]
            if filled.get("learning_rate") is None:
                filled["learning_rate"] = choice.learning_rate
            if filled.get("weight_decay") is None:
                filled["weight_decay"] = choice.weight_decay
        if filled.get("epochs") is None and filled.get("steps") is None:
            filled["epochs"] = 20
        if filled.get("width") is None and filled.get("parameters") is None:
            filled["width"] = entry.width
        for option, value in given.items():
            if option not in entry.options:
                raise ValueError(unknown("option", option, entry.options))
            kind = type(entry.options[option])
            if type(value) not in ((int, float) if kind is float else (kind,)):
                raise ValueError(
                    f"Option `{option}` must be of type {kind.__name__}. "
                    f"Received: {option}={value!r}."
                )
        filled["options"] = dict(sorted({**entry.options, **given}.items()))
        entry.check(filled["options"])
        return filled

    @model_validator(mode="after")
    def _check_pairs(self) -> "Run":
        check_task(self.task, self.data, self.size)
        check_heads(self)
        check_pairs(self)
        return self

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """Copies the fields; a copy has the `run_id` of its own fields."""
        copy = super().model_copy(update=update, deep=deep)
        vars(copy).pop("run_id", None)
        return copy

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it is about: several only for `multi_head`."""
        return list_tasks(self.task, self.data)

    @functools.cached_property
    def run_id(self) -> str:
        """Hash of the canonical content: 16 hexadecimal digits.

        Fields and options that hold their default are left out, so that adding
        one whose default trains as before changes no run_id. A fingerprint
        stands for all about custom data, so that moving them changes none
        either.
        """
        told = {"data", "data_options"} if self.fingerprint else set()
        content = self.model_dump(
            mode="json", exclude_defaults=True, exclude=told
        )
        defaults = find_entry(self.model, self.options).options
        content["options"] = {
            option: value
            for option, value in self.options.items()
            if value != defaults[option]
        }
        text = json.dumps([RUN_VERSION, content], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __hash__(self) -> int:
        return int(self.run_id, 16)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.run_id == other.run_id


def model_of(values: Mapping[str, Any]) -> str:
    """Returns the model of a run of these fields, which may leave it out."""
    return str(values.get("model", Run.model_fields["model"].default))
