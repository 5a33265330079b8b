"""Operations of networks, against sums by hand."""

import keras

from medzoo.models import build_model
from medzoo.models.flops import count_flops


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
