"""Images resized as for a training, and masks that are as large as they are."""

import csv

import numpy as np
import pytest
from PIL import Image

from medzoo.data.custom.pixels import read_pixels
from medzoo.data.resizing import enlarge, shrink
from medzoo.training.saved import Saved
from medzoo.training.saved_masks import predict_image

SHAPES = [(16, 16), (48, 48), (40, 24), (24, 41), (7, 9)]
STRIPS = [(4, 200), (90, 2)]


def make_bright(size=16):
    """A net that marks what is brighter than grey, and labels by the mean."""
    import keras

    images = keras.Input((size, size, 1), dtype="uint8")
    x = keras.layers.Rescaling(2 / 255, offset=-1)(images)
    mask = keras.layers.Conv2D(2, 1, name="mask")(x)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    label = keras.layers.Dense(2, name="label")(pooled)
    model = keras.Model(images, {"mask": mask, "label": label})
    kernel = np.array([[-1.0, 1.0]])
    model.get_layer("mask").set_weights([kernel[None, None], np.zeros(2)])
    model.get_layer("label").set_weights([kernel, np.zeros(2)])
    return model


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    path = tmp_path_factory.mktemp("bright") / "model.keras"
    model = make_bright()
    model.save(path)
    return Saved(model, None, path)


def make_image(shape):
    """An image whose right part is bright; its border lies within a pixel."""
    image = np.zeros((*shape, 1), np.uint8)
    image[:, shape[1] // 2 :] = 255
    return image


@pytest.mark.parametrize("resize", ["pad", "stretch"])
@pytest.mark.parametrize("shape", SHAPES + STRIPS)
def test_images_are_resized_as_those_of_a_training(tmp_path, shape, resize):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3))
    image = noise.astype(np.uint8)
    path = tmp_path / "x.png"
    Image.fromarray(image).save(path)
    found, _ = read_pixels(
        [path], size=16, mode="rgb", resize=resize, deep=False
    )
    np.testing.assert_array_equal(shrink(image, 16, resize), found)


@pytest.mark.parametrize("resize", ["pad", "stretch"])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_come_back_to_where_they_were(shape, resize):
    rows, columns = np.indices(shape) / np.max(shape)
    for ramp in (rows, columns):
        image = np.rint(100 + 100 * ramp).astype(np.uint8)[..., None]
        small = shrink(image, 16, resize).astype("float32")
        back = enlarge(small, shape, resize)
        assert back.shape == (*shape, 1)
        inner = (slice(2, -2), slice(2, -2))
        assert np.abs(back - image)[inner].mean() < 4


@pytest.mark.parametrize("shape", SHAPES + STRIPS)
def test_a_mask_is_as_large_as_its_image_and_lies_where_it_should(
    bright, shape
):
    image = make_image(shape)
    small = shrink(image, 16, "pad")
    mask, labels = predict_image(bright, small, shape)
    assert mask.shape == shape
    assert labels.shape == (2,)
    step = -(-max(shape) // 16)  # Pixels of the image in one of the net.
    middle = shape[1] // 2
    assert not mask[:, : middle - step].any()
    assert mask[:, middle + step :].all()


def test_the_command_resizes_only_where_it_is_asked(bright, tmp_path, medzoo):
    Image.fromarray(make_image((40, 40))[..., 0]).save(tmp_path / "a.png")

    def predict(*flags):
        out = tmp_path / f"out{len(flags)}"
        told = medzoo("predict", bright.path, "a.png", "--out", out, *flags).err
        with (out / "labels.csv").open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        with Image.open(out / "masks" / "a.png") as mask:
            assert mask.size == (40, 40)
        return row, told

    row, told = predict()
    assert not row["predicted"]
    assert "1 images are of another size than 16 x 16" in told
    row, told = predict("--resize")
    assert row["predicted"] in ("0", "1")
    assert "another size" not in told
