"""Audits: near-duplicates, leaks, split groups, shifted classes."""

import dataclasses
import json

import numpy as np
import pytest
from own_images import make_folder

from medzoo.data.audit.audit import audit
from medzoo.data.audit.leaks import drop_leaks, find_split_groups
from medzoo.data.audit.near_duplicates import Vectors, find_near_duplicates
from medzoo.data.audit.report import format_audit
from medzoo.data.dataset import Dataset, Split
from medzoo.data.sources import load
from medzoo.runs.run import Run
from medzoo.training.execute import execute


def noise(count, seed=0, size=12):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, size, size, 1)).astype(np.uint8)


def make(train, val, test, labels=None):
    splits = [
        Split(images, np.arange(len(images), dtype=np.int32) % 2)
        for images in (train, val, test)
    ]
    return Dataset("x", ("a", "b"), *splits, fingerprint="own:1:2")


def make_vectors(images):
    return Vectors([Split(images, np.zeros(len(images), np.int32))])


def nearly(images, seed=1):
    shaken = images + np.random.default_rng(seed).normal(0, 3, images.shape)
    return np.clip(shaken, 0, 255).astype(np.uint8)


def planted():
    """One exact and two near copies of train images in test, one in val."""
    train, val, test = noise(40), noise(10, 1), noise(10, 2)
    test[3] = train[7]  # Labels 1 and 1.
    test[4:6] = nearly(train[20:22])  # Labels 0 and 0, 1 and 1.
    test[6] = nearly(train[31:32])[0]  # Labels 0 and 1.
    val[0] = nearly(train[5:6])[0]  # Labels 0 and 1.
    return make(train, val, test)


def test_what_was_planted_is_found_and_nothing_else():
    found, pairs = audit(planted())
    assert (found.exact, found.exact_across) == (1, 1)
    assert (found.near, found.near_across) == (4, 4)
    assert (found.test_in_train, found.val_in_train) == (4, 1)
    assert found.test_in_val == 0
    assert found.train_leaks == 5
    assert found.conflicts == 2
    assert pairs[0].conflict
    exact = next(pair for pair in pairs if pair.kind == "exact")
    assert (exact.image, exact.other_image) == ("7", "3")
    assert "4 of 10 test images are in train as well" in found.line()


@pytest.mark.parametrize("size", [6, 12, 80])
def test_candidates_miss_no_pair_that_comparing_all_finds(size):
    """Against the correlations of all pairs, on images that are all alike."""
    random = np.random.default_rng(0)
    base = random.normal(128, 40, (6, size, size, 1))
    noisy = base[random.integers(6, size=300)]
    strength = random.uniform(0, 12, (300, 1, 1, 1))
    noisy = noisy + random.normal(size=noisy.shape) * strength
    images = np.clip(noisy, 0, 255).astype(np.uint8)
    vectors = make_vectors(images)
    units = vectors.units(np.arange(300)).astype(np.float64)
    expected = np.argwhere(np.triu(units @ units.T >= 0.99, 1))
    assert 100 < len(expected) < 30_000
    found = find_near_duplicates(vectors).pairs
    order = np.lexsort(found.T[::-1])
    assert found[order].tolist() == expected.tolist()


def test_brightness_makes_no_difference_and_flat_images_are_not_alike():
    images = noise(6)
    images[1] = images[0] // 2
    images[2], images[3] = 100, 101
    found = find_near_duplicates(make_vectors(images))
    assert found.pairs.tolist() == [[0, 1]]


def test_many_equal_images_are_one_group():
    images = np.repeat(noise(2), 200, axis=0)
    found = find_near_duplicates(make_vectors(images))
    assert len(found.pairs) == 0
    assert np.bincount(found.group)[[0, 200]].tolist() == [200, 200]


def test_training_goes_without_leaks_and_says_so():
    dataset = drop_leaks(planted())
    assert len(dataset.train) == 35
    assert dataset.fingerprint == "own:1:2:drop_leaks"
    assert "5 of 40 images of train were dropped" in dataset.notes[-1]
    assert audit(dataset)[0].line() == ""
    kept = np.setdiff1d(np.arange(40), [5, 7, 20, 21, 31])
    assert (np.asarray(dataset.train.images) == noise(40)[kept]).all()
    assert (dataset.train.images[3:5] == noise(40)[kept[3:5]]).all()


def test_the_leaks_of_a_file_are_looked_for_once(tmp_path):
    path = tmp_path / "x.leaks.npy"
    first = drop_leaks(planted(), kept_in=path)
    assert np.load(path).tolist() == [5, 7, 20, 21, 31]
    np.save(path, [1])
    assert len(drop_leaks(planted(), kept_in=path).train) == 39
    path.write_bytes(b"damaged")
    again = drop_leaks(planted(), kept_in=path)
    assert len(again.train) == len(first.train)


def test_groups_in_two_splits_are_found_and_dropped():
    dataset = make(noise(4), noise(2, 1), noise(2, 2))
    groups = ["p", "q", "p", "r", "s", "s", "p", "t"]
    splits = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    assert find_split_groups(groups, splits) == {"p"}
    found, _ = audit(dataset, groups=groups)
    assert found.split_groups == ["p"]
    assert len(drop_leaks(dataset, groups).train) == 2


def test_a_shift_of_classes_is_told_with_its_p_value():
    from scipy.stats import chi2_contingency

    dataset = make(noise(60), noise(40, 1), noise(40, 2))
    labels = np.array([0] * 36 + [1] * 4, np.int32)
    test = Split(dataset.test.images, labels)
    dataset = dataclasses.replace(dataset, test=test)
    found, _ = audit(dataset)
    expected = chi2_contingency([[30, 30], [36, 4]]).pvalue
    assert found.shifts[1].p == pytest.approx(expected)
    assert any(line.startswith("Other classes") for line in format_audit(found))


def test_a_run_without_leaks_is_another_run():
    fields = {"task": "breastmnist", "data": "synthetic", "model": "mlp"}
    fields |= {"width": 8, "steps": 2}
    plain = Run(**fields)
    run = Run(**fields, data_options={"drop_leaks": True})
    assert plain.run_id != run.run_id
    record, _ = execute(run)
    assert record.status == "done"
    assert record.data_fingerprint.endswith(":drop_leaks")
    assert "drop_leaks" in record.notes[-1]


def test_the_real_breastmnist_has_the_leaks_that_are_known(
    real_data, monkeypatch
):
    monkeypatch.setenv("MEDZOO_DATA", str(real_data))
    found, pairs = audit(load("breastmnist"))
    assert found.test_in_train == 39
    (exact,) = [pair for pair in pairs if pair.kind == "exact"]
    assert (exact.split, exact.other_split) == ("train", "test")
    assert exact.conflict


def test_an_audit_is_told_by_the_plans_of_studies(tmp_path, medzoo):
    root = make_folder(tmp_path / "cells")
    for copy in range(3):
        content = (root / "z" / "0.png").read_bytes()
        (root / "a b" / f"copy {copy}.png").write_bytes(content)
    out = medzoo("audit", "cells", "--size", 10).out
    assert "3 exact duplicates" in out
    assert "of these pairs have different labels." in out
    assert (tmp_path / "results" / "cells_audit" / "duplicates.csv").is_file()
    (kept,) = (tmp_path / "runs" / "audits").glob("*.json")
    assert json.loads(kept.read_text())["exact"] == 3
    plan = ("study", "plan", "optimizers", "--data", "folder:cells")
    assert "Leaks in cells: " in medzoo(*plan).out
    out = medzoo(*plan, "--drop-leaks").out
    assert "Leaks in cells: " not in out
    assert "images of train were dropped" in out
