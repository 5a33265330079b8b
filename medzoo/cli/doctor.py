"""`medzoo doctor`: what is installed, found and missing on this machine."""

import importlib.metadata
import importlib.util
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from medzoo.environment import find_folder
from medzoo.files import find_checkout, in_checkout
from medzoo.messages import echo

# Packages by the extra that installs them; "" for those of medzoo itself.
PACKAGES = {
    "": ("keras", "tensorflow", "numpy", "scikit-learn"),
    "search": ("keras-tuner", "tensorboard"),
    "tracking": ("mlflow", "wandb"),
    "export": ("ai-edge-litert", "onnxruntime", "tf2onnx"),
    "medical": ("nibabel", "pydicom"),
    "large": ("pyvips",),
    "hub": ("keras-hub",),
    "huggingface": ("huggingface_hub",),
    "ray": ("ray",),
    "jax": ("jax",),
}


def doctor(
    cache: Annotated[
        bool,
        typer.Option(
            "--cache", help="List what the cache holds, by data and size."
        ),
    ] = False,
    clear: Annotated[
        bool,
        typer.Option(
            "--clear", help="With --cache: delete what can be made again."
        ),
    ] = False,
) -> None:
    """Show versions, device, data, weights and free space of this machine.

    Exit code 1 if something that every study needs is missing.
    """
    if cache or clear:
        _show_cache(cache, clear)
        return
    is_complete = True
    for name, value, way_out in list_findings():
        echo(f"{name:<16}{value}")
        if way_out:
            echo(f"{'':<16}-> {way_out}")
            is_complete &= name not in PACKAGES[""]
    raise typer.Exit(0 if is_complete else 1)


def _show_cache(cache: bool, clear: bool) -> None:
    """Lists the cache, and deletes it if that is asked for."""
    from medzoo.data.cached import clear as clear_entries
    from medzoo.data.cached import list_entries
    from medzoo.data.folders import cache_folder

    if not cache:
        raise ValueError(
            "`--clear` deletes the cache. Expected `medzoo doctor --cache "
            "--clear`. Received: --clear alone."
        )
    entries = list(list_entries())
    total = sum(entry.size for entry in entries) / 1e6
    echo(f"{cache_folder()} (MEDZOO_CACHE changes it): {total:.1f} MB")
    for kind in dict.fromkeys(entry.kind for entry in entries):
        echo(kind)
        for entry in entries:
            if entry.kind == kind:
                echo(str(entry))
    if clear:
        free, left = clear_entries(entries)
        echo(f"Deleted {free / 1e6:.1f} MB.")
        if left:
            folders = f"{left} folder{'s' * (left > 1)}"
            echo(f"Left {folders}, which a process writes to just now.")
    elif entries:
        echo("`--cache --clear` deletes what can be made again.")


def list_findings() -> Iterator[tuple[str, str, str]]:
    """Yields the name of each finding, its value, and a way out if missing."""
    import medzoo

    yield "medzoo", medzoo.__version__, ""
    yield "python", f"{platform.python_version()} on {platform.platform()}", ""
    for extra, packages in PACKAGES.items():
        for package in packages:
            yield package, *_find_package(package, extra)
    yield from _list_devices()
    yield from _list_folders()


def _find_package(package: str, extra: str) -> tuple[str, str]:
    try:
        return importlib.metadata.version(package), ""
    except importlib.metadata.PackageNotFoundError:
        package = "." if in_checkout() else str(find_checkout() or "medzoo")
        extras = f"[{extra}]" if extra else ""
        return "not installed", f"pip install '{package}{extras}'"


def _list_devices() -> Iterator[tuple[str, str, str]]:
    from medzoo.environment import name_backend
    from medzoo.execution.cores import default_workers, list_gpus

    yield "backend", f"{name_backend()} (KERAS_BACKEND changes it)", ""
    gpus = list_gpus()
    yield "GPUs", ", ".join(gpus) or "none", ""
    yield "workers", f"{default_workers()} at a time", ""


def _list_folders() -> Iterator[tuple[str, str, str]]:
    """Yields the folders of data, weights, caches and records."""
    from medzoo.data.folders import cache_folder, data_folder
    from medzoo.store import Store
    from medzoo.tasks import SIZES, TASKS

    data = data_folder()
    files = [task.file_name(size) for task in TASKS.values() for size in SIZES]
    found = [name for name in files if (data / name).is_file()]
    yield (
        "official data",
        f"{len(found)} files in {data} (MEDZOO_DATA changes it)",
        "" if found else "medzoo download breastmnist, or --data synthetic",
    )
    weights = find_folder("KERAS_HOME", "~/.keras") / "models"
    number = len(list(weights.glob("*.h5"))) if weights.is_dir() else 0
    yield (
        "weights",
        f"{number} of ImageNet in {weights}",
        ("" if number else "downloaded when a study needs them"),
    )
    yield "cache", f"{cache_folder()} (--cache lists what it holds)", ""
    store = Store()
    yield (
        "records",
        f"{sum(1 for _ in store.run_ids())} in {store.folder} "
        "(MEDZOO_RUNS changes it)",
        "",
    )
    for name, folder in (("records", store.folder), ("data", data)):
        free = _free_space(folder)
        way_out = "" if free > 1 else "free some space, or move the folder"
        yield f"space ({name})", f"{free:.1f} GB free", way_out


def _free_space(folder: Path) -> float:
    """Returns the free gigabytes where a folder is, or would be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9
