"""Records that may be published: they name no folder of the user's machine."""

import json
import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from medzoo.record import Record

# A path with folders, from the root of a disk, the home or the folder above;
# no part of an address of the web.
_PATH = re.compile(
    r"(?<![\w/.\\])(?!//)(?:[A-Za-z]:[/\\]|[/\\]|~[/\\]|(?:\.\.?[/\\])+)"
    r"(?:[^\s'\"`<>|,;:()]*[/\\])?(?P<name>[^\s'\"`<>|,;:()/\\]+)"
)


def hide_folders(record: Record) -> Record:
    """Returns a record in which each path has become its last name.

    The data of the run, files of plugins, backbones and weights are named so,
    and what notes and warnings say. `run_id` and fingerprints stay.
    """
    known = _list_known(record)

    def hide(text: str) -> str:
        for path, name in known:
            text = text.replace(path, name)
        return _PATH.sub(lambda found: found["name"], text)

    values = json.loads(record.model_dump_json())
    return Record.model_validate(_map_texts(values, hide))


def _list_known(record: Record) -> list[tuple[str, str]]:
    """Lists paths that are known, the longest first, and what they become."""
    found = {plugin.source for plugin in record.run.plugins.values()}
    found.add(record.run.data.partition(":")[2])
    named = {path: PurePath(path).name for path in found if path}
    places = {str(Path.cwd()): ".", str(Path.home()): "~"}
    known = {k: v for k, v in (places | named).items() if len(k) > 1 and v}
    return sorted(known.items(), key=lambda pair: -len(pair[0]))


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Changes each text of a tree of JSON values, but no key."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_texts(each, change) for each in value]
    if isinstance(value, dict):
        return {key: _map_texts(each, change) for key, each in value.items()}
    return value
