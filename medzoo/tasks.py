"""The 11 single-label MedMNIST 2D tasks: their facts and symmetries."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

SIZES = (28, 64, 128, 224)
SPLITS = ("train", "val", "test")

Symmetry = Literal["any", "mirror", "fixed"]

# `any`: seen through a microscope or at a lesion, or a round retina, there is
# no up and no left. `mirror`: chest X-rays and scans of a breast or a retina in
# section have an up, but left or right decides no class. `fixed`: organs in CT
# have both; left and right kidney, lung and femur are classes of their own.
SYMMETRIES: dict[str, Symmetry] = {
    "pathmnist": "any",
    "dermamnist": "any",
    "octmnist": "mirror",
    "pneumoniamnist": "mirror",
    "retinamnist": "any",
    "breastmnist": "mirror",
    "bloodmnist": "any",
    "tissuemnist": "any",
    "organamnist": "fixed",
    "organcmnist": "fixed",
    "organsmnist": "fixed",
}


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
        md5s: MD5 of the file of each size, which finds damage.
        sha256s: SHA-256 of those that medzoo was made with, which also stops
            an attacker.
        meanings: What the classes mean, where their names are only numbers:
            those of `retinamnist` are grades of diabetic retinopathy.
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
    meanings: tuple[str, ...] = ()
    sha256s: Mapping[int, str] = field(default_factory=dict)

    def checksum(self, size: int) -> str:
        """Returns the SHA-256 of a file where it is known, else the MD5."""
        return self.sha256s.get(size) or self.md5s[size]

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


def _make_task(name: str, facts: dict[str, Any]) -> Task:
    return Task(
        name=name,
        title=facts["title"],
        kind=facts["kind"],
        classes=tuple(facts["classes"]),
        channels=facts["channels"],
        num_images=MappingProxyType(facts["num_images"]),
        licence=facts["licence"],
        urls=_by_size(facts["urls"]),
        md5s=_by_size(facts["md5s"]),
        meanings=tuple(facts.get("meanings", ())),
        sha256s=_by_size(facts.get("sha256s", {})),
    )


def _by_size(values: dict[str, str]) -> MappingProxyType[int, str]:
    return MappingProxyType({int(size): v for size, v in values.items()})


def _read_tasks() -> dict[str, Task]:
    """Reads `tasks.toml`, which `make facts` writes from medmnist."""
    text = Path(__file__).with_name("tasks.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    return {name: _make_task(name, facts) for name, facts in found.items()}


# In the order of the MedMNIST tables.
TASKS = MappingProxyType(_read_tasks())
NAMES = tuple(TASKS)


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
    return TASKS[name]


def split_tasks(name: str) -> tuple[str, ...]:
    """Lists the tasks that a run is about, in the order of `NAMES`.

    Args:
        name: One task, several joined by `+`, or `all` for the eleven.

    Raises:
        ValueError: For an unknown task, or one that is named twice.

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


def word_meanings(name: str) -> str:
    """Says what classes mean whose names are only numbers; else nothing.

    Example:

    >>> word_meanings("retinamnist")
    '0: no apparent diabetic retinopathy, 1: mild non-proliferative ...
    >>> word_meanings("bloodmnist")
    ''
    """
    if name not in TASKS:
        return ""
    task = TASKS[name]
    pairs = zip(task.classes, task.meanings, strict=False)
    return ", ".join(f"{label}: {meaning}" for label, meaning in pairs)


def class_ranges(name: str) -> dict[str, range]:
    """Lays the classes of several tasks side by side on one axis.

    Args:
        name: One task, several joined by `+`, or `all` for the eleven.

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
