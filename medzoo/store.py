"""The store: one file a run, written so that no reader sees half of it."""

import abc
import contextlib
import functools
import importlib.metadata
import json
import os
import re
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydantic_core import from_json

from medzoo import files
from medzoo.environment import find_folder
from medzoo.files import DAMAGED, METHODS, open_regular, read_regular, replacing
from medzoo.messages import encode_text, printable
from medzoo.record import Predictions, Record

# A record opens with its status and its run, and ends with its brace, so that a
# scan reads two short pieces of a file, and not its history.
_HEAD = re.compile(rb'\{"status":"(\w+)",')
_HEAD_BYTES = 4096
# No text inside of a run has these, as its quotes are escaped; its plugins may.
_SCORES, _NO_PLUGINS = b',"scores":{', b'"plugins":{}'
_TAIL = b"}\n"
_NAME = re.compile(r"([0-9a-f]{16})\.json")
# Bytes of a file beyond which it is no record, and of unpacked arrays.
_LARGEST_RECORD = 2**28
_LARGEST_ARRAYS = 2**33
_FINISHED = ("done", "diverged")
_WAY_OUT = (
    "Make room, or set MEDZOO_RUNS to another folder, and run the same command "
    "again: all records that were written are kept."
)
# Words a fault in writing a file of the store.
writing = functools.partial(files.writing, way_out=_WAY_OUT)


class _NewerRecord(ValueError):
    """A record that a newer version has written."""


class _OlderRecord(ValueError):
    """A record that an older version has written, of a run that is no more."""


class Reader(abc.ABC):
    """Records of runs, and what lies beside them, to read.

    Args:
        folder: Where they are, as messages name it.
    """

    folder: Path

    @abc.abstractmethod
    def read(self, run_id: str, *, history: bool = True) -> Record | None:
        """Reads a record, or all but its history; `None` if there is none."""

    def read_many(
        self, run_ids: Iterable[str], *, history: bool = True
    ) -> dict[str, Record]:
        """Reads the records that there are of `run_ids`."""
        found = ((key, self.read(key, history=history)) for key in run_ids)
        return {key: record for key, record in found if record}

    @abc.abstractmethod
    def has_predictions(self, run_id: str) -> bool:
        """Says whether what a run predicted was kept."""

    @abc.abstractmethod
    def read_predictions(self, run_id: str) -> Predictions | None:
        """Reads what a run predicted; `None` if that was not kept."""

    def read_task(self, run_id: str, task: str) -> Predictions:
        """Reads what a run predicted of a task; empty if that was not kept."""
        found = self.read_predictions(run_id) or Predictions()
        return found.of_task(task)

    @abc.abstractmethod
    def read_file(self, name: str) -> bytes | None:
        """Reads another file by its path inside; `None` if there is none."""

    @abc.abstractmethod
    def cache_file(self, name: str, content: bytes) -> None:
        """Keeps what can be made again, where there is room for it."""


class Store(Reader):
    """Records by `run_id`, shared by all studies.

    A record is `<first two digits>/<run_id>.json`; the predictions of its run
    are the `.npz` beside it. Each appears under its name in one step, and after
    its content is on the disk, the predictions first: whatever ends the writer,
    a record is complete or missing. A number that is not finite is
    stored as null. A training that was stopped on the way is in `.state.npz`
    until its run is finished.

    A record is what its name says: a file whose run has another `run_id`, or
    that is damaged, or no file at all, is named in a warning, and its run
    counts as missing. Nothing is renamed before another record takes its
    place. A finished record of a newer version is left alone.

    Args:
        folder: Folder of the files; `MEDZOO_RUNS` or `./runs` if left out.

    Raises:
        FileNotFoundError: If something else is there.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        if folder is None:
            folder = find_folder("MEDZOO_RUNS", "runs")
        self.folder = Path(folder)
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise FileNotFoundError(
                f"`{folder}` is no folder. Expected that of the records, or a "
                "name that is free. Name another one, or set MEDZOO_RUNS to it."
            )

    def require_room(self) -> None:
        """Tries whether records can be written, before any run is trained.

        Raises:
            FileNotFoundError: If they cannot.
        """
        files.require_output(self.folder, folder=True, way_out=_WAY_OUT)

    def write(
        self,
        record: Record,
        predictions: Predictions | None = None,
    ) -> None:
        """Writes a record, and what its run predicted.

        An unfinished record leaves a finished one as it is.

        Args:
            record: What to write; it replaces an older record of the run.
            predictions: Arrays to be kept beside it.
        """
        path = self._path(record.run_id)
        finished = record.status in _FINISHED
        if not finished and self.has_done(record.run_id):
            return
        if not _make_room(path):
            return
        arrays = predictions.to_arrays() if predictions else {}
        if arrays:
            _write_arrays(path.with_suffix(".npz"), arrays)
        # Through pydantic, which has null for NaN where `json` has NaN.
        content = json.loads(record.model_dump_json())
        about = {"status": record.status, "run_id": record.run_id}
        content = about | content
        text = json.dumps(content, separators=(",", ":")) + "\n"
        _write_bytes(path, text.encode())
        if finished or record.status == "trained":
            path.with_suffix(".state.npz").unlink(missing_ok=True)

    def copy(self, run_id: str, source: "Store") -> None:
        """Copies all that another store has of a run, its record at last."""
        path = self._path(run_id)
        if not _make_room(path):
            return
        for ending in (".state.npz", ".npz", ".json"):
            theirs = source._path(run_id).with_suffix(ending)
            try:
                content = read_regular(theirs)
            except FileNotFoundError:
                continue
            except ValueError as error:
                _warn(theirs, error)
                continue
            _write_bytes(path.with_suffix(ending), content)

    def read(self, run_id: str, *, history: bool = True) -> Record | None:
        """Reads a record; `None`, with a warning, for what is none."""
        try:
            return _read_record(self._name(run_id), run_id, history=history)
        except (FileNotFoundError, _OlderRecord):
            return None
        except (ValueError, OSError) as error:
            _warn(self._path(run_id), error)
            return None

    def has_done(self, run_id: str) -> bool:
        """Says whether a run is finished: done, or diverged for good."""
        return self.status(run_id) in _FINISHED

    def status(self, run_id: str) -> str | None:
        """Returns the status of a run, `None` if it has no record.

        Reads the two ends of the file and no more; a file that does not look
        whole, or is not that of the run, is read in full.
        """
        found = self._read_head(run_id)
        if found is None:
            return None
        head = _HEAD.match(found)
        if head:
            return head[1].decode()
        record = self.read(run_id)
        return record.status if record else None

    def read_scores(
        self, run_id: str
    ) -> tuple[str, dict[str, dict[str, float | None]]] | None:
        """Reads status and scores of a run of one task, and no more.

        Reads in full where the start of the file does not tell.
        """
        start = self._read_head(run_id)
        if start is None:
            return None
        head, place = _HEAD.match(start), start.find(_SCORES)
        if head and place >= 0 and start.find(_NO_PLUGINS, 0, place) >= 0:
            end = start.find(b"}}", place) + 2
            with contextlib.suppress(ValueError):
                scores = from_json(start[place + len(_SCORES) - 1 : end])
                return head[1].decode(), scores
        record = self.read(run_id)
        return (record.status, record.scores) if record else None

    def _read_head(self, run_id: str) -> bytes | None:
        """Reads the start of a record; of one that is not whole, nothing.

        `None` if there is none.
        """
        # By the system's own calls: three times as fast for 100,000 files.
        name = self._name(run_id)
        try:
            file = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(Path(name), error)
            return None
        try:
            facts = os.fstat(file)
            is_file = stat.S_ISREG(facts.st_mode)
            start = os.read(file, _HEAD_BYTES) if is_file else b""
            end = max(0, facts.st_size - len(_TAIL))
            whole = is_file and os.pread(file, len(_TAIL), end) == _TAIL
        finally:
            os.close(file)
        if whole and f'"run_id":"{run_id}"'.encode() in start:
            return start
        return b""

    def statuses(self) -> dict[str, str]:
        """Returns the status of every run in the store."""
        found = ((run_id, self.status(run_id)) for run_id in self.run_ids())
        return {run_id: status for run_id, status in found if status}

    def run_ids(self) -> Iterator[str]:
        """Lists every run that has a record, in the order of their ids."""
        for shard in sorted(self.folder.glob("??")):
            if not shard.is_dir():
                continue
            for name in sorted(os.listdir(shard)):
                found = _NAME.fullmatch(name)
                if found and name.startswith(shard.name):
                    yield found[1]

    def has_predictions(self, run_id: str) -> bool:
        """Says whether what a run predicted was kept."""
        return self._path(run_id).with_suffix(".npz").is_file()

    def has_corrupted(self, run_id: str) -> bool:
        """Says whether a run was scored on corrupted images as well."""
        path = self._path(run_id).with_suffix(".npz")
        try:
            with zipfile.ZipFile(path) as archive:
                return any("corrupted/" in n for n in archive.namelist())
        except (OSError, zipfile.BadZipFile):
            return False

    def read_predictions(self, run_id: str) -> Predictions | None:
        """Reads what a run predicted; `None` if that was not kept.

        A file that is damaged, holds pickled objects or other arrays is passed
        over with a warning.
        """
        path = self._path(run_id).with_suffix(".npz")
        arrays = _read_arrays(path)
        try:
            return None if arrays is None else Predictions.from_arrays(arrays)
        except DAMAGED as error:
            _warn(path, error)
            return None

    def write_state(self, run_id: str, state: dict[str, np.ndarray]) -> None:
        """Writes a training that was stopped on the way."""
        path = self._path(run_id).with_suffix(".state.npz")
        _write_arrays(path, state)

    def read_state(self, run_id: str) -> dict[str, np.ndarray] | None:
        """Reads a training that was stopped on the way, `None` without one."""
        return _read_arrays(self._path(run_id).with_suffix(".state.npz"))

    def read_file(self, name: str) -> bytes | None:
        """Reads a file by its path inside the folder; `None` without one."""
        try:
            with open(f"{self.folder}/{name}", "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def cache_file(self, name: str, content: bytes) -> None:
        """Keeps what can be made again; a full disk is no error."""
        with (
            contextlib.suppress(OSError),
            replacing(self.folder / name) as part,
        ):
            part.write_bytes(content)

    def write_text(self, path: Path, text: str) -> None:
        """Writes a file of its own folder at once, as records are written."""
        _write_bytes(path, encode_text(text))

    def _path(self, run_id: str) -> Path:
        return Path(self._name(run_id))

    def _name(self, run_id: str) -> str:
        # `Path` takes as long for its parts as the system for the file.
        return f"{self.folder}/{run_id[:2]}/{run_id}.json"


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    def write(file: BinaryIO) -> None:
        np.savez_compressed(file, allow_pickle=False, **arrays)

    _write_whole(path, write)


def _read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with open_regular(path) as file:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > _LARGEST_ARRAYS:
                raise ValueError(f"it would unpack to {size:,} bytes")
            if not {member.compress_type for member in members} <= METHODS:
                raise ValueError("an entry of its table of contents")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
    except FileNotFoundError:
        return None
    except (*DAMAGED, OSError) as error:
        _warn(path, error)
        return None


def _write_bytes(path: Path, content: bytes) -> None:
    _write_whole(path, lambda file: file.write(content))


def _write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file that appears under its name only once it is on the disk."""
    with writing(path):
        with replacing(path) as part, open(part, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        for folder in (path.parent, path.parent.parent):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _read_record(name: str, run_id: str, *, history: bool = True) -> Record:
    """Reads the record that the name of a file promises.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is another record, or none.
    """
    content = read_regular(name, most=_LARGEST_RECORD)
    try:
        record = Record.from_json(content, history=history)
    except ValueError as error:
        version = _find_version(content)
        if version and _parts(version) > _parts(_own_version()):
            raise _NewerRecord(version) from None
        raise ValueError(str(error)) from None
    for other in (record.run_id, record.run.run_id):
        if other != run_id:
            version = record.versions.get("medzoo", _own_version())
            is_old = _parts(version) < _parts(_own_version())
            kind = _OlderRecord if is_old else ValueError
            raise kind(f"it is of the run {other}")
    return record


def _find_version(content: bytes) -> str:
    """Finds which version of medzoo has written a record."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        return str(json.loads(content)["versions"]["medzoo"])
    return ""


def _own_version() -> str:
    return importlib.metadata.version("medzoo")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d{1,9}", version)[:3]))


def _make_room(path: Path) -> bool:
    """Renames a file that is no record, before one takes its place.

    Returns:
        Whether a record may be written: not over one of a newer version.
    """
    try:
        _read_record(str(path), path.stem)
    except FileNotFoundError:
        return True
    except _NewerRecord as error:
        _warn(path, error)
        return False
    except (ValueError, OSError):
        with writing(path), contextlib.suppress(FileNotFoundError):
            path.rename(path.with_name(f"{path.name}.broken"))
    return True


def _warn(path: Path, error: BaseException) -> None:
    """Says why a file is passed over."""
    if isinstance(error, _NewerRecord):
        text = (
            f"{path} is a record of medzoo {error}, which is newer than "
            f"{_own_version()}. It is left alone; a newer medzoo reads it."
        )
    else:
        reason = printable(error).splitlines() or [type(error).__name__]
        what = "Its run counts" if path.suffix == ".json" else "They count"
        text = f"{path} is damaged ({reason[0]}). {what} as missing."
    warnings.warn(text, stacklevel=3)
