"""Statistics of batch normalisation, taken anew from images of train."""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.batches import gather
from medzoo.data.dataset import Dataset
from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.training.build import MAX_TRACED

if TYPE_CHECKING:
    import keras

# Images of train that the statistics are taken from, in batches of the run.
NUM_IMAGES = 256
# Steps of running averages by which they have settled, times the share of a
# batch in them: 150 steps at Keras's momentum of 0.9.
_SETTLED = 15.0
# Keeps this draw apart from those of the order of images.
_STREAM = 0x626E73


class BatchStatistics:
    """Means and variances of batch normalisation as the weights now give them.

    The running averages that Keras evaluates with lag behind the weights: with
    a momentum of 0.99 they need hundreds of steps to settle. These are the
    averages over some batches of train instead, passed through the network in
    training mode with its weights as they are. Layers that do not follow their
    batch there, such as those of a frozen backbone, keep what they have.

    Args:
        model: Its weights and the seeds of its layers are not changed.
        data: Only `train` is read, of which the seed of the run draws images.
        run: Batch size and seed.

    Reference:
        - [Wu and Johnson, 2021](https://arxiv.org/abs/2105.07576), section 3,
          "precise" statistics.
        - [Izmailov et al., 2018](https://arxiv.org/abs/1803.05407), section
          3.2, for averaged weights.
    """

    def __init__(self, model: "keras.Model", data: Dataset, run: Run) -> None:
        self._model = model
        self._batches = _draw_batches(data, run)
        self._shares, self._follow = _trace(model)

    @contextlib.contextmanager
    def renewed(self) -> Iterator[None]:
        """Gives the model the statistics anew inside of the context."""
        variables = self._model.non_trainable_variables
        before = {index: variables[index].numpy() for index in self._shares}
        for index, value in self.compute().items():
            variables[index].assign(value)
        try:
            yield
        finally:
            for index, value in before.items():
                variables[index].assign(value)

    def compute(self) -> dict[int, np.ndarray]:
        """Averages means and variances over the batches.

        Returns:
            By the place of each in the model's `non_trainable_variables`.
        """
        from keras import ops

        sums: dict[int, Any] = {}
        for batch in self._batches if self._shares else ():
            after = self._follow(*self._values(), batch)
            for index, found in after.items():
                value = ops.convert_to_numpy(found) / self._shares[index]
                sums[index] = sums.get(index, 0.0) + value
        return {i: total / len(self._batches) for i, total in sums.items()}

    def _values(self) -> tuple[list[Any], list[Any]]:
        model = self._model
        return (
            [variable.value for variable in model.trainable_variables],
            [variable.value for variable in model.non_trainable_variables],
        )


@functools.lru_cache(maxsize=MAX_TRACED)
def _trace(
    model: "keras.Model",
) -> tuple[dict[int, float], Callable[..., dict[int, Any]]]:
    """Prepares a pass of a batch through a network in training mode.

    Returns:
        The share of a batch in each mean and variance that follows it, by place
        in the model's `non_trainable_variables`; and a function of the values
        of all variables and of a batch, which returns what these hold after it
        if they are 0 before: their share of the batch, without the rounding of
        what they held. The model stays as it is.
    """
    from keras import ops

    from medzoo.models.layers import list_normalisations

    places = {id(v): i for i, v in enumerate(model.non_trainable_variables)}
    shares = {
        places[id(variable)]: 1 - layer.momentum
        for layer in list_normalisations(model)
        if layer.trainable
        for variable in (layer.moving_mean, layer.moving_variance)
    }

    def follow(
        trainable: list[Any], others: list[Any], images: Any
    ) -> dict[int, Any]:
        emptied = [
            ops.zeros_like(value) if index in shares else value
            for index, value in enumerate(others)
        ]
        _, after = model.stateless_call(
            trainable, emptied, images, training=True
        )
        # A layer that is called as in inference keeps what it has.
        return {i: after[i] for i in shares if after[i] is not emptied[i]}

    return shares, _compile(follow)


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Traces a function of arrays once, by the backend."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, autograph=False)


def describe_unsettled(model: "keras.Model", record: Record) -> str | None:
    """Says why a short training is at chance on val and not on train.

    Returns:
        A sentence if the best check on val is no better than one class for all
        images, its loss is above twice that of train, and the running averages
        have had too few steps; else `None`.
    """
    from medzoo.models.layers import list_normalisations

    run = record.run
    step = record.best_step or 0
    best = next((e for e in record.history if e["step"] == step), {})
    loss, val_loss, score = (
        best.get(key) for key in ("loss", "val_loss", "val_macro_f1")
    )
    if loss is None or val_loss is None or score is None:
        return None
    shares = [
        1 - layer.momentum
        for layer in list_normalisations(model)
        if layer.trainable
    ]
    is_short = step * min(shares, default=math.inf) < _SETTLED
    is_at_chance = score <= 1 / max(1, len(record.classes))
    is_renewed = run.batch_statistics == "renewed"
    if is_renewed or not is_short or not is_at_chance or loss >= val_loss / 2:
        return None
    return (
        f"{run.task}: val of some runs is at chance although the loss of train "
        "is low: too few steps for the running averages of batch "
        "normalisation. Train for more steps, or set `batch_statistics` to "
        "`renewed`."
    )


def _draw_batches(data: Dataset, run: Run) -> list[Any]:
    """Draws whole batches of images of train."""
    size = min(run.batch_size, len(data.train))
    count = max(1, min(NUM_IMAGES, len(data.train)) // size)
    random = np.random.default_rng([run.seed, _STREAM])
    drawn = random.permutation(len(data.train))[: count * size]
    return [
        gather(data.train, indices)[0] for indices in drawn.reshape(count, size)
    ]
