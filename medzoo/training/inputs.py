"""What a step of a run is told: its images and labels, mixed and moved."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medzoo.data.batches import batch_indices, gather, mixed_batch_indices
from medzoo.data.masks import MaskedSplit
from medzoo.data.mixed import MixedDataset
from medzoo.data.sampling import sampled_indices
from medzoo.data.split import Dataset, Split
from medzoo.training.choices import IMBALANCES
from medzoo.training.mixing import mix_batch
from medzoo.training.moving import move_batch
from medzoo.training.run import Run


def make_batches(
    run: Run, data: Dataset, *, start: int
) -> Iterator[np.ndarray]:
    """Yields the indices of the batches of a run from a step on."""
    if isinstance(data, MixedDataset):
        return mixed_batch_indices(
            data.sizes,
            run.batch_size,
            alpha=run.alpha,
            seed=run.seed,
            start=start,
        )
    if IMBALANCES[run.imbalance] == "sampling":
        return sampled_indices(
            data.train.labels,
            run.batch_size,
            sampling=run.imbalance,
            seed=run.seed,
            start=start,
        )
    return batch_indices(
        len(data.train), run.batch_size, seed=run.seed, start=start
    )


def make_batch(
    run: Run, train: Split, indices: np.ndarray, *, step: int
) -> tuple[Any, Any]:
    """Makes the images of a batch, and what is to be said of them.

    Args:
        run: Says what is done to them; its seed decides all draws.
        train: To take them from.
        indices: Of the batch.
        step: Index of the step, from 0.
    """
    batch = gather(train, indices)
    for change in (mix_batch, move_batch):
        batch = change(*batch, run=run, step=step)
    return batch


def make_stretch(
    run: Run, train: Split, indices: Sequence[np.ndarray], *, start: int
) -> Any:
    """Makes the batches of several steps, joined on a first axis of steps.

    Args:
        run: As for `make_batch`.
        train: As for `make_batch`.
        indices: Of each batch; all have one length.
        start: Index of the first step.
    """
    import keras

    if run.mix == "none" and not isinstance(train, MaskedSplit):
        # Nothing depends on the step: all images are copied once.
        shape = len(indices), len(indices[0])
        return keras.tree.map_structure(
            lambda array: array.reshape(*shape, *array.shape[1:]),
            gather(train, np.concatenate(indices)),
        )
    made = [
        make_batch(run, train, each, step=step)
        for step, each in enumerate(indices, start)
    ]
    return keras.tree.map_structure(lambda *each: np.stack(each), *made)
