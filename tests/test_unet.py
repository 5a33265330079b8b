"""What the U-Net adds to the harness of the zoo: two heads, any size."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from medzoo.models.augmentation import AUGMENTATIONS, PixelAugmentation
from medzoo.models.registry import MODELS, build_model
from medzoo.models.sizes import count_trainable

ORIGINAL = {"input_shape": (256, 256, 3), "width": 64}


def build(shape=(32, 32, 1), **options):
    options = {"width": 4, "levels": 2, "dropout": 0.0, **options}
    return build_model("unet", 2, input_shape=shape, **options)


def images(shape, num_images=2, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (num_images, *shape), dtype="uint8")


def test_width_64_is_the_net_of_31_million_parameters():
    # The original, by hand: 3x3 convolutions with biases and batch norm behind
    # each, upsampling without weights, 3 mask_classes, 2 classes off the
    # average.
    down = [3, 64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    up = [(1536, 512), (768, 256), (384, 128), (192, 64)]
    convolutions = [*zip(down, down[1:], strict=False)]
    for join, channels in up:
        convolutions += [(join, channels), (channels, channels)]
    weights = sum(9 * a * b + b for a, b in convolutions)
    norms = sum(2 * b for _, b in convolutions)
    heads = (64 + 1) * 3 + (1024 + 1) * 2
    trainable = weights + norms + heads
    assert (
        trainable + norms == 31_404_677
    )  # ExecutionOptions and variances are kept too.
    # Ours: no biases before batch norm, and the maximum beside the average.
    biases = sum(b for _, b in convolutions)
    found = count_trainable("unet", 2, **ORIGINAL)
    assert found == trainable - biases + 1024 * 2
    assert f"{(found + norms) / 1e6:.1f}" == "31.4"


@pytest.mark.parametrize("shape", [(5, 3, 1), (28, 28, 3), (30, 45, 1)])
@pytest.mark.parametrize("upsample", ["nearest", "bilinear", "transposed"])
def test_a_mask_has_the_size_of_its_image(shape, upsample):
    model = build(shape, upsample=upsample, num_mask_classes=5)
    found = model(images(shape))
    assert found["mask"].shape == (2, *shape[:2], 5)
    assert found["label"].shape == (2, 2)
    for logits in found.values():
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
        assert np.isfinite(logits).all()


def test_a_border_inside_is_a_grey_border_outside():
    """127.5 is the grey that the rescaled border has; 128 is next to it."""
    keras.utils.set_random_seed(0)
    padded = build((30, 29, 1))
    whole = build((32, 32, 1))
    whole.set_weights(padded.get_weights())
    batch = images((30, 29, 1))
    outside = np.pad(
        batch, [(0, 0), (1, 1), (1, 2), (0, 0)], constant_values=128
    )
    expected = ops.convert_to_numpy(whole(outside)["mask"])[:, 1:-1, 1:-2]
    assert_allclose(padded(batch)["mask"], expected, atol=0.05)


def test_a_size_that_does_not_halve_may_be_refused():
    build((32, 32, 1), pad=False)
    with pytest.raises(
        ValueError,
        match=r"`unet` with 3 levels needs a height and width divisible by 8\. "
        r"Received: input_shape=\(28, 28, 3\)\. Use fewer levels, another "
        r"size, or pad=True\.",
    ):
        build((28, 28, 3), levels=3, pad=False)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"norm": "batches"}, "Unknown norm `batches`"),
        ({"upsample": "linear"}, "Unknown upsample `linear`"),
        ({"levels": 0}, "`levels` must be at least 1 and at most 8"),
        ({"num_mask_classes": 1}, "`num_mask_classes` must be at least 2"),
    ],
)
def test_wrong_options_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(**options)
    if "num_mask_classes" not in options:  # The data says it, and not a run.
        with pytest.raises(ValueError, match=sentence):
            MODELS["unet"].check(options)


@pytest.mark.parametrize(
    "norm",
    [
        "batch",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("group", "none")),
    ],
)
def test_both_heads_and_every_norm_train(norm):
    keras.utils.set_random_seed(0)
    model = build(norm=norm, levels=1)
    losses = {
        head: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        for head in ("mask", "label")
    }
    model.compile(keras.optimizers.Adam(0.01), losses, jit_compile=False)
    batch = images((32, 32, 1), 8)
    batch[::2] //= 4
    bright = (batch.mean((1, 2, 3)) > 64).astype("int32")
    targets = {"mask": (batch[..., 0] > 64).astype("int32"), "label": bright}
    # The sum, and its two parts.
    found = np.stack([model.train_on_batch(batch, targets) for _ in range(30)])
    assert (found[-1] < 0.7 * found[0]).all()


def test_the_label_comes_from_the_bottleneck_and_not_from_the_mask():
    model = build()
    layer = model.get_layer("mask")
    batch = images((32, 32, 1))
    before = ops.convert_to_numpy(model(batch)["label"])
    layer.set_weights([1 + value for value in layer.get_weights()])
    assert_array_equal(model(batch)["label"], before)


def test_inside_the_model_augmentation_moves_no_pixel():
    still = {"RandomTint", "RandomFocus", "RandomCutout"}
    for preset in AUGMENTATIONS:
        kept = PixelAugmentation(preset).layers
        assert {type(layer).__name__ for layer in kept} <= still
    model = build(augmentation="warp", norm="none")
    batch = images((32, 32, 1))
    trained = model(batch, training=True)
    assert_array_equal(trained["mask"], model(batch)["mask"])
    tinted = build(augmentation="colour", norm="none")
    assert np.any(tinted(batch, training=True)["mask"] != tinted(batch)["mask"])


def test_an_image_moves_with_its_mask():
    """By whole pixels at the coarsest level, away from the border."""
    keras.utils.set_random_seed(0)
    model = build((96, 96, 1), levels=1)
    batch = images((96, 96, 1), 1)
    moved = np.roll(batch, (2, 4), axis=(1, 2))
    expected = np.roll(model(batch)["mask"], (2, 4), axis=(1, 2))
    found = ops.convert_to_numpy(model(moved)["mask"])
    inside = slice(24, -24)
    assert_allclose(
        found[:, inside, inside], expected[:, inside, inside], atol=1e-5
    )
