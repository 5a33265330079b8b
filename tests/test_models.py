"""One harness over the zoo: a model is tested by being in the table."""

import keras
import numpy as np
import pytest
from keras import ops

from medzoo.losses.classification import JointLoss, build_loss
from medzoo.models.registry import MODELS, build_model
from medzoo.runs import fields as choices
from medzoo.testing import check_model

NETWORKS = [name for name, entry in MODELS.items() if not entry.baseline]
# A linear head has no width, and signals fade in a backbone of random weights.
OPTIONS = {
    "transfer": {"weights": "none", "taps": "conv_pw_1_relu", "head": "mlp"}
}


def build(name, *, shape=(28, 28, 3), num_classes=3, **options):
    options = {**OPTIONS.get(name, {}), "width": 8, **options}
    return build_model(name, num_classes, input_shape=shape, **options)


def images(shape, num_images=6, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (num_images, *shape), dtype="uint8")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_model_keeps_the_contract(name):
    options = {**OPTIONS.get(name, {}), "width": 8, "dropout": 0.0}
    check_model(name, augmentation="light", **options)


@pytest.mark.parametrize("shape", [(28, 28, 1), (33, 40, 3)], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_images_of_any_size_become_finite_logits(name, shape):
    for logits in keras.tree.flatten(build(name, shape=shape)(images(shape))):
        assert (logits.shape[0], logits.shape[-1]) == (6, 3)
        assert np.isfinite(logits).all()


def build_toy(num_classes, *, input_shape, fault="none"):
    images = keras.Input(input_shape, dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Flatten()(x)
    if fault == "NaN":
        x = keras.layers.Rescaling(np.inf)(x)
    if fault == "does not change":
        keras.layers.Dense(2)(x)
        x = x + 0 * keras.layers.Dense(1)(x)
    kernel = "ones" if fault == "equal weights" else "glorot_uniform"
    if fault == "other weights":
        value = np.random.default_rng().normal()
        kernel = keras.initializers.Constant(value)
    dtype = "float16" if fault == "float16" else "float32"
    units = num_classes + (fault == "of shape")
    logits = keras.layers.Dense(units, dtype=dtype, kernel_initializer=kernel)
    outputs = logits(x)
    if fault == "other ones":
        outputs = Forgetful()(outputs)
    return keras.Model(images, outputs)


@keras.saving.register_keras_serializable(package="tests")
class Forgetful(keras.layers.Layer):
    """Scales by a number that it does not save."""

    scales = iter(range(2, 99))

    def __init__(self, **options):
        super().__init__(**options)
        self.scale = next(self.scales)

    def call(self, x):
        return self.scale * x


def test_a_builder_of_a_user_is_checked_too():
    check_model(build_toy, input_shape=(8, 8, 1), num_classes=4)


@pytest.mark.parametrize(
    "fault",
    [
        "NaN",
        "does not change",
        "equal weights",
        "other weights",
        "float16",
        "of shape",
        "other ones",
    ],
)
def test_a_broken_contract_is_one_sentence(fault):
    with pytest.raises(ValueError, match=f" must .*Received: .*{fault}"):
        check_model(build_toy, input_shape=(8, 8, 1), fault=fault)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_states_the_parameters(name):
    entry = MODELS[name]
    options = {"width": entry.width, **entry.defaults}
    if "weights" in options:
        options["weights"] = "none"
    model = build(name, num_classes=9, **options)
    assert model.count_params() == entry.parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_width_is_a_size_dial(name):
    narrow, wide = (build(name, width=width) for width in (8, 16))
    assert narrow.count_params() < wide.count_params()


def test_the_mlps_of_the_pathmnist_study_have_its_parameters():
    sizes = {"": 1_370_121, "1024-512-512-256-128": 3_362_313}
    for hidden, expected in sizes.items():
        model = build_model("mlp", 9, input_shape=(28, 28, 3), hidden=hidden)
        assert model.count_params() == expected
    for hidden in ("a-b", "64-0"):
        with pytest.raises(ValueError, match="`hidden` must be units"):
            build("mlp", hidden=hidden)


@pytest.mark.parametrize("name", NETWORKS)
def test_options_are_those_of_the_table(name):
    with pytest.raises(ValueError, match=f"Unknown {name} option `depht`"):
        build(name, depht=3)


def test_an_unknown_model_is_one_sentence():
    with pytest.raises(ValueError, match="Unknown model") as error:
        build("resnet")
    assert str(error.value).startswith(
        "Unknown model `resnet`. Did you mean `unet`? Expected one of: mlp"
    )
    assert "Received: model='resnet'." in str(error.value)


@pytest.mark.parametrize("shape", [(28, 28, 2), (0, 28, 1)])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_wrong_input_shape_is_one_sentence(name, shape):
    with pytest.raises(ValueError, match="`input_shape` must be"):
        build(name, shape=shape)


def test_every_activation_is_one_of_keras():
    for name in choices.ACTIVATIONS:
        assert callable(keras.activations.get(name))


def test_members_are_trained_apart_and_their_logits_averaged():
    model = build("skip_cnn", members=3, dropout=0.0)
    batch = images((28, 28, 3))
    apart = model(batch, training=True)
    assert apart.shape == (6, 3, 3)
    assert np.ptp(ops.convert_to_numpy(apart), axis=1).min() > 0
    inside = keras.Model(model.input, model.get_layer("members").input)
    expected = ops.convert_to_numpy(inside(batch)).mean(axis=1)
    np.testing.assert_allclose(model(batch), expected, atol=1e-5)
    alone = build("skip_cnn").count_params()
    assert model.count_params() == 3 * alone


def test_a_model_of_members_learns_with_a_loss_for_each():
    keras.utils.set_random_seed(0)
    model = build("skip_cnn", members=2, dropout=0.0, stages=1)
    loss = JointLoss(build_loss("cross_entropy"))
    model.compile("adam", loss, run_eagerly=True)
    batch, labels = images((28, 28, 3), 16), np.arange(16, dtype="int32") % 3
    losses = [float(model.train_on_batch(batch, labels)) for _ in range(5)]
    assert losses[-1] < losses[0]
