"""Leases: which process executes which run, so that no two do the same one."""

import contextlib
import json
import os
import socket
import time
import uuid
from pathlib import Path

import psutil
from filelock import FileLock

from medzoo.files import replacing
from medzoo.store import writing

# Seconds between two signs of life of a process that holds leases.
HEARTBEAT = 30.0
# Seconds without one after which a lease of another host is taken over. The
# clocks of hosts that share a folder must agree better than that.
STALE_AFTER = 600.0
# Seconds after which a lease without content is one of a process that died
# between the creation of the file and the writing of its 100 bytes.
UNWRITTEN_AFTER = 10.0


class Leases:
    """Claims on runs by files that several processes and hosts see.

    A claim is the creation of `<run_id>.lease`, which the file system lets only
    one process do. The file holds host, process and time; the time of its last
    change is the sign of life of its holder. The lease of a process that is
    gone is taken over: at once on the same host, after `STALE_AFTER` seconds of
    silence on another one.

    Args:
        folder: Where the files are; shared by all who share the runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, str] = {}
        self._refreshed = time.monotonic()

    def claim(self, run_id: str) -> bool:
        """Tries to become the only one who executes a run.

        Returns:
            Whether the run is ours, until it is released.

        Raises:
            FileNotFoundError: If no file can be written there.
        """
        text = json.dumps(
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started": time.time(),
                "token": uuid.uuid4().hex,
            }
        )
        path = self._path(run_id)
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            claimed = _create(path, text) or self._take_over(path, text)
        if claimed:
            self._held[run_id] = text
        return claimed

    def release(self, run_id: str) -> None:
        """Gives a run back, unless another process has taken it over."""
        text = self._held.pop(run_id)
        path = self._path(run_id)
        with contextlib.suppress(OSError):
            if path.read_text() == text:
                path.unlink()

    def release_all(self) -> None:
        """Gives all runs back."""
        for run_id in list(self._held):
            self.release(run_id)

    def refresh(self) -> None:
        """Gives a sign of life, if the last one is `HEARTBEAT` seconds old."""
        if time.monotonic() - self._refreshed < HEARTBEAT:
            return
        self._refreshed = time.monotonic()
        for run_id in self._held:
            with contextlib.suppress(OSError):
                os.utime(self._path(run_id))

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.lease"

    def _take_over(self, path: Path, text: str) -> bool:
        """Replaces a stale lease; of several who try, one succeeds."""
        if not _is_stale(path):
            return False
        with FileLock(self.folder / ".lock"):
            if not _is_stale(path):  # Another process was faster.
                return False
            with replacing(path) as part:
                part.write_text(text)
        return True


def _create(path: Path, text: str) -> bool:
    """Creates a file; `False` if it is there."""
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(file, text.encode())
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(file)
    return True


def _is_stale(path: Path) -> bool:
    """Says whether the holder of a lease is gone for good."""
    try:
        text = path.read_text()
        silence = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False  # Released just now; the next claim will see.
    try:
        lease = json.loads(text)
        host, pid, started = lease["host"], lease["pid"], lease["started"]
    except (ValueError, TypeError, KeyError):
        return silence > UNWRITTEN_AFTER
    if host != socket.gethostname():
        return silence > STALE_AFTER
    return not _is_alive(pid, started)


def _is_alive(pid: int, started: float) -> bool:
    """Says whether a process lives that was there at the time `started`."""
    try:
        process = psutil.Process(pid)
        # A process that came later has only inherited the number.
        there = process.create_time() < started + 5
        return there and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
