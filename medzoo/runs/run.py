"""A run: all that decides the outcome of one training, and nothing else."""

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import model_validator

from medzoo.data.audit import LEAKS_VERSION
from medzoo.data.custom.address import is_custom
from medzoo.data.custom.options import make_canonical
from medzoo.messages import FieldError, naming
from medzoo.runs.fields import (
    DEFAULTS,
    OPTIMIZERS,
    RunFields,
    entry_of,
    list_fields,
    list_tasks,
)
from medzoo.runs.plugins import choose_plugins
from medzoo.runs.rules import check_rules, describe_unknown
from medzoo.runs.sources import check_source
from medzoo.tasks import NAMES

# Part of every run_id. Raise it when the same run would train differently, or
# when a default changes.
RUN_VERSION = 2


class Run(RunFields):
    """One training, flat, typed, immutable and hashable.

    Its fields are those of `RunFields`, and options of its model may be given
    beside them. Values that are left out and depend on other fields (`width`,
    `learning_rate`, `weight_decay`) are filled in at once, so that two runs
    that train alike are equal.

    Example:

    >>> run = Run(task="breastmnist", model="mlp", dropout=0.1)
    >>> run.width, run.options["dropout"]
    (512, 0.1)
    """

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Writes out what follows from other fields."""
        if not isinstance(values, Mapping):
            return values
        filled = dict(values)
        given = filled.get("options") or {}
        if not isinstance(given, Mapping):
            return values
        filled["plugins"] = choose_plugins(filled)
        entry = entry_of(filled)
        beside = {key: v for key, v in filled.items() if key in entry.options}
        filled = {key: v for key, v in filled.items() if key not in beside}
        _check_keys(filled)
        options = {**entry.defaults, **given, **beside}
        entry.check(options)
        filled["options"] = dict(sorted(options.items()))
        _fill_data(filled)
        _fill_optimizer(filled)
        if filled.get("epochs") is None and filled.get("steps") is None:
            filled["epochs"] = 20
        if filled.get("width") is None and filled.get("parameters") is None:
            filled["width"] = entry.width
        return filled

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        # One that is put into a record was checked when it was made.
        if "run_id" not in vars(self):
            check_rules(self)
        return self

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """Copies the fields; a copy has the `run_id` of its own fields."""
        copy = super().model_copy(update=update, deep=deep)
        for name in ("run_id", "_around_seed", "_state", "_content"):
            vars(copy).pop(name, None)
        return copy

    @functools.cached_property
    def run_id(self) -> str:
        """Hash of the canonical content: 16 hexadecimal digits.

        Fields and options that hold their default are left out, so that adding
        one whose default trains as before changes no run_id. A fingerprint
        replaces the address of custom data and their options, so that moving
        them changes none either.
        """
        return _hash(self._describe())

    def _describe(self) -> str:
        named = {"data", "data_options"} if self.fingerprint else set()
        content = self.model_dump(
            mode="json", exclude_defaults=True, exclude=named
        )
        if self.plugins:
            content["plugins"] = {
                kind: plugin.content for kind, plugin in self.plugins.items()
            }
        defaults = self.entry.defaults
        content["options"] = {
            option: value
            for option, value in self.options.items()
            if value != defaults[option]
            and not (option == "backbone" and option in self.plugins)
        }
        if self.fingerprint and (folds := self.data_options.get("folds")):
            # The fingerprint is of all images, not of those that are held out.
            content["folds"] = folds
        if self.resplit and is_custom(self.data):
            # Before 0.3.0 such a run split groups.
            content["resplit"] = "whole groups"
        if self.data_options.get("drop_leaks"):
            content["leaks"] = LEAKS_VERSION
        symmetry = self.data_options.get("symmetry")
        if symmetry and self._follows_symmetry:
            content["symmetry"] = symmetry
        elif is_custom(self.data) and self.task in NAMES:
            # Before 0.3.0 such a run had the flips of that task.
            content["symmetry"] = "fixed"
        return json.dumps([RUN_VERSION, content], sort_keys=True)

    def with_seeds(self, seeds: Iterable[int]) -> list[Self]:
        """Returns the run with each of other seeds.

        Only its seed is not checked again, since no rule is about it: a
        hundred thousand runs are made in two seconds.

        Example:

        >>> run = Run(task="breastmnist")
        >>> run.with_seeds([0, 1]) == [run, Run(task="breastmnist", seed=1)]
        True
        """
        return [self._with_seed(seed) for seed in seeds]

    def _with_seed(self, seed: int) -> Self:
        content = self._content | {"seed": seed}
        if self._around_seed and seed != DEFAULTS["seed"]:
            before, after = self._around_seed
            content["run_id"] = _hash(f'{before}"seed": {seed}{after}')
        run = type(self).__new__(type(self))
        run.__setstate__(self._state | {"__dict__": content})
        return run

    # As pydantic unpickles a run: nothing is copied or checked.
    @functools.cached_property
    def _state(self) -> dict[Any, Any]:
        given = self.model_fields_set | {"seed"}
        return self.__getstate__() | {"__pydantic_fields_set__": given}

    @functools.cached_property
    def _content(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in type(self).model_fields}

    @functools.cached_property
    def _around_seed(self) -> tuple[str, str] | None:
        """The canonical content before and after its seed."""
        marked = self.model_copy(update={"seed": _MARK})
        text = marked._describe()
        before, mark, after = text.partition(f'"seed": {_MARK}')
        return (before, after) if mark else None

    def __hash__(self) -> int:
        return int(self.run_id, 16)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.run_id == other.run_id

    def graph(self) -> dict[str, Any]:
        """Returns the fields and options that decide the traced graph.

        All others change values of variables, or the loop around the graph;
        data act on it by shapes and class weights alone.
        """
        fields = set(list_fields("graph", "constants"))
        options = self.entry.options
        kept = self.model_dump(include=fields)
        kept["options"] = {
            name: value
            for name, value in self.options.items()
            if options[name].affects == "graph"
        }
        return kept

    @property
    def _follows_symmetry(self) -> bool:
        """Whether the symmetry of the images changes anything."""
        asked = self.augmentation, self.options.get("views")
        return self.flip_test or "by_task" in asked

    @property
    def is_resplit(self) -> bool:
        """Whether its seed decides which images are tested."""
        return self.resplit or "folds" in self.data_options

    def is_quiet(self, name: str) -> bool:
        """Says whether a field or option is off, and tables leave it out."""
        value = self.flatten().get(name)
        if value in (None, "none", "") or value is False or value == 0:
            return True
        if name in DEFAULTS:
            return name in list_fields(quiet=True) and value == DEFAULTS[name]
        option = self.entry.options[name]
        return option.quiet and value == option.default


# Stands for a seed in the text of a run; no text of a person has it.
_MARK = 8_316_402_957_103


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_keys(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key not in RunFields.model_fields:
            raise FieldError(describe_unknown(key, values), key)
        # It would be read as the number 1 or 0.
        if isinstance(value, bool) and type(DEFAULTS.get(key)) is not bool:
            raise FieldError(
                f"`{key}` is neither true nor false. Expected a number or a "
                f"text. Received: {key}={value}.",
                key,
            )


def _fill_data(values: dict[str, Any]) -> None:
    """Writes out tasks and data options."""
    data = values.get("data", DEFAULTS["data"])
    if not isinstance(data, str):
        return
    with naming("data"):
        check_source(data)
    if isinstance(values.get("task"), str):
        with naming("task"):
            values["task"] = "+".join(list_tasks(values["task"], data))
    if values.get("data_options"):
        with naming("data_options", "data"):
            found = make_canonical(data, values["data_options"])
        # They are of reports, and decide no outcome.
        found.pop("attributes", None)
        values["data_options"] = found


def _fill_optimizer(values: dict[str, Any]) -> None:
    """Gives rates that are left out the defaults of the optimizer."""
    name = values.get("optimizer", DEFAULTS["optimizer"])
    plugin = values["plugins"].get("optimizer")
    if plugin is not None:
        rates: Mapping[str, Any] = plugin.defaults
    elif isinstance(name, str) and name in OPTIMIZERS:
        rates = OPTIMIZERS[name]._asdict()
    else:
        return
    for rate in ("learning_rate", "weight_decay"):
        if values.get(rate) is None:
            values[rate] = rates.get(rate, 0.0)
