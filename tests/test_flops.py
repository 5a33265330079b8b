"""Operations of networks, against sums by hand."""

import keras
import pytest

import medzoo
from medzoo.models.flops import count_flops
from medzoo.models.registry import build_model
from medzoo.runs.run import Run
from medzoo.training.execute import execute


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


def test_a_separable_convolution_has_two_kernels():
    images = keras.Input((8, 8, 3))
    x = keras.layers.SeparableConv2D(5, 3, padding="same")(images)
    kernels = 3 * 3 * 3 + 3 * 5
    assert count_flops(keras.Model(images, x)) == 2 * kernels * 8 * 8


def test_a_product_of_einsum_sums_over_all_its_letters():
    tokens = keras.Input((6, 8))
    x = keras.layers.EinsumDense("abc,cde->abde", (6, 2, 4), bias_axes="de")(
        tokens
    )
    assert count_flops(keras.Model(tokens, x)) == 2 * 6 * 8 * 2 * 4


def test_an_inner_network_counts_as_often_as_it_is_called():
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    images = keras.Input((8,))
    model = keras.Model(images, inner(inner(images)))
    assert count_flops(model) == 2 * 2 * 8 * 8


class Nameless(keras.layers.Layer):
    """A layer whose configuration has no name."""

    def call(self, x):
        return x

    def get_config(self):
        return {}


class Bare(keras.layers.Layer):
    """A layer that needs an argument and has no configuration."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.kernel = 3
        self.layers = [keras.layers.ReLU()]

    def call(self, x):
        return self.factor * self.layers[0](x)


class Wrapped(keras.layers.Layer):
    """A layer with a convolution inside of it."""

    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Conv2D(3, 3, padding="same")

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("layer", [Nameless(), Bare(2.0)])
def test_layers_without_matrices_count_nothing(layer):
    images = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(layer(images))
    model = keras.Model(images, keras.layers.Dense(5)(x))
    assert count_flops(model) == 2 * 8 * 8 * 3 * 5


@pytest.mark.parametrize(
    "apply",
    [
        lambda x: Wrapped()(x),
        lambda x: keras.layers.MultiHeadAttention(2, 4)(x, x),
        lambda x: keras.ops.matmul(x, keras.ops.transpose(x, (0, 1, 3, 2))),
        lambda x: keras.Sequential([Wrapped()])(x),
    ],
)
def test_what_cannot_be_counted_is_unknown_and_not_too_low(apply):
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 3, padding="same")(images)
    assert count_flops(keras.Model(images, apply(x))) is None


def test_a_run_does_not_need_its_operations_to_be_known():
    @medzoo.register_model
    def with_layers_of_my_own(num_classes, *, input_shape):
        inputs = keras.Input(input_shape, dtype="uint8")
        x = keras.layers.Rescaling(1 / 255)(inputs)
        x = keras.layers.Flatten()(Wrapped()(Bare(2.0)(Nameless()(x))))
        return keras.Model(inputs, keras.layers.Dense(num_classes)(x))

    run = Run(
        task="retinamnist",
        data="synthetic",
        model="with_layers_of_my_own",
        max_images=16,
        steps=1,
    )
    record, _ = execute(run)
    assert (record.status, record.flops) == ("done", None)


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
