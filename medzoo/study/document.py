"""The schema of a study file."""

import itertools
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from medzoo.models.registry import MODELS, find_entry
from medzoo.runs.run import Run, model_of
from medzoo.runs.sources import is_custom, name_task
from medzoo.study.source import Place, Source, describe, key_of, not_listed
from medzoo.tasks import NAMES

Value = str | bool | int | float


def _check_value(value: Any) -> Any:
    if not isinstance(value, Value):
        raise PydanticCustomError(
            "value", "Input should be a string, a number, true or false"
        )
    return value


def _check_once(values: list[Any]) -> list[Any]:
    if len({json.dumps(value) for value in values}) < len(values):
        raise PydanticCustomError("once", "List should hold each value once")
    return values


_Value = Annotated[Any, AfterValidator(_check_value)]
_Table = dict[str, _Value]
_ONCE = (Field(min_length=1), AfterValidator(_check_once))
_Grid = Annotated[
    dict[str, Annotated[list[_Value], *_ONCE]], Field(min_length=1)
]


class Scope(BaseModel):
    """What a study runs over: the part that a command line may override."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tasks: Annotated[
        list[str],
        *_ONCE,
        BeforeValidator(lambda given: list(NAMES) if given == "all" else given),
    ] = list(NAMES)
    seeds: Annotated[list[int], *_ONCE] = [0, 1, 2]
    data: str = "medmnist"
    data_options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_data(cls, values: Any) -> Any:
        """Parts the table `[data]`, and names the task of custom data."""
        values = dict(values)
        if isinstance(values.get("data"), dict):
            options = dict(values["data"])
            values["data"] = options.pop("source", "medmnist")
            values["data_options"] = options
        try:
            task = name_task(str(values.get("data", "medmnist")))
        except ValueError:
            return values  # `faults` says what is wrong with the source.
        if task is not None and values.get("tasks", "all") == "all":
            values["tasks"] = [task]
        return values

    def first_cell(self) -> dict[str, Any]:
        """Returns the fields of a run on the first task."""
        about = {"data": self.data, "data_options": self.data_options}
        return {"task": self.tasks[0], **about}

    def faults(self) -> list[tuple[Place, str]]:
        """Asks `Run` about each value; returns places and sentences."""
        found: list[tuple[Place, str]] = []
        data = {"data": self.data, "data_options": self.data_options}
        made_up = {"data": self.data} if self.data == "synthetic" else {}
        asked: list[tuple[str, list[dict[str, Any]]]] = [
            ("tasks", [{"task": task, **made_up} for task in self.tasks]),
            ("seeds", [{"seed": seed} for seed in self.seeds]),
            ("data", [data]),
        ]
        for key, changes in asked:
            for change in changes:
                try:
                    Run(**{"task": NAMES[0], **change})
                except ValidationError as error:
                    if key == "tasks" and is_custom(self.data):
                        continue  # They may have any name.
                    sentence = describe(error.errors()[0], (key,))
                    found.append(((key,), sentence))
        if is_custom(self.data) and len(self.tasks) > 1:
            sentence = (
                "Custom data are one task. Expected one name, or none. "
                "Received: "
                f"tasks={self.tasks}."
            )
            found.append((("tasks",), sentence))
        return found


class Tuned(BaseModel):
    """The table `[tuned]`: lists of values, one a key, and how to choose."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Annotated[list[_Value], *_ONCE]]

    tune_seeds: Annotated[list[int], *_ONCE] | None = None
    prune: Literal["halving"] | None = None

    @property
    def values(self) -> dict[str, list[Value]]:
        """The lists that the candidates are the product of."""
        return self.__pydantic_extra__

    def candidates(self) -> list[dict[str, Value]]:
        """Lists the candidates; the last key changes first.

        Example:

        >>> Tuned(width=[8, 16], warmup=[0.0]).candidates()
        [{'width': 8, 'warmup': 0.0}, {'width': 16, 'warmup': 0.0}]
        """
        return [
            dict(zip(self.values, values, strict=True))
            for values in itertools.product(*self.values.values())
        ]


class Document(Scope):
    """All that may stand in a study file."""

    question: str = Field(min_length=1)
    score: Literal[
        "macro_f1", "balanced_accuracy", "dice", "foreground_dice", "mean_iou"
    ] = "macro_f1"
    equal_within: float | None = Field(default=None, gt=0, lt=1)
    baseline: _Table = {}
    axes: Annotated[
        list[_Grid],
        BeforeValidator(
            lambda axes: [axes] if isinstance(axes, dict) else axes
        ),
    ] = []
    fixed: _Table = {}
    trials: list[_Table] = []
    tuned: Tuned | None = None
    track: list[str] = []
    keep: Literal["none", "best", "all"] = "best"

    @classmethod
    def read(cls, source: Source) -> "Document":
        """Reads the file and checks all but the values of its trials.

        Raises:
            ValueError: With a sentence for each fault.
        """
        try:
            document = cls.model_validate(source.parse())
        except ValidationError as error:
            faults = [(e["loc"], _describe(e)) for e in error.errors()]
            raise source.fault(*faults) from None
        faults = document.faults()
        if not document.axes and not document.trials:
            sentence = (
                "A study compares trials. Expected `[axes]` or `[[trials]]`."
            )
            faults.append(((), sentence))
        faults += document._tuned_faults()
        if faults:
            raise source.fault(*faults)
        return document

    def _tuned_faults(self) -> list[tuple[Place, str]]:
        if self.tuned is None:
            return []
        place: Place = ("tuned", "tune_seeds")
        found = [
            (place, sentence.replace("`seeds`", key_of(place)))
            for _, sentence in Scope(
                seeds=self.tuned.tune_seeds or [0]
            ).faults()
        ]
        if not self.tuned.values:
            sentence = (
                "`tuned` has nothing to choose from. Expected a list of values "
                "for a field of a run."
            )
            found.append((("tuned",), sentence))
        return found


def misplaced(place: Place) -> str | None:
    """Words the error for a key of the study that stands inside a table."""
    key = str(place[-1])
    above = {"task": "tasks", "seed": "seeds"}.get(key, key)
    if len(place) == 1 or above not in Document.model_fields:
        return None
    if key == "keep":  # A run has one too: which of its weights are scored.
        return None
    return (
        f"{key_of(place)} is not a field of a run. "
        f"`{above}` belongs above the first table of the file."
    )


def _describe(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        key = key_of(error["loc"])
        keys = [k for k in Document.model_fields if k != "data_options"]
        return not_listed(key, "a key of a study", keys)
    return misplaced(error["loc"]) or describe(error, error["loc"])


FIELDS = tuple(
    name
    for name in Run.model_fields
    if name
    not in (
        *("task", "data", "data_options", "fingerprint"),
        *("seed", "options"),
    )
)
Tables = Mapping[Place, Mapping[str, Value]]


def wrong_keys(
    tables: Tables, values: dict[str, Value], places: dict[str, Place]
) -> list[tuple[Place, str]]:
    """Words what is wrong with the keys of a trial.

    Args:
        tables: The tables of the file that make the trial, by their places.
        values: All that they hold, by key.
        places: Where each key stands.

    Returns:
        Places and sentences.
    """
    return _twice(tables) + _unknown(values, places)


def _twice(tables: Tables) -> list[tuple[Place, str]]:
    """Finds keys that stand in two tables."""
    return [
        (
            (*place, key),
            f"{key_of((*place, key))} is a key of `{other[0]}` as well. "
            "Expected it in one of the two.",
        )
        for place, other in itertools.combinations(tables, 2)
        for key in tables[place]
        if key in tables[other]
    ]


def _unknown(
    values: dict[str, Value], places: dict[str, Place]
) -> list[tuple[Place, str]]:
    """Finds keys that the runs do not have."""
    model = model_of(values)
    try:
        options = find_entry(model, values).options
    except ValueError as error:
        place = places["trunk" if model in MODELS else "model"]
        return [(place, f"{key_of(place)}: {error}")]
    return [
        (place, _explain(place, model, list(options)))
        for key, place in places.items()
        if key not in FIELDS and key not in options
    ]


def _explain(place: Place, model: str, options: list[str]) -> str:
    """Words why a key is none of the runs of `model`."""
    key = str(place[-1])
    if sentence := misplaced(place):
        return sentence
    if any(key in entry.options for entry in MODELS.values()):
        return (
            f"{key_of(place)} is not an option of `{model}`. Expected one of: "
            f"{', '.join(options)}. Give each model its own `[[axes]]` or "
            "`[[trials]]`."
        )
    ways = list(Tuned.model_fields) if place[0] == "tuned" else []
    expected = [*FIELDS, *options, *ways]
    return not_listed(key_of(place), "a field of a run", expected)
