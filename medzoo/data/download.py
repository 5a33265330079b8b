"""Downloads of the official files, resumed and verified."""

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, NamedTuple

import requests
import urllib3
from filelock import FileLock
from requests.adapters import HTTPAdapter
from rich import progress

from medzoo.console import PlainConsole
from medzoo.data.checksums import digest_of, name_digest, trust, verify
from medzoo.data.folders import find_file
from medzoo.environment import find_mirror
from medzoo.files import writing
from medzoo.tasks import get_task

Progress = Callable[[int, int], None]

CHUNK = 1 << 18
# Answers of a busy server, which is asked again.
_BUSY = (408, 429, 500, 502, 503, 504)


class Patience(NamedTuple):
    """Limits of a download from a slow or silent server.

    Args:
        attempts: Attempts in a row that may bring less than `stall_bytes`.
        back_off: Seconds after the first of them; they double each time.
        stall_seconds: Time in which a connection has to bring `stall_bytes`.
        stall_bytes: See `stall_seconds`.
        most_seconds: Longest wait that a server may ask for.
        most_bytes: Bytes after which no file ends.
    """

    attempts: int = 4
    back_off: float = 0.5
    stall_seconds: float = 30.0
    stall_bytes: int = 30_000
    most_seconds: float = 60.0
    most_bytes: int = 2**36


PATIENCE = Patience()


def fetch(
    url: str,
    target: Path,
    published: str | None,
    *,
    on_progress: Progress | None = None,
    patience: Patience = PATIENCE,
) -> Path:
    """Downloads one file, unless it is already there.

    What was received is kept in a `.part` file beside it, from which the next
    call resumes. The file gets its name only when its checksum is right. Of
    several processes one downloads it, and the others wait.

    Args:
        url: Address of the file.
        target: Path that it gets.
        published: Its MD5 or SHA-256; `None` if there is none.
        on_progress: Called with the bytes received and those of the file.
        patience: With a slow or silent server.

    Raises:
        FileNotFoundError: If the file cannot be downloaded or written.
        ValueError: If the file is not the published one.
    """
    if not target.is_file():
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{target}.lock").acquire()
        with lock:
            if not target.is_file():
                show = on_progress or (lambda *_: None)
                _fetch(url, target, published, show, patience)
    if not published:
        return target
    try:
        verify(target, published)
    except ValueError as error:
        raise ValueError(
            f"{error} Remove it and run the same command again."
        ) from error
    return target


def _fetch(
    url: str,
    target: Path,
    published: str | None,
    on_progress: Progress,
    patience: Patience,
) -> None:
    part = target.with_name(f"{target.name}.part")
    _complete(url, part, on_progress, patience)
    received = digest_of(part, published) if published else ""
    if published and received != published:
        part.unlink()
        raise ValueError(
            f"`{target.name}` was downloaded from {url}, but is another file "
            "than the published one; it was removed. "
            f"Expected: {name_digest(published)}. Received: "
            f"{name_digest(received)}. Run the same command again, or set "
            "MEDZOO_MIRROR to another place."
        )
    with writing(target):
        part.replace(target)
    if published:
        trust(target, received)


def _complete(
    url: str, part: Path, on_progress: Progress, patience: Patience
) -> None:
    """Requests the rest again, as long as something is received."""
    most = failures = 0
    with _open_session(patience) as session:
        while not _request_rest(session, url, part, on_progress, patience):
            there = _size(part)
            enough = there >= most + patience.stall_bytes
            failures = 0 if enough else failures + 1
            most = max(most, there)
            if failures == patience.attempts:
                raise FileNotFoundError(
                    f"{url} sends too little. Expected {patience.stall_bytes} "
                    f"bytes in one of {patience.attempts} attempts. Received: "
                    f"{most} bytes in all, which are kept. Run the same "
                    "command again to go on."
                )
            time.sleep(patience.back_off * 2**failures)


def _open_session(patience: Patience) -> requests.Session:
    """Opens a session that repeats requests to which no answer comes."""
    retry = urllib3.Retry(
        total=patience.attempts,
        connect=3,
        backoff_factor=patience.back_off,
        status_forcelist=_BUSY,
        retry_after_max=int(patience.most_seconds),
    )
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.headers["Accept-Encoding"] = "identity"
    return session


def _request_rest(
    session: requests.Session,
    url: str,
    part: Path,
    on_progress: Progress,
    patience: Patience,
) -> bool:
    """Appends what one request brings; returns whether the file is complete."""
    start = _size(part)
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = session.get(
            url, headers=headers, stream=True, timeout=patience.stall_seconds
        )
    except requests.RequestException as error:
        raise FileNotFoundError(
            f"`{part.stem}` was not downloaded: {url} cannot be reached "
            f"({_reason(error)})."
        ) from error
    with response:
        sent = response.headers.get("Content-Range", "")
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if sent == f"bytes */{start}":
                return True
            part.unlink(missing_ok=True)
            return False
        if not response.ok:
            raise FileNotFoundError(
                f"`{part.stem}` was not downloaded: {url} answered "
                f"{response.status_code} {response.reason}. "
                "Expected the file. Set MEDZOO_MIRROR to a place that has it."
            )
        resumed = sent.startswith(f"bytes {start}-")
        with writing(part), open(part, "ab" if resumed else "wb") as file:
            return _receive(response, file, on_progress, patience)


def _receive(
    response: requests.Response,
    file: BinaryIO,
    on_progress: Progress,
    patience: Patience,
) -> bool:
    """Writes the body; returns whether it came to its end."""
    left = int(response.headers.get("Content-Length", 0))
    total = file.tell() + left if left else 0
    since, until_then = time.monotonic(), file.tell()
    try:
        while data := response.raw.read1(CHUNK):
            file.write(data)
            if file.tell() > patience.most_bytes:
                file.truncate(0)
                raise FileNotFoundError(
                    "The download does not end. Expected at most "
                    f"{patience.most_bytes:,} bytes. Received: more of "
                    f"{response.url}. Set MEDZOO_MIRROR to another place."
                )
            on_progress(file.tell(), total)
            if time.monotonic() - since > patience.stall_seconds:
                if file.tell() - until_then < patience.stall_bytes:
                    return False
                since, until_then = time.monotonic(), file.tell()
    except urllib3.exceptions.HTTPError:
        return False
    return True


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: requests.RequestException) -> str:
    """Finds the reason below the layers of the libraries."""
    fault = getattr(error.args[0], "reason", error) if error.args else error
    return str(fault).rpartition(": ")[2]


def download_tasks(tasks: Iterable[str], size: int = 28) -> list[Path]:
    """Downloads the files of tasks, with a progress bar on standard error.

    Files that are already there and have the published MD5 are left alone.
    Nothing is downloaded where one of the tasks is unknown; errors are those of
    `download_task`.
    """
    tasks = list(tasks)
    for task in tasks:
        find_file(task, size)
    console = PlainConsole(stderr=True, soft_wrap=True)
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as bars:
        return [_download_with_bar(bars, task, size) for task in tasks]


def download_task(
    task: str,
    size: int = 28,
    *,
    folder: Path | None = None,
    on_progress: Progress | None = None,
) -> Path:
    """Downloads the file of a task, unless it is already there.

    It comes from where MedMNIST publishes it, or from
    `$MEDZOO_MIRROR/<file name>` if `MEDZOO_MIRROR` is set.

    Args:
        task: Name of the task.
        size: Height and width of the images: 28, 64, 128 or 224.
        folder: Where the file goes; the data folder if `None`.
        on_progress: Called with the bytes received and those of the file (0 if
            the server does not say).

    Raises:
        FileNotFoundError: If the file cannot be downloaded or written.
        ValueError: If the file is not the published one.
    """
    path = find_file(task, size)
    facts = get_task(task)
    mirror = find_mirror()
    return fetch(
        f"{mirror}/{path.name}" if mirror else facts.urls[size],
        path if folder is None else folder / path.name,
        facts.checksum(size),
        on_progress=on_progress,
    )


def _download_with_bar(bars: progress.Progress, task: str, size: int) -> Path:
    was_there = find_file(task, size).is_file()
    bar = bars.add_task(task, total=None)

    def show(done: int, total: int) -> None:
        bars.update(bar, completed=done, total=total or None)

    path = download_task(task, size, on_progress=show)
    bars.remove_task(bar)
    verb = "already there" if was_there else "downloaded"
    bars.console.print(f"{task}: {verb}, checksum verified: {path}")
    return path
