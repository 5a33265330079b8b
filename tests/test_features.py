"""The feature cache: the same scores, and the trunk runs once."""

import dataclasses
import threading

import numpy as np
import pytest
from own_images import make_folder

from medzoo.data.folders import cache_folder
from medzoo.models.flops import count_flops
from medzoo.runs.run import Run
from medzoo.training.build import prepare_model
from medzoo.training.execute import execute, load_data
from medzoo.training.features import (
    attach_backbone,
    is_cacheable,
    load_features,
    with_features,
)
from medzoo.training.predict import predict_logits
from medzoo.training.trainer import Trainer


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_folder() / "features"


def make_run(options=(), **values):
    return Run(
        **{
            "task": "breastmnist",
            "data": "synthetic",
            "model": "transfer",
            "max_images": 64,
            "batch_size": 16,
            "epochs": 3,
            "width": 8,
            "options": {
                "weights": "none",
                "taps": "conv_pw_2_relu",
                **dict(options),
            },
            **values,
        }
    )


def folders(cache):
    return {path for path in cache.iterdir() if path.is_dir()}


@pytest.mark.parametrize(
    "head", [pytest.param("linear", marks=pytest.mark.slow), "mlp"]
)
def test_scores_are_those_of_the_run_without_a_cache(head):
    run = make_run({"head": head, "taps": "conv1_relu,conv_pw_2_relu"})
    record, predictions = execute(run)
    data = load_data(run)
    trainer = Trainer(prepare_model(run, data), data, run)
    trainer.train()
    for entry, expected in zip(record.history, trainer.history, strict=True):
        assert entry == pytest.approx(expected, rel=1e-3, abs=1e-4)
    trainer.restore_best()
    logits = predict_logits(trainer.model, data.test.images)
    np.testing.assert_allclose(
        predictions.test.probabilities,
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        atol=1e-3,
    )


def test_the_whole_model_says_what_its_head_says():
    run = make_run()
    data = load_data(run)
    features = with_features(run, data)
    head = prepare_model(run, features)
    Trainer(head, features, run).train()
    whole = attach_backbone(run, data, head)
    np.testing.assert_allclose(
        predict_logits(whole, data.val.images),
        predict_logits(head, features.val.images),
        atol=1e-4,
    )


def test_the_record_counts_the_trunk():
    run = make_run()
    record, _ = execute(run)
    whole = prepare_model(run, load_data(run))
    assert record.parameters.total == whole.count_params()
    assert record.parameters.trainable == 32 * 2 + 2
    assert record.flops == count_flops(whole)


def test_features_are_made_once_for_runs_that_share_them(cache):
    first = make_run()
    load = load_data(first)
    made = with_features(first, load)
    assert made.has_features
    assert isinstance(made.train.images, np.memmap)
    (folder,) = folders(cache)
    moment = folder.stat().st_mtime_ns
    for other in (
        make_run({"head": "mlp"}),
        make_run({"dropout": 0.5}, learning_rate=0.1),
        make_run(batch_size=8, loss="cross_entropy"),
    ):
        again = with_features(other, load_data(other))
        np.testing.assert_array_equal(again.train.images, made.train.images)
    assert folders(cache) == {folder}
    assert folder.stat().st_mtime_ns == moment


@pytest.mark.slow
def test_other_features_lie_in_other_folders(cache):
    runs = [
        make_run(),
        make_run({"taps": "conv1_relu"}),
        make_run({"resize": 40}),
        make_run({"backbone": "mobilenet_050"}),
        make_run(seed=1),
        make_run(max_images=32),
    ]
    for number, run in enumerate(runs, start=1):
        with_features(run, load_data(run))
        assert len(folders(cache)) == number


@pytest.mark.parametrize(
    "run",
    [
        make_run({"freeze": "none"}),
        make_run({"freeze": "3"}),
        make_run(augmentation="flips"),
        make_run(mix="mixup"),
        make_run(flip_test=True),
        Run(task="breastmnist", data="synthetic", model="mlp"),
    ],
)
def test_a_trunk_that_changes_is_not_cached(run):
    assert not is_cacheable(run)
    data = load_data(run)
    assert with_features(run, data) is data


def test_several_that_want_the_same_features_make_them_once(cache):
    run = make_run()
    data = load_data(run)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(with_features(run, data)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(folders(cache)) == 1


def test_what_was_interrupted_leaves_no_features(cache):
    run = make_run()
    data = load_data(run)
    broken = dataclasses.replace(data, test=dataclasses.replace(data.test))
    object.__setattr__(broken.test, "images", [None])
    with pytest.raises((TypeError, ValueError)):
        with_features(run, broken)
    assert folders(cache) == set()
    assert len(with_features(run, data).test) == len(data.test)


def test_labels_of_test_are_not_read():
    run = make_run()
    data = load_data(run)
    locked = dataclasses.replace(data.test, labels=None)
    features = with_features(run, dataclasses.replace(data, test=locked))
    assert features.test.labels is None


@pytest.mark.parametrize("split", ["resplit", "folds"])
def test_features_of_a_new_split_are_those_of_its_images(tmp_path, split):
    values = {"resplit": True} if split == "resplit" else {}
    options = {"folds": 5} if split == "folds" else {}
    root = make_folder(tmp_path / "cells")
    for at, path in enumerate(sorted(root.rglob("*.png"))):
        patient = path.parent / f"{at // 2}"
        patient.mkdir(exist_ok=True)
        path.rename(patient / path.name)
    run = make_run(
        task="cells",
        data=f"folder:{root}",
        data_options={"val": 0.2, **options},
        max_images=5,
        seed=1,
        **values,
    )
    images, features = load_data(run), load_features(run, load_data)
    for name in ("train", "val", "test"):
        found, expected = getattr(features, name), getattr(images, name)
        assert len(found) == len(expected)
        np.testing.assert_array_equal(found.labels, expected.labels)
    assert features.notes == images.notes
