"""Pretrained backbones: what is frozen stays so, to the bit."""

import functools
import re

import keras
import numpy as np
import pytest

from medzoo.models import pretrained, transfer
from medzoo.models.backbones import BACKBONES, find_weights
from medzoo.models.registry import MODELS
from medzoo.runs.run import Run

SHAPE = (28, 28, 3)
LIGHT = ["mobilenet_v2", "mobilenet_v3_small"]
# What lies behind the last tap is not built. With random weights, signals of
# MobileNet fade with its depth.
EARLY = "conv_pw_3_relu"


def build(shape=SHAPE, **options):
    keras.utils.set_random_seed(0)
    early = EARLY if "backbone" not in options else "last"
    options = {"weights": "none", "taps": early, **options}
    return transfer.build(3, input_shape=shape, **options)


def images(num_images=12, shape=SHAPE, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (num_images, *shape), dtype="uint8")


def values_of(model):
    """Returns weights and statistics of a backbone by their path."""
    backbone = model.get_layer("backbone")
    return {v.path: v.numpy() for v in backbone.variables}


def train(model, num_steps=3):
    """Trains at a high rate; returns which values of the backbone moved."""
    before = values_of(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss, run_eagerly=True)
    for _ in range(num_steps):
        model.train_on_batch(images(), np.arange(12) % 3)
    after = values_of(model)
    return {k: not np.array_equal(v, after[k]) for k, v in before.items()}


def test_a_frozen_backbone_stays_the_same_to_the_bit():
    model = build()
    head = [w.numpy() for w in model.trainable_weights]
    assert not any(train(model).values())
    for before, after in zip(head, model.trainable_weights, strict=True):
        assert not np.array_equal(before, after)


def test_a_frozen_backbone_does_not_know_of_training():
    model = build()
    features = keras.Model(model.input, model.get_layer("head_norm").input)
    batch = images()
    np.testing.assert_array_equal(
        features(batch, training=True), features(batch, training=False)
    )


def test_a_backbone_that_is_not_frozen_moves_as_a_whole():
    moved = train(build(freeze="none"))
    assert all(moved.values())


def test_frozen_batch_norms_keep_weights_and_statistics():
    moved = train(build(freeze="bn"))
    norms = {path for path in moved if "_bn/" in path}
    assert len(norms) == 7 * 4
    assert {path for path in moved if not moved[path]} == norms


def test_the_first_blocks_stay_and_the_others_move():
    moved = train(build(freeze="2"))
    for path, has_moved in moved.items():
        block = re.search(r"conv_(?:dw|pw)_(\d+)", path)
        assert has_moved == (block is not None and int(block[1]) > 2), path


@pytest.mark.parametrize(
    "name", [LIGHT[0], pytest.param(LIGHT[1], marks=pytest.mark.slow)]
)
def test_every_backbone_has_blocks_to_freeze(name):
    model = build(backbone=name, freeze="2")
    backbone = model.get_layer("backbone")
    assert len(model.trainable_weights) > 2
    assert 0 < len(backbone.non_trainable_weights) < len(backbone.weights)
    with pytest.raises(ValueError, match="The backbone has [0-9]+ blocks"):
        build(backbone=name, freeze="999")


@pytest.mark.parametrize("name", LIGHT)
def test_three_taps_are_the_last_three_resolutions(name):
    model = build(backbone=name, taps="three", resize=96)
    backbone = model.get_layer("backbone").get_layer("network")
    pools = [
        layer
        for x in backbone.outputs
        for layer in backbone.layers
        if layer.output is x
    ]
    assert [pool.input.shape[1] for pool in pools] == [12, 6, 3]


def test_taps_may_be_named():
    model = build(taps="conv_pw_5_relu,conv_pw_13_relu")
    assert model.get_layer("head_norm").input.shape == (None, 64 + 256)
    with pytest.raises(ValueError, match="has no layer `conv_pw_99`"):
        build(taps="conv_pw_99")


def test_preprocessing_is_that_of_keras():
    """Compared with `preprocess_input` of each family."""
    batch = images()
    families = {
        "mobilenet_025": keras.applications.mobilenet,
        "densenet_121": keras.applications.densenet,
        "vgg_16": keras.applications.vgg16,
        "mobilenet_v3_small": keras.applications.mobilenet_v3,
    }
    for name, module in families.items():
        inputs = keras.Input(SHAPE)
        scaled = pretrained.scale_pixels(inputs, BACKBONES[name].pixels)
        found = keras.Model(inputs, scaled)(batch / 127.5 - 1.0)
        expected = module.preprocess_input(batch.astype("float32"))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "resize", "expected"), [(28, 0, 32), (40, 0, 40), (28, 96, 96)]
)
def test_images_are_resized_to_what_the_backbone_needs(size, resize, expected):
    model = build((size, size, 1), resize=resize)
    backbone = model.get_layer("backbone").get_layer("network")
    assert backbone.input_shape == (None, expected, expected, 3)


def test_a_head_is_the_same_with_its_backbone_and_without_it():
    whole = build(head="mlp")
    head = build((32,), head="mlp")
    trained = zip(whole.trainable_weights, head.weights[-4:], strict=True)
    for weight, alone in trained:
        np.testing.assert_array_equal(weight, alone)


@pytest.mark.slow
def test_a_saved_backbone_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "backbone.weights.h5"
    application = functools.partial(
        keras.applications.MobileNet,
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg",
    )  # fmt: skip
    saved = application(alpha=0.25)
    saved.save_weights(path)
    model = build(weights=str(path), taps="last")
    values = list(values_of(model).values())
    for value, expected in zip(values, saved.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    for backbone in ("mobilenet_050", "mobilenet_v2"):
        with pytest.raises(ValueError, match="does not hold the weights of"):
            build(weights=str(path), backbone=backbone)
    path.write_bytes(b"no weights at all")
    with pytest.raises(ValueError, match="does not hold the weights of"):
        build(weights=str(path))


def test_missing_weights_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        build(weights="imagenet")
    assert str(error.value) == (
        "No weights for backbone `mobilenet_025`. Looked for: "
        f"{tmp_path}/models/mobilenet_2_5_224_tf_no_top.h5. Download "
        "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet"
        "/mobilenet_2_5_224_tf_no_top.h5 to that place, or pass weights='none' "
        "to start from random ones."
    )
    with pytest.raises(FileNotFoundError, match="or the path of a file"):
        build(weights=str(tmp_path / "mine.h5"))


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("backbone", "mobilnet", "Did you mean `mobilenet`?"),
        ("head", "deep", "Expected one of: linear, mlp"),
        ("freeze", "some", "`freeze` must be all, none, bn"),
        ("freeze", "0", "`freeze` must be all, none, bn"),
        ("dropout", 1.0, "less than 1"),
        ("resize", 16, "needs images of 32 pixels"),
    ],
)
def test_a_run_refuses_what_no_backbone_has(option, value, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Run(task="breastmnist", model="transfer", options={option: value})


def test_every_backbone_is_a_network_of_keras():
    for entry in BACKBONES.values():
        assert hasattr(keras.applications, entry.application)
    assert set(MODELS["transfer"].options) >= {"backbone", "weights", "freeze"}
    assert find_weights("mobilenet", "none") is None
