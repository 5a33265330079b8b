"""New splits of train and val: by class, each image once, test untouched."""

import numpy as np
import pytest

from medzoo.data.dataset import Dataset, Split
from medzoo.data.splits import NUM_FOLDS, resplit
from medzoo.runs.run import Run
from medzoo.training.execute import complete, execute


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
    values = {"task": "breastmnist", "data": "synthetic", "model": "mlp"}
    values |= {"width": 4, "steps": 1}
    plain, _ = execute(Run(**values))
    run = Run(**values, resplit=True, seed=1)
    record, predictions = execute(run)
    counts = plain.num_images
    assert sum(record.num_images.values()) == counts["train"] + counts["val"]
    assert record.data_fingerprint != plain.data_fingerprint
    trained, waiting = execute(run, read_test=False)
    done, found = complete(trained, waiting)
    assert done.scores == record.scores
    np.testing.assert_array_equal(found.test.labels, predictions.test.labels)
