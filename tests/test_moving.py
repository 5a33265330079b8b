"""Augmentation that moves an image and its mask together."""

import numpy as np
import pytest

from medzoo.runs.fields import AUGMENTATIONS
from medzoo.runs.run import Run
from medzoo.training.inputs import move_batch

SIDE = 32
MOVING = [name for name in AUGMENTATIONS if name != "none"]


def move(augmentation, images, targets, *, seed=0, step=0):
    run = Run(
        task="shapes",
        data="synthetic",
        model="unet",
        augmentation=augmentation,
        seed=seed,
    )
    return move_batch(images, targets, run=run, step=step)


def make_batch(num=8):
    """Makes images that are bright exactly where their mask is 2."""
    masks = np.zeros((num, SIDE, SIDE), "int8")
    for row in range(num):
        masks[row, 6 + row : 18 + row, 8:15] = 2
    images = np.where(masks[..., None] == 2, 250, 5).astype("uint8")
    return images, {"mask": masks, "label": np.arange(num, dtype="int32")}


@pytest.mark.parametrize("augmentation", MOVING)
def test_a_marker_stays_under_its_mask(augmentation):
    images, targets = make_batch()
    moved, found = move(augmentation, images, targets)
    assert (moved.dtype, found["mask"].dtype) == ("uint8", "int8")
    bright = moved[..., 0] > 127
    # Half a pixel at the edge is what both kinds of reading differ by.
    assert (bright == (found["mask"] == 2)).mean() > 0.985
    assert not np.array_equal(found["mask"], targets["mask"])
    np.testing.assert_array_equal(found["label"], targets["label"])


def test_no_class_is_made_up_and_unknown_pixels_stay_unknown():
    images, targets = make_batch()
    targets["mask"][:, :3] = -1
    targets["mask"][:, 20:, 20:] = 100
    for step in range(5):
        _, found = move("strong_any", images, targets, step=step)
        assert set(np.unique(found["mask"])) == {-1, 0, 2, 100}


def test_draws_follow_from_seed_and_step_alone():
    batch = make_batch()
    first, _ = move("warp", *batch, seed=2**32 - 1, step=3)
    move("warp", *batch, step=9)
    again, _ = move("warp", *batch, seed=2**32 - 1, step=3)
    np.testing.assert_array_equal(first, again)
    for other in ({"seed": 1, "step": 3}, {"seed": 2**32 - 1, "step": 4}):
        assert not np.array_equal(first, move("warp", *batch, **other)[0])


def test_without_augmentation_or_masks_nothing_moves():
    images, targets = make_batch()
    assert move("none", images, targets)[0] is images
    labels = targets["label"]
    assert move("warp", images, labels) == (images, labels)
