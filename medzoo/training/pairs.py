"""Fields of a run that do not go together, each with its sentence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medzoo.models import get_entry
from medzoo.training.choices import IMBALANCES
from medzoo.training.mask_checks import check_masks

if TYPE_CHECKING:
    from medzoo.training.run import Run

# What scikit-learn's classifiers take instead.
BASELINE_IMBALANCES = {
    "logistic_regression": ("none", "class_weights", "effective_number"),
    "knn": ("none",),
}


def check_pairs(run: "Run") -> None:
    """Checks budget, size, imbalance, rates of a trunk, baselines and masks.

    Raises:
        ValueError: For what is asked twice, or what the model or the loss of
            the run has no place for.
    """
    check_once(run)
    if run.head_first or run.trunk_rate != 1:
        check_rates(run.model, run.options)
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


def check_rates(model: str, options: Mapping[str, Any]) -> None:
    """Refuses rates for a trunk where none is trained.

    Raises:
        ValueError: For a model without a trunk, or with a frozen one.
    """
    freeze = options.get("freeze", "all")
    if freeze == "all":
        raise ValueError(
            "`head_first` and `trunk_rate` are for a trunk that is trained. "
            "Expected model='transfer' with freeze='bn', a number or none. "
            f"Received: model={model!r}, freeze={freeze!r}."
        )
