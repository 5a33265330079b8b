"""Batches in which each image is mixed with another one of the batch."""

import numpy as np

from medzoo.training.run import Run

# Keeps these draws apart from those of the order of images.
_STREAM = 0x6D6978


def mix_batch(
    images: np.ndarray, labels: np.ndarray, *, run: Run, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mixes the images of a batch in pairs, all with one share, if a run asks.

    With `s` uniform in [0, 1], `mixup` takes `s x + (1 - s) x'`, and `cutmix`
    replaces a rectangle of `x` by that of `x'`, so that about `s` of its area
    is left. The loss of a mixed batch is `s` times its loss with the labels of
    `x` and `1 - s` times that with those of `x'`.

    Args:
        images: `uint8`, shape `(batch, height, width, channels)`.
        labels: Integers, shape `(batch,)`; -1 marks an unlabelled image.
        run: Its `mix` is done; its seed decides all draws, with the step.
        step: Index of the step, from 0.

    Returns:
        `uint8` images, and `float32` of shape `(batch, 3)`: both labels of each
        image and the share of the first; all as it was for `mix="none"`.

    Reference:

    - [Zhang et al., 2018](https://arxiv.org/abs/1710.09412), mixup.
    - [Yun et al., 2019](https://arxiv.org/abs/1905.04899), CutMix.
    """
    if run.mix == "none":
        return images, labels
    random = np.random.default_rng([run.seed, step, _STREAM])
    partners = random.permutation(len(images))
    share = random.uniform()
    if run.mix == "mixup":
        mixed = share * images + (1 - share) * images[partners]
        images = np.rint(mixed).astype("uint8")
    else:
        rows, columns = _draw_box(images.shape[1:3], 1 - share, random)
        images = images.copy()
        images[:, rows, columns] = images[partners][:, rows, columns]
        cut = (rows.stop - rows.start) * (columns.stop - columns.start)
        share = 1 - cut / (images.shape[1] * images.shape[2])
    shares = np.full(len(labels), share)
    targets = np.stack([labels, labels[partners], shares], axis=-1)
    return images, targets.astype("float32")


def _draw_box(
    shape: tuple[int, ...], area: float, random: np.random.Generator
) -> tuple[slice, slice]:
    """Draws a box of about that share of the image, anywhere inside of it."""
    sides = [round(length * area**0.5) for length in shape]
    starts = [
        random.integers(length - side + 1)
        for length, side in zip(shape, sides, strict=True)
    ]
    rows, columns = (
        slice(int(start), int(start) + side)
        for start, side in zip(starts, sides, strict=True)
    )
    return rows, columns
