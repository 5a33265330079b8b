"""Which flips and turns leave the classes of a task what they are."""

from typing import Any

from medzoo.models.options import FLIPS
from medzoo.runs.run import Run
from medzoo.tasks import SYMMETRIES

# Custom data are `fixed`, since nothing is known of them.
_STRONG = {"any": "strong_any", "mirror": "strong", "fixed": "strong_fixed"}


def choose_preset(task: str, augmentation: str) -> str:
    """Returns the preset of augmentation layers for a task.

    Example:

    >>> choose_preset("organamnist", "by_task")
    'strong_fixed'
    >>> choose_preset("organamnist", "flips")
    'flips'
    """
    if augmentation != "by_task":
        return augmentation
    return _STRONG[SYMMETRIES.get(task, "fixed")]


def list_flips(task: str) -> tuple[tuple[int, ...], ...]:
    """Lists the axes to flip for each view of an image, the plain one first.

    Example:

    >>> list_flips("breastmnist")
    ((), (2,))
    """
    return FLIPS[SYMMETRIES.get(task, "fixed")]


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
        options["views"] = SYMMETRIES.get(run.task, "fixed")
    return options
