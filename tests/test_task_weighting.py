"""Weightings of tasks on toy problems whose answer is known."""

import functools
import itertools

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose
from test_task_losses import make_heads_batch, make_heads_loss

from medzoo.losses.multitask import (
    DynamicWeightAverage,
    FixedWeights,
    SmoothedHarmonicMean,
    TaskLoss,
    TaskModel,
    Uncertainty,
    balance_norms,
    project_conflicts,
)
from medzoo.runs.run import Run
from medzoo.training.execute import execute

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="takes its gradients"
)
SMALL = {
    "task": "retinamnist+breastmnist",
    "data": "synthetic",
    "model": "multi_head",
    "width": 8,
    "options": {"trunk": "mlp"},
    "loss": "cross_entropy",
    "batch_size": 32,
    "steps": 4,
}


class GivenLosses(TaskLoss):
    """Losses of two tasks that stand still, whatever the net says."""

    def __init__(self, values, present=(1, 1)):
        super().__init__("cross_entropy", [2, 2])
        self.given = ops.convert_to_tensor(values, "float32")
        self.there = ops.convert_to_tensor(present, "float32")

    def by_task(self, labels, logits):
        return self.given + 0 * ops.sum(logits), self.there


def make_net(heads=(2, 2)):
    inputs = keras.Input((3,), name="images")
    x = keras.layers.Dense(4, name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(sum(heads), name="logits")(x))


def test_learnt_variances_settle_where_all_tasks_weigh_alike():
    model = TaskModel(make_net(), Uncertainty(2))
    model.compile("sgd", GivenLosses([0.2, 3.0]))
    model.optimizer.learning_rate = 0.5
    for _ in range(100):
        model.train_on_batch(np.zeros((2, 3)), np.zeros(2, "int32"))
    settled = ops.convert_to_numpy(model.weighting.log_variances)
    assert_allclose(settled, np.log([0.4, 6.0]), rtol=1e-3)


def test_a_task_that_is_absent_keeps_its_variance():
    model = TaskModel(make_net(), Uncertainty(2))
    model.compile("sgd", GivenLosses([0.2, 3.0], present=(1, 0)))
    model.train_on_batch(np.zeros((2, 3)), np.zeros(2, "int32"))
    variances = ops.convert_to_numpy(model.weighting.log_variances)
    assert variances[0] != 0
    assert variances[1] == 0


def test_a_task_that_stalls_weighs_more_in_the_next_epoch():
    weighting = DynamicWeightAverage(2, period=2)
    labels, logits = np.zeros(2, "int32"), np.zeros((2, 4), "float32")

    def epoch(first, second):
        return [
            float(weighting.join(GivenLosses(values), labels, logits))
            for values in (first, second)
        ]

    # Weights stay 1 until two epochs are known: means (2, 2), then (2, 1).
    assert epoch([1, 3], [3, 1]) == [2, 2]
    assert epoch([1, 1.5], [3, 0.5]) == [1.25, 1.75]
    # By hand: softmax of (1, 0.5) / 2, times 2.
    weights = 2 * np.exp([0.5, 0.25]) / np.exp([0.5, 0.25]).sum()
    assert_allclose(weighting.weights_of_tasks, weights, rtol=1e-6)
    assert epoch([1, 0], [1, 0])[0] == pytest.approx(weights[0] / 2)


def test_recent_batches_make_a_small_task_no_noise():
    loss = TaskLoss("soft_harmonic_mean", [2, 2])
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 64)
    logits = rng.normal(size=(64, 4)).astype("float32")
    expected = float(loss(labels, logits))
    weighting = SmoothedHarmonicMean(4, decay=0.999999)
    noise = [abs(float(loss(labels[i : i + 4], logits[i : i + 4])) - expected)
             for i in range(0, 64, 4)]  # fmt: skip
    for start in range(0, 64, 4):
        rows = slice(start, start + 4)
        value = float(weighting.join(loss, labels[rows], logits[rows]))
    # All batches together are the whole.
    assert value == pytest.approx(expected, abs=1e-4)
    assert np.mean(noise) > 0.05


def test_without_memory_it_is_the_loss_of_the_batch():
    loss = TaskLoss("soft_harmonic_mean", [2, 2])
    weighting = SmoothedHarmonicMean(4, decay=0.0)
    rng = np.random.default_rng(0)
    for _ in range(3):
        labels = rng.integers(0, 4, 12)
        logits = rng.normal(size=(12, 4)).astype("float32")
        joined = weighting.join(loss, labels, logits)
        assert float(joined) == pytest.approx(float(loss(labels, logits)))


def test_an_absent_task_keeps_its_counts():
    loss = TaskLoss("soft_harmonic_mean", [2, 2])
    weighting = SmoothedHarmonicMean(4)
    logits = np.zeros((4, 4), "float32")
    weighting.join(loss, np.array([0, 1, 2, 3]), logits)
    before = ops.convert_to_numpy(weighting.counts)
    weighting.join(loss, np.array([0, 1, 0, 1]), logits)
    after = ops.convert_to_numpy(weighting.counts)
    np.testing.assert_array_equal(before[:, 2:], after[:, 2:])
    assert (after[:, :2] > before[:, :2]).all()


def project_by_hand(gradients, orders):
    """PCGrad as the paper's algorithm 1 writes it."""
    found = []
    for i, order in enumerate(orders):
        mine = gradients[i].copy()
        for j in order:
            product = mine @ gradients[j]
            if j != i and product < 0:
                mine -= product / (gradients[j] @ gradients[j]) * gradients[j]
        found.append(mine)
    return np.array(found)


@pytest.mark.parametrize("seed", range(4))
def test_conflicts_are_projected_away_as_the_paper_does(seed):
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(5, 4))
    orders = np.array([rng.permutation(5) for _ in range(5)])
    shares = project_conflicts(gradients @ gradients.T, orders)
    assert_allclose(
        ops.convert_to_numpy(shares) @ gradients,
        project_by_hand(gradients, orders),
        atol=1e-5,
    )


def test_gradients_in_agreement_stay_as_they_are():
    gradients = np.abs(np.random.default_rng(0).normal(size=(4, 6)))
    orders = np.array([*itertools.islice(itertools.permutations(range(4)), 4)])
    shares = project_conflicts(gradients @ gradients.T, orders)
    np.testing.assert_array_equal(shares, np.eye(4))


def test_weights_balance_the_norms_of_tasks_of_one_pace():
    weights, ones = ops.ones(2), ops.ones(2)
    norms = ops.convert_to_tensor([1.0, 3.0])
    for _ in range(300):
        weights = balance_norms(weights, norms, ones, ones, ones, rate=0.005)
    # w_1 * 1 = w_2 * 3 and w_1 + w_2 = 2.
    assert_allclose(weights, [1.5, 0.5], atol=0.01)


def test_the_slower_task_gets_the_larger_gradient():
    weights, ones = ops.ones(2), ops.ones(2)
    losses = ops.convert_to_tensor([1.0, 0.25])
    for _ in range(300):
        weights = balance_norms(
            weights, ones, losses, ones, ones, rate=0.005, asymmetry=1.0
        )
    # Targets go by the paces 1.6 and 0.4.
    assert_allclose(weights, [1.6, 0.4], atol=0.02)


def make_heads_net():
    images = keras.Input((6, 6, 1), name="images")
    outputs = {
        "mask": keras.layers.Conv2D(3, 1, name="mask")(images),
        "label": keras.layers.Dense(2, name="label")(
            keras.layers.Flatten()(images)
        ),
    }
    return keras.Model(images, outputs)


def train_heads(weighting, *, steps=1, **weights):
    keras.utils.set_random_seed(0)
    model = TaskModel(make_heads_net(), weighting)
    model.compile("sgd", make_heads_loss(**weights), jit_compile=False)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    labels, _ = make_heads_batch()
    images = np.random.default_rng(1).normal(size=(4, 6, 6, 1))
    for _ in range(steps):
        model.train_on_batch(images, labels)
    after = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    pairs = zip(model.trainable_weights, before, after, strict=True)
    return {w.path: not np.array_equal(old, new) for w, old, new in pairs}


@pytest.mark.parametrize(
    ("weights", "changed"),
    [
        ({}, {"mask", "label"}),
        ({"label_weight": 0.0}, {"mask"}),
        ({"mask_weight": 0.0}, {"label"}),
    ],
)
def test_a_head_without_weight_is_not_trained(weights, changed):
    found = train_heads(FixedWeights(), **weights)
    assert {path.split("/")[0] for path, moved in found.items() if moved} == (
        changed
    )


@pytest.mark.parametrize(
    "weighting",
    [lambda: Uncertainty(2), lambda: DynamicWeightAverage(2, period=2)],
)
def test_both_heads_are_weighed_as_tasks_are(weighting):
    assert all(train_heads(weighting(), steps=5).values())


@on_tensorflow
def test_pcgrad_without_conflict_is_the_mean_over_tasks():
    from medzoo.training.task_gradients_tensorflow import PCGrad

    def train(wrap):
        keras.utils.set_random_seed(0)
        model = wrap(make_net())
        model.compile("sgd", TaskLoss("cross_entropy", [2, 2]))
        # One task alone is never in conflict with itself.
        model.train_on_batch(np.eye(3), np.array([0, 1, 0]))
        return model.get_weights()

    joined, mean = train(lambda net: PCGrad(net, 2)), train(lambda net: net)
    for one, other in zip(joined, mean, strict=False):
        assert_allclose(one, other, atol=1e-6)


@on_tensorflow
def test_pcgrad_leaves_no_gradient_of_two_opposed_tasks():
    from medzoo.training.task_gradients_tensorflow import PCGrad

    keras.utils.set_random_seed(0)
    net = make_net((2, 2))
    # The second head answers as the first one, and its labels are opposite.
    kernel = np.zeros((4, 4))
    kernel[0] = [1, -1, 1, -1]
    net.get_layer("logits").set_weights([kernel, np.zeros(4)])
    before = net.get_layer("hidden").get_weights()
    model = PCGrad(net, 2)
    model.compile("sgd", TaskLoss("cross_entropy", [2, 2]))
    model.train_on_batch(np.zeros((2, 3)), np.array([0, 3]))
    after = net.get_layer("hidden").get_weights()
    assert all(map(np.array_equal, before, after))
    changed = net.get_layer("logits").get_weights()[1]
    assert changed.any()


@on_tensorflow
def test_a_frozen_backbone_has_no_gradients_to_balance():
    from medzoo.training.task_gradients_tensorflow import GradNorm

    net = make_net()
    net.get_layer("hidden").trainable = False
    with pytest.raises(ValueError, match="Received: a frozen one"):
        GradNorm(net, 2)


@functools.cache
def execute_plain(run):
    return execute(run)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"task_weighting": "size"},
        {"task_weighting": "uncertainty"},
        {"task_weighting": "dwa", "max_images": 32, "steps": 8},
        {"loss": "soft_harmonic_mean"},
        pytest.param({"task_weighting": "gradnorm"}, marks=on_tensorflow),
        pytest.param({"task_weighting": "pcgrad"}, marks=on_tensorflow),
    ],
    ids=lambda changes: next(iter(changes.values())),
)
def test_every_weighting_trains_otherwise_and_resumes_alike(changes):
    run = Run(**SMALL | changes)
    record, predictions = execute(run)
    usual = {"task_weighting": "equal", "loss": SMALL["loss"]}
    plain = execute_plain(Run(**SMALL | changes | usual))
    assert record.status == "done"
    assert record.parameters == plain.parameters
    assert record.history != plain.history
    states = []
    execute(run, until=0.5, on_stop=states.append)
    resumed, again = execute(run, state=states[0])
    assert resumed.history == record.history
    arrays = again.to_arrays()
    for name, values in predictions.to_arrays().items():
        np.testing.assert_array_equal(arrays[name], values)
