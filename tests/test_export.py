"""Exported models answer as their source does, in their own runtimes."""

import keras
import numpy as np
import pytest

from medzoo.models.registry import build_model
from medzoo.training.export import PACKAGES, export
from medzoo.training.saved import Saved

SHAPES = {"mlp": (28, 28, 1), "skip_cnn": (28, 28, 3), "unet": (16, 16, 1)}
OPTIONS = {
    "mlp": {},
    "skip_cnn": {"stages": 1},
    "unet": {"levels": 1, "num_mask_classes": 3},
}
# Raised inside TensorFlow and its converter.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(params=SHAPES)
def saved(request, tmp_path):
    keras.utils.set_random_seed(0)
    model = build_model(
        request.param,
        3,
        input_shape=SHAPES[request.param],
        width=8,
        augmentation="light",
        **OPTIONS[request.param],
    )
    return Saved(model, None, tmp_path / "model.keras")


def images_of(saved, count=8):
    shape = (count, *saved.input_shape)
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


@pytest.mark.parametrize(
    "to", ["savedmodel", pytest.param("onnx", marks=pytest.mark.extras)]
)
def test_an_exported_model_gives_the_same_logits(to, saved):
    for package in PACKAGES[to]:
        pytest.importorskip(package, reason="not installed (extra `export`)")
    found = export(saved, to=to, images=images_of(saved))
    assert found.path.exists()
    assert found.difference < 1e-4 * max(1, found.scale)


@pytest.mark.parametrize(
    "saved",
    [
        "skip_cnn",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("mlp", "unet")),
    ],
    indirect=True,
)
def test_integers_take_the_place_of_floats_and_stay_near_them(saved):
    images = images_of(saved, 32)
    floats = export(saved, to="tflite", images=images)
    assert floats.difference < 1e-4 * max(1, floats.scale)
    size = floats.path.stat().st_size
    found = export(saved, to="tflite", images=images, calibration=images)
    assert 0 < found.difference < 0.2 * max(1, found.scale)
    assert found.path == floats.path
    assert found.path.stat().st_size < size


def test_a_model_that_resizes_is_exported(tmp_path):
    inputs = keras.Input((9, 6, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Resizing(5, 13, interpolation="bicubic")(x)
    x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    saved = Saved(keras.Model(inputs, x), None, tmp_path / "model.keras")
    images = images_of(saved, 32)
    found = export(saved, to="tflite", images=images)
    assert found.difference < 1e-4 * max(1, found.scale)
    found = export(saved, to="tflite", images=images, calibration=images)
    assert found.difference < 0.1 * max(1, found.scale)


def test_integers_of_a_layer_that_is_always_0_are_one_sentence(tmp_path):
    model = build_model(
        "skip_cnn", 3, input_shape=(28, 28, 1), width=8, stages=1
    )
    reduce = model.get_layer("stage1_block1_reduce")
    reduce.bias.assign(np.full(2, -9.0))  # No image makes a unit positive.
    saved = Saved(model, None, tmp_path / "model.keras")
    images = images_of(saved, 32)
    with pytest.raises(ValueError, match="a layer is 0 for all calibration"):
        export(saved, to="tflite", images=images, calibration=images)


@pytest.fixture
def tiny(tmp_path):
    model = build_model("mlp", 3, input_shape=(8, 8, 1), width=4)
    return Saved(model, None, tmp_path / "model.keras")


def test_an_export_takes_the_place_of_an_earlier_one(tiny):
    for _ in range(2):
        found = export(tiny, to="savedmodel", images=images_of(tiny))
    assert found.difference < 1e-4


def test_what_cannot_be_exported_is_one_sentence(tiny, monkeypatch):
    images = images_of(tiny)
    with pytest.raises(ValueError, match="Only tflite"):
        export(tiny, to="savedmodel", images=images, calibration=images)
    monkeypatch.setitem(PACKAGES, "onnx", ("no_such_package",))
    with pytest.raises(ValueError, match=r"medzoo\[export\]"):
        export(tiny, to="onnx", images=images)
