"""Baselines: scikit-learn's own answers, in the tables of the models."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from medzoo.data.dataset import Split
from medzoo.models.registry import MODELS, build_model
from medzoo.runs.run import Run
from medzoo.training.baselines import STRENGTHS, fit_baseline
from medzoo.training.execute import complete, execute, load_data
from medzoo.training.features import with_features

BASELINES = [name for name, entry in MODELS.items() if entry.baseline]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def make_run(model, options=(), **values):
    options = {"backbone": "none", **dict(options)}
    fixed = {"task": "breastmnist", "data": "synthetic", "max_images": 64}
    return Run(**{"model": model, "options": options, **fixed, **values})


def flat(split):
    return split.images.reshape(len(split), -1).astype("float64")


def test_logistic_regression_is_the_best_on_val_of_scikit_learn():
    run = make_run(
        "logistic_regression", loss="cross_entropy", imbalance="class_weights"
    )
    record, predictions = execute(run)
    data = load_data(run)
    scaler = StandardScaler().fit(flat(data.train))
    train, val, test = (
        scaler.transform(flat(split))
        for split in (data.train, data.val, data.test)
    )
    best, expected = -1.0, None
    for strength in STRENGTHS:
        classifier = LogisticRegression(
            C=strength, class_weight="balanced", max_iter=2000
        ).fit(train, data.train.labels)
        found = f1_score(
            data.val.labels, classifier.predict(val), average="macro"
        )
        if found > best:
            best, expected = found, classifier.predict_proba(test)
    assert record.scores["val"]["macro_f1"] == pytest.approx(best)
    assert set(record.chosen) == {"C"}
    np.testing.assert_allclose(
        predictions.test.probabilities, expected, atol=1e-4
    )


def test_neighbours_vote_as_in_scikit_learn():
    run = make_run("knn")
    data = load_data(run)
    baseline = fit_baseline(run, data)
    scaler = StandardScaler().fit(flat(data.train))
    k = int(baseline.chosen["k"])
    classifier = KNeighborsClassifier(k, metric="cosine")
    classifier.fit(scaler.transform(flat(data.train)), data.train.labels)
    votes = k * classifier.predict_proba(scaler.transform(flat(data.test)))
    found = np.exp(baseline.predict_logits(data.test.images))
    np.testing.assert_allclose(found, (votes + 0.5) / (k + 1), rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_sees_features_of_a_trunk(name):
    taps = "conv1_relu"
    options = {"backbone": "mobilenet_025", "weights": "none", "taps": taps}
    run = make_run(name, options)
    data = with_features(run, load_data(run))
    assert data.input_shape == (8,)
    record, _ = execute(run)
    weights = 8 + 1 if name == "logistic_regression" else 0
    assert record.status == "done"
    assert record.parameters.trainable == weights
    assert record.parameters.total == 3 * 3 * 3 * 8 + 4 * 8 + weights
    # Of a stem of stride 2 on 32 pixels, and then of 8 features.
    products = 8 * (1 if weights else len(data.train))
    assert record.flops == 2 * (3 * 3 * 3 * 8 * 16 * 16 + products)


@pytest.mark.parametrize("name", BASELINES)
def test_test_may_be_read_later(name):
    run = make_run(name)
    whole, predictions = execute(run)
    trained, kept = execute(run, read_test=False)
    assert trained.status == "trained"
    assert kept.test is None
    later, scored = complete(trained, kept)
    assert later.scores == whole.scores
    np.testing.assert_allclose(
        scored.test.probabilities, predictions.test.probabilities, atol=1e-6
    )


@pytest.mark.parametrize("name", BASELINES)
def test_a_class_without_images_is_never_said(name):
    run = make_run(name, task="retinamnist")
    data = load_data(run)
    kept = data.train.labels != 2
    train = Split(data.train.images[kept], data.train.labels[kept])
    baseline = fit_baseline(run, dataclasses.replace(data, train=train))
    logits = baseline.predict_logits(data.test.images)
    assert logits.shape == (len(data.test), 5)
    assert np.isfinite(logits).all()
    assert 2 not in logits.argmax(axis=1)


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("knn", {"augmentation": "flips"}, "Expected no `augmentation`"),
        ("knn", {"ema": 0.9}, "Expected no `ema`. Received: ema=0.9."),
        (
            "knn",
            {"imbalance": "class_weights", "loss": "cross_entropy"},
            "`knn` has no imbalance of class_weights. Expected one of: none.",
        ),
        (
            "logistic_regression",
            {"imbalance": "oversample"},
            "Expected one of: none, class_weights, effective_number.",
        ),
    ],
)
def test_what_a_baseline_has_not_is_one_sentence(name, values, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_run(name, **values)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_no_network(name):
    with pytest.raises(ValueError, match="no network to build"):
        build_model(name, 2, input_shape=(28, 28, 1))
    with pytest.raises(ValueError, match="Unknown backbone `mobile`"):
        make_run(name, {"backbone": "mobile"})
