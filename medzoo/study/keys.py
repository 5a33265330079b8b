"""Keys of a trial that its runs do not have, or that stand twice."""

import itertools
from collections.abc import Mapping

from medzoo.models import MODELS, find_entry
from medzoo.study.document import Tuned, Value, misplaced
from medzoo.study.source import Place, key_of, not_listed
from medzoo.training.run import Run, model_of

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
