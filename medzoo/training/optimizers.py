"""Optimizers by name, and learning rates by step."""

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from medzoo.plugins.targets import find_schedule, make_optimizer
from medzoo.runs.fields import OPTIMIZERS
from medzoo.runs.run import Run

if TYPE_CHECKING:
    import keras

# Decay pulls kernels to zero; biases and normalisation are left alone.
_NOT_DECAYED = ["bias", "beta", "gamma", "log_variances"]


def build_optimizer(
    run: Run, model: "keras.Model | None" = None
) -> "keras.Optimizer":
    """Builds the optimizer of a run at its peak learning rate.

    Args:
        model: Its model, if the backbone has a rate of its own.
    """
    optimizer = make_optimizer(run) or _build_known(run)
    if run.ema:
        optimizer.use_ema, optimizer.ema_momentum = True, run.ema
    if model is not None and has_trunk_rate(run):
        own = {id(v) for v in model.get_layer("backbone").trainable_variables}
        variables = enumerate(model.trainable_variables)
        indices = [index for index, v in variables if id(v) in own]
        scaled = with_trunk_rate(type(optimizer))
        optimizer = scaled(indices, **optimizer.get_config())
    if run.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


def _build_known(run: Run) -> "keras.Optimizer":
    """Builds an optimizer of the table."""
    import keras

    choice = OPTIMIZERS[run.optimizer]
    options: dict[str, Any] = {"learning_rate": float(run.learning_rate or 0)}
    # Keras's AdamW has a decay of its own where none is given.
    if run.weight_decay or choice.keras_class == "AdamW":
        options["weight_decay"] = run.weight_decay
    if choice.keras_class == "SGD":
        options |= {"momentum": choice.momentum, "nesterov": choice.nesterov}
    return getattr(keras.optimizers, choice.keras_class)(**options)


def rate_variables(optimizer: "keras.Optimizer") -> "list[keras.Variable]":
    """Returns the rates of an optimizer: its own, and that of a backbone."""
    trunk_rate = getattr(optimizer, "trunk_rate", None)
    rates = [optimizer.learning_rate]
    return rates if trunk_rate is None else [*rates, trunk_rate]


def rates_at(run: Run, step: int, num_steps: int) -> list[float]:
    """Returns the values of `rate_variables` at one step."""
    rate = learning_rate_at(
        step,
        num_steps,
        peak=run.learning_rate or 0.0,
        schedule=find_schedule(run),
        warmup=run.warmup,
    )
    if not has_trunk_rate(run):
        return [rate]
    return [rate, trunk_rate_at(run, step, num_steps)]


def set_rates(
    optimizer: "keras.Optimizer", run: Run, step: int, num_steps: int
) -> None:
    """Sets the rates of one step."""
    rates = rates_at(run, step, num_steps)
    for variable, rate in zip(rate_variables(optimizer), rates, strict=True):
        variable.assign(rate)


def change_rates(
    optimizer: "keras.Optimizer", run: Run, step: int, num_steps: int
) -> None:
    """Sets the rates if they change with this step, and at the first one.

    An assignment takes a tenth of a step of a small network.
    """
    rates = rates_at(run, step, num_steps)
    if not step or rates != rates_at(run, step - 1, num_steps):
        set_rates(optimizer, run, step, num_steps)


def learning_rate_at(
    step: int,
    num_steps: int,
    *,
    peak: float,
    schedule: str | Callable[[int, int], float],
    warmup: float = 0.0,
) -> float:
    """Returns the learning rate of one step.

    `constant` stays at the peak; `cosine` falls to 0 along half a cosine
    (Loshchilov and Hutter 2017, arXiv 1608.03983); `step` is a tenth after half
    of the steps and a hundredth after three quarters (the recipe of MedMNIST).

    Args:
        step: Index of the step, from 0.
        num_steps: Steps of the whole training.
        peak: Largest learning rate.
        schedule: `constant`, `cosine` or `step`; or a function of the step
            and the number of steps, those of the warmup left out, to the share
            of the peak.
        warmup: Share of the steps over which the rate rises linearly to the
            peak first, 0 to 1.

    Example:

    >>> learning_rate_at(50, 100, peak=0.1, schedule="cosine")
    0.05
    """
    rising = round(warmup * num_steps)
    if step < rising:
        return peak * (step + 1) / rising
    if callable(schedule):
        return peak * float(schedule(step - rising, max(1, num_steps - rising)))
    progress = (step - rising) / max(1, num_steps - rising)
    if schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * progress))
    if schedule == "step":
        return peak * (
            0.01 if progress >= 0.75 else 0.1 if progress >= 0.5 else 1
        )
    return peak


def has_trunk_rate(run: Run) -> bool:
    """Says whether the backbone of a run has a learning rate of its own."""
    head_first, rate = _trunk_options(run)
    return head_first > 0 or rate != 1


def _trunk_options(run: Run) -> tuple[float, float]:
    """Returns the share of steps with a frozen backbone, and its rate."""
    options = run.options
    return (
        float(options.get("head_first", 0.0)),
        float(options.get("trunk_rate", 1.0)),
    )


def trunk_rate_at(run: Run, step: int, num_steps: int) -> float:
    """Returns what multiplies the learning rate of the backbone at a step.

    Example:

    >>> run = Run(
    ...     task="breastmnist",
    ...     model="transfer",
    ...     options={"freeze": "bn", "head_first": 0.5, "trunk_rate": 0.1},
    ... )
    >>> [trunk_rate_at(run, step, 4) for step in range(4)]
    [0.0, 0.0, 0.1, 0.1]
    """
    head_first, rate = _trunk_options(run)
    return 0.0 if step < round(head_first * num_steps) else rate


def with_trunk_rate(
    optimizer: type["keras.Optimizer"],
) -> type["keras.Optimizer"]:
    """Makes an optimizer class whose steps are scaled for a backbone.

    Gradients are left as they are, since scaled ones change nothing for Adam.
    Variables of the backbone are not decayed, nor biases and normalisation.

    Args:
        optimizer: A class of `keras.optimizers`.

    Returns:
        A class that also takes the indices of the variables of the backbone,
        and has the variable `trunk_rate`, 1 at first.
    """

    class Discriminative(optimizer):
        def __init__(self, backbone: Collection[int], **options: Any) -> None:
            super().__init__(**options)
            self.backbone = frozenset(backbone)

        def build(self, variables: "list[keras.Variable]") -> None:
            if not self.built:
                super().build(variables)
                # A second call would take back the names of a first one.
                self.exclude_from_weight_decay(
                    var_list=[variables[index] for index in self.backbone],
                    var_names=_NOT_DECAYED,
                )
                self.trunk_rate = self.add_variable(
                    (), initializer="ones", name="trunk_rate"
                )

        def update_step(
            self, gradient: Any, variable: Any, learning_rate: Any
        ) -> None:
            if self._get_variable_index(variable) in self.backbone:
                learning_rate = learning_rate * self.trunk_rate
            super().update_step(gradient, variable, learning_rate)

    return Discriminative
