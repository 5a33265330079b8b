"""The JSON schema of study files, for editors and the reference."""

import json
from typing import Any

from medzoo.models.options import Options
from medzoo.models.registry import MODELS
from medzoo.runs.fields import list_fields
from medzoo.runs.run import Run
from medzoo.study.document import Document


def make_schema() -> dict[str, Any]:
    """Makes the JSON schema of study files.

    The tables `[fixed]`, `[axes]`, `[[trials]]` and `[baseline]` get the fields
    of a run and the options of all models; which option goes with which model
    is checked by `medzoo study plan`.
    """
    schema = Document.model_json_schema()
    properties = schema["properties"]
    del properties["data_options"]
    values = _make_value_schemas()
    table = {"type": "object", "properties": values}
    lists = {
        name: {"type": "array", "items": value, "minItems": 1}
        for name, value in values.items()
    }
    grid = {"type": "object", "properties": lists}
    changes: dict[str, dict[str, Any]] = {
        "tasks": {"anyOf": [{"const": "all"}, properties["tasks"]]},
        "data": {"anyOf": [properties["data"], {"type": "object"}]},
        "fixed": table,
        "baseline": table,
        "trials": {"type": "array", "items": table},
        "axes": {"anyOf": [grid, {"type": "array", "items": grid}]},
    }
    for key, change in changes.items():
        about = properties[key]["description"]
        properties[key] = {**change, "description": about}
    schema["$defs"]["Tuned"]["properties"] |= lists
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "medzoo study",
    }


def format_schema() -> str:
    """Writes the JSON schema of study files as text."""
    return json.dumps(make_schema(), indent=2) + "\n"


def _make_value_schemas() -> dict[str, Any]:
    """Makes the schema of each field of a run, and of each option.

    An option that several models have takes what any of them does.
    """
    found: dict[str, Any] = {}
    for model in MODELS.values():
        for name, schema in read_options(model.options).items():
            earlier = found.setdefault(name, schema)
            choices = [*earlier.get("enum", ()), *schema.get("enum", ())]
            if choices:
                found[name] = {**earlier, "enum": [*dict.fromkeys(choices)]}
    found |= read_fields()
    found["model"]["enum"] = [*MODELS]
    return found


def read_fields() -> dict[str, dict[str, Any]]:
    """Returns the schema of each field that a table of a study may hold."""
    properties = Run.model_json_schema()["properties"]
    return {name: properties[name] for name in list_fields(place="trial")}


def read_options(options: Options) -> dict[str, dict[str, Any]]:
    """Returns the schema of each option of a model."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {
        name: {
            "type": kinds[type(option.default)],
            "default": option.default,
            "description": option.description,
            **({"enum": [*option.choices]} if option.choices else {}),
        }
        for name, option in options.items()
    }
