"""Made-up shapes: equal everywhere, of all kinds, and hard enough."""

import hashlib

import numpy as np
import pytest

from medzoo.data.shapes import MASK_CLASSES, make_shapes
from medzoo.scores.counts import count_masks, score_masks


def digest(*arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def test_bytes_are_the_same_on_every_platform():
    found = make_shapes(0, 5, 48, channels=3)
    assert digest(*found)[:16] == "26c19ba31b0264c3"
    assert digest(*make_shapes(0, 5, 48, channels=3)) == digest(*found)
    assert digest(*make_shapes(1, 5, 48, channels=3)) != digest(*found)


@pytest.mark.parametrize(("size", "channels"), [(16, 1), (33, 3), (600, 1)])
def test_arrays_have_their_contract(size, channels):
    images, masks, labels = make_shapes(0, 3, size, channels=channels)
    assert (images.dtype, images.shape) == ("uint8", (3, size, size, channels))
    assert (masks.dtype, masks.shape) == ("int8", (3, size, size))
    assert (labels.dtype, labels.shape) == ("int32", (3,))


def test_the_label_says_whether_there_is_a_shape():
    _, masks, labels = make_shapes(0, 300, 32)
    assert np.array_equal(labels, masks.any(axis=(1, 2)))
    assert 0.6 < labels.mean() < 0.8
    shares = np.bincount(masks.ravel(), minlength=3) / masks.size
    assert len(shares) == len(MASK_CLASSES)
    assert shares[1:].min() > 0.02
    assert 0.75 < shares[1] / shares[2] < 1.35


def test_a_shape_has_the_same_place_at_every_size():
    """An image is drawn anew at another size, yet rounding has no drift."""
    _, small, _ = make_shapes(0, 200, 32)
    _, large, _ = make_shapes(0, 200, 64)
    areas = [masks.astype(bool).mean() for masks in (small, large)]
    assert areas[0] == pytest.approx(areas[1], rel=0.15)


def test_brightness_alone_is_not_enough():
    """A net of width 8 reaches 0.93 here, and tells both kinds apart."""
    images, masks, _ = make_shapes(0, 100, 48)
    truth = (masks > 0).astype("int8")
    grey = images[..., 0].astype(int)
    far = np.abs(grey - np.median(grey, axis=(1, 2), keepdims=True))
    best = max(
        score_masks(count_masks(truth, (far > level).astype("int8"), 2))["dice"]
        for level in range(5, 80, 5)
    )
    assert best < 0.8


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 2)])
def test_wrong_sizes_are_one_sentence(size, channels):
    with pytest.raises(ValueError, match=r"Shapes need a `size` of 16 or more"):
        make_shapes(0, 1, size, channels=channels)
