"""Operations of networks, against sums by hand."""

import keras
import pytest

from medzoo.models.flops import count_flops
from medzoo.models.registry import build_model
from medzoo.runs.run import Run


def test_a_convolution_acts_at_every_place_of_its_output():
    images = keras.Input((28, 28, 3))
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same")(images)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(5)(x))
    strided = 2 * 3 * 3 * 3 * 16 * 14 * 14
    depthwise = 2 * 3 * 3 * 16 * 14 * 14
    assert count_flops(model) == strided + depthwise + 2 * 16 * 5


def test_a_transposed_convolution_acts_at_every_place_of_its_input():
    images = keras.Input((8, 8, 4))
    x = keras.layers.Conv2DTranspose(6, 2, strides=2)(images)
    assert count_flops(keras.Model(images, x)) == 2 * 2 * 2 * 4 * 6 * 8 * 8


@pytest.mark.slow
def test_twice_the_width_takes_about_four_times_the_operations():
    def count(width):
        return count_flops(
            build_model("skip_cnn", 9, input_shape=(28, 28, 3), width=width)
        )

    assert 3.8 < count(64) / count(32) < 4
    members = build_model(
        "skip_cnn", 9, input_shape=(28, 28, 3), width=32, members=2
    )
    assert count_flops(members) == 2 * count(32)


def test_a_layer_counts_as_often_as_it_is_called():
    images = keras.Input((8,))
    shared = keras.layers.Dense(8)
    x = shared(shared(images))
    assert count_flops(keras.Model(images, x)) == 2 * 2 * 8 * 8


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({"stem": "full"}, 1, 1),
        ({"stem": "strided"}, 0.25, 0.28),
        ({"stem": "pooled"}, 0.25, 0.3),
        ({"stem": "deep", "width": 24}, 0.2, 0.25),
        ({"stem": "patch"}, 0.06, 0.08),
        ({"stem": "full", "block_type": "bottleneck"}, 0.25, 0.3),
        ({"stem": "full", "block_type": "separable"}, 0.15, 0.2),
    ],
)
def test_stems_and_blocks_save_operations(options, low, high):
    def build(**options):
        return build_model(
            "skip_cnn", 9, input_shape=(28, 28, 3), **{"width": 32} | options
        )

    found = build(**options)
    assert found.output_shape == (None, 9)
    assert low <= count_flops(found) / count_flops(build(stem="full")) <= high


@pytest.mark.parametrize("model", ["skip_cnn", "multi_head"])
def test_an_unknown_stem_is_named_before_anything_is_built(model):
    task = "breastmnist" if model == "skip_cnn" else "breastmnist+retinamnist"
    with pytest.raises(ValueError, match="Did you mean `strided`"):
        Run(task=task, model=model, options={"stem": "stride"})
    with pytest.raises(ValueError, match="Unknown block_type `mbconv`"):
        build_model(
            model,
            2 if model == "skip_cnn" else (2, 5),
            input_shape=(28, 28, 3),
            block_type="mbconv",
        )
