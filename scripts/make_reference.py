"""Pages of the documentation that are made from the code.

A hook of MkDocs: where a page has a line `<!-- generated: NAME -->`, a function
of `PAGES` writes its text.
"""

import json
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SCHEMA = "study.schema.json"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fills in the generated parts of a page."""
    return re.sub(
        r"<!-- generated: (\w+) -->",
        lambda match: PAGES[match[1]](),
        markdown,
    )


def on_files(files: Any, *, config: Any) -> Any:
    """Adds the JSON schema of study files to the site."""
    from mkdocs.structure.files import File

    from medzoo.study.schema import format_schema

    schema = File.generated(config, SCHEMA, content=format_schema())
    files.append(schema)
    return files


def write_commands() -> str:
    """Writes every command with its arguments and options."""
    return "\n\n".join(
        _write_command(name, command) for name, command in list_commands()
    )


def list_commands() -> Iterator[tuple[str, Any]]:
    """Yields the full name of every command, and the command."""
    import typer

    from medzoo.cli import app

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        for child, below in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {child}", below)
        if not hasattr(command, "commands"):
            yield name, command

    yield from walk("medzoo", typer.main.get_command(app))


def _write_command(name: str, command: Any) -> str:
    rows = []
    usage = [name, "[OPTIONS]"]
    for param in command.params:
        if param.param_type_name == "argument":
            shown = (param.metavar or param.name.upper()) + "..." * (
                param.nargs == -1
            )
            usage.append(shown if param.required else f"[{shown}]")
        else:
            shown = ", ".join(param.opts)
        rows.append((f"`{shown}`", _describe(param)))
    text = " ".join((command.help or "").split())
    table = _table(("argument or option", "meaning"), rows) if rows else ""
    _, *examples = (command.epilog or "").splitlines() or [""]
    shown = "\n".join(examples)
    return (
        f"## {name}\n\n{text}\n\n```text\n{' '.join(usage)}\n```\n\n{table}"
        f"\n\n```bash\n{shown}\n```"
    )


def _describe(param: Any) -> str:
    """Says what an argument or option means, its choices and its default."""
    parts = [param.help or ""]
    kinds = [param.type_descriptor.annotation]
    kinds += typing.get_args(kinds[0])
    for kind in kinds:
        if typing.get_origin(kind) is typing.Literal:
            names = ", ".join(f"`{name}`" for name in typing.get_args(kind))
            parts.append(f"One of: {names}.")
    if param.param_type_name == "option" and param.required:
        parts.append("Required.")
    elif param.default is not None and not isinstance(param.default, bool):
        parts.append(f"Default: `{param.default}`.")
    return " ".join(part for part in parts if part)


def write_study_keys() -> str:
    """Writes the keys of a study file, from its schema."""
    from medzoo.study.schema import make_schema

    return _write_schemas("key", make_schema()["properties"])


def write_fields() -> str:
    """Writes the fields of a run, from the class `Run`."""
    from medzoo.study.schema import read_fields

    return _write_schemas("field", read_fields())


def write_models() -> str:
    """Writes the models of the zoo and the options of each."""
    from medzoo.models.registry import MODELS
    from medzoo.study.schema import read_options

    parts = []
    for name, model in MODELS.items():
        width = f" Default width {model.width}." if model.width else ""
        parts.append(
            f"### {name}\n\n{model.about[0].upper()}{model.about[1:]}.{width}"
            f"\n\n{_write_schemas('option', read_options(model.options))}"
        )
    return "\n\n".join(parts)


def write_columns() -> str:
    """Takes over what `results/README.md` says of every column."""
    text = (ROOT / "results" / "README.md").read_text()
    return text.split("\n", 1)[1]


PAGES: dict[str, Callable[[], str]] = {
    "commands": write_commands,
    "study_keys": write_study_keys,
    "fields": write_fields,
    "models": write_models,
    "columns": write_columns,
}


def _write_schemas(what: str, schemas: dict[str, dict[str, Any]]) -> str:
    """Writes a row for each schema: meaning, choices and default."""
    rows = [
        (
            f"`{name}`",
            schema["description"],
            ", ".join(f"`{choice}`" for choice in schema.get("enum", ())),
            _format_default(schema),
        )
        for name, schema in schemas.items()
    ]
    return _table((what, "meaning", "choices", "default"), rows)


def _format_default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    if isinstance(default, list) and len(default) > 5:
        return "all"
    if default is None or default in ({}, []):
        return ""
    return f"`{json.dumps(default)}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
