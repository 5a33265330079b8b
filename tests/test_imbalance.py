"""Imbalance: exact proportions of classes, and runs of every way."""

import dataclasses

import numpy as np
import pytest

from medzoo.data.batches import sampled_indices
from medzoo.data.dataset import Split
from medzoo.runs.fields import IMBALANCES
from medzoo.runs.run import Run
from medzoo.training.build import prepare_model
from medzoo.training.execute import load_data
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


def train(run, data, *stops):
    trainer = Trainer(prepare_model(run, data), data, run)
    for stop in (*stops, None):
        trainer.train(until=stop)
    assert not trainer.diverged
    return trainer.history


def test_ways_differ_resume_alike_and_bear_a_class_without_images():
    losses = set()
    for name in IMBALANCES:
        run = Run(**SMALL, imbalance=name)
        data = load_data(run)
        kept = data.train.labels != 4
        split = Split(data.train.images[kept], data.train.labels[kept])
        data = dataclasses.replace(data, train=split)
        history = train(run, data)
        assert history == train(run, data, 4)
        losses.add(history[-1]["loss"])
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
