"""Leases: which process executes which run, so that no two do the same one."""

import contextlib
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import psutil
from filelock import FileLock

from medzoo.files import name_machine, read_regular, replacing
from medzoo.messages import printable
from medzoo.store import writing

# Seconds between two signs of life of a process that holds leases.
HEARTBEAT = 30.0
# Seconds without one after which a lease of another host is taken over.
STALE_AFTER = 600.0
# Seconds for which a lease is watched before, so that no clock that is set can
# take it from a process that lives.
WATCH = 2 * HEARTBEAT
# Seconds after which a lease without content is one of a process that died
# between the creation of the file and the writing of its 100 bytes.
UNWRITTEN_AFTER = 10.0
_MOST_BYTES = 10_000
# No system gives such numbers to its processes, and no clock shows such a time.
_MOST_PIDS = 2**31
_LATEST = 1e11
# Folder of the leases of a store, inside of it.
FOLDER = "leases"


class Holder(NamedTuple):
    """The process that holds a lease.

    Args:
        host: Name of its machine.
        pid: Its number.
        started: Time of the claim.
        born: When the process began, in ticks since its machine did; empty
            where the system does not say.
        machine: Where its number counts, as `name_machine` says; empty in
            leases of earlier versions.
    """

    host: str
    pid: int
    started: float
    born: str = ""
    machine: str = ""

    def __str__(self) -> str:
        return printable(f"process {self.pid} on {self.host}")

    @property
    def is_here(self) -> bool:
        """Whether this process can see that of the holder."""
        if self.machine:
            return self.machine == name_machine()
        return self.host == socket.gethostname()

    @classmethod
    def parse(cls, text: str) -> "Holder | None":
        """Reads a lease; `None` for what is none."""
        try:
            lease = json.loads(text)
            host, pid = lease["host"], lease["pid"]
            started, born = lease["started"], lease.get("born", "")
            machine = lease.get("machine", "")
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        kinds = ((pid, int), (started, int | float))
        texts = (host, born, machine)
        is_one = (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(part, kind) for part, kind in kinds)
            and not isinstance(pid, bool)
            and 0 < pid < _MOST_PIDS
            and 0 <= started < _LATEST
        )
        return cls(host, pid, started, born, machine) if is_one else None


class Leases:
    """Claims on runs by files that several processes and hosts see.

    A claim is the creation of `<run_id>.lease`, which the file system lets only
    one process do. The file holds host, process and time; the time of its last
    change is the sign of life of its holder. The lease of a process that is
    gone is taken over: at once on the same host, after `STALE_AFTER` seconds of
    silence on another one, in another container, or before a restart. Silence
    is measured by the clock of the file system, and seen for `watch` seconds of
    a clock that nobody sets; where the former was set back, by the latter
    alone.

    Args:
        folder: Where the files are; shared by all who share the runs.
        watch: See above.
    """

    def __init__(self, folder: Path, *, watch: float = WATCH) -> None:
        self.folder = folder
        self._watch = watch
        # Time of change of silent leases, and when it was first seen.
        self._silent: dict[str, tuple[int, float]] = {}
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
                "born": _find_birth(os.getpid()),
                "machine": name_machine(),
                "token": uuid.uuid4().hex,
            }
        )
        path = self._path(run_id)
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            claimed = _create(path, text) or self._take_over(run_id, text)
        if claimed:
            self._held[run_id] = text
        return claimed

    def release(self, run_id: str) -> None:
        """Gives a run back, unless another process has taken it over."""
        text = self._held.pop(run_id)
        path = self._path(run_id)
        with contextlib.suppress(OSError, ValueError):
            if read_regular(path).decode() == text:
                note_path(path).unlink(missing_ok=True)
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

    def holder(self, run_id: str) -> Holder | None:
        """Returns who holds a run; `None` if that is nobody, or unknown."""
        with contextlib.suppress(OSError, ValueError):
            content = read_regular(self._path(run_id), most=_MOST_BYTES)
            return Holder.parse(content.decode())
        return None

    def list_held(self) -> dict[str, Holder]:
        """Lists runs by who holds them, without those whose holder is gone.

        It is for display alone: nothing is written, and of another host
        silence is measured by the clock of this one.
        """
        paths = sorted(self.folder.glob("*.lease"))
        found = ((path, self.holder(path.stem)) for path in paths)
        return {
            path.stem: holder
            for path, holder in found
            if holder and _seems_alive(path, holder)
        }

    def _take_over(self, run_id: str, text: str) -> bool:
        """Replaces a stale lease; of several who try, one succeeds."""
        path = self._path(run_id)
        if not self._is_stale(run_id):
            return False
        with FileLock(self.folder / ".lock"):
            if not self._is_stale(run_id):  # Another process was faster.
                return False
            if path.is_dir() or path.is_symlink():  # Nor is that a lease.
                path.rename(path.with_name(f"{path.name}.broken"))
            with replacing(path) as part:
                part.write_text(text, encoding="utf-8")
        return True

    def _is_stale(self, run_id: str) -> bool:
        """Says whether the holder of a lease is gone for good."""
        try:
            changed = self._path(run_id).lstat().st_mtime_ns
        except FileNotFoundError:
            return False  # Released just now; the next claim will see.
        holder = self.holder(run_id)
        if holder is not None and holder.is_here:
            return not _is_alive(holder)
        known, since = self._silent.get(run_id, (None, 0.0))
        if known != changed:
            since = time.monotonic()
            self._silent[run_id] = changed, since
        watched = time.monotonic() - since
        silence = max(watched, (self._now() - changed) / 1e9)
        if holder is None:
            return silence > UNWRITTEN_AFTER
        return silence > STALE_AFTER and watched >= self._watch

    def _now(self) -> int:
        """Returns the time of the file system, in nanoseconds."""
        clock = self.folder / ".clock"
        clock.touch()
        return clock.stat().st_mtime_ns


def note_path(lease: Path) -> Path:
    """Names the note of how far a run is, beside its lease."""
    return lease.with_suffix(".progress")


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


def _seems_alive(lease: Path, holder: Holder) -> bool:
    if holder.is_here:
        return _is_alive(holder)
    with contextlib.suppress(FileNotFoundError):
        return time.time() - lease.stat().st_mtime < STALE_AFTER
    return False


def _is_alive(holder: Holder) -> bool:
    """Says whether the process lives that has claimed a run here."""
    try:
        process = psutil.Process(holder.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # A process that came later has only inherited the number.
        if holder.born:
            return _find_birth(holder.pid) == holder.born
        return process.create_time() < holder.started + 5
    except psutil.NoSuchProcess:
        return False


def _find_birth(pid: int) -> str:
    """Finds when a process began, in a unit that no clock can change."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(
            encoding="utf-8", errors="replace"
        )
        # The name before it may have blanks and brackets.
        return text.rpartition(")")[2].split()[19]
    return ""
