"""Stretches of steps in one graph: the numbers of single steps, bit by bit."""

import keras
import numpy as np
import pytest
from on_jax import OF_THE_WAY, RUNS, SMALL

from medzoo.runs.run import Run
from medzoo.training import looped_tensorflow
from medzoo.training.execute import choose_trainer, execute, load_data
from medzoo.training.looped_tensorflow import LoopedTrainer
from medzoo.training.trainer import Trainer

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="the backend is not TensorFlow",
)
TWO_HEADS = {
    "task": "breastmnist+retinamnist",
    "model": "multi_head",
    "options": {"trunk": "mlp"},
}
OTHERS = {
    "gradnorm": TWO_HEADS | {"task_weighting": "gradnorm"},
    "pcgrad": TWO_HEADS | {"task_weighting": "pcgrad"},
    "uncertainty": TWO_HEADS | {"task_weighting": "uncertainty"},
    "bfloat16": {"precision": "bfloat16"},
    "features": {
        "model": "transfer",
        "options": {"weights": "none", "head": "mlp"},
    },
    "rate of the trunk": {
        "model": "transfer",
        "options": {"weights": "none", "freeze": "bn"},
        "head_first": 0.5,
        "trunk_rate": 0.1,
        "epochs": 1,
    },
    "masks": {
        "task": "shapes",
        "model": "unet",
        "width": 2,
        "size": 16,
        "options": {"levels": 1},
        "augmentation": "warp",
        "task_weighting": "dwa",
    },
}


# Each kind traces two graphs; the longer half has its turn in `make test-slow`.
SHORT = ("mlp", "dropout", "average", "sampling", "cutmix", "gradnorm")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SHORT else pytest.mark.slow)
        for name in RUNS | OTHERS
    ],
)
def test_stretches_of_steps_give_the_record_of_single_ones(name, monkeypatch):
    run = Run(**SMALL | (RUNS | OTHERS)[name])
    monkeypatch.setenv("MEDZOO_RESIDENT", "off")
    expected, others = execute(run)
    monkeypatch.delenv("MEDZOO_RESIDENT")
    record, predictions = execute(run)
    assert record.model_dump(exclude=OF_THE_WAY) == expected.model_dump(
        exclude=OF_THE_WAY
    )
    arrays, singles = predictions.to_arrays(), others.to_arrays()
    assert arrays.keys() == singles.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, singles[key])


def test_a_stretch_takes_a_fraction_of_a_second(monkeypatch):
    run = Run(**SMALL | {"epochs": None, "steps": 40, "batch_size": 8})
    lengths = []
    original = LoopedTrainer.plan_stretch

    def note(self, steps, batches):
        lengths.append(len(steps))
        return original(self, steps, batches)

    monkeypatch.setattr(LoopedTrainer, "plan_stretch", note)
    execute(run)
    assert lengths[0] == 1
    assert max(lengths) > 1
    assert sum(lengths) == 40
    lengths.clear()
    monkeypatch.setattr(looped_tensorflow, "SECONDS", 0.0)
    execute(run)
    assert lengths == [1] * 40


def test_a_cpu_trains_in_stretches_unless_told_not_to(monkeypatch):
    data = load_data(Run(**SMALL))
    assert choose_trainer(data) is LoopedTrainer
    monkeypatch.setenv("MEDZOO_RESIDENT", "off")
    assert choose_trainer(data) is Trainer
