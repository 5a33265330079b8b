"""The average of a model's weights over its steps, evaluated in their place."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@contextlib.contextmanager
def averaged(model: "keras.Model") -> Iterator[None]:
    """Gives a model its average weights, and its own ones back at the end.

    The average is that of Keras's optimizers (`use_ema`), so it is saved and
    resumed with their state; without one nothing happens. Statistics of
    normalisation are averages already and stay as they are.

    Reference:
        [Polyak and Juditsky, 1992](https://doi.org/10.1137/0330046).
    """
    if not model.optimizer.use_ema:
        yield
        return
    from keras import ops

    variables = model.trainable_variables
    own = [variable.numpy() for variable in variables]
    model.optimizer.finalize_variable_values(variables)
    for variable in variables:
        # JAX would hold one array for both, and a prediction gives it away.
        variable.assign(ops.copy(variable))
    try:
        yield
    finally:
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)
