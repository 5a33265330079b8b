"""Mixed batches and joint losses."""

import numpy as np
import pytest

from medzoo.losses.classification import LOSSES, JointLoss, build_loss
from medzoo.runs.run import Run
from medzoo.training.execute import execute
from medzoo.training.inputs import mix_batch

SMALL = {
    "task": "breastmnist",
    "data": "synthetic",
    "batch_size": 16,
    "max_images": 64,
    "steps": 4,
}


def make_batch(num_images=12):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (num_images, 20, 30, 3))
    labels = np.arange(num_images) % 3
    return images.astype("uint8"), labels.astype("int32")


def mix(kind, *, seed=0, step=0):
    run = Run(task="breastmnist", mix=kind, seed=seed)
    return mix_batch(*make_batch(), run=run, step=step)


def test_without_a_mix_a_batch_is_what_it_was():
    images, labels = make_batch()
    mixed, targets = mix("none")
    np.testing.assert_array_equal(mixed, images)
    np.testing.assert_array_equal(targets, labels)


@pytest.mark.parametrize("step", range(5))
def test_mixup_is_the_weighted_mean_of_two_images(step):
    images, labels = make_batch()
    mixed, targets = mix("mixup", step=step)
    share = targets[0, 2]
    assert mixed.dtype == "uint8"
    for row in range(len(images)):
        partners = [
            other
            for other in range(len(images))
            if np.allclose(
                mixed[row],
                share * images[row] + (1 - share) * images[other],
                atol=0.51,
            )
        ]
        assert len(partners) == 1
        assert targets[row].tolist()[:2] == [labels[row], labels[partners[0]]]


@pytest.mark.parametrize("step", range(5))
def test_cutmix_takes_a_box_of_its_share(step):
    images, labels = make_batch()
    mixed, targets = mix("cutmix", step=step)
    for row in range(len(images)):
        changed = (mixed[row] != images[row]).any(axis=-1)
        if not changed.any():
            continue
        rows, columns = changed.any(axis=1), changed.any(axis=0)
        box = np.ix_(rows, columns)
        sources = [
            other
            for other in range(len(images))
            if np.array_equal(mixed[row][box], images[other][box])
        ]
        assert len(sources) == 1
        assert targets[row, 1] == labels[sources[0]]
        share = 1 - rows.sum() * columns.sum() / changed.size
        assert targets[row, 2] == pytest.approx(share)


def test_a_step_and_a_seed_decide_a_mix():
    def same(one, other):
        return all(map(np.array_equal, one, other))

    assert same(mix("mixup", step=3), mix("mixup", step=3))
    assert not same(mix("mixup", step=3), mix("mixup", step=4))
    assert not same(mix("mixup", seed=0), mix("mixup", seed=1))


@pytest.mark.parametrize("name", LOSSES)
def test_a_mixed_loss_is_that_of_both_labelings(name):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(8, 3)).astype("float32")
    first, second = generator.integers(-1, 3, (2, 8))
    loss = build_loss(name, class_weights=[0.5, 0.3, 0.2])
    joint = JointLoss(loss)
    targets = np.stack([first, second, np.full(8, 0.3)], axis=-1)
    expected = 0.3 * float(loss(first, logits)) + 0.7 * float(
        loss(second, logits)
    )
    found = float(joint(targets.astype("float32"), logits))
    assert found == pytest.approx(expected, rel=1e-5)
    assert float(joint(first, logits)) == float(loss(first, logits))


def test_each_member_has_a_loss_of_its_own():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(8, 4, 3)).astype("float32")
    labels = generator.integers(0, 3, 8)
    loss = build_loss("soft_f1")
    parts = [float(loss(labels, logits[:, member])) for member in range(4)]
    found = float(JointLoss(loss)(labels, logits))
    assert found == pytest.approx(np.mean(parts), rel=1e-5)


def test_a_joint_loss_can_be_saved():
    loss = JointLoss(build_loss("cross_entropy+soft_f1", weight=0.2))
    again = JointLoss.from_config(loss.get_config())
    logits = np.random.default_rng(0).normal(size=(6, 3))
    labels = np.arange(6) % 3
    assert float(again(labels, logits)) == float(loss(labels, logits))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_mixed_run_repeats_itself_after_an_interruption(kind):
    run = Run(
        **SMALL, mix=kind, ema=0.9, augmentation="strong", model="mlp", width=8
    )
    whole, _ = execute(run)
    states = []
    execute(run, until=0.5, on_stop=states.append)
    rest, _ = execute(run, state=states[0])
    assert rest.history == whole.history
    assert rest.scores == whole.scores
    assert rest.without == whole.without
