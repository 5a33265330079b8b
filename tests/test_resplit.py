"""New splits of train and val: by class, each image once, test untouched."""

import numpy as np
import pytest

from medzoo.data.resplit import NUM_FOLDS, resplit
from medzoo.data.split import Dataset, Split
from medzoo.training.execute import load_data
from medzoo.training.run import Run


def make_data(num_train=90, num_val=20):
    def split(start, count):
        ids = np.arange(start, start + count)
        images = np.zeros((count, 2, 2, 1), "uint8")
        images[:, 0, 0, 0] = ids
        return Split(images, (ids % 10 == 0).astype("int32"))

    return Dataset(
        "breastmnist",
        ("often", "rare"),
        split(0, num_train),
        split(num_train, num_val),
        split(200, 30),
        "made",
    )


def ids(split):
    return split.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("seed", range(7))
def test_every_image_of_train_and_val_is_in_one_split(seed):
    parts = resplit(make_data(), seed=seed)
    whole = ids(parts.train) + ids(parts.val) + ids(parts.test)
    assert sorted(whole) == list(range(110))
    assert [len(parts.train), len(parts.val), len(parts.test)] == [72, 16, 22]
    for split in (parts.train, parts.val, parts.test):
        expected = [int(i % 10 == 0) for i in ids(split)]
        assert split.labels.tolist() == expected
        share = split.labels.sum() / len(split)
        assert share == pytest.approx(0.1, abs=0.05)


def test_five_seeds_hold_out_every_image_once():
    for first in (0, NUM_FOLDS):
        held_out = [
            image
            for seed in range(first, first + NUM_FOLDS)
            for image in ids(resplit(make_data(), seed=seed).test)
        ]
        assert sorted(held_out) == list(range(110))


def test_a_seed_decides_the_splits():
    def val(seed):
        return ids(resplit(make_data(), seed=seed).val)

    assert val(2) == val(2)
    assert val(2) != val(7)


def test_a_run_may_ask_for_new_splits():
    run = Run(task="breastmnist", data="synthetic", resplit=True, seed=1)
    data, plain = (
        load_data(run),
        load_data(Run(task="breastmnist", data="synthetic")),
    )
    assert len(data.train) + len(data.val) + len(data.test) == len(
        plain.train
    ) + len(plain.val)
    assert data.fingerprint != plain.fingerprint
    other = load_data(run.model_copy(update={"seed": 2}))
    assert other.fingerprint != data.fingerprint
