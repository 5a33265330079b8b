"""Batches in which each image is mixed with another one of the batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from medzoo.training.run import Run

# Keeps these draws apart from those of the order of images.
_STREAM = 0x6D6978


class Mix(NamedTuple):
    """How the images of a batch are mixed.

    Args:
        partners: Index of the other image of each, shape `(batch,)`.
        share: Share of the image itself, 0 to 1.
        box: First row and column that the other image fills, and those after
            the last, shape `(2, 2)`; `None` for `mixup`.
    """

    partners: np.ndarray
    share: np.floating
    box: np.ndarray | None = None


def draw_mix(run: Run, step: int, shape: tuple[int, ...]) -> Mix:
    """Draws the mix of one step.

    Args:
        run: Mixes images; its seed decides all draws, with the step.
        step: Index of the step, from 0.
        shape: Of the batch: its images, their height and their width.
    """
    batch_size, *sides = shape
    random = np.random.default_rng([run.seed, step, _STREAM])
    partners = random.permutation(batch_size)
    share = np.float64(random.uniform())
    if run.mix == "mixup":
        return Mix(partners, share)
    box = _draw_box(sides, 1 - share, random)
    cut = np.prod(box[1] - box[0])
    return Mix(partners, 1 - cut / np.prod(sides), box)


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
    if run.mix == "none":  # Images may be a dictionary then.
        return images, labels
    partners, share, box = draw_mix(run, step, images.shape[:3])
    if box is None:
        mixed = share * images + (1 - share) * images[partners]
        images = np.rint(mixed).astype("uint8")
    else:
        rows, columns = map(slice, *box)
        images = images.copy()
        images[:, rows, columns] = images[partners][:, rows, columns]
    shares = np.full(len(labels), share)
    targets = np.stack([labels, labels[partners], shares], axis=-1)
    return images, targets.astype("float32")


def mix_on_device(images: Any, labels: Any, mix: Mix) -> tuple[Any, Any]:
    """Does what `mix_batch` does, to arrays of JAX.

    Args:
        images: As for `mix_batch`.
        labels: As for `mix_batch`.
        mix: As `draw_mix` gives it.
    """
    from jax import numpy as jnp

    partners, share, box = mix
    others = images[partners]
    if box is None:
        mixed = share * images + (1 - share) * others
        images = jnp.rint(mixed).astype(images.dtype)
    else:
        inside = [
            (start <= places) & (places < end)
            for places, start, end in zip(
                map(jnp.arange, images.shape[1:3]), *box, strict=True
            )
        ]
        in_box = jnp.outer(*inside)[None, :, :, None]
        images = jnp.where(in_box, others, images)
    shares = jnp.full(len(labels), share)
    targets = jnp.stack([labels, labels[partners], shares], axis=-1)
    return images, targets.astype("float32")


def _draw_box(
    shape: Sequence[int], area: float, random: np.random.Generator
) -> np.ndarray:
    """Draws a box of about that share of the image, anywhere inside of it."""
    sides = [round(length * area**0.5) for length in shape]
    starts = [
        int(random.integers(length - side + 1))
        for length, side in zip(shape, sides, strict=True)
    ]
    return np.array([starts, np.add(starts, sides)])
