"""Downloads of the official files, from their publisher or from a mirror."""

import os
from collections.abc import Iterable
from pathlib import Path

from rich import progress
from rich.console import Console

from medzoo.data.files import find_file
from medzoo.data.transfer import Progress, fetch
from medzoo.tasks import get_task


def download_tasks(tasks: Iterable[str], size: int = 28) -> list[Path]:
    """Downloads the files of tasks, with a progress bar on standard error.

    Files that are already there and have the published MD5 are left alone.

    Args:
        tasks: Names of tasks.
        size: Height and width of the images: 28, 64, 128 or 224.

    Returns:
        The path of each file.

    Raises:
        FileNotFoundError: If a file cannot be downloaded or written.
        ValueError: If a file is not the published one.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    columns = (
        progress.TextColumn("{task.description}"),
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
        on_progress: Called with the bytes that are there and the bytes of the
            whole file (0 if the server does not say).

    Returns:
        The path of the file, whose MD5 is verified.

    Raises:
        FileNotFoundError: If the file cannot be downloaded or written.
        ValueError: If the file is not the published one.
    """
    path = find_file(task, size)
    facts = get_task(task)
    mirror = os.environ.get("MEDZOO_MIRROR")
    return fetch(
        f"{mirror.rstrip('/')}/{path.name}" if mirror else facts.urls[size],
        path if folder is None else folder / path.name,
        facts.md5s[size],
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
    bars.console.print(f"{task}: {verb}, MD5 verified: {path}", markup=False)
    return path
