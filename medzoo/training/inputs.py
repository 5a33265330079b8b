"""Batches as a train step gets them: mixed, and moved with their masks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from medzoo.data.batches import gather
from medzoo.data.dataset import Split
from medzoo.runs.rules import predicts_masks
from medzoo.runs.run import Run
from medzoo.runs.symmetries import choose_preset


def make_batch(
    run: Run, train: Split, indices: np.ndarray, *, step: int
) -> tuple[Any, Any]:
    """Makes a batch of images and targets: mixed, and moved with their masks.

    All draws are decided by the seed of the run and the step, from 0.
    """
    batch = gather(train, indices)
    for change in (mix_batch, move_batch):
        batch = change(*batch, run=run, step=step)
    return batch


def make_stretch(
    run: Run, train: Split, indices: Sequence[np.ndarray], *, start: int
) -> Any:
    """Makes the batches of several steps, stacked on a first axis of steps.

    Args:
        train: Its images.
        indices: Those of each batch, all of one length.
    """
    import keras

    if run.mix == "none" and not predicts_masks(run):
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
        box: Rectangle of the other image, from row and column to row and
            column, shape `(2, 2)`; `None` for `mixup`.
    """

    partners: np.ndarray
    share: np.floating
    box: np.ndarray | None = None


def draw_mix(run: Run, step: int, shape: tuple[int, ...]) -> Mix:
    """Draws the mix of one step, for a batch of shape `(n, height, width)`."""
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
    """Mixes the images of a batch in pairs, all with one share.

    With `s` uniform in [0, 1], `mixup` takes `s x + (1 - s) x'`, and `cutmix`
    replaces a rectangle of `x` by that of `x'`, so that about `s` of its area
    is left. The loss of a mixed batch is `s` times its loss with the labels of
    `x` and `1 - s` times that with those of `x'`.

    Returns:
        `uint8` images, and `float32` of shape `(batch, 3)`: both labels of each
        image and the share of the first; its arguments for `mix="none"`.

    Reference:

    - [Zhang et al., 2018](https://arxiv.org/abs/1710.09412), mixup.
    - [Yun et al., 2019](https://arxiv.org/abs/1905.04899), CutMix.
    """
    if run.mix == "none":  # Images may be a dictionary then.
        return images, labels
    return mix_images(images, labels, draw_mix(run, step, images.shape[:3]))


def mix_images(
    images: Any, labels: Any, mix: Mix, xp: Any = np
) -> tuple[Any, Any]:
    """Mixes arrays of NumPy, or of another module `xp` with its functions."""
    partners, share, box = mix
    others = images[partners]
    if box is None:
        mixed = xp.rint(share * images + (1 - share) * others)
        mixed = mixed.astype(images.dtype)
    else:
        inside = [
            (start <= positions) & (positions < end)
            for positions, start, end in zip(
                map(xp.arange, images.shape[1:3]), *box, strict=True
            )
        ]
        in_box = xp.outer(*inside)[None, :, :, None]
        mixed = xp.where(in_box, others, images)
    shares = xp.full(len(labels), share)
    targets = xp.stack([labels, labels[partners], shares], axis=-1)
    return mixed, targets.astype("float32")


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


def move_batch(
    images: np.ndarray, targets: Any, *, run: Run, step: int
) -> tuple[np.ndarray, Any]:
    """Moves images together with their masks, by the augmentation of a run.

    Images are interpolated bilinearly, masks by the nearest pixel. Augmentation
    that moves no pixels is a layer of the model; without masks all of it is.

    Args:
        images: `uint8`, shape `(batch, height, width, channels)`.
        targets: A dictionary with `mask`, shape `(batch, height, width)`; else
            nothing is moved.
        run: Its seed decides all draws, with the step.
        step: Index of the step, from 0.
    """
    if not isinstance(targets, dict):
        return images, targets
    from medzoo.models.augmentation import make_warp

    warp = make_warp(choose_preset(run))
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
