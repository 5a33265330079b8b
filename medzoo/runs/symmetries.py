"""Which flips and turns leave the classes of a task what they are."""

from typing import Any, cast

from medzoo.data.custom.address import is_custom
from medzoo.models.options import FLIPS
from medzoo.runs.run import Run
from medzoo.tasks import SYMMETRIES, Symmetry

_STRONG = {"any": "strong_any", "mirror": "strong", "fixed": "strong_fixed"}


def find_symmetry(run: Run, task: str | None = None) -> Symmetry:
    """Returns the symmetry of a task of a run; of custom data that given.

    Args:
        task: One of several of `multi_head`; the run's own if left out.

    Example:

    >>> find_symmetry(Run(task="bloodmnist"))
    'any'
    >>> run = Run(task="bloodmnist", data="folder:bloodmnist")
    >>> find_symmetry(run)
    'fixed'
    """
    if is_custom(run.data):
        return cast("Symmetry", run.data_options.get("symmetry", "fixed"))
    return SYMMETRIES.get(task or run.task, "fixed")


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
    return _STRONG[find_symmetry(run)]


def list_flips(
    run: Run, task: str | None = None
) -> tuple[tuple[int, ...], ...]:
    """Lists the axes to flip for each view of an image, the plain one first.

    Args:
        task: As for `find_symmetry`.

    Example:

    >>> list_flips(Run(task="breastmnist"))
    ((), (2,))
    """
    return FLIPS[find_symmetry(run, task)]


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
        options["views"] = find_symmetry(run)
    return options
