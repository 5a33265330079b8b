"""Rules for combinations of fields of a run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medzoo.data.custom.address import is_custom
from medzoo.models.registry import get_entry
from medzoo.runs.fields import (
    AFTER_TRAINING,
    IMBALANCES,
)
from medzoo.tasks import SHAPES, split_tasks

if TYPE_CHECKING:
    from medzoo.runs.run import Run


# What scikit-learn's classifiers take instead.
BASELINE_IMBALANCES = {
    "logistic_regression": ("none", "class_weights", "effective_number"),
    "knn": ("none",),
}


def check_pairs(run: "Run") -> None:
    """Checks budget, size, imbalance, baselines and masks.

    Raises:
        ValueError: For what is asked twice, or what the model or the loss of
            the run has no place for.
    """
    check_once(run)
    check_imbalance(
        run.imbalance, model=run.model, loss=run.loss, output=run.output
    )
    check_masks(run)
    if get_entry(run.model).baseline:
        check_baseline(run.model, run.model_dump(exclude_defaults=True))


def check_once(run: "Run") -> None:
    """Refuses a second budget, and a second size of the model.

    Raises:
        ValueError: For two of either.
    """
    if run.epochs is not None and run.steps is not None:
        raise ValueError(
            "A run has one budget. Expected `epochs` or `steps`, not both. "
            f"Received: epochs={run.epochs}, steps={run.steps}."
        )
    if run.width is not None and run.parameters is not None:
        raise ValueError(
            "A model has one size. Expected `width` or `parameters`, not "
            f"both. Received: width={run.width}, "
            f"parameters={run.parameters}."
        )


def check_baseline(model: str, asked: Mapping[str, Any]) -> None:
    """Refuses what a classifier of scikit-learn has no place for.

    Args:
        model: Its name.
        asked: Fields of a run with values that are not their defaults.

    Raises:
        ValueError: For other ways to treat imbalance, and for what changes
            images or averages weights.
    """
    fitting = BASELINE_IMBALANCES[model]
    imbalance = asked.get("imbalance", "none")
    if imbalance not in fitting:
        raise ValueError(
            f"`{model}` has no imbalance of {imbalance}. Expected one of: "
            f"{', '.join(fitting)}. Received: imbalance={imbalance!r}."
        )
    refused = (
        *("augmentation", "mix", "ema", "flip_test", "parameters"),
        "precision",
    )
    for name in refused:
        if name in asked:
            raise ValueError(
                f"`{model}` is fitted once to images as they are. Expected no "
                f"`{name}`. Received: {name}={asked[name]!r}."
            )


def check_imbalance(
    imbalance: str, *, model: str, loss: str, output: str
) -> None:
    """Refuses ways to treat imbalance that the loss has no place for.

    Raises:
        ValueError: For a form of the cross entropy beside another loss, for
            `logit_adjustment` of sigmoids, and for several tasks at once.
    """
    if imbalance != "none" and model == "multi_head":
        raise ValueError(
            "`imbalance` is about the classes of one task, and `multi_head` "
            "has several. Expected imbalance='none'; `alpha` says how tasks of "
            f"different sizes are drawn. Received: imbalance={imbalance!r}."
        )
    if IMBALANCES[imbalance] == "loss" and loss != "cross_entropy":
        fitting = [k for k, kind in IMBALANCES.items() if kind == "sampling"]
        raise ValueError(
            f"`imbalance` of {imbalance} is a form of the cross entropy. "
            f"Expected loss='cross_entropy'; any loss goes with "
            f"{' and '.join(fitting)}. Received: loss={loss!r}."
        )
    if imbalance == "logit_adjustment" and output != "softmax":
        raise ValueError(
            "`imbalance` of logit_adjustment adds the shares of classes that "
            f"exclude each other. Expected output='softmax'. Received: "
            f"output={output!r}."
        )


def list_tasks(task: str, data: str) -> tuple[str, ...]:
    """Lists the tasks of a run by its fields; custom data have one, of any
    name.

    Raises:
        ValueError: For an unknown task, or one that stands twice.

    Example:

    >>> list_tasks("retinamnist+breastmnist", "synthetic")
    ('retinamnist', 'breastmnist')
    """
    return (task,) if is_custom(data) else split_tasks(task)


def check_heads(run: "Run") -> None:
    """Checks what goes with one task and what with several.

    Raises:
        ValueError: For several tasks with a model of one, and for what several
            tasks cannot have.
    """
    several = len(run.tasks) > 1
    if several and run.model != "multi_head":
        raise ValueError(
            f"Model `{run.model}` is a net of one task. Expected "
            f"model='multi_head'. Received: task={run.task!r}."
        )
    weighting = run.options.get("task_weighting", "equal")
    if run.loss == "soft_harmonic_mean" and weighting != "equal":
        raise ValueError(
            "Loss `soft_harmonic_mean` weighs the tasks itself. Expected "
            f"task_weighting='equal'. Received: task_weighting={weighting!r}."
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


def predicts_masks(run: "Run") -> bool:
    """Says whether the model of a run has a head for masks."""
    return "mask_loss" in run.options


def has_masks(task: str, data: str) -> bool:
    """Says whether a data source has masks beside labels.

    Example:

    >>> has_masks("cells", "masks:cells"), has_masks("breastmnist", "medmnist")
    (True, False)
    """
    made_up = data == "synthetic" and task == SHAPES.name
    return made_up or data.startswith("masks:")


def check_masks(run: "Run") -> None:
    """Checks what goes with a model that predicts masks.

    Raises:
        ValueError: For data without masks, and for what has no form for masks.
    """
    if not predicts_masks(run):
        return
    if not has_masks(run.task, run.data):
        raise ValueError(
            f"Model `{run.model}` needs images with masks. Expected "
            "data='masks:PATH', or task='shapes' with data='synthetic'. "
            f"Received: data={run.data!r}."
        )
    fields = type(run).model_fields
    for name in ("mix", *AFTER_TRAINING):
        if getattr(run, name) != fields[name].default:
            raise ValueError(
                f"`{run.model}` has no `{name}`, which is for labels alone. "
                f"Expected {name}={fields[name].default!r}. Received: "
                f"{name}={getattr(run, name)!r}."
            )
