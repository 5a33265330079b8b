"""One run from a file, a recipe and flags, for `medzoo train`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import medzoo
from medzoo.messages import unknown
from medzoo.models.registry import get_entry
from medzoo.runs.run import Run, model_of
from medzoo.runs.sources import name_task, with_fingerprint
from medzoo.study.document import FIELDS
from medzoo.study.source import Place, Source, find_faults, key_of, not_listed
from medzoo.study.trials import run_values

# Fields that a study file has elsewhere.
SCOPE = ("task", "data", "data_options", "seed")


@dataclass(frozen=True)
class JsonSource(Source):
    """A file with one JSON object."""

    def parse(self) -> dict[str, Any]:
        """Reads the JSON.

        Raises:
            ValueError: If it is no object, with the line and the reason.
        """
        try:
            found = json.loads(self.text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{self}, line {error.lineno}, column {error.colno}: not valid "
                f"JSON: {error.msg}."
            ) from None
        if not isinstance(found, dict):
            raise ValueError(
                f"{self}: expected one object with the fields of a run. "
                f"Received: {type(found).__name__}."
            )
        return found

    def line_of(self, place: Place) -> int | None:
        lines = self.text.splitlines()
        key = json.dumps(place[0])
        return next((n for n, line in enumerate(lines, 1) if key in line), None)


def read_run(
    path: Path | None = None, *, recipe: str | None = None, **given: Any
) -> Run:
    """Makes a run: the recipe first, over it the file, over it what is given.

    Args:
        path: A TOML or JSON file with fields of a run, and options of its
            model beside them.
        recipe: Name of a recipe.
        **given: Fields of a run; `None` leaves one as it is.

    Raises:
        FileNotFoundError: If there is no file at that path.
        ValueError: For an unknown recipe, and for fields that are none or have
            wrong values: with file, line, key and one sentence for each fault.

    Example:

    >>> run = read_run(recipe="best", task="breastmnist", seed=1)
    >>> run.task, run.seed, run.model
    ('breastmnist', 1, 'logistic_regression')
    """
    values: dict[str, Any] = {}
    origin: dict[str, Source] = {}
    for source in _list_sources(path, recipe):
        found = source.parse()
        values |= found
        origin |= dict.fromkeys(found, source)
    flags = {key: value for key, value in given.items() if value is not None}
    values |= flags
    origin = {key: s for key, s in origin.items() if key not in flags}
    if "task" not in values and (name := name_task(values.get("data", ""))):
        values["task"] = name
    if "task" not in values:
        raise ValueError(
            "A run needs a task. Expected --task, or `task` in a file, such as "
            "--task breastmnist. Received: neither."
        )
    faults = _unknown_keys(values)
    if not faults:
        arguments = run_values(
            {k: v for k, v in values.items() if k not in SCOPE}
        )
        scope = {key: values[key] for key in SCOPE if key in values}
        try:
            return with_fingerprint(Run(**arguments, **scope))
        except ValidationError as error:
            places: dict[str, Place] = {key: (key,) for key in values}
            faults = find_faults(error, places, ())
    raise ValueError(
        "\n".join(
            str(origin[key].fault(((key,), sentence)))
            if (key := str(place[0]) if place else "") in origin
            else sentence
            for place, sentence in faults
        )
    )


def list_recipes() -> dict[str, Path]:
    """Returns the files of the recipes by name."""
    folder = Path(medzoo.__file__).parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


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


def _unknown_keys(values: dict[str, Any]) -> list[tuple[Place, str]]:
    name = model_of(values)
    try:
        options = get_entry(name).options
    except ValueError as error:
        return [(("model",), str(error))]
    known = [*SCOPE, *FIELDS, *options]
    return [
        ((key,), not_listed(key_of((key,)), "a field of a run", known))
        for key in values
        if key not in known
    ]
