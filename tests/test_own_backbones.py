"""Backbones of a user: a network that Keras saved, and one of a plugin."""

import keras
import numpy as np
import pytest
from keras import layers
from typer.testing import CliRunner

from medzoo.cli import app
from medzoo.execution.job import Job
from medzoo.execution.worker import run_one
from medzoo.models.backbones import find_weights
from medzoo.models.registry import build_model
from medzoo.plugins.register import register_backbone
from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.training.check import check_plugins

TINY = {"task": "breastmnist", "data": "synthetic", "max_images": 64}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A network of the zoo, saved by Keras."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keras.utils.set_random_seed(0)
    model = build_model("skip_cnn", 3, input_shape=(28, 28, 3), width=4)
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def features_of(path):
    """Returns a model to what the head of a saved network takes."""
    model = keras.saving.load_model(path, compile=False)
    head = next(x for x in model.layers[::-1] if x.weights)
    return keras.Model(model.input, head.input)


@pytest.mark.parametrize("taps", ["last", "three"])
def test_a_saved_network_gives_the_features_that_its_head_took(saved, taps):
    images = np.random.default_rng(0).integers(
        0, 256, (5, 28, 28, 3), dtype="uint8"
    )
    model = build_model(
        "transfer",
        2,
        input_shape=(28, 28, 3),
        backbone=f"keras:{saved}",
        taps=taps,
        freeze="all",
    )
    network = model.get_layer("backbone")
    found = np.asarray(network(images / np.float32(127.5) - 1))
    expected = np.asarray(features_of(saved)(images))
    width = expected.shape[1]
    assert (found.shape[1] > width) == (taps == "three")
    np.testing.assert_allclose(found[:, -width:], expected, atol=1e-5)


def test_a_frozen_network_stays_the_same_to_the_bit(saved):
    before = features_of(saved).get_weights()
    options = {"backbone": f"keras:{saved}", "taps": "last", "dropout": 0.0}
    run = Run(model="transfer", options=options, steps=2, **TINY)
    models = []
    record, _ = run_one(Job(run), Store(saved.parent), on_model=models.append)
    assert record.status == "done"
    (model,) = models
    found = model.get_layer("backbone").get_weights()
    assert len(found) == len(before)
    for mine, other in zip(found, before, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_the_content_of_the_file_is_part_of_the_run_and_its_place_is_not(saved):
    def run(path):
        return Run(model="knn", options={"backbone": f"keras:{path}"}, **TINY)

    first = run(saved)
    text = Record(run=first, run_id=first.run_id, status="failed")
    moved = saved.rename(saved.with_name("moved.keras"))
    assert run(moved) == first
    again = Record.model_validate_json(text.model_dump_json()).run
    assert again.run_id == first.run_id
    build_model("mlp", 3, input_shape=(28, 28, 3), width=4).save(moved)
    assert run(moved) != first
    with pytest.raises(ValueError, match="No network at"):
        run(saved)


def test_classifiers_of_scikit_learn_take_a_network_of_a_user(saved):
    def make(layer=""):
        options = {"backbone": f"keras:{saved}{layer}", "taps": "last"}
        return Run(model="knn", options=options, **TINY)

    check_plugins([make()])
    with pytest.raises(ValueError, match="has no layer `conv_9`"):
        check_plugins([make("@conv_9")])


def test_backbones_are_listed_with_what_is_on_disk(saved, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(saved.parent))
    path = find_weights("mobilenet", "imagenet")
    path.parent.mkdir()
    path.touch()
    shown = CliRunner().invoke(app, ["models", "--backbones"]).output
    there = [row.split()[0] for row in shown.splitlines() if "on disk" in row]
    assert there == ["mobilenet"]


def test_an_unknown_layer_is_one_sentence(saved):
    with pytest.raises(ValueError, match="has no layer `conv_9`. Expected one"):
        build_model(
            "transfer",
            2,
            input_shape=(28, 28, 3),
            backbone=f"keras:{saved}@conv_9",
        )


@pytest.mark.parametrize(
    ("pool", "width"), [("mean", 4), ("class", 4), ("class_mean", 8)]
)
def test_tokens_of_a_registered_backbone_are_pooled(pool, width):
    @register_backbone(name=f"tokens_{pool}")
    def tokens(input_shape):
        inputs = keras.Input(input_shape)
        x = layers.Conv2D(4, 7, strides=7)(layers.Rescaling(1 / 255)(inputs))
        x = layers.Reshape((-1, 4))(x)
        return keras.Model(inputs, layers.LayerNormalization()(x))

    options = {"backbone": f"tokens_{pool}", "pool": pool, "freeze": "none"}
    run = Run(model="transfer", options=options, **TINY)
    model = build_model("transfer", 2, input_shape=(28, 28, 1), **run.options)
    assert model.get_layer("backbone").output_shape == (None, width)


def wrap(inner, input_shape=(28, 28, 3)):
    """Puts the scaling of pixels before a network, as a user would."""
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, inner(layers.Rescaling(1 / 255)(inputs)))


def make_inner(name="inner"):
    inputs = keras.Input((28, 28, 3))
    x = layers.Conv2D(5, 3, strides=2)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(7, 3, strides=2)(x)
    return keras.Model(inputs, x, name=name)


@pytest.mark.parametrize(
    ("taps", "pool", "width"),
    [
        ("last", "mean", 7),
        ("three", "mean", 7),
        ("last", "mean_std", 14),
        ("inner", "mean", 7),
    ],
)
def test_features_are_those_of_the_inner_network(taps, pool, width):
    @register_backbone(name=f"wrapped_{taps}_{pool}")
    def wrapped(input_shape):
        return wrap(make_inner())

    model = build_model(
        "transfer",
        2,
        input_shape=(28, 28, 1),
        backbone=f"wrapped_{taps}_{pool}",
        taps=taps,
        pool=pool,
    )
    assert model.get_layer("backbone").output_shape == (None, width)


def test_a_backbone_may_be_sequential():
    @register_backbone
    def in_a_row(input_shape):
        steps = [layers.Rescaling(1 / 255), layers.Conv2D(6, 3, strides=2)]
        return keras.Sequential([keras.Input(input_shape), *steps])

    model = build_model(
        "transfer",
        2,
        input_shape=(28, 28, 1),
        backbone="in_a_row",
        taps="last",
    )
    assert model.get_layer("backbone").output_shape == (None, 6)


def test_a_layer_of_a_saved_network_may_be_a_network(saved):
    wrap(make_inner()).save(saved)

    def build(address):
        return build_model(
            "transfer",
            2,
            input_shape=(28, 28, 3),
            backbone=address,
            taps="last",
        )

    found = build(f"keras:{saved}@inner").get_layer("backbone")
    assert found.output_shape == (None, 7)
    with pytest.raises(ValueError, match=r"no head behind it.*keras@inner"):
        build(f"keras:{saved}")


def test_the_head_of_a_saved_network_may_take_an_inner_one(saved):
    inner = wrap(make_inner())
    x = layers.GlobalAveragePooling2D()(inner.output)
    head = keras.Sequential([layers.Dense(4), layers.Dense(2)], name="head")
    keras.Model(inner.input, head(x)).save(saved)
    found = build_model(
        "transfer", 2, input_shape=(28, 28, 3), backbone=f"keras:{saved}"
    )
    assert found.get_layer("backbone").output_shape == (None, 3 + 7)


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [("bn", ["batch_normalization"]), ("2", ["conv2d"])],
)
def test_layers_of_the_inner_network_are_frozen(freeze, frozen):
    inner = make_inner()

    @register_backbone(name=f"frozen_{freeze}", version="1")
    def wrapped(input_shape):
        return wrap(inner)

    build_model(
        "transfer",
        2,
        input_shape=(28, 28, 1),
        backbone=f"frozen_{freeze}",
        freeze=freeze,
    )
    found = [x for x in inner.layers if x.weights and not x.trainable]
    assert [x.name.rstrip("_0123456789") for x in found] == frozen
