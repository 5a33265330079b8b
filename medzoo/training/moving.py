"""Augmentation that moves the pixels of an image and of its mask alike."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.training.policy import choose_preset
from medzoo.training.run import Run

if TYPE_CHECKING:
    from medzoo.models.warp import RandomWarp

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
    from medzoo.models.augmentation import AUGMENTATIONS
    from medzoo.models.warp import RandomWarp

    if preset in _AS_WARP:
        return RandomWarp(**_AS_WARP[preset])
    layers = AUGMENTATIONS[preset]()
    return next((x for x in layers if isinstance(x, RandomWarp)), None)
