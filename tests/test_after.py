"""Options after training: each does what it says, and its effect is known."""

import keras
import numpy as np
import pytest

from medzoo.data.dataset import Dataset, Split
from medzoo.runs.run import Run
from medzoo.training.adjust import average_logits, choose_shift
from medzoo.training.build import prepare_model
from medzoo.training.execute import complete, execute, load_data
from medzoo.training.objectives import make_objective
from medzoo.training.trainer import Trainer, averaged

SMALL = {
    "task": "breastmnist",
    "data": "synthetic",
    "model": "mlp",
    "width": 8,
    "batch_size": 16,
    "max_images": 64,
    "steps": 6,
    "keep": "last",
}
ALL = {"ema": 0.8, "flip_test": True, "adjust": "prior"}


@pytest.mark.parametrize("option", ALL)
def test_a_record_knows_its_scores_without_each_option(option):
    record, _ = execute(Run(**SMALL, **ALL))
    assert list(record.without) == list(ALL)
    others = {name: value for name, value in ALL.items() if name != option}
    expected, _ = execute(Run(**SMALL, **others))
    assert record.without[option] == expected.scores


def test_a_plain_run_has_nothing_to_leave_out():
    record, predictions = execute(Run(**SMALL))
    assert record.without == {}
    assert set(predictions.to_arrays()) == {
        f"{split}/{part}"
        for split in ("val", "test")
        for part in ("probabilities", "labels")
    }


def test_test_is_read_at_the_end_with_the_same_scores():
    run = Run(**SMALL, **ALL)
    whole, expected = execute(run)
    record, predictions = execute(run, read_test=False)
    assert set(record.scores) == {"val"}
    assert all(set(found) == {"val"} for found in record.without.values())
    done, found = complete(record, predictions)
    assert done.scores == whole.scores
    assert done.without == whole.without
    assert set(found.to_arrays()) == set(expected.to_arrays())


def test_the_average_is_that_of_the_steps():
    # One step an epoch, and so a check after each.
    run = Run(**SMALL | {"steps": 3, "batch_size": 64}, ema=0.5)
    data = load_data(run)
    model = prepare_model(run, data)
    weight = model.trainable_variables[0]
    values = []
    trainer = Trainer(model, data, run)
    trainer.train(on_check=lambda entry: values.append(weight.numpy()))
    assert len(values) == 3
    average = values[0]
    for value in values[1:]:
        average = 0.5 * average + 0.5 * value
    with averaged(model):
        np.testing.assert_allclose(weight.numpy(), average, atol=1e-6)
    np.testing.assert_array_equal(weight.numpy(), values[-1])


def test_views_are_averaged_in_logits():
    inputs = keras.Input((2, 2, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(inputs))
    model = keras.Model(inputs, flat)
    image = np.array([[1, 2], [3, 4]], "uint8").reshape(1, 2, 2, 1)
    for task, expected in (
        ("breastmnist", [1.5, 1.5, 3.5, 3.5]),
        ("retinamnist", [2.5] * 4),
        ("organamnist", [1, 2, 3, 4]),
    ):
        data = make_data(train=[0], val=[0])
        objective = make_objective(Run(task=task), data)
        found = average_logits(model, objective.views(image))
        np.testing.assert_allclose(found, [expected])


def make_data(train, val):
    def split(labels):
        labels = np.array(labels, "int32")
        return Split(np.zeros((len(labels), 1, 1, 1), "uint8"), labels)

    parts = split(train), split(val), split(val)
    return Dataset("breastmnist", ("a", "b"), *parts, "made")


def test_the_shift_is_a_multiple_of_the_log_prior_that_val_gains_from():
    data = make_data(train=[0] * 3 + [1], val=[0, 0, 1, 1])
    # Class 1 loses by 1, and 1 * log(3) = 1.1 is what it takes.
    logits = np.array([[3.0, 0.0], [3.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    shift = choose_shift(logits, data, "softmax")
    np.testing.assert_allclose(shift, -np.log([0.75, 0.25]), rtol=1e-6)


def test_a_shift_that_gains_nothing_is_none():
    data = make_data(train=[0] * 3 + [1], val=[0, 1])
    logits = np.array([[9.0, 0.0], [0.0, 9.0]])
    assert not choose_shift(logits, data, "softmax").any()
