"""What a run with masks may ask for, and what no other one may."""

from typing import TYPE_CHECKING

from medzoo.tasks import SHAPES
from medzoo.training.choices import AFTER_TRAINING, MASK_LOSSES
from medzoo.wording import unknown

if TYPE_CHECKING:
    from medzoo.training.run import Run

# Ways to weigh tasks that need no gradients of each.
_WEIGHTINGS = ("equal", "uncertainty", "dwa")
_WEIGHTS = ("mask_weight", "label_weight")


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
        ValueError: For data without masks, an unknown loss of masks, weights of
            the heads that are none, and for what has no form for masks.
    """
    if not predicts_masks(run):
        return
    if not has_masks(run.task, run.data):
        raise ValueError(
            f"Model `{run.model}` needs images with masks. Expected "
            "data='masks:PATH', or task='shapes' with data='synthetic'. "
            f"Received: data={run.data!r}."
        )
    if run.options["mask_loss"] not in MASK_LOSSES:
        given = run.options["mask_loss"]
        raise ValueError(unknown("mask_loss", given, MASK_LOSSES))
    fields = type(run).model_fields
    for name in ("mix", *AFTER_TRAINING):
        if getattr(run, name) != fields[name].default:
            raise ValueError(
                f"`{run.model}` has no `{name}`, which is for labels alone. "
                f"Expected {name}={fields[name].default!r}. Received: "
                f"{name}={getattr(run, name)!r}."
            )
    _check_weights(run)


def _check_weights(run: "Run") -> None:
    weights = {name: float(run.options[name]) for name in _WEIGHTS}
    told = ", ".join(f"{name}={value}" for name, value in weights.items())
    if min(weights.values()) < 0 or not sum(weights.values()):
        raise ValueError(
            "`mask_weight` and `label_weight` must not be negative, and one of "
            f"them above 0. Received: {told}."
        )
    if run.task_weighting not in _WEIGHTINGS:
        raise ValueError(
            f"`{run.model}` weighs its two heads by one of: "
            f"{', '.join(_WEIGHTINGS)}. "
            f"Received: task_weighting={run.task_weighting!r}."
        )
    if run.task_weighting != "equal" and set(weights.values()) != {1.0}:
        raise ValueError(
            f"`task_weighting` of {run.task_weighting} finds the weights of "
            "the heads itself. Expected mask_weight=1 and label_weight=1. "
            f"Received: {told}."
        )
