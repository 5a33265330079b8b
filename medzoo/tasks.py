"""The 11 single-label MedMNIST 2D tasks, read from medmnist's own facts."""

import functools
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

SIZES = (28, 64, 128, 224)
SPLITS = ("train", "val", "test")
NAMES = (
    "pathmnist",
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "retinamnist",
    "breastmnist",
    "bloodmnist",
    "tissuemnist",
    "organamnist",
    "organcmnist",
    "organsmnist",
)


@dataclass(frozen=True)
class Task:
    """One MedMNIST dataset with its labels.

    Args:
        name: File name without ending, such as `bloodmnist`.
        title: Name as its authors spell it, such as `BloodMNIST`.
        kind: `multi-class`, `binary-class` or `ordinal-regression`.
        classes: Names of the classes in the order of their labels.
        channels: 1 for grey images, 3 for RGB.
        num_images: Images in each of the splits `train`, `val` and `test`.
        licence: Licence of the data, such as `CC BY 4.0`.
        urls: Where the file of each size (28, 64, 128, 224) is published.
        md5s: MD5 of the file of each size.
    """

    name: str
    title: str
    kind: str
    classes: tuple[str, ...]
    channels: int
    num_images: MappingProxyType[str, int]
    licence: str
    urls: MappingProxyType[int, str]
    md5s: MappingProxyType[int, str]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def file_name(self, size: int = 28) -> str:
        """Names the file as medmnist does: `x.npz`, at size 64 `x_64.npz`."""
        return f"{self.name}.npz" if size == 28 else f"{self.name}_{size}.npz"


# Made-up images with masks, which only `synthetic` has.
SHAPES = Task(
    name="shapes",
    title="Shapes",
    kind="binary-class",
    classes=("without", "with"),
    channels=1,
    num_images=MappingProxyType({"train": 400, "val": 100, "test": 200}),
    licence="made up",
    urls=MappingProxyType({}),
    md5s=MappingProxyType({}),
)


def _read_medmnist_facts() -> dict[str, dict[str, Any]]:
    """Loads `medmnist/info.py` alone: the package itself would import torch."""
    package = importlib.util.find_spec("medmnist")
    if package is None or package.submodule_search_locations is None:
        raise ModuleNotFoundError(
            "The package `medmnist`, which holds the facts of the tasks, is "
            "not installed. Run `pip install --no-deps medmnist` (with its own "
            "dependencies it would bring torch, which is not needed)."
        )
    path = Path(package.submodule_search_locations[0], "info.py")
    spec = importlib.util.spec_from_file_location("medmnist_info", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"medmnist has no readable {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    facts: dict[str, dict[str, Any]] = module.INFO
    return facts


def _make_task(name: str, facts: dict[str, Any]) -> Task:
    suffix = {size: "" if size == 28 else f"_{size}" for size in SIZES}
    labels: dict[str, str] = facts["label"]
    return Task(
        name=name,
        title=facts["python_class"],
        kind=facts["task"],
        classes=tuple(labels[str(label)] for label in range(len(labels))),
        channels=facts["n_channels"],
        num_images=MappingProxyType(dict(facts["n_samples"])),
        licence=facts["license"],
        urls=MappingProxyType({s: facts[f"url{suffix[s]}"] for s in SIZES}),
        md5s=MappingProxyType({s: facts[f"MD5{suffix[s]}"] for s in SIZES}),
    )


@functools.cache
def all_tasks() -> MappingProxyType[str, Task]:
    """Returns the 11 tasks by name, in the order of the MedMNIST tables."""
    facts = _read_medmnist_facts()
    return MappingProxyType(
        {name: _make_task(name, facts[name]) for name in NAMES}
    )


def get_task(name: str) -> Task:
    """Returns the task called `name`.

    Raises:
        ValueError: If there is no such task, or if it is multi-label.

    Example:

    >>> get_task("bloodmnist").num_classes
    8
    """
    if name == "chestmnist":
        raise ValueError(
            "Task `chestmnist` has several labels per image. Expected a "
            f"single-label task: {', '.join(NAMES)}. "
            "Received: task='chestmnist'."
        )
    if name == SHAPES.name:
        return SHAPES
    if name not in NAMES:
        from medzoo.messages import unknown

        raise ValueError(unknown("task", name, NAMES))
    return all_tasks()[name]


def split_tasks(name: str) -> tuple[str, ...]:
    """Lists the tasks that a run is about, in the order of `NAMES`.

    Args:
        name: One task, several joined by `+`, or `all` for the eleven.

    Raises:
        ValueError: For an unknown task, or one that stands twice.

    Example:

    >>> split_tasks("retinamnist+breastmnist")
    ('retinamnist', 'breastmnist')
    """
    given = NAMES if name == "all" else tuple(name.split("+"))
    for part in given:
        if part not in NAMES:
            get_task(part)  # Raises the sentence that fits.
    if len(set(given)) < len(given):
        raise ValueError(
            "`task` joins tasks by `+`. Expected each of them once. "
            f"Received: task={name!r}."
        )
    return tuple(part for part in (*NAMES, SHAPES.name) if part in given)


def join_tasks(names: Iterable[str]) -> str:
    """Names a run of several tasks, in the order of `NAMES`.

    Example:

    >>> join_tasks(["breastmnist", "retinamnist"])
    'retinamnist+breastmnist'
    """
    return "+".join(split_tasks("+".join(names)))


def join_facts(names: Sequence[str]) -> Task:
    """Returns the facts of several tasks as those of one."""
    tasks = [get_task(name) for name in names]
    if len(tasks) == 1:
        return tasks[0]
    return replace(
        tasks[0],
        name="+".join(names),
        classes=tuple(name for task in tasks for name in task.classes),
        channels=max(task.channels for task in tasks),
        num_images=MappingProxyType(
            {s: sum(task.num_images[s] for task in tasks) for s in SPLITS}
        ),
    )


def format_tasks(name: str) -> str:
    """Words a run's tasks for a line on the screen.

    Example:

    >>> format_tasks("breastmnist"), format_tasks("+".join(NAMES))
    ('breastmnist', '11 tasks')
    """
    count = name.count("+") + 1
    return name if count < 3 else f"{count} tasks"


def class_ranges(name: str) -> dict[str, range]:
    """Lays the classes of several tasks side by side on one axis.

    Args:
        name: As for `split_tasks`.

    Returns:
        The mask_class of each task on the axis of all classes.

    Example:

    >>> class_ranges("retinamnist+breastmnist")
    {'retinamnist': range(0, 5), 'breastmnist': range(5, 7)}
    """
    ranges: dict[str, range] = {}
    start = 0
    for part in split_tasks(name):
        end = start + get_task(part).num_classes
        ranges[part] = range(start, end)
        start = end
    return ranges


def __getattr__(name: str) -> Any:
    if name == "TASKS":
        return all_tasks()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
