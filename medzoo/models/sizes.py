"""The width at which a model has a wanted number of parameters."""

import functools
import math
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from medzoo.models.registry import build_model

if TYPE_CHECKING:
    import keras

# How far, as a share of what is wanted, the parameters may be off.
TOLERANCE = 0.05
MAX_WIDTH = 2**14


def solve_width(
    model: "str | Callable[..., keras.Model]",
    num_classes: int | tuple[int, ...],
    *,
    input_shape: tuple[int, ...],
    parameters: int,
    **options: Any,
) -> int:
    """Finds the width that comes nearest to a number of parameters.

    Parameters grow with the width, so that a binary search over builds without
    values finds it, in a second or two.

    Args:
        model: A name of `MODELS`, or a builder.
        num_classes: Number of logits; for `multi_head` those of each task.
        input_shape: `(height, width, channels)`.
        parameters: Trainable parameters to come within 5 % of.
        **options: Options of the model.

    Raises:
        ValueError: If no width comes within 5 %; the nearest is named.

    Example:

    >>> solve_width("mlp", 9, input_shape=(28, 28, 3), parameters=1_400_000)
    522
    """

    def count(width: int) -> int:
        return count_trainable(
            model,
            num_classes,
            input_shape=input_shape,
            width=width,
            **options,
        )

    limit = 1
    while limit < MAX_WIDTH and count(limit) < parameters:
        limit *= 2
    above = min(limit, bisect_left(range(limit + 1), parameters, 1, key=count))
    width = min(
        (max(1, above - 1), above),
        key=lambda width: abs(count(width) - parameters),
    )
    if abs(count(width) - parameters) > TOLERANCE * parameters:
        name = getattr(model, "__name__", model)
        raise ValueError(
            f"No width of `{name}` has trainable parameters within "
            f"{TOLERANCE:.0%} of {parameters:,} for images of shape "
            f"{input_shape} and {num_classes} classes. The nearest are "
            f"{count(width):,} at width={width}. "
            f"Received: parameters={parameters}."
        )
    return width


@functools.cache
def count_trainable(
    model: "str | Callable[..., keras.Model]",
    num_classes: int | tuple[int, ...],
    *,
    input_shape: tuple[int, ...],
    width: int,
    **options: Any,
) -> int:
    """Counts the trainable parameters of a model without making their values.

    Args:
        model: A name of `MODELS`, or a builder.
        num_classes: Number of logits; for `multi_head` those of each task.
        input_shape: `(height, width, channels)`.
        width: The size dial.
        **options: Options of the model.

    Example:

    >>> count_trainable("mlp", 9, input_shape=(28, 28, 3), width=512)
    1370121
    """
    import keras

    def count() -> int:
        with keras.StatelessScope(initialize_variables=False):
            built = build_model(
                model,
                num_classes,
                input_shape=input_shape,
                width=width,
                **options,
            )
            shapes = [weight.shape for weight in built.trainable_weights]
        return sum(math.prod(shape) for shape in shapes)

    # Keras lists, by thread, the variables that wait for their values: in a
    # thread of its own the list is dropped, not made up for later.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(count).result()
