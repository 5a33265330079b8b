"""Corrupted images."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import balanced_accuracy_score

from medzoo.data.corruptions import (
    KINDS,
    NUM_SEVERITIES,
    corrupt,
    list_kinds,
)
from medzoo.data.sources import load
from medzoo.tasks import NAMES, TASKS
from medzoo.training.robustness import score_corrupted


@pytest.fixture(scope="module", params=["breastmnist", "dermamnist"])
def images(request):
    return load(request.param, "synthetic").test.images[:2]


def enlarge(images):
    """Makes images of 112 pixels, so that blurs are seen."""
    return ndimage.zoom(images, (1, 4, 4, 1), order=1)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_repeats_itself_and_grows_with_severity(kind, images):
    images = enlarge(images)
    strengths = next(
        found[kind]
        for name in NAMES
        if kind in (found := list_kinds(name, TASKS[name].channels))
    )
    before = images.copy()
    made = [corrupt(images, kind, each) for each in strengths]
    np.testing.assert_array_equal(images, before)
    for each, strength in zip(made, strengths, strict=True):
        assert (each.shape, each.dtype) == (images.shape, np.uint8)
        np.testing.assert_array_equal(each, corrupt(images, kind, strength))
    far = [np.abs(each - images.astype(float)).mean() for each in made]
    assert far[-1] > far[0] > 0
    assert (np.diff(far) > -0.1 * far[-1]).all()


@pytest.mark.parametrize(
    ("kind", "strength"),
    [("brightness_up", 1.0), ("contrast_up", 1.0), ("gamma_up", 1.0),
     ("pixelate", 1.0), ("gaussian_noise", 0.0), ("impulse_noise", 0.0),
     ("defocus", 0.0), ("motion", 0.0)],
)  # fmt: skip
def test_no_strength_is_no_change(kind, strength, images):
    np.testing.assert_array_equal(corrupt(images, kind, strength), images)


def test_known_answers():
    image = np.full((1, 8, 8, 1), 100, np.uint8)
    image[:, :4] = 200
    assert corrupt(image, "brightness_up", 1.5)[0, ::4, 0, 0].tolist() == [
        255, 150,
    ]  # fmt: skip
    # About the mean of 150.
    assert corrupt(image, "contrast_down", 0.5)[0, ::4, 0, 0].tolist() == [
        175, 125,
    ]  # fmt: skip
    # 255 * (100 / 255) ** 2 = 39.2
    assert corrupt(image, "gamma_up", 2.0)[0, 7, 7, 0] == 39
    assert np.ptp(corrupt(image, "pixelate", 1 / 8)) == 0
    noisy = corrupt(
        np.full((4, 64, 64, 1), 128, np.uint8), "gaussian_noise", 0.1
    )
    assert noisy.std() == pytest.approx(25.5, rel=0.05)
    noisy = corrupt(
        np.full((4, 64, 64, 1), 128, np.uint8), "impulse_noise", 0.2
    )
    assert (noisy != 128).mean() == pytest.approx(0.2, abs=0.02)


def test_motion_keeps_the_mean_and_blurs_along_the_rows_most(images):
    large = enlarge(images)
    moved = corrupt(large, "motion", 20)
    assert moved.mean() == pytest.approx(large.mean(), rel=0.01)

    def steps(x, axis):
        return np.abs(np.diff(x.astype(float), axis=axis)).mean()

    assert steps(moved, 2) / steps(large, 2) < steps(moved, 1) / steps(large, 1)


def test_a_disc_is_that_of_scipy(images):
    """Lengths are of images of 224 pixels, so that 12 are 6 here."""
    large = enlarge(images[:1, ..., :1])
    rows, columns = np.indices((15, 15)) - 7
    disc = (np.hypot(rows, columns) <= 6).astype(float)
    expected = ndimage.convolve(
        large[0, ..., 0].astype(float), disc / disc.sum(), mode="reflect"
    )
    found = corrupt(large, "defocus", 12)[0, ..., 0]
    assert np.abs(found - expected).mean() < 1


def test_every_task_has_its_kinds():
    for name in NAMES:
        kinds = list_kinds(name, TASKS[name].channels)
        assert set(kinds) <= set(KINDS)
        assert all(len(each) == NUM_SEVERITIES for each in kinds.values())
    assert set(list_kinds("mine", 1)) == set(list_kinds("pneumoniamnist", 1))
    assert "characters" in list_kinds("mine", 3)


def test_errors_of_corrupted_images_are_those_of_their_predictions():
    data = load("breastmnist", "synthetic")
    bright = data.train.images[data.train.labels == 1].mean()

    def predict(images):
        """Tells the classes of synthetic images by nothing but brightness."""
        certain = images.mean(axis=(1, 2, 3)) > bright - 20
        return np.stack([1 - certain, certain], axis=1).astype("float32")

    found = score_corrupted(predict, data, data.test)
    labels = data.test.labels

    def error(images):
        guess = predict(images).argmax(axis=1)
        return 1 - balanced_accuracy_score(labels, guess)

    assert found.clean == pytest.approx(error(data.test.images[:]))
    dark = corrupt(data.test.images[:], "brightness_down", 0.3)
    at = [*found.kinds].index("brightness_down")
    assert found.errors[at, 4] == pytest.approx(error(dark))
    assert set(found.kinds) == set(list_kinds("breastmnist", 1))
    assert found.mean == pytest.approx(np.mean([*found.by_kind.values()]))
