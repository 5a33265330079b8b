"""Runs that are executed now, and notes of how far they are.

A note lies beside the lease of its run and decides nothing: it may be missing,
old or damaged.
"""

import contextlib
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import psutil

from medzoo.execution.leases import FOLDER, Holder, Leases, note_path
from medzoo.files import read_regular

# Seconds between two notes of one run.
LEAST_SECONDS = 1.0
_MOST_BYTES = 100_000
_NOTHING: Mapping[str, float | None] = MappingProxyType({})


class Running(NamedTuple):
    """A run that is executed.

    Args:
        run_id: Its id.
        holder: The process that started its worker.
        pid: Number of the worker; 0 if it has written no note.
        memory: Private memory of the worker in bytes, when it wrote its note.
        entry: Its last check on val, as in the history of a record; empty
            before the first.
    """

    run_id: str
    holder: Holder
    pid: int = 0
    memory: float = 0.0
    entry: Mapping[str, float] = MappingProxyType({})

    @property
    def worker(self) -> Holder:
        """The process that trains it, as far as it is known."""
        return self.holder._replace(pid=self.pid or self.holder.pid)


class ProgressNote:
    """Notes how far a run is, for those who watch it.

    Nothing is written without a lease, nor more than once in `LEAST_SECONDS`;
    what holds the lease removes the note with it.

    Args:
        folder: Of the store.
        run_id: Of the run.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self._lease = folder / FOLDER / f"{run_id}.lease"
        self._next = 0.0

    def write(self, entry: Mapping[str, float | None] = _NOTHING) -> None:
        """Writes a check on val; a disk that takes nothing is no error."""
        now = time.monotonic()
        if now < self._next or not self._lease.exists():
            return
        self._next = now + LEAST_SECONDS * bool(entry)
        memory = private_memory(psutil.Process())
        about = {"pid": os.getpid(), "memory": memory, "entry": dict(entry)}
        with contextlib.suppress(OSError):
            text = json.dumps(about)
            note_path(self._lease).write_text(text, encoding="utf-8")


def list_running(folder: Path) -> list[Running]:
    """Lists the runs that are executed now on a store.

    Args:
        folder: Of the store, which is only read.
    """
    leases = folder / FOLDER
    return [
        Running(run_id, holder, **_read_note(leases / f"{run_id}.lease"))
        for run_id, holder in Leases(leases).list_held().items()
    ]


def _read_note(lease: Path) -> dict[str, Any]:
    """Reads what a worker has noted; nothing of a note that is damaged."""
    faults = (OSError, ValueError, TypeError, KeyError, AttributeError)
    with contextlib.suppress(*faults, RecursionError):
        about = json.loads(read_regular(note_path(lease), most=_MOST_BYTES))
        values = {str(key): value for key, value in about["entry"].items()}
        known = {k: float(v) for k, v in values.items() if v is not None}
        return {
            "pid": int(about["pid"]),
            "memory": float(about["memory"]),
            "entry": {k: v for k, v in known.items() if math.isfinite(v)},
        }
    return {}


def private_memory(process: psutil.Process) -> float:
    """Returns the private memory of a process in bytes.

    Memory-mapped data files are shared, and can be dropped at any time.
    """
    info = process.memory_info()
    return info.rss - getattr(info, "shared", 0)
