"""Plugins that files of studies, runs and searches list."""

from collections.abc import Mapping
from typing import Any

from medzoo.plugins.files import PluginError
from medzoo.study.source import Source
from medzoo.training.plugins import import_plugins


def load_listed(source: Source, values: Mapping[str, Any]) -> None:
    """Imports the plugins that a file lists under `plugins`.

    Raises:
        ValueError: If one cannot be imported, or registers nothing.
    """
    names = values.get("plugins", [])
    if not isinstance(names, list) or not all(
        isinstance(n, str) for n in names
    ):
        return  # The schema of the file says so.
    try:
        import_plugins(names, source.path.parent)
    except PluginError as error:
        raise source.fault((("plugins",), str(error))) from error
