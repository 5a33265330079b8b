"""What a run of several tasks may ask for, and what no other one may."""

from typing import TYPE_CHECKING

from medzoo.data.own.address import is_own
from medzoo.tasks import split_tasks
from medzoo.training.choices import OF_SEVERAL_TASKS
from medzoo.training.mask_checks import predicts_masks

if TYPE_CHECKING:
    from medzoo.training.run import Run


def list_tasks(task: str, data: str) -> tuple[str, ...]:
    """Lists the tasks of a run by its fields; own data have one, of any name.

    Raises:
        ValueError: For an unknown task, or one that stands twice.

    Example:

    >>> list_tasks("retinamnist+breastmnist", "synthetic")
    ('retinamnist', 'breastmnist')
    """
    return (task,) if is_own(data) else split_tasks(task)


def check_heads(run: "Run") -> None:
    """Checks what goes with one task and what with several.

    Raises:
        ValueError: For several tasks, or fields of theirs, with a model of one;
            and for what several tasks cannot have.
    """
    fields = type(run).model_fields
    several = len(run.tasks) > 1
    given = {
        name: getattr(run, name)
        for name in OF_SEVERAL_TASKS
        if getattr(run, name) != fields[name].default
    } | ({"task": run.task} if several else {})
    if predicts_masks(run):
        given.pop("task_weighting", None)
    if given and run.model != "multi_head":
        told = ", ".join(f"{key}={value!r}" for key, value in given.items())
        raise ValueError(
            f"Model `{run.model}` is a net of one task. Expected "
            f"model='multi_head'. Received: {told}."
        )
    if run.loss == "soft_harmonic_mean" and run.task_weighting != "equal":
        raise ValueError(
            "Loss `soft_harmonic_mean` weighs the tasks itself. Expected "
            "task_weighting='equal'. Received: "
            f"task_weighting={run.task_weighting!r}."
        )
    if several and run.mix != "none":
        raise ValueError(
            "Images of several tasks are not mixed with each other. Expected "
            f"mix='none'. Received: mix={run.mix!r}."
        )
    if several and run.options.get("members", 1) != 1:
        raise ValueError(
            "A net of several tasks has one member. Expected members=1. "
            f"Received: members={run.options['members']}."
        )
