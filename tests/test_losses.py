"""Losses by hand, by finite differences, and by what must not change them."""

import functools
import itertools

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from medzoo.losses.classification import (
    LOSSES,
    build_loss,
    cross_entropy,
    cross_entropy_and_soft_f1,
    soft_f1,
)
from medzoo.runs import fields as choices

SHARES = (0.5, 0.3, 0.2)
BY_HAND = np.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
OUTPUTS = ("softmax", "sigmoid")
every_loss = pytest.mark.parametrize(
    ("name", "output"), [*itertools.product(LOSSES, OUTPUTS)]
)


def build_function(name, output):
    """Returns a function of labels and logits of three classes."""
    extra = {
        "weighted_soft_f1": {"class_weights": SHARES},
        "cross_entropy+soft_f1": {"weight": 0.3},
    }
    return functools.partial(LOSSES[name], output=output, **extra.get(name, {}))


def make_batch(seed=0, num_images=12):
    rng = np.random.default_rng(seed)
    labels = np.resize([0, 1, 2, -1, 0, 0], num_images).astype("int32")
    return labels, rng.normal(scale=2, size=(num_images, 3))


def gradient(function, labels, logits):
    """Returns value and gradient, by whichever backend runs."""
    if keras.backend.backend() == "jax":
        import jax

        inputs = ops.convert_to_tensor(logits)
        value, slope = jax.value_and_grad(function, 1)(labels, inputs)
        return float(value), np.asarray(slope)
    import tensorflow as tf

    inputs = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = function(labels, inputs)
    return float(value), tape.gradient(value, inputs).numpy()


def test_names_are_those_of_the_choices():
    assert tuple(LOSSES) == choices.LOSSES


def test_soft_f1_by_hand():
    # Class 0: 2 * 1.5 / (2 + 1.7). Class 1: 2 * 0.8 / (1 + 1.3).
    f1 = np.array([3 / 3.7, 1.6 / 2.3])
    assert_allclose(soft_f1([0, 0, 1], BY_HAND), 1 - f1.mean())
    weighted = soft_f1([0, 0, 1], BY_HAND, class_weights=[20, 10])
    assert_allclose(weighted, 1 - f1 @ [2 / 3, 1 / 3])


def test_soft_f1_of_sigmoids_by_hand():
    logits = np.log([[9, 3 / 7], [3 / 2, 3 / 7], [1, 4]])  # Log of the odds.
    # Class 0: 2 * 1.5 / (2 + 2.0). Class 1: 2 * 0.8 / (1 + 1.4).
    expected = 1 - np.mean([3 / 4, 1.6 / 2.4])
    assert_allclose(soft_f1([0, 0, 1], logits, output="sigmoid"), expected)


def test_cross_entropy_by_hand():
    costs = -np.log([0.9, 0.6, 0.8])
    assert_allclose(cross_entropy([0, 0, 1], BY_HAND), costs.mean())
    weighted = cross_entropy([0, 0, 1], BY_HAND, class_weights=[1, 4])
    assert_allclose(weighted, (costs[0] + costs[1] + 4 * costs[2]) / 6)
    mixed = cross_entropy_and_soft_f1([0, 0, 1], BY_HAND, weight=0.25)
    f1_part = soft_f1([0, 0, 1], BY_HAND)
    assert_allclose(mixed, 0.75 * costs.mean() + 0.25 * f1_part)


def test_cross_entropy_of_sigmoids_by_hand():
    logits = np.log([[9, 3 / 7], [1, 4]])
    expected = -np.log([0.9, 0.7, 0.5, 0.8]).mean()
    found = cross_entropy([0, 1], logits, output="sigmoid")
    assert_allclose(found, expected)
    zeros = cross_entropy([0, 1], np.zeros((2, 7)), output="sigmoid")
    assert_allclose(zeros, np.log(2), rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_that_of_keras(smoothing):
    labels, logits = make_batch()
    labels, logits = labels[labels >= 0], logits[labels >= 0].astype("float32")
    one_hot = np.eye(3, dtype="float32")[labels]
    for output, reference in {
        "softmax": keras.losses.categorical_crossentropy,
        "sigmoid": keras.losses.binary_crossentropy,
    }.items():
        found = cross_entropy(
            labels, logits, output=output, label_smoothing=smoothing
        )
        expected = reference(
            one_hot, logits, from_logits=True, label_smoothing=smoothing
        )
        assert_allclose(found, np.mean(expected), rtol=1e-5)


@every_loss
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="no float64")
def test_gradients_are_finite_differences(name, output):
    function = build_function(name, output)
    labels, logits = make_batch()
    _, slope = gradient(function, labels, logits)
    step, expected = 1e-5, np.zeros_like(logits)
    for index in np.ndindex(logits.shape):
        values = []
        for sign in (1, -1):
            moved = logits.copy()
            moved[index] += sign * step
            values.append(float(function(labels, moved)))
        expected[index] = (values[0] - values[1]) / (2 * step)
    assert slope.dtype == "float64"
    assert_allclose(slope, expected, atol=1e-9)
    assert np.abs(slope[labels >= 0]).min() > 1e-9


@every_loss
def test_unlabelled_images_change_nothing(name, output):
    function = build_function(name, output)
    labels, logits = make_batch()
    kept = labels >= 0
    value, slope = gradient(function, labels, logits)
    dropped, dropped_slope = gradient(function, labels[kept], logits[kept])
    assert_allclose(value, dropped, rtol=1e-6)
    assert_allclose(slope[kept], dropped_slope, atol=1e-7)
    assert not slope[~kept].any()


@every_loss
def test_a_batch_without_labels_costs_nothing(name, output):
    _, logits = make_batch()
    labels = np.full(len(logits), -1)
    value, slope = gradient(build_function(name, output), labels, logits)
    assert (value, np.abs(slope).max()) == (0.0, 0.0)


@every_loss
def test_order_of_images_does_not_matter(name, output):
    function = build_function(name, output)
    labels, logits = make_batch()
    order = np.random.default_rng(0).permutation(len(labels))
    found = function(labels[order], logits[order])
    assert_allclose(found, function(labels, logits), rtol=1e-6)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("loss", [soft_f1, cross_entropy])
@pytest.mark.parametrize("weights", [None, np.array(SHARES)])
def test_order_of_classes_does_not_matter(loss, output, weights):
    labels, logits = make_batch()
    order = np.array([2, 0, 1])
    renamed = np.where(labels >= 0, order.argsort()[labels], -1)
    expected = loss(labels, logits, output=output, class_weights=weights)
    ordered = None if weights is None else weights[order]
    found = loss(
        renamed, logits[:, order], output=output, class_weights=ordered
    )
    assert_allclose(found, expected, rtol=1e-6)


@every_loss
def test_perfect_is_zero_and_wrong_is_worse(name, output):
    function = build_function(name, output)
    labels, logits = make_batch()
    perfect = 40.0 * np.eye(3)[labels] - 20.0
    for kept in (labels >= -1, labels == 1):  # One class alone has no floor.
        assert 0 <= float(function(labels[kept], perfect[kept])) < 1e-6
    assert float(function(labels, logits)) > 1e-3
    wrong = float(function(labels, -perfect))
    assert wrong > float(function(labels, logits))
    assert wrong <= 1 or name.startswith("cross_entropy")


@every_loss
@pytest.mark.parametrize("labels", [[0, 1, 2], [1, 1, 1], [0, -1, -1]])
def test_extreme_float16_logits_stay_finite(name, output, labels):
    signs = np.array([[1, -1, 1], [-1, -1, 1], [-1, -1, -1]])
    logits = (60000.0 * signs).astype("float16")
    value, slope = gradient(build_function(name, output), labels, logits)
    assert np.isfinite(value)
    assert slope.dtype == "float16"
    assert np.isfinite(slope).all()


def build_model(name, output, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    weights = SHARES if name == "weighted_soft_f1" else None
    loss = build_loss(name, output=output, weight=0.3, class_weights=weights)
    model.compile("sgd", loss=loss, **options)
    return model


@every_loss
def test_a_model_trains_and_is_loaded_with_it(name, output, tmp_path):
    labels, images = make_batch()
    model = build_model(name, output)
    before = float(build_function(name, output)(labels, model(images)))
    assert model.train_on_batch(images, labels) == pytest.approx(before, 1e-5)
    after = model.test_on_batch(images, labels)
    assert after < before
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.test_on_batch(images, labels) == pytest.approx(after)


@pytest.mark.parametrize("output", OUTPUTS)
def test_xla_changes_nothing(output):
    labels, images = make_batch()
    values = []
    for jit_compile in (False, True):
        model = build_model("soft_f1", output, jit_compile=jit_compile)
        values.append([model.train_on_batch(images, labels) for _ in range(2)])
    assert_allclose(values[0], values[1], rtol=1e-5)


def test_weights_of_images_are_refused():
    labels, logits = make_batch()
    with pytest.raises(ValueError, match="Expected sample_weight=None"):
        build_loss("soft_f1")(labels, logits, sample_weight=np.ones(12))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "softf1"}, r"Unknown loss `softf1`\. .* mean `soft_f1`\?"),
        ({"output": "sigmoids"}, r"Unknown output `sigmoids`"),
        ({"weight": 1.5}, r"between 0 and 1\. Received: weight=1\.5\."),
        ({"name": "weighted_soft_f1"}, r"needs `class_weights`"),
    ],
)
def test_wrong_options_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_loss(**{"name": "cross_entropy+soft_f1", **options})


@pytest.mark.parametrize("weights", [[1, 2], [1, 2, -1], [1, 2, np.nan]])
def test_class_weights_that_do_not_fit_are_refused(weights):
    labels, logits = make_batch()
    with pytest.raises(ValueError, match="must be 3 finite numbers"):
        build_loss("soft_f1", class_weights=weights)(labels, logits)
