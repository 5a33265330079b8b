"""Statistics of batch normalisation that fit the weights of the moment."""

import keras
import numpy as np
import pytest
from keras import layers

from medzoo.data.batches import gather
from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.training.batch_statistics import (
    BatchStatistics,
    describe_unsettled,
)
from medzoo.training.build import prepare_model
from medzoo.training.execute import execute, load_data
from medzoo.training.trainer import Trainer

RUN = Run(
    task="breastmnist",
    data="synthetic",
    model="skip_cnn",
    width=8,
    max_images=40,
    batch_size=20,
    epochs=3,
    options={"stages": 1, "dropout": 0.3},
)
RENEWED = RUN.model_copy(update={"batch_statistics": "renewed"})


@pytest.fixture(scope="module")
def data():
    return load_data(RUN)


def build_normalised(data, *, frozen=False):
    inputs = layers.Input(data.train.images.shape[1:], dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    inner = keras.Sequential([layers.BatchNormalization(name="first")])
    inner.trainable = not frozen
    x = layers.Dropout(0.5)(inner(x))
    x = layers.BatchNormalization(name="second", momentum=0.9)(x)
    return keras.Model(inputs, layers.Flatten()(x))


def test_they_are_the_mean_and_variance_of_whole_batches_of_train(data):
    model = build_normalised(data)
    model.get_layer("second").moving_variance.assign([7.0])
    before = [variable.numpy() for variable in model.variables]
    statistics = BatchStatistics(model, data, RUN)
    # All 40 images in two batches of 20, in some order.
    images = gather(data.train, np.arange(40))[0] / 255
    mean, variance = (
        model.layers[2].layers[-1].moving_mean,
        model.layers[2].layers[-1].moving_variance,
    )
    with statistics.renewed():
        np.testing.assert_allclose(mean.numpy(), images.mean(), rtol=1e-5)
        # That of both batches, without what is between their means.
        between = images.var() - variance.numpy()
        assert 0 <= between < 0.05 * images.var()
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


class Normalised(layers.Layer):
    """A layer with two of batch normalisation, one as in inference."""

    def __init__(self):
        super().__init__()
        self.norms = [layers.BatchNormalization()]
        self.fixed = layers.BatchNormalization()

    def call(self, x):
        return self.fixed(self.norms[0](x), training=False)


def test_layers_inside_of_others_have_new_statistics_too(data):
    inputs = layers.Input(data.train.images.shape[1:], dtype="uint8")
    own = Normalised()
    x = own(layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, layers.Flatten()(x))
    own.fixed.moving_mean.assign([0.25])
    images = gather(data.train, np.arange(40))[0] / 255
    with BatchStatistics(model, data, RUN).renewed():
        mean = own.norms[0].moving_mean.numpy()
        np.testing.assert_allclose(mean, images.mean(), rtol=1e-5)
        assert own.fixed.moving_mean.numpy() == 0.25


def test_a_frozen_layer_keeps_its_statistics(data):
    model = build_normalised(data, frozen=True)
    inner = model.layers[2].layers[-1]
    inner.moving_mean.assign([0.25])
    before = model.get_layer("second").moving_variance.numpy()
    with BatchStatistics(model, data, RUN).renewed():
        assert inner.moving_mean.numpy() == 0.25
        assert model.get_layer("second").moving_variance.numpy() != before


def test_training_goes_as_without_them_and_evaluation_does_not(data):
    ends, histories = [], []
    for run in (RUN, RENEWED):
        trainer = Trainer(prepare_model(run, data), data, run)
        trainer.train()
        ends.append([v.numpy() for v in trainer.model.variables])
        histories.append(trainer.history)
    for left, right in zip(*ends, strict=True):
        np.testing.assert_array_equal(left, right)
    losses = [[entry["loss"] for entry in history] for history in histories]
    assert losses[0] == losses[1]
    assert histories[0][0]["val_loss"] != histories[1][0]["val_loss"]


def test_one_batch_of_all_images_gives_the_logits_of_training(data):
    run = Run(**RUN.flatten() | {"batch_size": 40, "dropout": 0.0})
    model = prepare_model(run, data)
    images = data.train.images[:]
    model.train_on_batch(images, data.train.labels)
    expected = model(images, training=True)
    with BatchStatistics(model, data, run).renewed():
        found = model(images, training=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(model(images, training=False) - expected).max() > 0.01


@pytest.mark.slow
def test_a_resumed_run_has_the_bits_of_an_uncut_one():
    uncut, predictions = execute(RENEWED)
    kept = {}
    execute(RENEWED, until=0.5, on_stop=lambda s: kept.update(state=s))
    resumed, found = execute(RENEWED, state=kept["state"])
    assert resumed.history == uncut.history
    for key, values in predictions.to_arrays().items():
        np.testing.assert_array_equal(found.to_arrays()[key], values)


def test_they_are_another_run():
    assert RENEWED.run_id != RUN.run_id
    with pytest.raises(ValueError, match="batch_statistics"):
        Run(task="breastmnist", model="knn", batch_statistics="renewed")


def make_record(**changes):
    entry = {"step": 30, "loss": 0.1, "val_loss": 0.9, "val_macro_f1": 0.4}
    entry |= {k: v for k, v in changes.items() if k in entry}
    return Record(
        run=changes.get("run", RUN),
        run_id=RUN.run_id,
        status="done",
        classes=["a", "b"],
        best_step=entry["step"],
        history=[entry],
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 200},
        {"loss": 0.6},
        {"val_macro_f1": 0.6},
        {"val_macro_f1": None},
        {"run": RENEWED},
    ],
)
def test_a_short_run_at_chance_on_val_alone_says_why(data, changes):
    model = prepare_model(RUN, data)
    told = describe_unsettled(model, make_record())
    assert "breastmnist" in told
    assert "renewed" in told
    assert describe_unsettled(model, make_record(**changes)) is None
