"""Training: budgets, schedules, best weights, and the same bits every time."""

import dataclasses

import keras
import numpy as np
import pytest

from medzoo.data.batches import batch_indices
from medzoo.data.dataset import Dataset, Split
from medzoo.losses.classification import build_loss
from medzoo.models.registry import build_model
from medzoo.runs.fields import OPTIMIZERS
from medzoo.runs.run import Run
from medzoo.scores.probabilities import macro_f1
from medzoo.training import execute as execution
from medzoo.training.build import prepare_model
from medzoo.training.execute import execute
from medzoo.training.optimizers import build_optimizer, learning_rate_at
from medzoo.training.predict import predict_logits, to_probabilities
from medzoo.training.trainer import Trainer, check_steps, count_steps

SMALL = {
    "task": "breastmnist",
    "data": "synthetic",
    "model": "mlp",
    "width": 16,
    "batch_size": 32,
    "max_images": 96,
    "epochs": 3,
}
NETS = {
    "mlp": {"model": "mlp"},
    "skip_cnn": {"model": "skip_cnn", "width": 4, "options": {"stages": 1}},
}


def make_data(num_images=96, num_classes=2, seed=0) -> Dataset:
    generator = np.random.default_rng(seed)

    def split() -> Split:
        labels = (np.arange(num_images) % num_classes).astype("int32")
        images = generator.integers(0, 120, (num_images, 28, 28, 1))
        images += labels[:, None, None, None] * 60
        return Split(images.astype("uint8"), labels)

    names = tuple(f"class {index}" for index in range(num_classes))
    return Dataset("breastmnist", names, split(), split(), split(), "made")


@pytest.mark.parametrize("num_images", [1, 7, 64, 100])
@pytest.mark.parametrize("batch_size", [1, 8, 64, 1000])
def test_every_image_is_seen_once_before_any_is_seen_again(
    num_images, batch_size
):
    batches = batch_indices(num_images, batch_size, seed=0)
    size = min(num_images, batch_size)
    seen = np.concatenate(
        [next(batches) for _ in range(3 * num_images // size)]
    )
    for start in range(0, len(seen) - num_images + 1, num_images):
        assert sorted(seen[start : start + num_images]) == [*range(num_images)]


@pytest.mark.parametrize("start", [0, 1, 5, 40])
def test_batches_go_on_where_they_stopped(start):
    whole = batch_indices(50, 16, seed=3)
    for _ in range(start):
        next(whole)
    rest = batch_indices(50, 16, seed=3, start=start)
    for _ in range(10):
        np.testing.assert_array_equal(next(whole), next(rest))


def test_a_budget_is_spent_to_the_step():
    run = Run(**SMALL)
    assert count_steps(run, num_images=96) == 9
    assert check_steps(run, num_images=96) == [3, 6, 9]
    run = Run(**{**SMALL, "epochs": None, "steps": 45})
    assert count_steps(run, num_images=90_000) == 45
    assert check_steps(run, num_images=90_000)[-1] == 45
    assert len(check_steps(run, num_images=90_000)) == 20


def test_schedules_end_where_their_papers_say():
    def rates(schedule, warmup=0.0):
        return [
            learning_rate_at(
                step, 100, peak=1.0, schedule=schedule, warmup=warmup
            )
            for step in range(100)
        ]

    assert set(rates("constant")) == {1.0}
    assert rates("step")[49:51] == [1.0, 0.1]
    assert rates("step")[75] == 0.01
    cosine = rates("cosine")
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[0] == 1.0
    assert cosine[-1] < 1e-3
    assert rates("cosine", warmup=0.1)[:3] == pytest.approx([0.1, 0.2, 0.3])


# FTRL computes weights anew from sums that start at zero, so that hidden
# layers start at zero too: it is there to be compared, and learns nothing here.
@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"ftrl"}))
def test_every_optimizer_lowers_the_loss(name):
    options = {**SMALL, "optimizer": name, "epochs": 30}
    run = Run(**options, loss="cross_entropy")
    trainer = Trainer(prepare_model(run, make_data()), make_data(), run)
    trainer.train()
    assert trainer.history[-1]["loss"] < trainer.history[0]["loss"]
    assert not trainer.diverged


def test_adamw_without_decay_is_adam():
    options = {**SMALL, "weight_decay": 0.0, "loss": "cross_entropy"}
    found, expected = (
        execute(Run(**options, optimizer=name, learning_rate=1e-3))[0].history
        for name in ("adamw", "adam")
    )
    assert found == expected


def test_weight_decay_leaves_biases_alone():
    run = Run(**SMALL, optimizer="adamw", learning_rate=0.5, weight_decay=0.5)
    model = prepare_model(run, make_data())
    weights = model.trainable_variables
    for weight in weights:
        weight.assign(np.ones(weight.shape))
    # Without gradients, only the decay moves a weight.
    zeros = [keras.ops.zeros(weight.shape) for weight in weights]
    build_optimizer(run).apply(zeros, weights)
    expected = {"kernel": 0.75, "bias": 1.0}
    assert {weight.name for weight in weights} == {*expected}
    for weight in weights:
        np.testing.assert_allclose(weight.numpy(), expected[weight.name])


@pytest.mark.parametrize("model", NETS)
def test_the_same_run_gives_the_same_bits_after_any_other(model):
    options = {**SMALL, **NETS[model], "augmentation": "light"}
    first, probabilities = execute(Run(**options))
    execute(Run(**options, seed=1, learning_rate=0.1))
    again, repeated = execute(Run(**options))
    assert first.scores == again.scores
    assert first.history == again.history
    arrays = repeated.to_arrays()
    for name, values in probabilities.to_arrays().items():
        np.testing.assert_array_equal(values, arrays[name])


def test_the_best_weights_by_val_are_evaluated():
    record, _ = execute(Run(**{**SMALL, "epochs": 6}))
    best = max(
        record.history, key=lambda e: (e["val_macro_f1"], -e["val_loss"])
    )
    assert record.best_step == best["step"]
    assert record.scores["val"]["macro_f1"] == best["val_macro_f1"]


@pytest.mark.parametrize("keep", ["best", "last"])
def test_patience_ends_a_run_that_gains_nothing(keep):
    options = {**SMALL, "epochs": 30, "patience": 2, "learning_rate": 1e-9}
    record, _ = execute(Run(**options, keep=keep))
    last = record.history[-1]
    assert last["epoch"] < 30
    assert (record.best_step == last["step"]) == (keep == "last")


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged():
    options = {**SMALL, "optimizer": "sgd", "learning_rate": 1e30}
    record, predictions = execute(Run(**options, loss="cross_entropy"))
    assert record.status == "diverged"
    assert record.scores == {}
    assert predictions.to_arrays() == {}


def test_training_does_not_touch_test():
    class Locked:
        def __getattr__(self, name):
            raise PermissionError(name)

    data = dataclasses.replace(make_data(), test=Locked())
    run = Run(**SMALL)
    trainer = Trainer(prepare_model(run, data), data, run)
    trainer.train()
    trainer.restore_best()
    assert trainer.finished


def test_labels_of_test_decide_nothing_but_scores_of_test(tmp_path):
    """Whatever is chosen is the same for labels of test turned round."""
    data, found = make_data(), []
    arrays = {
        f"{split}_{part}": getattr(getattr(data, split), part)
        for split in ("train", "val", "test")
        for part in ("images", "labels")
    }
    # Of classes of different sizes, so that `adjust` has something to choose.
    for part in ("train_images", "train_labels"):
        arrays[part] = arrays[part][np.isin(np.arange(96) % 6, (0, 1, 2, 4))]
    for labels in (arrays["test_labels"], 1 - arrays["test_labels"]):
        path = tmp_path / f"first_{labels[0]}.npz"
        np.savez(path, **arrays | {"test_labels": labels})
        options = {"data": f"npz:{path}", "ema": 0.5, "adjust": "prior"}
        found.append(execute(Run(**SMALL | options)))
    (first, probabilities), (second, repeated) = found
    assert first.history == second.history
    assert first.best_step == second.best_step
    assert first.scores["val"] == second.scores["val"]
    np.testing.assert_array_equal(
        probabilities.test.probabilities, repeated.test.probabilities
    )
    assert (probabilities.test.labels == 1 - repeated.test.labels).all()
    # Of two classes: what was right is wrong now.
    accuracies = [r.scores["test"]["accuracy"] for r in (first, second)]
    assert accuracies[0] > 0.6
    assert sum(accuracies) == pytest.approx(1)


def test_prediction_does_not_depend_on_the_batch():
    run, data = Run(**SMALL), make_data(70)
    model = prepare_model(run, data)
    np.testing.assert_allclose(
        predict_logits(model, data.test.images, batch_size=32),
        predict_logits(model, data.test.images, batch_size=70),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_probabilities_are_a_distribution_even_for_extreme_logits(output):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [3.0, 1.0, 2.0]])
    found = to_probabilities(logits, output)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found[0].argmax() == 0
    assert found[2].argsort().tolist() == [1, 2, 0]


def test_a_plain_keras_loop_gives_the_same_scores():
    """As people write it, with the batches in the same order."""
    run = Run(**SMALL | NETS["skip_cnn"] | {"keep": "last"}, seed=7)
    record, predictions = execute(run)
    data = execution.load_data(run)

    keras.utils.set_random_seed(run.seed)
    model = build_model(
        "skip_cnn", 2, input_shape=(28, 28, 1), width=4, stages=1
    )
    loss = build_loss("soft_f1")
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    batches = batch_indices(96, 32, seed=run.seed)
    found = []
    for _ in range(run.epochs):
        order = np.concatenate([next(batches) for _ in range(3)])
        model.fit(
            data.train.images[order],
            data.train.labels[order],
            batch_size=32,
            shuffle=False,
            verbose=0,
        )
        logits = model.predict(data.val.images, verbose=0)
        found.append(macro_f1(to_probabilities(logits), data.val.labels))
    assert found == [entry["val_macro_f1"] for entry in record.history]
    logits = model.predict(data.test.images, verbose=0)
    np.testing.assert_allclose(
        to_probabilities(logits), predictions.test.probabilities, atol=1e-6
    )
