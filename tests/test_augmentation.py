"""Augmentation: what each layer may change, and what it must leave alone."""

import random

import keras
import numpy as np
import pytest
from keras import ops

from medzoo.models.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    RandomCutout,
    RandomFocus,
    RandomTint,
    RandomWarp,
)
from medzoo.models.layers import images_input
from medzoo.runs.fields import AUGMENTATIONS as CHOICES
from medzoo.runs.run import Run
from medzoo.runs.symmetries import choose_preset
from medzoo.tasks import NAMES, SYMMETRIES

PRESETS = [name for name in AUGMENTATIONS if name != "none"]


def batch(channels=3, num_images=32, size=29):
    generator = np.random.default_rng(0)
    shape = (num_images, size, size, channels)
    return generator.uniform(-0.5, 0.5, shape).astype("float32")


def array(values):
    return ops.convert_to_numpy(values)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_acts_on_raw_images_and_in_training_only(name, channels):
    inputs, outputs = images_input((28, 28, channels), name)
    model = keras.Model(inputs, outputs)
    raw = np.random.default_rng(0).integers(0, 256, (16, 28, 28, channels))
    raw = raw.astype("uint8")
    np.testing.assert_allclose(array(model(raw)), raw / 127.5 - 1, atol=1e-6)
    changed = array(model(raw, training=True))
    assert not np.allclose(changed, raw / 127.5 - 1, atol=0.1)
    assert np.abs(changed).max() <= 1 + 1e-5


@pytest.mark.parametrize("name", PRESETS)
def test_a_seed_decides_what_a_preset_does(name):
    def draw(seed):
        random.seed(seed)
        return array(Augmentation(name)(batch(), training=True))

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def test_every_task_has_a_preset_that_its_classes_allow():
    assert tuple(SYMMETRIES) == NAMES
    presets = {
        task: choose_preset(Run(task=task, augmentation="by_task"))
        for task in NAMES
    }
    assert set(presets.values()) <= set(AUGMENTATIONS)
    assert presets["organamnist"] == "strong_fixed"  # Left is not right.
    assert presets["pneumoniamnist"] == "strong"
    assert (*AUGMENTATIONS, "by_task") == CHOICES


def test_a_warp_of_nothing_changes_nothing():
    np.testing.assert_array_equal(array(RandomWarp()(batch())), batch())


@pytest.mark.parametrize(
    ("flips", "axes"),
    [
        ("horizontal", [(), (1,)]),
        ("horizontal_and_vertical", [(), (0,), (1,), (0, 1)]),
    ],
)
def test_flips_are_exact_and_all_of_them_occur(flips, axes):
    seen = set()
    for image, flipped in zip(
        batch(), array(RandomWarp(flips=flips)(batch())), strict=True
    ):
        same = [
            axis
            for axis in axes
            if np.allclose(np.flip(image, axis), flipped, atol=1e-4)
        ]
        assert len(same) == 1
        seen.update(same)
    assert seen == set(axes)


def test_a_turn_keeps_what_is_round_and_moves_what_is_not():
    rows, columns = np.mgrid[-14:15, -14:15]
    distance = np.sqrt(rows**2 + columns**2)
    disc = np.exp(-(distance**2) / 50)[None, ..., None].repeat(8, axis=0)
    turned = array(RandomWarp(rotation=0.5)(disc.astype("float32")))
    inside = distance <= 13  # What lies further out is reflected.
    np.testing.assert_allclose(turned[:, inside], disc[:, inside], atol=0.01)
    slope = np.broadcast_to(columns[None, ..., None] / 14.0, disc.shape)
    turned = array(RandomWarp(rotation=0.5)(slope.astype("float32")))
    np.testing.assert_allclose(turned[:, 14, 14], 0, atol=1e-4)
    # A turned slope is `cos x - sin y`: its two gradients have length 1.
    across = turned[:, 14, 19] - turned[:, 14, 9]
    down = turned[:, 19, 14] - turned[:, 9, 14]
    np.testing.assert_allclose(np.hypot(across, down), 10 / 14, rtol=1e-3)


def test_a_crop_shows_a_part_of_the_image_and_no_more():
    columns = np.arange(29, dtype="float32")
    slope = np.broadcast_to(columns[None, None, :, None], (64, 29, 29, 1))
    seen = array(RandomWarp(crop=0.25)(slope))
    assert seen.min() >= 0
    assert seen.max() <= 28
    shares = (seen[:, 0, -1] - seen[:, 0, 0]) / 28
    assert 0.5 <= shares.min() < 0.6
    assert 0.9 < shares.max() <= 1


def test_a_shift_is_as_large_as_it_says():
    columns = np.arange(40, dtype="float32")
    slope = np.broadcast_to(columns[None, None, :, None], (64, 40, 40, 1))
    middle = array(RandomWarp(translation=0.1)(slope))[:, 20, 20, 0] - 20
    assert 3 < np.abs(middle).max() <= 4


def test_hue_and_saturation_keep_grey_and_luma():
    grey = batch(1).repeat(3, axis=-1)
    layer = RandomTint(saturation=0.5, hue=0.5)
    np.testing.assert_allclose(array(layer(grey)), grey, atol=1e-4)
    luma = np.array([0.299, 0.587, 0.114])
    colours = 0.3 * batch()
    changed = array(layer(colours))
    np.testing.assert_allclose(changed @ luma, colours @ luma, atol=1e-3)
    assert np.abs(changed - colours).max() > 0.05


def test_contrast_keeps_the_mean_and_brightness_moves_it_alone():
    images = batch(1)
    changed = array(RandomTint(contrast=0.5)(images))
    axes = (1, 2, 3)
    np.testing.assert_allclose(
        changed.mean(axis=axes), images.mean(axis=axes), atol=1e-5
    )
    ratios = changed.std(axis=axes) / images.std(axis=axes)
    assert 0.5 <= ratios.min() < 0.7
    assert 1.3 < ratios.max() <= 1.5
    moved = array(RandomTint(brightness=0.1)(images)) - images
    np.testing.assert_allclose(np.ptp(moved, axis=axes), 0, atol=1e-5)
    assert 0.15 < np.abs(moved).max() <= 0.2


def test_focus_blurs_and_sharpens_but_keeps_what_is_even():
    even = np.full((4, 9, 9, 1), 0.3, "float32")
    layer = RandomFocus(blur=1.0, sharpness=1.0)
    np.testing.assert_allclose(array(layer(even)), even, atol=1e-6)
    images = 0.3 * batch(1)
    blurred = array(RandomFocus(blur=1.0)(images))
    sharper = array(RandomFocus(sharpness=1.0)(images))
    axes = (1, 2, 3)
    assert (blurred.std(axis=axes) < images.std(axis=axes)).all()
    assert (sharper.std(axis=axes) > images.std(axis=axes)).all()


def test_the_largest_blur_is_the_binomial_one():
    image = np.zeros((1, 5, 5, 1), "float32")
    image[0, 2, 2] = 1
    blurred = array(RandomFocus(blur=1.0)(image.repeat(200, axis=0)))
    amounts = 1 - blurred[:, 2, 2, 0]  # 0.75 of it for the full blur.
    np.testing.assert_allclose(blurred[:, 1, 2, 0], amounts / 6, rtol=1e-4)
    assert 0.7 < amounts.max() <= 0.75


def test_cutout_hides_a_rectangle_that_is_not_too_large():
    images = np.ones((64, 20, 20, 1), "float32")
    hidden = array(RandomCutout(side=0.5)(images))[..., 0] == 0
    for image in hidden:
        rows, columns = image.any(axis=1), image.any(axis=0)
        np.testing.assert_array_equal(image, np.outer(rows, columns))
        assert max(rows.sum(), columns.sum()) <= 10
    assert 0.02 < hidden.mean() < 0.12  # A sixteenth, less what falls outside.
