"""One run from a file, a recipe and flags, for `medzoo train`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medzoo.data.custom.options import make_canonical
from medzoo.execution.job import Job
from medzoo.messages import FieldError, unknown
from medzoo.plugins.watchers import find_watchers
from medzoo.runs.fields import FIELDS, entry_of
from medzoo.runs.plugins import Plugin
from medzoo.runs.rules import describe_unknown
from medzoo.runs.run import Run
from medzoo.runs.sources import (
    check_source,
    name_task,
    part_data,
    with_fingerprint,
)
from medzoo.study.plugins import load_listed
from medzoo.study.source import KeyPath, Source, find_faults

RECIPES = Path(__file__).parents[1] / "recipes"
# Keys of a study file that no run has.
_STUDY_KEYS = {"question", "tasks", "seeds", "axes", "trials", "fixed"}


@dataclass(frozen=True)
class JsonSource(Source):
    """A file with one JSON object."""

    def parse(self) -> dict[str, Any]:
        """Reads the JSON.

        Raises:
            ValueError: If it is no object, with the line and the reason.
        """
        try:
            values = json.loads(self.text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{self}, line {error.lineno}, column {error.colno}: not valid "
                f"JSON: {error.msg}."
            ) from None
        if not isinstance(values, dict):
            raise ValueError(
                f"{self}: expected one object with the fields of a run. "
                f"Received: {type(values).__name__}."
            )
        return values

    def line_of(self, path: KeyPath) -> int | None:
        """Finds the first line that has the key."""
        lines = self.text.splitlines()
        key = json.dumps(path[0])
        return next((n for n, line in enumerate(lines, 1) if key in line), None)


def read_run(
    path: Path | None = None, *, recipe: str | None = None, **given: Any
) -> Run:
    """Makes a run: the recipe first, over it the file, over it what is given.

    Arguments and errors are those of `read_job`.

    Example:

    >>> run = read_run(recipe="best", task="breastmnist", seed=1)
    >>> run.task, run.seed, run.model
    ('breastmnist', 1, 'logistic_regression')
    """
    return read_job(path, recipe=recipe, **given).run


def read_job(
    path: Path | None = None,
    *,
    recipe: str | None = None,
    watch: Sequence[str] = (),
    **given: Any,
) -> Job:
    """Makes a run, and finds the watchers that see it.

    Args:
        path: A TOML or JSON file with fields of a run, and options of its
            model beside them; its `plugins` are imported.
        recipe: Name of a recipe.
        watch: Watchers beside those that the file names.
        **given: Fields of a run; `None` leaves one as it is.

    Raises:
        FileNotFoundError: If there is no file at that path.
        ValueError: For an unknown recipe or watcher, and for fields that are
            none or have wrong values: with file, line, key and one sentence for
            each fault.
    """
    values: dict[str, Any] = {}
    origin: dict[str, Source] = {}
    watchers: list[Plugin] = []
    for source in _list_sources(path, recipe):
        parsed = source.parse()
        if len(_STUDY_KEYS & parsed.keys()) > 1:
            what = "search" if "space" in parsed else "study"
            raise ValueError(
                f"`{source.path}` is a {what}. Expected the fields of one run. "
                f"Run it by `medzoo {what} run {source.path}`."
            )
        load_listed(source, parsed)
        parsed.pop("plugins", None)
        watchers += _find_listed(source, parsed.pop("watch", []))
        found = part_data(parsed)
        values |= found
        origin |= dict.fromkeys(found, source)
    watchers += find_watchers(watch)
    flags = {key: value for key, value in given.items() if value is not None}
    values |= flags
    origin = {key: s for key, s in origin.items() if key not in flags}
    if "task" not in values:
        values["task"] = _name_task(values, origin.get("data"))
    paths: dict[str, KeyPath] = {key: (key,) for key in values}
    faults = _list_unknown(values)
    if not faults:
        try:
            run = with_fingerprint(Run(**values))
            return Job(run, watchers=tuple(dict.fromkeys(watchers)))
        except ValidationError as error:
            faults = find_faults(error, paths, ())
    raise ValueError(
        "\n".join(
            str(origin[key].fault(((key,), sentence)))
            if (key := str(path[0]) if path else "") in origin
            else sentence
            for path, sentence in faults
        )
    )


def _name_task(values: dict[str, Any], source: Source | None) -> str:
    """Names the task of custom data.

    Raises:
        ValueError: If the data are not custom, or something is wrong with them.
    """
    data, options = values.get("data", ""), values.get("data_options", {})
    name = None
    try:
        if data and isinstance(data, str) and isinstance(options, dict):
            check_source(data)
            make_canonical(data, options)
            name = name_task(data)
    except ValueError as error:
        if source is None:
            raise
        raise source.fault((("data",), f"`data`: {error}")) from None
    if name is None:
        raise ValueError(
            "A run needs a task. Expected --task, or `task` in a file, such as "
            "--task breastmnist. Received: neither."
        )
    return name


def _find_listed(source: Source, names: Any) -> tuple[Plugin, ...]:
    """Finds the watchers that a file names.

    Raises:
        ValueError: For a name that no plugin registers, with file and line.
    """
    try:
        if isinstance(names, list) and all(isinstance(n, str) for n in names):
            return find_watchers(names)
        raise ValueError(
            "`watch` must be a list of names of watchers, such as "
            f'watch = ["note"]. Received: watch={names!r}.'
        )
    except ValueError as error:
        raise source.fault((("watch",), str(error))) from None


def list_recipes() -> dict[str, Path]:
    """Returns the files of the recipes by name."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}


def _list_sources(path: Path | None, recipe: str | None) -> list[Source]:
    sources = []
    if recipe is not None:
        recipes = list_recipes()
        if recipe not in recipes:
            raise ValueError(unknown("recipe", recipe, recipes))
        sources.append(Source.read(recipes[recipe]))
    if path is not None:
        if not path.is_file():
            raise FileNotFoundError(
                "No file there. Expected a TOML or JSON file with the fields "
                f"of a run. Received: {path}."
            )
        kind = JsonSource if path.suffix == ".json" else Source
        sources.append(kind.read(path))
    return sources


def _list_unknown(values: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    """Words every key that the run does not have."""
    try:
        options = entry_of(values).options
    except FieldError as error:
        return [((error.fields[0],), str(error))]
    known = {key for key, about in FIELDS.items() if about.place != "none"}
    return [
        ((key,), describe_unknown(key, values))
        for key in values
        if key not in known and key not in options
    ]
