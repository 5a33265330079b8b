"""Rules for combinations of fields of a run.

Each rule takes the fields, and raises a `FieldError` that names those that it
is about, the one to change first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from medzoo.messages import FieldError, naming, not_listed
from medzoo.models.registry import MODELS
from medzoo.runs.fields import (
    DEFAULTS,
    FIELDS,
    IMBALANCES,
    RunFields,
    entry_of,
    list_fields,
    list_refused,
)
from medzoo.runs.sources import check_task
from medzoo.tasks import SHAPES

# Ways to treat imbalance that classifiers of scikit-learn have.
BASELINE_IMBALANCES = {
    "logistic_regression": ("none", "class_weights", "effective_number"),
    "knn": ("none",),
}


def check_rules(run: RunFields) -> None:
    """Checks all combinations of fields.

    Raises:
        FieldError: For the first that does not fit.
    """
    with naming("task", "size", "data"):
        check_task(run.task, run.data, run.size)
    check_tasks(run)
    check_once(run)
    check_plugins(run)
    check_imbalance(run)
    check_masks(run)
    check_baseline(run)


def describe_unknown(
    key: str,
    values: Mapping[str, Any],
    *,
    shown: str = "",
    known: Sequence[str] = (),
) -> str:
    """Words the error for a key that runs of these values do not have.

    Args:
        key: The key.
        values: Fields and options of the run.
        shown: How the sentence writes the key; `key` by itself if empty.
        known: Names that go there besides options; fields of a run if empty.

    Raises:
        FieldError: For an unknown model or backbone among the values.
    """
    shown = shown or f"`{key}`"
    model = str(values.get("model", DEFAULTS["model"]))
    expected = entry_of(values).options
    if any(key in entry.options for entry in MODELS.values()):
        return (
            f"{shown} is not an option of `{model}`. "
            f"Expected one of: {', '.join(expected)}."
        )
    fields = known or [
        k for k, about in FIELDS.items() if about.place != "none"
    ]
    return not_listed(shown, "a field of a run", [*fields, *expected])


def check_once(run: RunFields) -> None:
    """Refuses a second budget, and a second size of the model.

    Raises:
        FieldError: For two of either.
    """
    if run.epochs is not None and run.steps is not None:
        raise FieldError(
            "A run has one budget. Expected `epochs` or `steps`, not both. "
            f"Received: epochs={run.epochs}, steps={run.steps}.",
            *list_fields("budget"),
        )
    if run.width is not None and run.parameters is not None:
        raise FieldError(
            "A model has one size. Expected `width` or `parameters`, not "
            f"both. Received: width={run.width}, "
            f"parameters={run.parameters}.",
            *("width", "parameters"),
        )


def check_plugins(run: RunFields) -> None:
    """Refuses what plugins cannot do.

    Raises:
        FieldError: For a common argument that a builder leaves out, for weight
            decay of an optimizer without it, for own augmentation where images
            and masks are moved together, and for an own loss of several tasks.
    """
    if "augmentation" in run.plugins and predicts_masks(run):
        raise FieldError(
            f"Augmentation `{run.augmentation}` of a plugin does not move "
            "masks with their images. Expected one of medzoo for a model that "
            f"predicts masks. Received: augmentation={run.augmentation!r}.",
            *("augmentation", "model"),
        )
    if "loss" in run.plugins and len(run.tasks) > 1:
        raise FieldError(
            f"Loss `{run.loss}` of a plugin is of one task. Expected one of "
            f"medzoo for several. Received: loss={run.loss!r}.",
            *("loss", "task"),
        )
    optimizer = run.plugins.get("optimizer")
    known = optimizer.takes if optimizer else ()
    if known and run.weight_decay and "weight_decay" not in known:
        raise FieldError(
            f"Optimizer `{run.optimizer}` takes no `weight_decay`. Expected it "
            "among its arguments, or no `weight_decay` for this optimizer. "
            f"Received: weight_decay={run.weight_decay!r}.",
            *("weight_decay", "optimizer"),
        )
    model = run.plugins.get("model")
    if model is None:
        return
    for name in ("width", "parameters", "activation", "augmentation"):
        argument = "width" if name == "parameters" else name
        value = getattr(run, name)
        if argument in model.takes or value == DEFAULTS[name]:
            continue
        raise FieldError(
            f"The builder of model `{run.model}` takes no `{argument}`. "
            f"Expected it among its arguments, or no `{name}` for this model. "
            f"Received: {name}={value!r}.",
            *(name, "model"),
        )


def check_baseline(run: RunFields) -> None:
    """Refuses what a classifier of scikit-learn does not have.

    Raises:
        FieldError: For other ways to treat imbalance, and for what changes
            images or averages weights.
    """
    if not run.entry.baseline:
        return
    expected = BASELINE_IMBALANCES[run.model]
    if run.imbalance not in expected:
        raise FieldError(
            f"`{run.model}` has no imbalance of {run.imbalance}. Expected one "
            f"of: {', '.join(expected)}. Received: "
            f"imbalance={run.imbalance!r}.",
            *("imbalance", "model"),
        )
    for name, value in list_refused(run, "baseline").items():
        raise FieldError(
            f"`{run.model}` is fitted once to images as they are. Expected no "
            f"`{name}`. Received: {name}={value!r}.",
            *(name, "model"),
        )


def check_imbalance(run: RunFields) -> None:
    """Refuses ways to treat imbalance that do not go with the loss.

    Raises:
        FieldError: For a form of the cross entropy beside another loss, for
            `logit_adjustment` of sigmoids, and for several tasks at once.
    """
    if run.imbalance != "none" and run.model == "multi_head":
        raise FieldError(
            "`imbalance` is about the classes of one task, and `multi_head` "
            "has several. Expected imbalance='none'; `alpha` says how tasks of "
            "different sizes are drawn. Received: "
            f"imbalance={run.imbalance!r}.",
            *("imbalance", "model"),
        )
    if IMBALANCES[run.imbalance] == "loss" and run.loss != "cross_entropy":
        any_loss = [k for k, kind in IMBALANCES.items() if kind == "sampling"]
        raise FieldError(
            f"`imbalance` of {run.imbalance} is a form of the cross entropy. "
            f"Expected loss='cross_entropy'; any loss goes with "
            f"{' and '.join(any_loss)}. Received: loss={run.loss!r}.",
            *("loss", "imbalance"),
        )
    if run.imbalance == "logit_adjustment" and run.output != "softmax":
        raise FieldError(
            "`imbalance` of logit_adjustment adds the shares of classes that "
            f"exclude each other. Expected output='softmax'. Received: "
            f"output={run.output!r}.",
            *("output", "imbalance"),
        )


def check_tasks(run: RunFields) -> None:
    """Checks what goes with one task and what with several.

    Raises:
        FieldError: For several tasks with a model of one, and for what several
            tasks cannot have.
    """
    several = len(run.tasks) > 1
    if several and run.model != "multi_head":
        raise FieldError(
            f"Model `{run.model}` is a net of one task. Expected "
            f"model='multi_head'. Received: task={run.task!r}.",
            *("task", "model"),
        )
    weighting = run.options.get("task_weighting", "equal")
    if run.loss == "soft_harmonic_mean" and weighting != "equal":
        raise FieldError(
            "Loss `soft_harmonic_mean` weighs the tasks itself. Expected "
            f"task_weighting='equal'. Received: task_weighting={weighting!r}.",
            *("task_weighting", "loss"),
        )
    if several and run.mix != "none":
        raise FieldError(
            "Images of several tasks are not mixed with each other. Expected "
            f"mix='none'. Received: mix={run.mix!r}.",
            *("mix", "task"),
        )
    if several and run.options.get("members", 1) != 1:
        raise FieldError(
            "A net of several tasks has one member. Expected members=1. "
            f"Received: members={run.options['members']}.",
            *("members", "task"),
        )


def predicts_masks(run: RunFields) -> bool:
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


def check_masks(run: RunFields) -> None:
    """Checks what goes with a model that predicts masks.

    Raises:
        FieldError: For data without masks, and for what has no form for masks.
    """
    if not predicts_masks(run):
        return
    if not has_masks(run.task, run.data):
        raise FieldError(
            f"Model `{run.model}` needs images with masks. Expected "
            "data='masks:PATH', or task='shapes' with data='synthetic'. "
            f"Received: data={run.data!r}.",
            *("data", "model"),
        )
    for name, value in list_refused(run, "masks").items():
        raise FieldError(
            f"`{run.model}` has no `{name}`, which is for labels alone. "
            f"Expected {name}={DEFAULTS[name]!r}. Received: {name}={value!r}.",
            *(name, "model"),
        )
