"""Models, losses and more from outside of medzoo, as runs describe them.

A run holds all that is to be known of a plugin to read its record: the options
and defaults that it declares, and a digest of its content for `run_id`. What
makes the thing itself is in `medzoo.plugins`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from medzoo.files import hash_file
from medzoo.messages import FieldError
from medzoo.models import registry
from medzoo.models.backbones import find_file
from medzoo.models.options import Affects, Option, Value
from medzoo.models.registry import Entry

# Fields of a run, and the option `backbone`, that may name a plugin, with what
# the options of such a plugin change.
KINDS: dict[str, Affects] = {
    "model": "graph",
    "loss": "graph",
    "optimizer": "graph",
    "activation": "graph",
    "augmentation": "graph",
    "schedule": "course",
    "backbone": "graph",
}


class OwnOption(BaseModel):
    """An option that a plugin declares in its signature.

    Args:
        default: Its value if it is left out, which decides its type.
        choices: Names that it may take; any if empty.
    """

    model_config = ConfigDict(frozen=True)

    default: Value
    choices: tuple[str, ...] = ()


class Plugin(BaseModel):
    """What a run knows of a plugin that one of its fields names.

    Args:
        name: Value of the field.
        content: Digest of the code or configuration; it is part of `run_id`.
        source: File or module that has it; empty for an object of Keras.
        attribute: Name in that module, such as `build`.
        config: Configuration of an object of Keras.
        options: Options of its own, by name.
        defaults: Of `width`, `learning_rate` or `weight_decay`.
        takes: Those of the common arguments that a builder of models takes; of
            an optimizer those of the rates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    content: str
    source: str = ""
    attribute: str = ""
    config: dict[str, Any] = {}
    options: dict[str, OwnOption] = {}
    defaults: dict[str, float | int] = {}
    takes: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash((self.name, self.content))


Plugins = Mapping[str, Plugin]

# What was registered in this process, by kind and name.
REGISTERED: dict[tuple[str, str], Plugin] = {}


def list_registered(kind: str) -> list[str]:
    """Lists the names of registered plugins of a kind."""
    return [name for k, name in REGISTERED if k == kind]


def choose_plugins(values: Mapping[str, Any]) -> dict[str, Plugin]:
    """Returns the plugins that the fields of a run name.

    Those that are among the values, as in a record, come before those that are
    registered.
    """
    given = values.get("plugins") or {}
    found = {}
    for kind in KINDS:
        name = _find_name(values, kind)
        plugin = given.get(kind) if isinstance(given, Mapping) else None
        if plugin is not None:
            plugin = Plugin.model_validate(plugin)
        if plugin is None or plugin.name != name:
            plugin = _find_plugin(kind, str(name))
        if plugin is not None:
            found[kind] = plugin
    return found


def _find_plugin(kind: str, name: str) -> Plugin | None:
    """Finds what was registered, or the files of a backbone."""
    path = find_file(name) if kind == "backbone" else None
    folder = Path(name.removeprefix("hub:"))
    if path is None and name.startswith("hub:") and folder.is_dir():
        hashes = [
            hash_file(file)
            for file in sorted(folder.iterdir())
            if file.is_file()
        ]
        content = hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]
        return Plugin(name=name, content=content, source=str(folder))
    if path is None:
        return REGISTERED.get((kind, name))
    if not path.is_file():
        raise FieldError(
            f"No network at `{path}`. Expected a .keras file, as in backbone="
            f"'keras:trained/model.keras@pool'. Received: backbone={name!r}.",
            "backbone",
        )
    layer = name.rpartition("@")[2] if "@" in name else ""
    content = hash_file(path)[:16]
    return Plugin(name=name, content=f"{content}@{layer}", source=str(path))


def _find_name(values: Mapping[str, Any], kind: str) -> Any:
    options = values.get("options")
    nested = options if isinstance(options, Mapping) else {}
    return values.get(kind, nested.get(kind))


def find_entry(
    model: str, options: Mapping[str, Any], plugins: Plugins
) -> Entry:
    """Returns the entry of a model, with the options of all plugins of a run.

    Raises:
        FieldError: For an unknown model or backbone, and for an option that two
            of them have.
    """
    own = plugins.get("model")
    entry = _make_entry(own) if own else registry.find_entry(model, options)
    others = {k: v for k, v in plugins.items() if k != "model"}
    if not others:
        return entry
    _refuse_twice(model, entry, others)
    changed = dict(entry.options)
    if "backbone" in others and "backbone" in changed:
        changed["backbone"] = replace(changed["backbone"], choices=())
    more = {
        name: option
        for kind, plugin in others.items()
        for name, option in _make_options(plugin, kind).items()
    }
    return replace(entry, options={**more, **changed})


def _refuse_twice(model: str, entry: Entry, others: Plugins) -> None:
    """Refuses an option of one name in two places, as a run has one value."""
    owners = dict.fromkeys(entry.options, ("model", model))
    for kind, plugin in others.items():
        for name in plugin.options:
            first, called = owners.setdefault(name, (kind, plugin.name))
            if first == kind:
                continue
            raise FieldError(
                f"{first.capitalize()} `{called}` and {kind} `{plugin.name}` "
                f"both have an option `{name}`. Expected a name for each, as a "
                f"run has one value of it. Rename that of {kind} "
                f"`{plugin.name}`, as in `{kind}_{name}`.",
                *(name, kind),
            )


def _make_entry(plugin: Plugin) -> Entry:
    width = plugin.defaults.get("width")
    return Entry(
        f"of the plugin {plugin.source or plugin.name}",
        width=None if width is None else int(width),
        parameters=0,
        options=_make_options(plugin, "model"),
    )


def _make_options(plugin: Plugin, kind: str) -> dict[str, Option]:
    return {
        name: Option(
            option.default,
            f"Option of {kind} `{plugin.name}`.",
            choices=option.choices,
            affects=KINDS[kind],
            in_builder=kind == "model",
        )
        for name, option in plugin.options.items()
    }


def options_of(plugin: Plugin, options: Mapping[str, Value]) -> dict[str, Any]:
    """Returns the values of the options that a plugin declares."""
    return {name: options[name] for name in plugin.options}
