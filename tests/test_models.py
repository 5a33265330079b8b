"""One harness over the zoo: a model is tested by being in the table."""

import keras
import numpy as np
import pytest
from keras import ops

from medzoo.losses.classification import JointLoss, build_loss
from medzoo.models.registry import MODELS, build_model
from medzoo.runs import fields as choices

SHAPES = [(28, 28, 1), (28, 28, 3), (33, 40, 3)]
NETWORKS = [name for name, entry in MODELS.items() if not entry.baseline]
# A linear head has no width, and signals fade in a trunk of random weights.
OPTIONS = {
    "transfer": {"weights": "none", "taps": "conv_pw_1_relu", "head": "mlp"}
}


def build(name, *, shape=(28, 28, 3), num_classes=3, **options):
    options = {**OPTIONS.get(name, {}), "width": 8, **options}
    return build_model(name, num_classes, input_shape=shape, **options)


def images(shape, num_images=6, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (num_images, *shape), dtype="uint8")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_raw_images_become_finite_float32_logits(name, shape):
    for logits in keras.tree.flatten(build(name, shape=shape)(images(shape))):
        assert (logits.shape[0], logits.shape[-1]) == (6, 3)
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
        assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_trainable_weight_changes_in_training(name):
    keras.utils.set_random_seed(0)
    model = build(name, dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    # Of the U-Net, a label and a mask.
    labels = keras.tree.map_structure(
        lambda logits: np.resize(np.arange(3), (16, *logits.shape[1:-1])),
        model.output,
    )
    model.train_on_batch(images((28, 28, 3), 16), labels)
    for weight, value in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight, value), weight.path


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_decides_every_weight(name):
    def weights(seed):
        keras.utils.set_random_seed(seed)
        return build(name).get_weights()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_model_predicts_the_same(name, tmp_path):
    model = build(name, augmentation="light")
    path = tmp_path / "model.keras"
    model.save(path)
    batch = images((28, 28, 3))
    loaded = keras.saving.load_model(path, safe_mode=True)
    found = map(keras.tree.flatten, (model(batch), loaded(batch)))
    for logits, again in zip(*found, strict=True):
        np.testing.assert_array_equal(logits, again)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_states_the_parameters(name):
    entry = MODELS[name]
    options = {"width": entry.width, **entry.options}
    if "weights" in options:
        options["weights"] = "none"
    model = build(name, num_classes=9, **options)
    assert model.count_params() == entry.parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_width_is_a_size_dial(name):
    counts = [
        build(name, num_classes=9, width=width).count_params()
        for width in (8, 16, 32)
    ]
    assert counts == sorted(set(counts))


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
        "Unknown model `resnet`. Expected one of: mlp, skip_cnn"
    )
    assert "Received: model='resnet'." in str(error.value)


@pytest.mark.parametrize("shape", [(28, 28, 2), (0, 28, 1)])
def test_a_wrong_input_shape_is_one_sentence(shape):
    with pytest.raises(ValueError, match="`input_shape` must be"):
        build("mlp", shape=shape)


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
    model.compile("adam", loss, jit_compile=False)
    batch, labels = images((28, 28, 3), 16), np.arange(16, dtype="int32") % 3
    losses = [float(model.train_on_batch(batch, labels)) for _ in range(5)]
    assert losses[-1] < losses[0]
