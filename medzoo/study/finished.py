"""What a finished search has tried, so that its tuner is not asked again.

The proposals of a Gaussian process take longer to make than to read. They are a
cache: without it, or with a run missing, the search asks its tuner.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medzoo.study.candidates import Tried, judge, make_candidate
from medzoo.study.search_file import Search
from medzoo.study.store import Store


def write_finished(
    search: Search, store: Store, tried: Iterable[Tried]
) -> None:
    """Keeps the choices of a search that has come to its end."""
    choices = [[each.number, dict(each.values), each.share] for each in tried]
    content = {"document": _document(search), "choices": choices}
    store.write_text(_path(search, store), json.dumps(content, indent=1))


def read_finished(search: Search, store: Store) -> list[Tried] | None:
    """Reads what was tried.

    Returns:
        As `run_search` does; `None` unless the very same search came to its
        end and every run of it is there, with none failed.
    """
    try:
        content = json.loads(_path(search, store).read_text())
    except (FileNotFoundError, ValueError):
        return None
    if content.get("document") != _document(search):
        return None
    tried = []
    for number, values, share in content["choices"]:
        candidate = make_candidate(search, values, share)
        if candidate.jobs(store):
            return None
        tried.append(judge(number, candidate, store))
    return tried


def _path(search: Search, store: Store) -> Path:
    return store.folder / "searches" / f"{search.name}.finished.json"


def _document(search: Search) -> dict[str, Any]:
    return search.document.model_dump(mode="json")
