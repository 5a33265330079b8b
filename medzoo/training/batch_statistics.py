"""Statistics of batch normalisation, taken anew from images of train."""

import contextlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.batches import gather
from medzoo.data.dataset import Dataset
from medzoo.runs.run import Run

if TYPE_CHECKING:
    import keras

# Images of train that the statistics are taken from, in batches of the run.
NUM_IMAGES = 256
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
        places = {
            id(variable): index
            for index, variable in enumerate(model.non_trainable_variables)
        }
        # By the place of each mean and variance, the share of a batch in it.
        shares = {
            places[id(variable)]: 1 - layer.momentum
            for layer in _list_normalisations(model)
            for variable in (layer.moving_mean, layer.moving_variance)
        }
        moved = self._pass(self._batches[0], shares) if shares else {}
        self._shares = {
            i: shares[i] for i, value in moved.items() if value.any()
        }

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
        sums: dict[int, Any] = dict.fromkeys(self._shares, 0.0)
        for batch in self._batches if self._shares else ():
            for index, value in self._pass(batch, self._shares).items():
                sums[index] = sums[index] + value / self._shares[index]
        return {i: total / len(self._batches) for i, total in sums.items()}

    def _pass(
        self, images: Any, emptied: Collection[int]
    ) -> dict[int, np.ndarray]:
        """Passes a batch through the network in training mode.

        A running average that is 0 before holds its share of the batch after,
        without the rounding of what it held.

        Args:
            images: One batch.
            emptied: Places of the variables that are 0 before.

        Returns:
            Their values after it; the model stays as it is.
        """
        from keras import ops

        model = self._model
        others = [
            ops.zeros_like(variable) if index in emptied else variable.value
            for index, variable in enumerate(model.non_trainable_variables)
        ]
        trainable = [variable.value for variable in model.trainable_variables]
        _, after = model.stateless_call(
            trainable, others, images, training=True
        )
        return {i: ops.convert_to_numpy(after[i]) for i in emptied}


def _draw_batches(data: Dataset, run: Run) -> list[Any]:
    """Draws whole batches of images of train."""
    size = min(run.batch_size, len(data.train))
    count = max(1, min(NUM_IMAGES, len(data.train)) // size)
    random = np.random.default_rng([run.seed, _STREAM])
    drawn = random.permutation(len(data.train))[: count * size]
    return [
        gather(data.train, indices)[0] for indices in drawn.reshape(count, size)
    ]


def _list_normalisations(
    model: "keras.Model",
) -> "Iterator[keras.layers.BatchNormalization]":
    """Yields the layers of batch normalisation, those of inner models too."""
    from keras import Model, layers

    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            yield layer
        elif isinstance(layer, Model):
            yield from _list_normalisations(layer)
