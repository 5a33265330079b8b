"""What a step of a run is told: its images and labels, mixed and moved."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from medzoo.data.batches import batch_indices, gather, mixed_batch_indices
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
