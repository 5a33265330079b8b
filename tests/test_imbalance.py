"""Imbalance: exact proportions, and losses that are those of their papers."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.utils.class_weight import compute_class_weight

from medzoo.data.batches import sampled_indices
from medzoo.data.dataset import Split
from medzoo.losses.classification import (
    VARIANTS,
    build_imbalance_loss,
    cross_entropy,
    effective_number,
    focal,
    inverse_frequency,
    logit_adjusted,
)
from medzoo.runs.fields import IMBALANCES
from medzoo.runs.run import Run
from medzoo.training.build import prepare_model
from medzoo.training.execute import execute, load_data
from medzoo.training.trainer import Trainer

COUNTS = [50, 13, 6, 1]
LABELS = np.repeat([0, 1, 2, 4], COUNTS).astype("int32")
SMALL = {
    "task": "retinamnist",
    "data": "synthetic",
    "model": "mlp",
    "width": 8,
    "max_images": 64,
    "batch_size": 16,
    "epochs": 3,
    "loss": "cross_entropy",
}


def draw(sampling, num_batches, *, batch_size=10, seed=0, start=0):
    batches = sampled_indices(
        LABELS, batch_size, sampling=sampling, seed=seed, start=start
    )
    return [next(batches) for _ in range(num_batches)]


@pytest.mark.parametrize("sampling", ["oversample", "balanced_batches"])
def test_every_class_is_drawn_as_often_as_the_largest(sampling):
    """A round of 4 classes of 50 images each is 20 batches of 10."""
    for round_ in range(3):
        drawn = np.concatenate(draw(sampling, 20, start=20 * round_))
        assert np.bincount(LABELS[drawn]).tolist() == [50, 50, 50, 0, 50]
        times = np.bincount(drawn, minlength=len(LABELS))
        for label, count in zip((0, 1, 2, 4), COUNTS, strict=True):
            due = 50 / count
            assert set(times[label == LABELS]) <= {int(due), int(np.ceil(due))}


@pytest.mark.parametrize("batch_size", [4, 7, 10, 70])
def test_every_batch_is_balanced_to_one_image(batch_size):
    for batch in draw("balanced_batches", 30, batch_size=batch_size):
        counts = np.bincount(LABELS[batch], minlength=5)[[0, 1, 2, 4]]
        assert counts.sum() == batch_size
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("sampling", ["oversample", "balanced_batches"])
@pytest.mark.parametrize("start", [1, 19, 20, 53])
def test_sampling_goes_on_where_it_stopped(sampling, start):
    whole = draw(sampling, start + 5)[start:]
    for batch, expected in zip(
        draw(sampling, 5, start=start), whole, strict=True
    ):
        np.testing.assert_array_equal(batch, expected)


@pytest.mark.parametrize("sampling", ["oversample", "balanced_batches"])
def test_a_seed_decides_what_is_drawn(sampling):
    first, again, other = (draw(sampling, 5, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("sampling", ["oversample", "balanced_batches"])
def test_unlabelled_images_are_never_drawn(sampling):
    labels = np.array([0, -1, 1, 1, -1, 1], "int32")
    batches = sampled_indices(labels, 4, sampling=sampling, seed=0)
    drawn = np.concatenate([next(batches) for _ in range(20)])
    assert set(drawn) == {0, 2, 3, 5}


def test_class_weights_are_those_of_scikit_learn():
    expected = compute_class_weight(
        "balanced", classes=np.array([0, 1, 2, 4]), y=LABELS
    )
    np.testing.assert_allclose(inverse_frequency(COUNTS), expected)


def test_effective_numbers_lie_between_none_and_inverse_frequency():
    """By hand: 1 - 0.9^2 = 0.19 and 1 - 0.9^1 = 0.1."""
    np.testing.assert_allclose(
        effective_number([2, 1], beta=0.9),
        [2 * 0.1 / 0.29, 2 * 0.19 / 0.29],
    )
    np.testing.assert_allclose(effective_number([9, 1], beta=0.0), [1, 1])
    near = effective_number([9, 1], beta=1 - 1e-9)
    np.testing.assert_allclose(near, [0.2, 1.8], rtol=1e-5)
    assert effective_number([3, 0, 3]) == [1.0, 0.0, 1.0]


def make_batch(num_images=12, num_classes=4):
    generator = np.random.default_rng(0)
    labels = generator.integers(-1, num_classes, num_images)
    logits = 2 * generator.normal(size=(num_images, num_classes))
    return labels.astype("int32"), logits.astype("float32")


def test_focal_is_its_formula():
    labels, logits = make_batch()
    known = labels >= 0
    exponentials = np.exp(logits[known])
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    p = p[np.arange(known.sum()), labels[known]]
    expected = np.mean(-((1 - p) ** 2) * np.log(p))
    assert float(focal(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_focal_of_sigmoids_is_that_of_keras():
    labels, logits = make_batch()
    known = labels >= 0
    expected = keras.losses.BinaryFocalCrossentropy(
        from_logits=True, gamma=2.0
    )(np.eye(4)[labels[known]], logits[known])
    found = focal(labels, logits, output="sigmoid")
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_focal_without_its_power_is_cross_entropy(output):
    labels, logits = make_batch()
    found = focal(labels, logits, output=output, gamma=0.0)
    expected = cross_entropy(labels, logits, output=output)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_logit_adjustment_is_its_formula():
    labels, logits = make_batch()
    prior = np.array([0.7, 0.2, 0.05, 0.05])
    adjusted = logits + np.log(prior)
    expected = cross_entropy(labels, adjusted.astype("float32"))
    found = logit_adjusted(labels, logits, class_counts=[14, 4, 1, 1])
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    even = logit_adjusted(labels, logits, class_counts=[5, 5, 5, 5])
    plain = cross_entropy(labels, logits)
    assert float(even) == pytest.approx(float(plain), rel=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_unlabelled_images_change_nothing(name):
    labels, logits = make_batch()
    loss = build_imbalance_loss(name, class_counts=[5, 3, 1, 0])
    known = labels >= 0
    dropped = float(loss(labels[known], logits[known]))
    assert float(loss(labels, logits)) == pytest.approx(dropped, rel=1e-6)
    assert float(loss(np.full(12, -1), logits)) == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_are_finite_for_extreme_logits(name):
    loss = build_imbalance_loss(name, class_counts=[5, 3, 1, 0])
    weights = keras.Variable([[1e4, -1e4, 0.0, 0.0], [-1e4, 1e4, 1.0, 0.0]])
    model = keras.Sequential([keras.layers.Dense(4, use_bias=False)])
    model.build((None, 2))
    model.layers[0].kernel.assign(weights)
    model.compile("sgd", loss)
    model.train_on_batch(np.eye(2, dtype="float32"), np.array([0, 0]))
    assert np.isfinite(model.layers[0].kernel.numpy()).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_are_the_finite_differences(name):
    labels, logits = make_batch(3)
    logits = logits.astype("float64")
    loss = build_imbalance_loss(name, class_counts=[5, 3, 1, 2])

    def value(moved):
        return float(loss.call(np.array([0, 3, 1]), ops.array(moved)))

    import tensorflow as tf

    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        found = loss.call(np.array([0, 3, 1]), variable)
    gradient = tape.gradient(found, variable).numpy()
    for place in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-6
        slope = (value(logits + step) - value(logits - step)) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("name", ["class_weights", *VARIANTS])
def test_a_loss_is_rebuilt_from_its_config(name):
    labels, logits = make_batch()
    loss = build_imbalance_loss(name, class_counts=[5, 3, 1, 2])
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    assert float(again(labels, logits)) == float(loss(labels, logits))


@pytest.mark.parametrize("imbalance", IMBALANCES)
def test_every_way_trains_and_resumes_to_the_same_numbers(imbalance):
    run = Run(**SMALL, imbalance=imbalance)
    data = load_data(run)

    def train(*stops):
        trainer = Trainer(prepare_model(run, data), data, run)
        for stop in stops:
            trainer.train(until=stop)
        return trainer.history

    history = train(None)
    assert all(np.isfinite(entry["loss"]) for entry in history)
    assert history == train(4, None)


def test_ways_differ_and_none_is_the_run_of_before():
    ids = {Run(**SMALL, imbalance=name).run_id for name in IMBALANCES}
    assert len(ids) == len(IMBALANCES)
    assert Run(**SMALL, imbalance="none").run_id == Run(**SMALL).run_id
    losses = {
        execute(Run(**SMALL, imbalance=name))[0].history[-1]["loss"]
        for name in IMBALANCES
    }
    assert len(losses) == len(IMBALANCES)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"imbalance": "smote"}, "Unknown imbalance `smote`"),
        (
            {"imbalance": "focal", "model": "multi_head"},
            "`multi_head` has several. Expected imbalance='none'",
        ),
        (
            {"imbalance": "focal", "loss": "soft_f1"},
            "Expected loss='cross_entropy'; any loss goes with oversample and "
            "balanced_batches. Received: loss='soft_f1'.",
        ),
        (
            {"imbalance": "logit_adjustment", "output": "sigmoid"},
            "Expected output='softmax'. Received: output='sigmoid'.",
        ),
    ],
)
def test_what_makes_no_sense_is_one_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        Run(**{**SMALL, **values})


@pytest.mark.parametrize("imbalance", IMBALANCES)
def test_a_class_that_is_absent_from_train_is_no_fault(imbalance):
    run = Run(**SMALL, imbalance=imbalance)
    data = load_data(run)
    kept = data.train.labels != 4
    train = Split(data.train.images[kept], data.train.labels[kept])
    data = dataclasses.replace(data, train=train)
    trainer = Trainer(prepare_model(run, data), data, run)
    trainer.train()
    assert not trainer.diverged
