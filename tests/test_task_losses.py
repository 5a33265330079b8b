"""Losses of several tasks, or of masks with labels: those of each alone."""

import itertools

import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose
from test_losses import HEADS, gradient
from test_losses import TASK_SHARES as SHARES

from medzoo.losses.classification import LOSSES, build_loss
from medzoo.losses.multitask import HeadsLoss, TaskLoss, harmonic_mean
from medzoo.losses.segmentation import MaskLoss

every_loss = pytest.mark.parametrize(
    ("name", "output"), [*itertools.product(LOSSES, ("softmax", "sigmoid"))]
)


def make_batch(num_images=24, seed=0):
    """Makes images of all tasks, some of them unlabelled."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, sum(HEADS), num_images).astype("int32")
    logits = rng.normal(scale=2, size=(num_images, sum(HEADS)))
    return labels, logits.astype("float32")


def make_loss(name, output="softmax", **options):
    if name == "weighted_soft_f1":
        options["class_weights"] = SHARES
    return TaskLoss(name, HEADS, output=output, weight=0.3, **options)


def losses_alone(name, output, labels, logits):
    """Computes the loss of each task from its own rows and columns."""
    found, start = [], 0
    for size in HEADS:
        mine = (labels >= start) & (labels < start + size)
        shares = SHARES[start : start + size]
        weights = shares if name == "weighted_soft_f1" else None
        loss = build_loss(
            name, output=output, weight=0.3, class_weights=weights
        )
        rows = logits[mine][:, start : start + size]
        found.append(float(loss(labels[mine] - start, rows)))
        start += size
    return np.array(found)


@every_loss
def test_a_mixed_batch_has_the_losses_of_its_tasks(name, output):
    labels, logits = make_batch()
    expected = losses_alone(name, output, labels, logits)
    loss = make_loss(name, output)
    values, present = loss.by_task(labels, logits)
    assert_allclose(values, expected, rtol=2e-6)
    assert_allclose(present, 1)
    if name == "soft_harmonic_mean":
        harmonic = 3 / np.sum(1 / (1 - expected))
        assert_allclose(loss(labels, logits), 1 - harmonic, rtol=2e-6)
    else:
        assert_allclose(loss(labels, logits), expected.mean(), rtol=2e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "soft_f1"])
def test_weights_of_tasks_make_a_weighted_mean(name):
    labels, logits = make_batch()
    expected = losses_alone(name, "softmax", labels, logits)
    loss = make_loss(name, task_weights=(100, 20, 30))
    weighted = np.dot(expected, (100, 20, 30)) / 150
    assert_allclose(loss(labels, logits), weighted, rtol=2e-6)


@every_loss
def test_a_task_without_images_changes_nothing(name, output):
    labels, logits = make_batch()
    labels[(labels >= 3) & (labels < 5)] = -1
    expected = losses_alone(name, output, labels, logits)[[0, 2]]
    loss = make_loss(name, output, task_weights=(1, 50, 1))
    values, present = loss.by_task(labels, logits)
    assert_allclose(present, [1, 0, 1])
    assert float(values[1]) == 0
    slope = gradient(loss, labels, logits)[1]
    assert not slope[:, 3:5].any()
    if name != "soft_harmonic_mean":
        assert_allclose(loss(labels, logits), expected.mean(), rtol=2e-6)


@every_loss
def test_an_image_meets_the_classes_of_its_own_task_alone(name, output):
    labels, logits = make_batch()
    loss = make_loss(name, output)
    starts = np.array([0, 3, 5, 9])
    task = np.searchsorted(starts, labels, side="right") - 1
    foreign = task[:, None] != np.repeat(np.arange(3), HEADS)
    changed = np.where(foreign, 50.0, logits).astype("float32")
    assert_allclose(loss(labels, changed), loss(labels, logits), rtol=1e-6)
    slope = gradient(loss, labels, logits)[1]
    assert not slope[foreign].any()


def test_the_weakest_task_has_the_steepest_share_of_the_harmonic_mean():
    # d HM / d F_t = HM ** 2 / (T F_t ** 2), by hand.
    f1 = np.array([0.5, 0.25], "float32")
    _, slope = gradient(
        lambda present, f1: harmonic_mean(f1, present),
        np.ones(2, "float32"),
        f1,
    )
    assert_allclose(slope, (1 / 3) ** 2 / 2 / f1**2, rtol=1e-5)


def make_heads_loss(
    mask="dice+cross_entropy", label="cross_entropy", **weights
):
    return HeadsLoss(MaskLoss(mask, 3), build_loss(label), **weights)


def make_heads_batch(num=4, seed=0):
    random = np.random.default_rng(seed)
    labels = {
        "mask": random.integers(0, 3, (num, 6, 6)).astype("int32"),
        "label": random.integers(0, 2, num).astype("int32"),
    }
    logits = {
        "mask": random.normal(size=(num, 6, 6, 3)).astype("float32"),
        "label": random.normal(size=(num, 2)).astype("float32"),
    }
    return labels, logits


def test_it_is_the_weighted_mean_of_both():
    loss = make_heads_loss(mask_weight=2.0, label_weight=0.001)
    labels, logits = make_heads_batch()
    mask = float(loss.mask_loss(labels["mask"], logits["mask"]))
    label = float(loss.label_loss(labels["label"], logits["label"]))
    assert float(loss(labels, logits)) == pytest.approx(
        (2 * mask + 0.001 * label) / 2.001, rel=1e-6
    )


@pytest.mark.parametrize("key", ["mask", "label"])
@pytest.mark.parametrize("label", ["cross_entropy", "soft_f1"])
def test_what_is_unlabelled_changes_nothing(key, label):
    loss = make_heads_loss(label=label)
    labels, logits = make_heads_batch()
    labels[key][2:] = -1
    before = float(loss(labels, logits))
    logits[key][2:] = 77.0
    assert float(loss(labels, logits)) == before
    kept = {name: values[:2] for name, values in labels.items()}
    of_kept = loss.by_task(kept, {k: v[:2] for k, v in logits.items()})[0]
    index = ("mask", "label").index(key)
    found = loss.by_task(labels, logits)[0]
    assert float(found[index]) == pytest.approx(float(of_kept[index]))


@pytest.mark.parametrize("key", ["mask", "label"])
def test_a_batch_without_a_head_leaves_the_other_as_it_is(key):
    loss = make_heads_loss(mask_weight=3.0)
    labels, logits = make_heads_batch()
    values, present = loss.by_task(labels, logits)
    assert ops.convert_to_numpy(present).tolist() == [1, 1]
    labels[key][:] = -1
    index = ("mask", "label").index(key)
    rest = (3.0, 1.0)[1 - index] / 4 * float(values[1 - index])
    assert float(loss(labels, logits)) == pytest.approx(rest, rel=1e-6)
    present = ops.convert_to_numpy(loss.by_task(labels, logits)[1])
    assert present[index] == 0
