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
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from medzoo.data.custom.options import MOST_FOLDS
from medzoo.messages import not_listed, unknown
from medzoo.models.options import Value
from medzoo.models.registry import MODELS
from medzoo.plugins.watchers import find_watchers
from medzoo.runs.fields import entry_of, list_fields
from medzoo.runs.rules import describe_unknown
from medzoo.runs.run import Run
from medzoo.runs.sources import is_custom, name_task, part_data
from medzoo.scores.operating_point import OperatingPoint
from medzoo.scores.table import SCORES, list_used
from medzoo.study.plugins import load_listed
from medzoo.study.source import Fault, KeyPath, Source, describe, format_key
from medzoo.study.trackers import TRACKERS, check_tracker
from medzoo.tasks import NAMES

# What a trial may set; options of its model go beside these.
FIELDS = list_fields(place="trial")
# With fewer seeds there is nothing to decide.
FEWEST_SEEDS = 3


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


_Value = Annotated[
    Any,
    AfterValidator(_check_value),
    WithJsonSchema({"type": ["string", "boolean", "integer", "number"]}),
]
_Table = dict[str, _Value]
ONCE = (Field(min_length=1), AfterValidator(_check_once))
_Grid = Annotated[
    dict[str, Annotated[list[_Value], *ONCE]], Field(min_length=1)
]


class Scope(BaseModel):
    """Tasks, seeds and data: the part that a command line may override."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tasks: Annotated[
        list[str],
        *ONCE,
        BeforeValidator(lambda given: list(NAMES) if given == "all" else given),
        Field(description="Names of tasks, or `all`."),
    ] = list(NAMES)
    seeds: Annotated[
        list[int],
        *ONCE,
        Field(description="Each trial is run once a task and seed."),
    ] = [0, 1, 2]
    data: Annotated[
        str,
        Field(
            description="Data source, or a table of its `source` and options."
        ),
    ] = "medmnist"
    data_options: Annotated[
        dict[str, Any], Field(description="Options of the data source.")
    ] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_data(cls, values: Any) -> Any:
        """Parts the table `[data]`, and names the task of custom data."""
        values = part_data(given := values)
        if isinstance(given.get("data"), dict):
            folds = values["data_options"].get("folds")
            if isinstance(folds, int) and "seeds" not in values:
                each = range(max(folds, 1))  # Once.
                values["seeds"] = list(each[:MOST_FOLDS])
        try:
            task = name_task(str(values.get("data", "medmnist")))
        except ValueError:
            return values  # `list_faults` words what is wrong.
        if task is not None and values.get("tasks", "all") == "all":
            values["tasks"] = [task]
        return values

    def first_cell(self) -> dict[str, Any]:
        """Returns the fields of a run on the first task."""
        about = {"data": self.data, "data_options": self.data_options}
        return {"task": self.tasks[0], **about}

    def list_faults(self) -> list[Fault]:
        """Checks each value by a run that has it."""
        data = {"data": self.data, "data_options": self.data_options}
        made_up = {"data": self.data} if self.data == "synthetic" else {}
        tasks = [] if is_custom(self.data) else self.tasks  # Of any name.
        probes: list[tuple[str, dict[str, Any]]] = [
            *(("tasks", {"task": task, **made_up}) for task in tasks),
            *self.seed_probes(),
            ("data", data),
        ]
        faults: list[Fault] = []
        for key, values in probes:
            try:
                Run(**{"task": NAMES[0], **values})
            except ValidationError as error:
                faults.append(((key,), describe(error.errors()[0], (key,))))
        if is_custom(self.data) and len(self.tasks) > 1:
            sentence = (
                "Custom data are one task. Expected one name, or none. "
                f"Received: tasks={self.tasks}."
            )
            faults.append((("tasks",), sentence))
        return faults

    def seed_probes(self) -> list[tuple[str, dict[str, Any]]]:
        """Lists each seed by the key that names it, as a field of a run."""
        return [("seeds", {"seed": seed}) for seed in self.seeds]


class StudyScope(Scope):
    """The part of a study that a command line may override."""

    until: Literal["seeds", "decided"] = Field(
        "seeds",
        description="Run all `seeds`, or add seeds until the trials are "
        "decided.",
    )
    max_seeds: int | None = Field(
        None,
        ge=FEWEST_SEEDS,
        le=100,
        description='Most seeds of a trial with `until = "decided"`; 12 if '
        "left out.",
    )

    def list_faults(self) -> list[Fault]:
        """Checks each value, and that `max_seeds` has a use."""
        faults = super().list_faults()
        if self.max_seeds is not None and self.until != "decided":
            sentence = (
                '`max_seeds` needs `until = "decided"`. '
                f"Received: until={self.until!r}."
            )
            faults.append((("max_seeds",), sentence))
        return faults


class Tuned(BaseModel):
    """The table `[tuned]`: lists of values, one a key, and how to choose."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Annotated[list[_Value], *ONCE]]

    tune_seeds: Annotated[list[int], *ONCE] | None = Field(
        None, description="Seeds of the candidates; those of the study if out."
    )
    prune: Literal["halving"] | None = Field(
        None,
        description="Stops the worse half of the candidates at a quarter and "
        "at half of the budget.",
    )

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


def _check_score(name: str) -> str:
    known = list_used("study")
    if name not in known and name in list_used("report"):
        why = "" if SCORES[name].higher_is_better else ": lower is better"
        raise ValueError(
            f"`{name}` cannot rank trials{why}. Expected one of: "
            f"{', '.join(known)}. Received: score={name!r}. Tables show it if "
            "it is one of `scores`."
        )
    if name not in known:
        raise ValueError(unknown("score", name, known))
    return name


_Score = Annotated[
    str,
    AfterValidator(_check_score),
    WithJsonSchema({"type": "string", "enum": list(list_used("study"))}),
]


def _check_shown(name: str) -> str:
    if name not in list_used("report"):
        raise ValueError(unknown("score", name, list_used("report")))
    return name


def _check_point(text: str) -> str:
    if text:
        OperatingPoint.parse(text)
    return text


class Shown(BaseModel):
    """The part of a study that only its report asks for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    scores: Annotated[
        list[
            Annotated[
                str,
                AfterValidator(_check_shown),
                WithJsonSchema(
                    {"type": "string", "enum": list(list_used("report"))}
                ),
            ]
        ],
        AfterValidator(_check_once),
        Field(
            description="Further scores that tables show, with their intervals."
        ),
    ] = []
    operating_point: Annotated[str, AfterValidator(_check_point)] = Field(
        "",
        description="What the threshold of each class reaches on val, such as "
        "`sensitivity>=0.95`.",
    )


def check_shown(values: Mapping[str, Any]) -> Shown:
    """Checks what a report is asked for.

    Raises:
        ValueError: With a sentence for each fault.
    """
    try:
        return Shown.model_validate(values)
    except ValidationError as error:
        sentences = [describe(e, e["loc"]) for e in error.errors()]
        raise ValueError("\n".join(sentences)) from None


def _check_watcher(name: str) -> str:
    find_watchers([name])
    return name


class Document(StudyScope, Shown):
    """A study: one question, answered by trials that differ in few values."""

    question: str = Field(min_length=1, description="What is to be found out.")
    plugins: list[str] = Field(
        [],
        description="Python files, beside the study, or modules that register "
        "models, losses and more.",
    )
    score: _Score = Field("macro_f1", description="What tables sort by.")
    equal_within: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Differences of the score that are practically equal.",
    )
    baseline: _Table = Field(
        {}, description="Values, or the `name`, of the trial to compare with."
    )
    axes: Annotated[
        list[_Grid],
        BeforeValidator(
            lambda axes: [axes] if isinstance(axes, dict) else axes
        ),
    ] = Field(
        [],
        description="Lists of values by field or option; the trials are their "
        "product.",
    )
    fixed: _Table = Field(
        {}, description="Fields and options that all trials share."
    )
    trials: list[_Table] = Field(
        [], description="Further trials, each with an optional `name`."
    )
    tuned: Tuned | None = Field(
        None, description="Values that each trial and task chooses on val."
    )
    watch: Annotated[
        list[Annotated[str, AfterValidator(_check_watcher)]],
        AfterValidator(_check_once),
        Field(
            description="Watchers of `plugins` that see each check of a "
            "training; no result depends on them."
        ),
    ] = []
    corruptions: bool = Field(
        False,
        description="Whether each run is scored on corrupted test images too: "
        "noise, blur, light and the like, at five severities.",
    )
    track: Annotated[
        list[
            Annotated[
                str,
                AfterValidator(check_tracker),
                WithJsonSchema({"type": "string", "enum": list(TRACKERS)}),
            ]
        ],
        Field(description="Names of trackers."),
    ] = []
    keep: Literal["none", "best", "all"] = Field(
        "best", description="Trials whose trained models are kept."
    )

    @classmethod
    def read(cls, source: Source) -> "Document":
        """Reads the file and checks all but the values of its trials.

        Raises:
            ValueError: With a sentence for each fault.
        """
        values = source.parse()
        load_listed(source, values)
        try:
            document = cls.model_validate(values)
        except ValidationError as error:
            faults = [(e["loc"], _describe(e)) for e in error.errors()]
            raise source.fault(*faults) from None
        faults = document.list_faults()
        if not document.axes and not document.trials:
            sentence = (
                "A study compares trials. Expected `[axes]` or `[[trials]]`."
            )
            faults.append(((), sentence))
        faults += document._tuned_faults()
        if faults:
            raise source.fault(*faults)
        return document

    def _tuned_faults(self) -> list[Fault]:
        if self.tuned is None:
            return []
        path: KeyPath = ("tuned", "tune_seeds")
        seeds = Scope(seeds=self.tuned.tune_seeds or [0])
        faults = [
            (path, sentence.replace("`seeds`", format_key(path)))
            for _, sentence in seeds.list_faults()
        ]
        if not self.tuned.values:
            sentence = (
                "`tuned` has nothing to choose from. Expected a list of values "
                "for a field of a run."
            )
            faults.append((("tuned",), sentence))
        return faults


def _describe_misplaced(path: KeyPath) -> str | None:
    """Words the error for a key of the study inside of a table."""
    key = str(path[-1])
    above = {"task": "tasks", "seed": "seeds"}.get(key, key)
    # A run has a `keep` too: which of its weights are scored.
    if len(path) == 1 or above not in Document.model_fields or key in FIELDS:
        return None
    return (
        f"{format_key(path)} is not a field of a run. "
        f"`{above}` belongs above the first table of the file."
    )


def _describe(error: ErrorDetails) -> str:
    path = error["loc"]
    if error["type"] == "extra_forbidden":
        keys = [k for k in Document.model_fields if k != "data_options"]
        return not_listed(format_key(path), "a key of a study", keys)
    return _describe_misplaced(path) or describe(error, path)


Tables = Mapping[KeyPath, Mapping[str, Value]]


def join_tables(
    tables: Tables,
) -> tuple[dict[str, Any], dict[str, KeyPath]]:
    """Joins the tables of the file that make a trial.

    Args:
        tables: By their paths.

    Returns:
        All values, and the paths of all keys.
    """
    values = {k: v for table in tables.values() for k, v in table.items()}
    paths = {
        key: (*path, key) for path, table in tables.items() for key in table
    }
    return values, paths


def list_wrong_keys(tables: Tables) -> list[Fault]:
    """Words what is wrong with the keys of a trial."""
    values, paths = join_tables(tables)
    try:
        options = entry_of(values).options
    except ValueError as error:
        about = getattr(error, "fields", ())
        path = paths[next((key for key in about if key in paths), "model")]
        return [(path, f"{format_key(path)}: {error}")]
    unknown = (k for k in values if k not in FIELDS and k not in options)
    return _find_twice(tables) + [
        (paths[key], _describe_unknown(paths[key], values)) for key in unknown
    ]


def _find_twice(tables: Tables) -> list[Fault]:
    """Finds keys that two tables have."""
    return [
        (
            (*path, key),
            f"{format_key((*path, key))} is a key of `{other[0]}` as well. "
            "Expected it in one of the two.",
        )
        for path, other in itertools.combinations(tables, 2)
        for key in tables[path]
        if key in tables[other]
    ]


def _describe_unknown(path: KeyPath, values: dict[str, Value]) -> str:
    """Words why a key is none of the runs of these values."""
    key = str(path[-1])
    if sentence := _describe_misplaced(path):
        return sentence
    sentence = describe_unknown(
        key,
        values,
        shown=format_key(path),
        known=[*FIELDS, *(Tuned.model_fields if path[0] == "tuned" else ())],
    )
    if any(key in entry.options for entry in MODELS.values()):
        sentence += " Give each model its own `[[axes]]` or `[[trials]]`."
    return sentence
