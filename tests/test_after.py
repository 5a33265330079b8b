"""Options after training: each does what it says, and its effect is known."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from medzoo.data.dataset import Dataset, Split
from medzoo.runs.run import Run
from medzoo.scores.probabilities import cross_entropy
from medzoo.training.adjust import (
    adjust_model,
    average_logits,
    choose_adjustment,
    choose_shift,
    fit_temperature,
    is_adjusted,
)
from medzoo.training.build import prepare_model
from medzoo.training.execute import complete, execute, load_data
from medzoo.training.objectives import make_objective
from medzoo.training.predict import predict_logits, to_probabilities
from medzoo.training.trainer import Trainer, averaged

SMALL = {
    "task": "breastmnist",
    "data": "synthetic",
    "model": "mlp",
    "width": 8,
    "batch_size": 16,
    "max_images": 64,
    "steps": 6,
    "keep": "last",
}
ALL = {"ema": 0.8, "flip_test": True, "adjust": "prior"}


@pytest.mark.parametrize("option", ALL)
def test_a_record_knows_its_scores_without_each_option(option):
    record, _ = execute(Run(**SMALL, **ALL))
    assert list(record.without) == list(ALL)
    others = {name: value for name, value in ALL.items() if name != option}
    expected, _ = execute(Run(**SMALL, **others))
    assert record.without[option] == expected.scores


def test_a_plain_run_has_nothing_to_leave_out():
    record, predictions = execute(Run(**SMALL))
    assert record.without == {}
    assert set(predictions.to_arrays()) == {
        f"{split}/{part}"
        for split in ("val", "test")
        for part in ("probabilities", "labels")
    }


def test_test_is_read_at_the_end_with_the_same_scores():
    run = Run(**SMALL, **ALL)
    whole, expected = execute(run)
    record, predictions = execute(run, read_test=False)
    assert set(record.scores) == {"val"}
    assert all(set(found) == {"val"} for found in record.without.values())
    done, found = complete(record, predictions)
    assert done.scores == whole.scores
    assert done.without == whole.without
    assert set(found.to_arrays()) == set(expected.to_arrays())


def test_the_average_is_that_of_the_steps():
    # One step an epoch, and so a check after each.
    run = Run(**SMALL | {"steps": 3, "batch_size": 64}, ema=0.5)
    data = load_data(run)
    model = prepare_model(run, data)
    weight = model.trainable_variables[0]
    values = []
    trainer = Trainer(model, data, run)
    trainer.train(on_check=lambda entry: values.append(weight.numpy()))
    assert len(values) == 3
    average = values[0]
    for value in values[1:]:
        average = 0.5 * average + 0.5 * value
    with averaged(model):
        np.testing.assert_allclose(weight.numpy(), average, atol=1e-6)
    np.testing.assert_array_equal(weight.numpy(), values[-1])


def test_views_are_averaged_in_logits():
    inputs = keras.Input((2, 2, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(inputs))
    model = keras.Model(inputs, flat)
    image = np.array([[1, 2], [3, 4]], "uint8").reshape(1, 2, 2, 1)
    for task, expected in (
        ("breastmnist", [1.5, 1.5, 3.5, 3.5]),
        ("retinamnist", [2.5] * 4),
        ("organamnist", [1, 2, 3, 4]),
    ):
        data = make_data(train=[0], val=[0])
        objective = make_objective(Run(task=task), data)
        found = average_logits(model, objective.views(image))
        np.testing.assert_allclose(found, [expected])


def make_data(train, val):
    def split(labels):
        labels = np.array(labels, "int32")
        return Split(np.zeros((len(labels), 1, 1, 1), "uint8"), labels)

    parts = split(train), split(val), split(val)
    return Dataset("breastmnist", ("a", "b"), *parts, "made")


def test_the_shift_is_a_multiple_of_the_log_prior_that_val_gains_from():
    data = make_data(train=[0] * 3 + [1], val=[0, 0, 1, 1])
    # Class 1 loses by 1, and 1 * log(3) = 1.1 is what it takes.
    logits = np.array([[3.0, 0.0], [3.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    shift = choose_shift(logits, data, "softmax")
    np.testing.assert_allclose(shift, -np.log([0.75, 0.25]), rtol=1e-6)


def test_the_shift_for_balanced_accuracy_finds_rare_images_at_any_price():
    data = make_data(train=[0] * 3 + [1], val=[0] * 9 + [1])
    # The one image of class 1 costs eight of class 0: a recall of 1 and 1/9 in
    # place of 0 and 1, and a macro F1 of 0.2 in place of 0.47.
    logits = np.array([[9.0, 0.0], *[[1.0, 0.0]] * 8, [2.0, 0.0]])
    shifts = [
        choose_adjustment(kind, logits, data, "softmax").shift
        for kind in ("prior", "balanced_prior")
    ]
    np.testing.assert_allclose(shifts[0], 0)
    np.testing.assert_allclose(shifts[1], -2 * np.log([0.75, 0.25]), rtol=1e-6)


def test_a_shift_that_gains_nothing_is_none():
    data = make_data(train=[0] * 3 + [1], val=[0, 1])
    logits = np.array([[9.0, 0.0], [0.0, 9.0]])
    assert not choose_shift(logits, data, "softmax").any()


def make_overconfident(num_classes, *, seed=0, factor=3.0):
    """Makes data with labels drawn by logits, and these logits too large."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(400, num_classes))
    cumulated = to_probabilities(logits).cumsum(axis=1)
    labels = (random.random((400, 1)) > cumulated).sum(axis=1)
    labels = np.minimum(labels, num_classes - 1)
    return factor * logits, make_data(train=[0, 1], val=labels)


def fit_logistic(features, labels, *, intercept):
    """Fits a logistic regression of scikit-learn without a penalty."""
    model = LogisticRegression(C=np.inf, fit_intercept=intercept, tol=1e-9)
    return model.fit(features, labels)


def test_the_temperature_of_two_classes_is_a_logistic_regression():
    logits, data = make_overconfident(2)
    difference = logits[:, 1:] - logits[:, :1]
    labels = data.val.labels
    expected = fit_logistic(difference, labels, intercept=False).coef_[0, 0]
    assert fit_temperature(logits, labels) == pytest.approx(expected, rel=1e-4)
    assert expected == pytest.approx(1 / 3, rel=0.2)


def test_the_vector_of_two_classes_is_a_logistic_regression():
    logits, data = make_overconfident(2)
    adjustment = choose_adjustment("vector", logits, data, "softmax")
    found = to_probabilities(adjustment.apply(logits))
    reference = fit_logistic(logits, data.val.labels, intercept=True)
    np.testing.assert_allclose(
        found, reference.predict_proba(logits), atol=2e-3
    )


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("kind", ["temperature", "vector"])
def test_no_other_adjustment_is_better_on_val(kind, output):
    logits, data = make_overconfident(4, seed=1)
    adjustment = choose_adjustment(kind, logits, data, output)

    def cost(scale, shift):
        adjusted = to_probabilities(logits * scale + shift, output)
        return cross_entropy(adjusted, data.val.labels)

    best = cost(*adjustment)
    assert best < cost(1, 0)
    steps = np.eye(4) if kind == "vector" else np.ones((1, 4))
    for step in steps:
        for size in (-0.05, 0.05):
            scale, shift = adjustment
            assert cost(scale * (1 + size * step), shift) >= best - 1e-7
            moved = cost(scale, shift + size * step)
            assert kind == "temperature" or moved >= best - 1e-7
    if kind == "temperature":
        adjusted = adjustment.apply(logits)
        assert (adjusted.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_images_without_a_label_choose_no_temperature():
    logits, data = make_overconfident(3)
    labels = np.where(np.arange(400) < 200, data.val.labels, -1)
    half = make_data(train=[0, 1], val=labels)
    found = choose_adjustment("temperature", logits, half, "softmax")
    expected = fit_temperature(logits[:200], data.val.labels[:200])
    np.testing.assert_allclose(found.scale, expected, rtol=1e-6)


def test_a_model_adjusts_its_own_logits():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    logits, data = make_overconfident(4)
    adjustment = choose_adjustment("vector", logits, data, "softmax")
    images = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    adjusted = adjust_model(model, adjustment)
    np.testing.assert_allclose(
        predict_logits(adjusted, images),
        adjustment.apply(predict_logits(model, images)),
        atol=1e-5,
    )
    assert (is_adjusted(model), is_adjusted(adjusted)) == (False, True)
    assert adjust_model(model, None) is model
