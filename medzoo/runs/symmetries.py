"""Which flips and turns leave the classes of a task what they are."""

from typing import Any

from medzoo.data.custom.address import is_custom
from medzoo.models.options import FLIPS
from medzoo.runs.run import Run
from medzoo.tasks import SYMMETRIES, Symmetry

# Custom data are `fixed`, since nothing is known of them.
_STRONG = {"any": "strong_any", "mirror": "strong", "fixed": "strong_fixed"}


def find_symmetry(task: str, data: str) -> Symmetry:
    """Returns the symmetry of a task; custom data may have any name.

    Example:

    >>> find_symmetry("bloodmnist", "medmnist")
    'any'
    >>> find_symmetry("bloodmnist", "folder:bloodmnist")
    'fixed'
    """
    return "fixed" if is_custom(data) else SYMMETRIES.get(task, "fixed")


def choose_preset(run: Run) -> str:
    """Returns the preset of augmentation layers of a run.

    Example:

    >>> choose_preset(Run(task="organamnist", augmentation="by_task"))
    'strong_fixed'
    >>> choose_preset(Run(task="organamnist", augmentation="flips"))
    'flips'
    """
    if run.augmentation != "by_task":
        return run.augmentation
    return _STRONG[find_symmetry(run.task, run.data)]


def list_flips(task: str, data: str) -> tuple[tuple[int, ...], ...]:
    """Lists the axes to flip for each view of an image, the plain one first.

    Example:

    >>> list_flips("breastmnist", "medmnist")
    ((), (2,))
    """
    return FLIPS[find_symmetry(task, data)]


def choose_options(run: Run) -> dict[str, Any]:
    """Returns the options of a run's model, with the views of its task.

    Example:

    >>> run = Run(
    ...     task="breastmnist", model="transfer", options={"views": "by_task"}
    ... )
    >>> choose_options(run)["views"]
    'mirror'
    """
    options = dict(run.options)
    if options.get("views") == "by_task":
        options["views"] = find_symmetry(run.task, run.data)
    return options
