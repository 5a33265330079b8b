"""The streaming macro F1 against the score of the same name."""

import keras
import numpy as np
import pytest

from medzoo import scores
from medzoo.metrics import MacroF1


def make_logits(seed=0, num_images=50, num_classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, num_classes, num_images).astype("int32")
    logits = rng.normal(size=(num_images, num_classes)).astype("float32")
    logits[np.arange(num_images), labels] += 1
    return labels, logits


def softmax(logits):
    return np.asarray(keras.ops.softmax(logits))


def test_batches_add_up_to_the_score_of_the_whole():
    labels, logits = make_logits()
    metric = MacroF1(4)
    for start in range(0, 50, 8):
        metric.update_state(
            labels[start : start + 8], logits[start : start + 8]
        )
    expected = scores.macro_f1(softmax(logits), labels)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_reset_forgets_all_images():
    labels, logits = make_logits()
    metric = MacroF1(4)
    metric.update_state(labels, -logits)
    metric.reset_state()
    assert float(metric.result()) == 0.0
    metric.update_state(labels[:, None], logits)  # Keras adds an axis.
    expected = scores.macro_f1(softmax(logits), labels)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_ties_and_logits_of_zero_count_once():
    metric = MacroF1(2)
    metric.update_state([0, 0, 1, 1], np.zeros((4, 2)))
    assert float(metric.result()) == pytest.approx(1 / 3)
    metric.reset_state()
    metric.update_state([0, 1], [[0.0, -5.0], [-5.0, 0.0]])
    assert float(metric.result()) == 1.0


def test_a_class_that_never_occurs_has_an_f1_of_zero():
    metric = MacroF1(3)
    metric.update_state([0, 1], [[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    assert float(metric.result()) == pytest.approx(2 / 3)


def test_a_weight_of_zero_is_like_no_label():
    labels, logits = make_logits()
    masked, weighted = MacroF1(4), MacroF1(4)
    masked.update_state(np.where(np.arange(50) < 20, -1, labels), logits)
    weighted.update_state(labels, logits, sample_weight=np.arange(50) >= 20)
    assert float(masked.result()) == float(weighted.result()) > 0


def test_fit_reports_it_and_a_saved_model_still_has_it(tmp_path):
    labels, images = make_logits()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile(
        optimizer="sgd",
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=-1
        ),
        metrics=[MacroF1(4)],
    )
    history = model.fit(images, labels, batch_size=16, verbose=0)
    assert 0 < history.history["macro_f1"][0] < 1
    expected = scores.macro_f1(softmax(model(images)), labels)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found = loaded.evaluate(images, labels, verbose=0, return_dict=True)
    assert found["macro_f1"] == pytest.approx(expected, rel=1e-6)


def test_its_config_builds_an_equal_one():
    metric = MacroF1(7, name="f1")
    config = keras.saving.serialize_keras_object(metric)
    built = keras.saving.deserialize_keras_object(config)
    assert isinstance(built, MacroF1)
    assert built.get_config() == metric.get_config()
