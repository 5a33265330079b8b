"""The proposals of a search so far, in one file beside the records."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from medzoo.files import safe_name
from medzoo.search.search_file import Search
from medzoo.store import Store

# Keys that may change: a longer search continues a shorter one.
_FREE = {"plugins", "question", "trials", "hours", "proof_seeds", "baseline"}
Values = Mapping[str, Any]


class Proposals:
    """The proposals of a search, round by round.

    A round is written before it is executed, so that a resumed search has the
    same candidates without computing a Gaussian process again.

    Args:
        store: Store of the file, `searches/<name>.proposals.json`.

    Raises:
        ValueError: If a search with another space, tuner or seed was begun
            under this name, with each difference.
    """

    def __init__(self, search: Search, store: Store) -> None:
        self._store = store
        name = f"{safe_name(search.name)}.proposals.json"
        self._path = store.folder / "searches" / name
        asked = search.document.model_dump(
            mode="json", exclude=_FREE, exclude_none=True
        )
        self._asked = dict(_flatten(asked))
        self.rounds: list[list[Values]] = []
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            known = json.loads(self._path.read_text(encoding="utf-8"))
            self._require_equal(search.name, known["search"])
            self.rounds = known["rounds"]

    def size(self, index: int) -> int | None:
        """Returns the size of a round; `None` if it was not begun."""
        return len(self.rounds[index]) if index < len(self.rounds) else None

    def keep(self, index: int, proposals: list[Values]) -> None:
        """Writes a round; a different one replaces it and later ones."""
        known = self.rounds[index] if index < len(self.rounds) else []
        if known[: len(proposals)] != proposals:
            self.rounds[index:] = [proposals]
            content = {"search": self._asked, "rounds": self.rounds}
            text = json.dumps(content, indent=1, default=lambda v: v.item())
            self._store.write_text(self._path, text)

    def _require_equal(self, name: str, before: Values) -> None:
        now = self._asked
        differences = [
            f"  {key}: {before.get(key, 'absent')} became "
            f"{now.get(key, 'absent')}"
            for key in dict.fromkeys([*before, *now])
            if before.get(key) != now.get(key)
        ]
        if differences:
            found = "\n".join(differences)
            raise ValueError(
                f"The search `{name}` is no longer the one that was begun in "
                f"{self._store.folder}:\n{found}\nGive the file another name "
                f"to begin a new search, or remove {self._path}. No record is "
                "lost, and runs that both ask for are not repeated."
            )


def _flatten(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the leaves of a table by their dotted keys."""
    if not isinstance(values, dict):
        yield key, values
        return
    for name, value in values.items():
        yield from _flatten(value, f"{key}.{name}" if key else name)
