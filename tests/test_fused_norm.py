"""Batch normalisation by one operation, beside that of Keras."""

import keras
import numpy as np
import pytest
from keras import layers

from medzoo.runs.run import Run
from medzoo.training.build import prepare_model
from medzoo.training.execute import load_data

tf = pytest.importorskip("tensorflow")

from medzoo.training.fused_norm_tensorflow import (  # noqa: E402
    fuse_normalisations,
)

SHAPES = [(8, 5, 7, 3), (1, 1, 1, 2), (2, 1, 1, 4)]


def make_net(shape, **options):
    options = {"momentum": 0.9, "name": "norm"} | options
    keras.utils.set_random_seed(0)
    layer = layers.BatchNormalization(
        beta_initializer="random_normal",
        gamma_initializer="random_uniform",
        **options,
    )
    inputs = layers.Input(shape)
    return keras.Model(inputs, layer(inputs))


def train_once(net, images):
    """Returns outputs, gradients of their cubes, and all variables."""
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = net(images, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, "float32") ** 3)
    gradients = tape.gradient(loss, [images, *net.trainable_variables])
    return [
        outputs,
        *gradients,
        *(variable.value for variable in net.variables),
    ]


def assert_alike(net, other, images, *, tolerance=1e-4):
    pairs = zip(train_once(net, images), train_once(other, images), strict=True)
    for value, expected in pairs:
        value, expected = (
            tf.cast(each, "float32").numpy() for each in (value, expected)
        )
        scale = np.abs(expected).max() + 1
        np.testing.assert_allclose(value, expected, atol=tolerance * scale)


@pytest.fixture
def images():
    def draw(shape):
        drawn = np.random.default_rng(0).normal(3, 2, shape)
        return drawn.astype("float32")

    return draw


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_outputs_gradients_and_running_statistics_are_those_of_keras(
    shape, images
):
    fused = make_net(shape[1:])
    fuse_normalisations(fused)
    assert_alike(fused, make_net(shape[1:]), images(shape))


def test_in_mixed_precision_too(images):
    nets = [make_net((5, 7, 3), dtype="mixed_bfloat16") for _ in range(2)]
    fuse_normalisations(nets[0])
    assert_alike(*nets, images(SHAPES[0]), tolerance=2e-2)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((5, 7, 3), {"axis": 1}),
        ((5, 7, 3), {"scale": False}),
        ((5, 7, 3), {"center": False}),
        ((5, 7, 3), {"epsilon": 1e-7}),
        ((5, 7, 3), {"renorm": True}),
        ((5, 7, 3), {"trainable": False}),
        ((3,), {}),
    ],
    ids=str,
)
def test_what_the_operation_cannot_do_is_done_by_keras(shape, options, images):
    fused = make_net(shape, **options)
    fuse_normalisations(fused)
    # To the bit.
    assert_alike(
        fused, make_net(shape, **options), images((8, *shape)), tolerance=0
    )


def test_layers_of_inner_models_are_fused_and_the_saved_file_is_of_keras(
    tmp_path, images
):
    inner, plain = make_net((5, 7, 3)), make_net((5, 7, 3))
    inputs = layers.Input((5, 7, 3))
    net = keras.Model(inputs, inner(inputs))
    expected = net.get_config()
    fuse_normalisations(net)
    operations = {
        op.type
        for op in tf.function(lambda x: net(x, training=True))
        .get_concrete_function(tf.TensorSpec((None, 5, 7, 3)))
        .graph.get_operations()
    }
    assert "FusedBatchNormV3" in operations
    assert net.get_config() == expected
    batch = images(SHAPES[0])
    plain(batch, training=True)
    net(batch, training=True)
    net.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_allclose(loaded(batch), plain(batch), rtol=1e-4)


def test_models_of_runs_are_fused():
    run = Run(task="breastmnist", data="synthetic", model="skip_cnn", width=8)
    data = load_data(run)
    model = prepare_model(run, data)
    graph = tf.function(lambda x: model(x, training=True))
    operations = graph.get_concrete_function(
        tf.TensorSpec((None, *data.input_shape), "uint8")
    ).graph.get_operations()
    kinds = [operation.type for operation in operations]
    normalised = sum("FusedBatchNorm" in kind for kind in kinds)
    assert normalised == sum(
        isinstance(layer, layers.BatchNormalization) for layer in model.layers
    )
    assert "SquaredDifference" not in kinds
