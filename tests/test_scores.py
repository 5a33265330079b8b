"""Scores of labels against scikit-learn and medmnist's own evaluator."""

import importlib.util
import math
import sys
import time
import timeit
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from medzoo.scores import counts
from medzoo.scores import probabilities as scores
from medzoo.scores.table import SCORES, list_scores

NUM_IMAGES = 60


def make_predictions(seed, num_classes, sharpness=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, NUM_IMAGES).astype("int32")
    labels[:num_classes] = np.arange(num_classes)
    logits = rng.normal(size=(NUM_IMAGES, num_classes))
    logits[np.arange(NUM_IMAGES), labels] += sharpness * rng.random(NUM_IMAGES)
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels


def make_degenerate():
    """Yields probabilities and labels where scores tend to go wrong."""
    probabilities, labels = make_predictions(1, 4)
    ties = np.round(probabilities * 4) / 4
    uniform = np.full((NUM_IMAGES, 4), 0.25)
    constant = np.tile([0.0, 0.0, 1.0, 0.0], (NUM_IMAGES, 1))
    yield "ties", ties / ties.sum(axis=1, keepdims=True), labels
    yield "zero logits", uniform, labels
    yield "always class 2", constant, labels
    yield "perfect", np.eye(4)[labels], labels
    yield "always wrong", np.eye(4)[(labels + 1) % 4], labels
    yield "class 3 absent", probabilities, labels % 3
    yield "labels all 1", probabilities, np.full_like(labels, 1)
    yield "one image", probabilities[:1], labels[:1]


CASES = [
    pytest.param(probabilities, labels, id=name)
    for name, probabilities, labels in make_degenerate()
] + [
    pytest.param(*make_predictions(seed, classes), id=f"{classes} classes")
    for seed, classes in enumerate([2, 2, 3, 5, 8, 11])
]


@pytest.fixture(scope="module")
def medmnist_evaluator():
    """Loads `medmnist/evaluator.py` alone; the package itself needs torch."""
    folder = importlib.util.find_spec("medmnist").submodule_search_locations[0]
    parent = types.ModuleType("medmnist")
    parent.__path__ = [folder]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("medmnist", "medmnist.info"):
            patch.delitem(sys.modules, name, raising=False)
        patch.setitem(sys.modules, "medmnist", parent)
        path = Path(folder, "evaluator.py")
        spec = importlib.util.spec_from_file_location("evaluator", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
        sys.modules.pop("medmnist.info", None)


@pytest.mark.parametrize(("probabilities", "labels"), CASES)
def test_scores_are_those_of_scikit_learn(probabilities, labels):
    classes = list(range(probabilities.shape[1]))
    predictions = probabilities.argmax(axis=1)
    f1 = {"labels": classes, "zero_division": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, on degenerate data.
        expected = {
            "accuracy": metrics.accuracy_score(labels, predictions),
            "macro_f1": metrics.f1_score(
                labels, predictions, average="macro", **f1
            ),
            "balanced_accuracy": metrics.balanced_accuracy_score(
                labels, predictions
            ),
            "mcc": metrics.matthews_corrcoef(labels, predictions),
            "cross_entropy": metrics.log_loss(
                labels, probabilities.astype("float32"), labels=classes
            ),
        }
        per_class = metrics.f1_score(labels, predictions, average=None, **f1)
    found = scores.score(probabilities, labels, len(classes))
    del found["auc"]  # Checked against medmnist's below.
    assert found == pytest.approx(expected, rel=2e-6, abs=1e-6)
    assert all(isinstance(value, float) for value in found.values())
    assert scores.macro_f1(probabilities, labels) == found["macro_f1"]
    np.testing.assert_allclose(
        scores.per_class_f1(probabilities, labels), per_class, rtol=1e-12
    )


def test_one_formula_serves_all_leading_axes():
    rng = np.random.default_rng(0)
    matrices = rng.integers(0, 9, (4, 5, 3, 3)) * rng.integers(
        0, 2, (4, 5, 3, 1)
    )
    for call in (*counts.LABEL_SCORES.values(), *counts.MASK_SCORES.values()):
        expected = [[call(matrix) for matrix in row] for row in matrices]
        np.testing.assert_array_equal(call(matrices), expected)


def test_the_table_names_every_score_that_is_computed():
    labels = scores.score(np.eye(2), np.array([0, 1]), 2)
    masks = counts.score_masks(np.ones((1, 2, 2), int))
    assert {*labels} == {*list_scores("labels", "probabilities")}
    assert (*masks,) == list_scores("masks")
    for name, value in (labels | masks).items():
        low, high = SCORES[name].bounds
        assert low <= value
        assert high is None or value <= high


@pytest.mark.parametrize(("probabilities", "labels"), CASES)
def test_auc_and_accuracy_are_those_of_medmnist(
    medmnist_evaluator, probabilities, labels
):
    num_classes = probabilities.shape[1]
    kinds = ["multi-class", "ordinal-regression"]
    for kind in ["binary-class"] if num_classes == 2 else kinds:
        columns = labels[:, None].astype("uint8")
        found = scores.auc(probabilities, labels)
        if len(np.unique(labels)) < num_classes:
            assert found is None
        else:
            expected = medmnist_evaluator.getAUC(columns, probabilities, kind)
            assert found == pytest.approx(expected, abs=1e-12)
        if len(labels) > 1:  # medmnist squeezes a single image away.
            expected = medmnist_evaluator.getACC(columns, probabilities, kind)
            found = scores.score(probabilities, labels, num_classes)
            assert found["accuracy"] == expected


def test_a_perfect_prediction_whose_winning_logit_is_zero_scores_one():
    labels = np.array([0, 1, 2, 1])
    logits = np.where(np.eye(3)[labels] == 1, 0.0, -1000.0)
    found = scores.score(np.exp(logits), labels, 3)
    assert found.pop("cross_entropy") < 1e-6
    assert set(found.values()) == {1.0}


def test_ties_count_as_one_class_only():
    found = scores.macro_f1(np.full((4, 2), 0.5), np.array([0, 0, 1, 1]))
    assert found == pytest.approx(1 / 3)


def test_auc_of_two_classes_reads_class_1_alone():
    saturated = np.array([[1e-9, 1.0], [1e-8, 1.0]])
    assert scores.auc(saturated, np.array([1, 0])) == 0.5


def test_macro_f1_by_hand():
    probabilities = np.eye(3)[[0, 0, 1, 1, 2]]
    labels = np.array([0, 1, 1, 2, 2])
    found = scores.per_class_f1(probabilities, labels)
    np.testing.assert_allclose(found, [2 / 3, 1 / 2, 2 / 3])
    assert scores.macro_f1(probabilities, labels) == pytest.approx(11 / 18)


def test_cross_entropy_is_bounded_and_divides_by_the_sum():
    label = np.array([0])
    worst = scores.cross_entropy(np.array([[0.0, 1.0]]), label)
    assert worst == pytest.approx(-math.log(2**-23))
    sigmoids = scores.cross_entropy(np.array([[0.9, 0.9]]), label)
    assert sigmoids == pytest.approx(math.log(2))


def test_unlabelled_images_change_nothing():
    probabilities, labels = make_predictions(3, 5)
    hidden = np.where(np.arange(NUM_IMAGES) % 3 == 0, -1, labels)
    kept = hidden >= 0
    found = scores.score(probabilities, hidden, 5)
    assert found == scores.score(probabilities[kept], hidden[kept], 5)
    predictions = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(
        counts.confusion_matrix(hidden, predictions, 5),
        metrics.confusion_matrix(
            hidden[kept], predictions[kept], labels=range(5)
        ),
    )


def test_order_of_images_and_of_classes_does_not_matter():
    probabilities, labels = make_predictions(4, 5)
    expected = scores.score(probabilities, labels, 5)
    rng = np.random.default_rng(0)
    images, classes = rng.permutation(NUM_IMAGES), rng.permutation(5)
    shuffled = scores.score(probabilities[images], labels[images], 5)
    renamed = scores.score(
        probabilities[:, classes], classes.argsort()[labels], 5
    )
    assert shuffled == pytest.approx(expected, rel=1e-12)
    assert renamed == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 1.0], 2 / 3),
        ([0.3], 0.3),
        ([0.0, 0.9], 0.0),
        ([0.0, None], None),
        ([0.5, math.nan], None),
        ([0.5, np.float32("nan")], None),
        (np.array([0.25, 0.5], dtype="float32"), 1 / 3),
        ([], None),
    ],
)
def test_harmonic_mean_is_missing_with_a_missing_task(values, expected):
    assert scores.harmonic_mean(values) == pytest.approx(expected)


def test_minus_one_in_uint8_is_named():
    labels = np.where([True, False, True], [0, 4, 2], -1).astype("uint8")
    with pytest.raises(ValueError, match="`labels` must lie") as error:
        scores.score(np.full((3, 5), 0.2), labels, 5)
    assert str(error.value) == (
        "`labels` must lie between 0 and 4, or be -1 for unlabelled. Received: "
        "values from 0 to 255. Was -1 written into a uint8 array?"
    )


@pytest.mark.parametrize(
    ("probabilities", "labels", "sentence"),
    [
        (np.ones((2, 3)) / 3, [0, 1], r"shape=\(2, 3\), num_classes=4"),
        (np.ones(4) / 4, [0], r"`probabilities` must have shape"),
        (
            np.ones((2, 4)) / 4,
            [0],
            r"`labels` must be integers of shape \(2,\)",
        ),
        (
            np.ones((2, 4)) / 4,
            [[0], [1]],
            r"Received: .* labels.shape=\(2, 1\)",
        ),
        (np.ones((2, 4)) / 4, [0.0, 1.0], r"labels.dtype=float64"),
        (np.ones((2, 4)) / 4, [0, 4], r"values from 0 to 4\.$"),
        (np.ones((2, 4)) / 4, [-2, 0], r"values from -2 to 0\.$"),
        (np.ones((2, 4)) / 4, [-1, -1], r"`labels` are all -1"),
        (np.full((2, 4), np.nan), [0, 1], r"`probabilities` must lie between"),
        (np.full((2, 4), np.inf), [0, 1], r"values from inf to inf"),
        (np.full((2, 4), -3.0), [0, 1], r"Apply a softmax to logits"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(probabilities, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        scores.score(probabilities, np.array(labels), 4)


def test_predictions_out_of_range_are_refused():
    labels = np.array([0, 1])
    with pytest.raises(ValueError, match="`predictions` must lie between 0"):
        counts.confusion_matrix(labels, np.array([0, -1]), 2)
    with pytest.raises(ValueError, match="`predictions` must be integers"):
        counts.confusion_matrix(labels, np.array([0]), 2)


def test_large_splits_are_scored_fast():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(11), 50_000).astype("float32")
    labels = rng.integers(0, 11, 50_000)
    timer = timeit.Timer(
        lambda: scores.score(probabilities, labels, 11),
        timer=time.process_time,
    )
    assert min(timer.repeat(3, number=1)) < 0.3
