"""Losses of masks by hand, by finite differences, and by what is ignored."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose
from test_losses import gradient

from medzoo.losses import classification as losses
from medzoo.losses.segmentation import (
    MASK_LOSSES,
    MaskLoss,
    dice,
    dice_and_cross_entropy,
    focal,
    pixel_cross_entropy,
    tversky,
)
from medzoo.models import options as choices

every_loss = pytest.mark.parametrize("name", MASK_LOSSES)
# One image of one row: labels 0, 0, 1.
MASKS = np.array([[[0, 0, 1]]])
LOGITS = np.log([[[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]]])
WEIGHTS = (0.2, 0.5, 0.3)


def make_batch(seed=0, shape=(2, 3, 4)):
    rng = np.random.default_rng(seed)
    masks = np.resize([0, 1, 2, -1, 0, 0, 1], shape).astype("int8")
    return masks, rng.normal(scale=2, size=(*shape, 3))


def test_dice_by_hand():
    # Background: 2 * 1.5 / (2 + 1.7). The other: 2 * 0.8 / (1 + 1.3).
    each = np.array([3 / 3.7, 1.6 / 2.3])
    assert_allclose(dice(MASKS, LOGITS), 1 - each.mean())
    weighted = dice(MASKS, LOGITS, class_weights=[1, 3])
    assert_allclose(weighted, 1 - each @ [0.25, 0.75])


def test_tversky_by_hand():
    # Background: 1.5 right, 0.2 too many, 0.5 missed. The other: 0.8, 0.5, 0.2.
    each = [1.5 / (1.5 + 0.06 + 0.35), 0.8 / (0.8 + 0.15 + 0.14)]
    assert_allclose(tversky(MASKS, LOGITS), 1 - np.mean(each))
    half = tversky(MASKS, LOGITS, alpha=0.5, beta=0.5)
    assert_allclose(half, dice(MASKS, LOGITS))


def test_cross_entropy_and_focal_by_hand():
    p = np.array([0.9, 0.6, 0.8])
    assert_allclose(pixel_cross_entropy(MASKS, LOGITS), -np.log(p).mean())
    costs = -((1 - p) ** 2) * np.log(p)
    assert_allclose(focal(MASKS, LOGITS), costs.mean(), rtol=1e-6)
    weighted = focal(MASKS, LOGITS, class_weights=[1, 4])
    assert_allclose(weighted, costs @ [1, 1, 4] / 6, rtol=1e-6)
    both = dice_and_cross_entropy(MASKS, LOGITS)
    assert_allclose(both, dice(MASKS, LOGITS) - np.log(p).mean())


def test_focal_is_that_of_keras():
    masks, logits = make_batch()
    masks = np.abs(masks)
    found = focal(masks, logits.astype("float32"))
    expected = keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=2.0, from_logits=True
    )(np.eye(3)[masks.ravel()], logits.reshape(-1, 3))
    assert_allclose(found, expected, rtol=1e-5)


def test_a_segment_that_is_absent_is_left_out_of_the_mean():
    masks, logits = make_batch()
    masks = np.minimum(masks, 1)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    p[masks < 0] = 0
    each = [
        2 * p[masks == c, c].sum() / ((masks == c).sum() + p[..., c].sum())
        for c in (0, 1)
    ]
    assert_allclose(dice(masks, logits), 1 - np.mean(each))


def test_names_are_those_of_the_choices():
    assert tuple(MASK_LOSSES) == choices.MASK_LOSSES


@every_loss
def test_what_is_marked_where_nothing_is_costs_something(name):
    nothing = np.zeros((1, 2, 2), "int32")
    marked, unmarked = (
        4.0 * np.eye(3)[np.full((1, 2, 2), mask_class)] for mask_class in (1, 0)
    )
    loss = MASK_LOSSES[name]
    assert float(loss(nothing, marked)) > 10 * float(loss(nothing, unmarked))
    _, slope = gradient(loss, nothing, marked)
    assert (slope[..., 0] < 0).all()


@every_loss
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="no float64")
def test_gradients_are_finite_differences(name, weights):
    def function(masks, logits):
        return MASK_LOSSES[name](masks, logits, class_weights=weights)

    masks, logits = make_batch(shape=(1, 2, 4))
    _, slope = gradient(function, masks, logits)
    step, expected = 1e-5, np.zeros_like(logits)
    for index in np.ndindex(logits.shape):
        values = []
        for sign in (1, -1):
            moved = logits.copy()
            moved[index] += sign * step
            values.append(float(function(masks, moved)))
        expected[index] = (values[0] - values[1]) / (2 * step)
    assert_allclose(slope, expected, atol=1e-9)
    assert np.abs(slope[masks >= 0]).min() > 1e-9
    assert not slope[masks < 0].any()


@every_loss
def test_ignored_pixels_change_nothing(name):
    loss = MASK_LOSSES[name]
    masks, logits = make_batch()
    kept = masks >= 0
    dropped = loss(masks[kept][None, None], logits[kept][None, None])
    assert_allclose(loss(masks, logits), dropped, rtol=1e-6)


@every_loss
def test_masks_of_nothing_but_ignored_pixels_cost_nothing(name):
    masks, logits = make_batch()
    value, slope = gradient(MASK_LOSSES[name], np.full_like(masks, -1), logits)
    assert (value, np.abs(slope).max()) == (0.0, 0.0)


@every_loss
def test_perfect_is_zero_and_wrong_is_worse(name):
    loss = MASK_LOSSES[name]
    masks, logits = make_batch()
    perfect = 40.0 * np.eye(3)[masks] - 20.0
    assert 0 <= float(loss(masks, perfect)) < 1e-6
    assert 1e-3 < float(loss(masks, logits)) < float(loss(masks, -perfect))


@every_loss
@pytest.mark.parametrize("mask_class", [-1, 0, 2])
def test_extreme_float16_logits_stay_finite(name, mask_class):
    masks, logits = make_batch()
    extreme = (60000 * np.sign(logits)).astype("float16")
    masks = np.full_like(masks, mask_class)
    value, slope = gradient(MASK_LOSSES[name], masks, extreme)
    assert np.isfinite(value)
    assert slope.dtype == "float16"
    assert np.isfinite(slope).all()


@every_loss
def test_a_model_of_two_heads_trains_and_is_loaded_with_it(name, tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 2))
    outputs = {
        "mask": keras.layers.Conv2D(3, 1)(inputs),
        "label": keras.layers.Dense(2)(keras.layers.Flatten()(inputs)),
    }
    model = keras.Model(inputs, outputs)
    loss = {
        "mask": MaskLoss(name, 3, class_weights=WEIGHTS),
        "label": losses.build_loss("cross_entropy"),
    }
    model.compile("sgd", loss, loss_weights={"mask": 2.0, "label": 0.5})
    masks, _ = make_batch(shape=(5, 4, 4))
    images = np.random.default_rng(0).normal(size=(5, 4, 4, 2))
    targets = {"mask": masks, "label": np.array([0, 1, -1, 1, 0])}
    found = model(images)
    mine = MASK_LOSSES[name](masks, found["mask"], class_weights=WEIGHTS)
    expected = 2 * mine + 0.5 * losses.cross_entropy(
        targets["label"], found["label"]
    )
    # The sum, and its two parts without their weights.
    before = model.train_on_batch(images, targets)
    assert_allclose(before[0], expected, rtol=1e-5)
    assert_allclose(before[1], mine, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.test_on_batch(images, targets)
    assert_allclose(again, model.test_on_batch(images, targets), rtol=1e-6)
    assert again[0] < before[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("jaccard", 3),
            r"Unknown mask loss `jaccard`\. Expected one of",
        ),
        (("dice", 3, [1, 2]), "`class_weights` must be 3 finite numbers"),
        (("dice", 2, [1, -2]), "none of them negative"),
    ],
)
def test_wrong_arguments_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        MaskLoss(*arguments)


@pytest.mark.parametrize(
    ("masks", "logits"),
    [((2, 4, 4, 1), (2, 4, 4, 3)), ((2, 4, 5), (2, 4, 4, 3)), ((2, 4, 4),) * 2],
)
def test_masks_and_logits_that_do_not_fit_are_refused(masks, logits):
    with pytest.raises(
        ValueError, match=r"must have shape \(batch, height, width\) and"
    ):
        MaskLoss("dice", 3)(ops.zeros(masks), ops.zeros(logits))
