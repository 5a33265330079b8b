"""Compiled programs of a stack of runs: those of one, with one more axis."""

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from medzoo.training.prepare import MAX_TRACED
from medzoo.training.programs import (
    Plan,
    Programs,
    Values,
    list_groups,
    predict_batches,
    train_stretch,
)

if TYPE_CHECKING:
    import keras


@functools.lru_cache(maxsize=MAX_TRACED)
def stacked_programs_of(model: "keras.Model") -> Programs:
    """Makes the programs of a stack of runs.

    - `train`, from the values of all runs, common images and labels, and the
      plan and the dials of each run, gives new values and losses;
    - `look` is `look_at_val`, for values, splits and dials of all runs.

    Args:
        model: Compiled, with a built optimizer; that of all runs.
    """
    import jax

    def train(
        values: Values, images: Any, labels: Any, plan: Plan, dials: Any
    ) -> tuple[Values, Any]:
        with set_dials(model, dials):
            return train_stretch(model, values, images, labels, plan)

    look = functools.partial(look_at_val, model)
    return Programs(
        {
            "train": jax.vmap(train, in_axes=(0, None, None, 0, 0)),
            "look": jax.vmap(look, in_axes=(0, 0, None, None, 0)),
        }
    )


def look_at_val(
    model: "keras.Model",
    values: Values,
    split: Any,
    images: Any,
    labels: Any,
    dials: Any,
) -> tuple[list[Any], Any, Any]:
    """Predicts one of several splits, and takes the loss of it as a whole.

    Args:
        model: Compiled, from images to logits.
        values: Those of its variables.
        split: Index of the split.
        images: `uint8`, shape `(splits, batches, batch, height, width,
            channels)`.
        labels: `int32`, shape `(splits, n)`.
        dials: As for `set_dials`.

    Returns:
        The averages of the trainable weights that it predicted with, empty
        where the optimizer keeps none; the logits, shape `(n, num_classes)`;
        and the loss.
    """
    if len(images) == 1:
        split = 0  # One copy for all runs of a stack.
    averages = average_weights(model, values)
    used = (averages or values[0], *values[1:])
    logits = predict_batches(model, used, images[split])[: labels.shape[1]]
    with set_dials(model, dials):
        return averages, logits, model.loss(labels[split], logits)


@contextlib.contextmanager
def set_dials(model: "keras.Model", dials: Any) -> Iterator[None]:
    """Puts values of a run in the place of two constants of its graph.

    Args:
        model: Compiled.
        dials: The decay of weights, for an optimizer that has one, and the
            weight of a loss of two parts.
    """
    optimizer, loss = model.optimizer, model.loss
    # A loss of several members holds that of one.
    options = loss.options if hasattr(loss, "options") else loss.loss.options
    decay, kept = optimizer.weight_decay, dict(options)
    if decay is not None:
        optimizer.weight_decay = dials[0]
    if "weight" in options:
        options["weight"] = dials[1]
    try:
        yield
    finally:
        optimizer.weight_decay = decay
        options |= kept


def average_weights(model: "keras.Model", values: Values) -> list[Any]:
    """Returns the optimizer's averages of the trainable weights, if it has any.

    What `medzoo.training.averaging` gives to a model, for values alone.
    """
    import keras

    if not model.optimizer.use_ema:
        return []
    mapping = [
        pair
        for group, mine in zip(list_groups(model), values, strict=True)
        for pair in zip(group, mine, strict=True)
    ]
    weights = model.trainable_variables
    with keras.StatelessScope(state_mapping=mapping) as scope:
        model.optimizer.finalize_variable_values(weights)
    return [scope.get_current_value(variable) for variable in weights]
