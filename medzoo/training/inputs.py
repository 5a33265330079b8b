"""Batches as a train step gets them: mixed, and moved with their masks."""

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from medzoo.data.batches import (
    batch_indices,
    gather,
    mixed_batch_indices,
    sampled_indices,
)
from medzoo.data.dataset import Dataset, MaskedSplit, Split
from medzoo.data.mixed import MixedDataset
from medzoo.runs.fields import IMBALANCES
from medzoo.runs.run import Run
from medzoo.runs.symmetries import choose_preset

if TYPE_CHECKING:
    from medzoo.models.augmentation import RandomWarp


def make_batches(
    run: Run, data: Dataset, *, start: int
) -> Iterator[np.ndarray]:
    """Yields the indices of the batches of a run from a step on."""
    if isinstance(data, MixedDataset):
        return mixed_batch_indices(
            data.sizes,
            run.batch_size,
            alpha=float(run.options["alpha"]),
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


# What presets of several of Keras's layers do, as one map of coordinates.
_AS_WARP: dict[str, dict[str, Any]] = {
    "flips": {"flips": "horizontal_and_vertical"},
    "light": {"translation": 0.08, "rotation": 0.03},
}


def move_batch(
    images: np.ndarray, targets: Any, *, run: Run, step: int
) -> tuple[np.ndarray, Any]:
    """Moves images and their masks as the augmentation of a run asks for.

    Both are read at the same places, images between pixels by bilinear
    interpolation, masks at the nearest pixel, so that no class is made up. What
    does not move pixels is a layer of the model; without masks all of it is.

    Args:
        images: `uint8`, shape `(batch, height, width, channels)`.
        targets: A dictionary with `mask`, shape `(batch, height, width)`; else
            nothing is done.
        run: Its seed decides all draws, with the step.
        step: Index of the step, from 0.

    Returns:
        Images and targets of the same types.
    """
    if not isinstance(targets, dict):
        return images, targets
    warp = _make_warp(choose_preset(run.task, run.augmentation))
    if warp is None:
        return images, targets
    from keras import ops

    state = np.array([run.seed, step], "uint32")
    warp.seed_generator.state.assign(state)
    maps = warp.draw(len(images), *images.shape[1:3])
    moved = _move(images, maps, "bilinear")
    masks = _move(targets["mask"][..., None], maps, "nearest")[..., 0]
    images = np.clip(np.rint(ops.convert_to_numpy(moved)), 0, 255)
    masks = ops.convert_to_numpy(masks).astype(targets["mask"].dtype)
    return images.astype("uint8"), {**targets, "mask": masks}


def _move(values: np.ndarray, maps: Any, interpolation: str) -> Any:
    from keras import ops

    return ops.image.affine_transform(
        ops.cast(values, "float32"),
        maps,
        interpolation=interpolation,
        fill_mode="reflect",
        data_format="channels_last",
    )


@functools.cache
def _make_warp(preset: str) -> "RandomWarp | None":
    """Makes the layer that moves pixels for a preset, if any does."""
    from medzoo.models.augmentation import AUGMENTATIONS, RandomWarp

    if preset in _AS_WARP:
        return RandomWarp(**_AS_WARP[preset])
    layers = AUGMENTATIONS[preset]()
    return next((x for x in layers if isinstance(x, RandomWarp)), None)
