"""Losses of mixed batches: the same as of each task's images alone."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from medzoo.losses.classification import LOSSES, build_loss
from medzoo.losses.multitask import TaskLoss

HEADS = (3, 2, 4)
SHARES = (0.5, 0.3, 0.2, 0.7, 0.3, 0.1, 0.2, 0.3, 0.4)
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


def gradient(function, logits):
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(ops.convert_to_tensor(logits)))
    import tensorflow as tf

    inputs = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = function(inputs)
    return tape.gradient(value, inputs).numpy()


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
def test_masking_equals_dropping_the_rows(name, output):
    labels, logits = make_batch()
    loss, kept = make_loss(name, output), labels >= 0
    assert_allclose(
        loss(labels, logits), loss(labels[kept], logits[kept]), rtol=1e-6
    )
    slope = gradient(lambda x: loss(labels, x), logits)
    assert_allclose(
        slope[kept],
        gradient(lambda x: loss(labels[kept], x), logits[kept]),
        atol=1e-7,
    )
    assert not slope[~kept].any()


@every_loss
def test_a_task_without_images_changes_nothing(name, output):
    labels, logits = make_batch()
    labels[(labels >= 3) & (labels < 5)] = -1
    expected = losses_alone(name, output, labels, logits)[[0, 2]]
    loss = make_loss(name, output, task_weights=(1, 50, 1))
    values, present = loss.by_task(labels, logits)
    assert_allclose(present, [1, 0, 1])
    assert float(values[1]) == 0
    slope = gradient(lambda x: loss(labels, x), logits)
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
    slope = gradient(lambda x: loss(labels, x), logits)
    assert not slope[foreign].any()


@every_loss
def test_a_batch_without_labels_is_no_loss(name, output):
    loss = make_loss(name, output)
    labels, logits = np.full(6, -1), make_batch(6)[1]
    assert float(loss(labels, logits)) == 0
    assert not gradient(lambda x: loss(labels, x), logits).any()


@every_loss
def test_one_task_alone_has_the_loss_of_its_run(name, output):
    labels, logits = make_batch()
    labels = np.where(labels > 2, -1, labels)
    shares = SHARES[:3] if name == "weighted_soft_f1" else None
    options = {"output": output, "class_weights": shares, "weight": 0.3}
    mixed, alone = TaskLoss(name, [3], **options), build_loss(name, **options)
    logits = logits[:, :3]
    assert_allclose(mixed(labels, logits), alone(labels, logits), rtol=2e-6)
    assert_allclose(
        gradient(lambda x: mixed(labels, x), logits),
        gradient(lambda x: alone(labels, x), logits),
        atol=1e-7,
    )


@every_loss
def test_the_gradient_is_that_of_finite_differences(name, output):
    labels, logits = make_batch(10)
    loss = make_loss(name, output)
    slope = gradient(lambda x: loss(labels, x), logits)
    direction = np.random.default_rng(1).normal(size=logits.shape)
    step = 1e-2 * direction
    ahead, back = (
        float(loss(labels, (logits + sign * step).astype("float32")))
        for sign in (1, -1)
    )
    assert (ahead - back) / 2e-2 == pytest.approx(
        float((slope * direction).sum()), rel=2e-2, abs=1e-4
    )


@every_loss
def test_huge_logits_stay_finite(name, output):
    labels, logits = make_batch()
    loss = make_loss(name, output)
    assert np.isfinite(float(loss(labels, logits * 1e4)))
    slope = gradient(lambda x: loss(labels, x), logits * 1e4)
    assert np.isfinite(slope).all()


def test_the_weakest_task_has_the_steepest_share_of_the_harmonic_mean():
    # d HM / d F_t = HM ** 2 / (T F_t ** 2), by hand.
    from medzoo.losses.multitask import harmonic_mean

    f1 = np.array([0.5, 0.25], "float32")
    slope = gradient(lambda x: harmonic_mean(x, np.ones(2, "float32")), f1)
    assert_allclose(slope, (1 / 3) ** 2 / 2 / f1**2, rtol=1e-5)


def test_a_loss_of_tasks_is_rebuilt_from_its_config():
    labels, logits = make_batch()
    loss = make_loss("weighted_soft_f1", task_weights=(1, 2, 3))
    again = TaskLoss.from_config(loss.get_config())
    assert float(again(labels, logits)) == float(loss(labels, logits))


def test_unknown_losses_are_one_sentence():
    with pytest.raises(ValueError, match="Unknown loss `f1`"):
        TaskLoss("f1", HEADS)
    with pytest.raises(ValueError, match="needs `class_weights`"):
        TaskLoss("weighted_soft_f1", HEADS)
