"""Two phases and two rates: what moves, when, and by how much."""

import numpy as np
import pytest
from keras import ops

from medzoo.runs.fields import OPTIMIZERS
from medzoo.runs.run import Run
from medzoo.training.build import prepare_model
from medzoo.training.execute import load_data
from medzoo.training.trainer import Trainer

OPTIONS = {
    "weights": "none",
    "taps": "conv_pw_2_relu",
    "freeze": "1",
    "resize": 32,
}


def make_run(options=(), **values):
    return Run(
        **{
            "task": "breastmnist",
            "data": "synthetic",
            "model": "transfer",
            "options": {**OPTIONS, **dict(options)},
            "max_images": 32,
            "batch_size": 16,
            "steps": 4,
            **values,
        }
    )


def trunk_of(model):
    weights = model.get_layer("backbone").trainable_variables
    return [weight.numpy() for weight in weights]


def train(run, until=None):
    """Returns the trunk before and after, and the head's kernels."""
    data = load_data(run)
    model = prepare_model(run, data)
    head = model.get_layer("logits").kernel
    before, kernel = trunk_of(model), head.numpy()
    trainer = Trainer(model, data, run)
    trainer.train(until)
    return trainer, before, trunk_of(model), head.numpy() - kernel


def test_the_head_goes_first():
    run = make_run(head_first=0.5, trunk_rate=0.1)
    trainer, before, after, head = train(run, until=2)
    assert trainer.step == 2
    assert np.abs(head).max() > 0
    for value, expected in zip(after, before, strict=True):
        np.testing.assert_array_equal(value, expected)
    _, before, after, _ = train(run)
    assert all(
        map(np.any, (a != b for a, b in zip(after, before, strict=True)))
    )


@pytest.mark.parametrize(
    "optimizer", ["adam", pytest.param("momentum", marks=pytest.mark.slow)]
)
def test_a_trunk_moves_by_its_share(optimizer):
    """A step of the trunk is a hundredth, and that of the head is whole."""
    moved = {}
    for rate in (1.0, 0.01):
        run = make_run(
            trunk_rate=rate, optimizer=optimizer, steps=1, weight_decay=0.0
        )
        _, before, after, head = train(run)
        steps = [a - b for a, b in zip(after, before, strict=True)]
        moved[rate] = np.concatenate([s.ravel() for s in steps]), head
    trunk, head = zip(moved[1.0], moved[0.01], strict=True)
    np.testing.assert_allclose(trunk[1], 0.01 * trunk[0], rtol=0.05, atol=2e-7)
    np.testing.assert_array_equal(head[0], head[1])


def test_only_kernels_of_the_head_are_decayed():
    run = make_run(
        {"head": "mlp"}, trunk_rate=0.1, optimizer="adamw", weight_decay=0.5
    )
    model = prepare_model(run, load_data(run))
    weights = model.trainable_variables
    for weight in weights:
        weight.assign(np.ones(weight.shape))
    model.optimizer.apply([ops.zeros(w.shape) for w in weights])
    decayed = [w.path for w in weights if np.any(w.numpy() != 1)]
    assert decayed == ["hidden/kernel", "logits/kernel"]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_has_rates(optimizer):
    run = make_run(optimizer=optimizer, head_first=0.5, steps=2)
    trainer, *_ = train(run)
    assert trainer.finished


def test_phases_go_on_where_they_stopped():
    run = make_run(head_first=0.5, trunk_rate=0.1)
    data = load_data(run)
    whole, *_ = train(run)
    first = Trainer(prepare_model(run, data), data, run)
    first.train(1)
    state = first.state()
    second = Trainer(prepare_model(run, data), data, run)
    second.resume(state)
    second.train()
    assert second.history == whole.history


def test_without_a_trained_backbone_it_is_one_sentence():
    for values in ({"head_first": 0.5}, {"trunk_rate": 0.1}):
        with pytest.raises(ValueError, match="for a backbone that is trained"):
            make_run({"freeze": "all"}, **values)
        with pytest.raises(ValueError, match=next(iter(values))):
            Run(task="breastmnist", model="mlp", **values)
