"""Which search was begun under a name, so that it does not become another."""

import json
from collections.abc import Iterator
from typing import Any

from medzoo.study.search_file import Search
from medzoo.study.store import Store

# What may change on the way: a longer search goes on from a shorter one.
_FREE = {"question", "trials", "hours", "proof_seeds", "baseline"}


def require_unchanged(search: Search, store: Store) -> None:
    """Refuses to go on with a search that asks something else than before.

    Raises:
        ValueError: With each difference to the search of this name that was
            begun in the store.
    """
    path = store.folder / "searches" / f"{search.name}.json"
    asked = search.document.model_dump(exclude=_FREE, exclude_none=True)
    now = dict(_flatten(json.loads(json.dumps(asked))))
    if not path.is_file():
        store.write_text(path, json.dumps(now, indent=1))
        return
    before = json.loads(path.read_text())
    differences = [
        f"  {key}: {before.get(key, 'absent')} became {now.get(key, 'absent')}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]
    if differences:
        found = "\n".join(differences)
        raise ValueError(
            f"The search `{search.name}` is no longer the one that was begun "
            f"in {store.folder}:\n{found}\nGive the file another name to begin "
            f"a new search, or remove {path}. No record is lost, and runs that "
            "both ask for are not repeated."
        )


def _flatten(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the leaves of a table by their dotted keys."""
    if not isinstance(values, dict):
        yield key, values
        return
    for name, value in values.items():
        yield from _flatten(value, f"{key}.{name}" if key else name)
