"""What a process keeps of data that it has read, until it is to read anew."""

import functools
from collections.abc import Callable
from typing import TypeVar

Read = TypeVar("Read", bound=Callable)

_readers: list = []


def keep(most: int) -> Callable[[Read], Read]:
    """Returns a decorator that keeps the last results of a reader of data.

    Args:
        most: How many results are kept.
    """

    def decorate(read: Read) -> Read:
        kept = functools.lru_cache(maxsize=most)(read)
        _readers.append(kept)
        return kept  # type: ignore[return-value]

    return decorate


def forget() -> None:
    """Forgets all that was read, as files may have changed since."""
    for reader in _readers:
        reader.cache_clear()
