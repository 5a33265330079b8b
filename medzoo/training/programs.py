"""Compiled programs of a model on JAX: a stretch of steps, a whole split.

They are functions of values alone, as Keras's stateless API has them, so that
JAX can loop over them on the device (`jax.lax.scan`) and do them for several
runs at a time (`jax.vmap`).
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from medzoo.training.mixing import Mix, mix_on_device
from medzoo.training.optimizers import rate_variables
from medzoo.training.prepare import MAX_TRACED

if TYPE_CHECKING:
    import keras

# Of all variables: the trainable ones, the others, and the optimizer's.
Values = tuple[list[Any], list[Any], list[Any]]


class Plan(NamedTuple):
    """What steps are made with, besides images and values.

    Args:
        indices: Of the images of each batch, `int32`, shape `(steps, batch)`.
        rates: `float32`, shape `(steps, rates)`, as `rates_at` lists them.
        mix: A `Mix` whose arrays have a first axis of steps, if there is any.
    """

    indices: Any
    rates: Any
    mix: Mix | None


class Programs:
    """What a model can be asked in one go, compiled once for each shape.

    Args:
        functions: Functions of arrays, by name.
    """

    def __init__(self, functions: dict[str, Callable[..., Any]]) -> None:
        self._functions = functions
        self._compiled: dict[tuple, Callable[..., Any]] = {}

    def compile(self, name: str, arguments: tuple) -> Callable[..., Any]:
        """Returns a program for arguments of these shapes."""
        import jax

        leaves = jax.tree.leaves(arguments)
        key = (name, *(leaf.shape for leaf in leaves))
        if key not in self._compiled:
            lowered = jax.jit(self._functions[name]).lower(*arguments)
            self._compiled[key] = lowered.compile()
        return self._compiled[key]


@functools.lru_cache(maxsize=MAX_TRACED)
def programs_of(model: "keras.Model") -> Programs:
    """Makes the programs of one run.

    - `train`, from values, images, labels and a plan, gives new values and the
      loss of the last step;
    - `predict`, from values and batches of images, gives their logits.

    Args:
        model: Compiled, with a built optimizer.
    """
    return Programs(
        {
            "train": functools.partial(train_stretch, model),
            "predict": functools.partial(predict_batches, model),
        }
    )


def train_stretch(
    model: "keras.Model",
    values: Values,
    images: Any,
    labels: Any,
    plan: Plan,
) -> tuple[Values, Any]:
    """Does the steps of a plan, as `model.train_on_batch` would.

    Args:
        model: Compiled, with a built optimizer.
        values: Those to start from.
        images: `uint8`, shape `(n, height, width, channels)`; or a dictionary
            of arrays, for a net of several inputs.
        labels: `int32`, shape `(n,)`.
        plan: Of the steps.

    Returns:
        The new values, and the loss of the last step.
    """
    import jax

    places = _find_rates(model.optimizer)
    # Keras starts its running mean of the loss anew with every step.
    metrics = [jax.numpy.zeros_like(v.value) for v in model.metrics_variables]

    def step(values: Values, now: Plan) -> tuple[Values, Any]:
        trainable, others, optimizer = values
        optimizer = list(optimizer)
        for place, rate in zip(places, now.rates, strict=True):
            optimizer[place] = rate
        batch: Any = jax.tree.map(
            lambda array: array[now.indices], (images, labels)
        )
        if now.mix is not None:
            batch = mix_on_device(batch[0], batch[1], now.mix)
        logs, (trainable, others, optimizer, _) = model.train_step(
            (trainable, others, optimizer, metrics), batch
        )
        return (trainable, others, optimizer), logs["loss"]

    values, losses = jax.lax.scan(step, values, plan)
    return values, losses[-1]


def predict_batches(model: "keras.Model", values: Values, images: Any) -> Any:
    """Returns the logits of a split.

    Args:
        model: From images to logits.
        values: Those of its variables.
        images: `uint8`, shape `(batches, batch, height, width, channels)`; or a
            dictionary of arrays.

    Returns:
        Shape `(batches * batch, num_classes)`.
    """
    import jax

    trainable, others, _ = values

    def predict(batch: Any) -> Any:
        logits, _ = model.stateless_call(
            trainable, others, batch, training=False
        )
        return logits

    logits = jax.lax.map(predict, images)
    return logits.reshape(-1, logits.shape[-1])


def read_values(model: "keras.Model") -> Values:
    """Returns the values of all variables."""
    trainable, others, optimizer = (
        [variable.value for variable in group] for group in list_groups(model)
    )
    return trainable, others, optimizer


def write_values(model: "keras.Model", values: Values) -> None:
    """Gives values to all variables."""
    for group, new in zip(list_groups(model), values, strict=True):
        for variable, value in zip(group, new, strict=True):
            variable.assign(value)


def list_groups(model: "keras.Model") -> "list[list[keras.Variable]]":
    """Lists all variables in the groups of `Values`."""
    return [
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
    ]


def _find_rates(optimizer: "keras.Optimizer") -> list[int]:
    """Returns the places of `rate_variables` among all of an optimizer."""
    return [
        index
        for rate in rate_variables(optimizer)
        for index, variable in enumerate(optimizer.variables)
        if variable is rate
    ]
