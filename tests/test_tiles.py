"""Large images by tiles: what the model gives for the whole, and no seam."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from medzoo.models.registry import build_model
from medzoo.training.saved_masks import predict_by_tiles


def make_image(height, width, channels=1, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, channels), "uint8")


def build(size):
    """Builds a U-Net of one level: a pixel depends on 9 around it."""
    return build_model(
        "unet", 2, input_shape=(*size, 1), width=4, levels=1, dropout=0.0
    )


def test_tiles_equal_the_whole_image_to_its_last_pixel():
    keras.utils.set_random_seed(0)
    whole, part = build((144, 180)), build((72, 72))
    part.set_weights(whole.get_weights())
    image = make_image(144, 180)
    expected = ops.convert_to_numpy(whole(image[None])["mask"])[0]

    def predict(tiles):
        return ops.convert_to_numpy(part(tiles)["mask"])

    found = predict_by_tiles(predict, image, tile=72, overlap=36)
    assert found.dtype == "float32"
    assert_allclose(found, expected, atol=1e-5)
    # With an overlap that is too small, only the middles of tiles are right.
    seams = predict_by_tiles(predict, image, tile=72, overlap=0)
    assert np.abs(seams - expected).max() > 0.01
    inside = np.s_[9:63, 9:63]
    assert_allclose(seams[inside], expected[inside], atol=1e-5)


def test_a_seam_is_blended_away():
    """Tiles that disagree by 1 fade into each other without a step."""
    calls = []

    def predict(tiles):
        calls.append(len(tiles))
        start = sum(calls) - len(tiles)
        numbers = np.arange(start, start + len(tiles)) % 2
        return np.ones((*tiles.shape[:3], 1)) * numbers[:, None, None, None]

    image = make_image(32, 80)
    found = predict_by_tiles(predict, image, tile=32, overlap=16, batch_size=1)
    row = found[0, :, 0]
    assert not row[:20].any()
    assert row[28:36].all()
    assert np.abs(np.diff(row)).max() <= 1 / 8 + 1e-6


@pytest.mark.parametrize("shape", [(7, 100), (65, 64), (64, 64), (130, 71)])
@pytest.mark.parametrize(("tile", "overlap"), [(64, 32), (16, 5), (9, 0)])
def test_every_pixel_is_predicted_whatever_the_size(shape, tile, overlap):
    image = make_image(*shape, channels=3)
    sizes = set()

    def predict(tiles):
        sizes.add(tiles.shape)
        return tiles.astype("float32")

    found = predict_by_tiles(
        predict, image, tile=tile, overlap=overlap, batch_size=3
    )
    assert_allclose(found, image, rtol=1e-5)
    assert sizes == {(3, tile, tile, 3)}


@pytest.mark.parametrize(
    ("shape", "overlap"), [((40, 40, 1), 17), ((40, 40, 1), -1), ((40, 40), 8)]
)
def test_wrong_tiles_are_one_sentence(shape, overlap):
    with pytest.raises(ValueError, match=r"Tiles need an image of shape"):
        predict_by_tiles(
            lambda tiles: tiles,
            np.zeros(shape, "uint8"),
            tile=32,
            overlap=overlap,
        )
