"""Intervals: they hold the truth as often as they say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from medzoo.report.bootstrap import bootstrap_score
from medzoo.report.statistics import (
    estimate,
    half_widths,
    harmonic_weights,
    shared_image_variance,
)
from medzoo.scores.probabilities import harmonic_mean, macro_f1


def coverage(num_seeds, num_tasks, share, *, uneven=1.0):
    """Measures how often an interval holds the truth, which is 0.

    `share` is the variance of the images by that of the mean over seeds.
    """
    random = np.random.default_rng([num_seeds, num_tasks, int(10 * share)])
    std = uneven ** np.arange(num_tasks)
    images = np.tile(share * std**2 / num_seeds, (10_000, 1))
    luck = np.sqrt(images) * random.normal(size=images.shape)
    seeds = random.normal(size=(10_000, num_seeds, num_tasks))
    parts = std * seeds + luck[:, None]
    errors = np.abs(parts.mean(axis=1).sum(axis=-1))
    return (errors <= half_widths(parts, images)).mean()


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("num_tasks", [1, 2, 11])
@pytest.mark.parametrize("num_seeds", [3, 4, 5])
def test_intervals_hold_the_truth_in_93_to_97_percent(
    num_seeds, num_tasks, share
):
    assert 0.93 <= coverage(num_seeds, num_tasks, share) <= 0.97
    assert 0.93 <= coverage(num_seeds, num_tasks, share, uneven=2) <= 0.97


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("num_tasks", [1, 2, 11])
def test_intervals_of_two_seeds_are_wide_rather_than_wrong(num_tasks, share):
    assert 0.93 <= coverage(2, num_tasks, share) <= 0.985
    assert 0.93 <= coverage(2, num_tasks, share, uneven=2) <= 0.985


def draw_images(random, num_images):
    """Draws labels, and luck with an image that all models share."""
    labels = random.choice(3, size=num_images, p=[0.6, 0.3, 0.1])
    return labels, random.normal(size=(num_images, 3))


def train(random):
    """Trains a model: it errs in its own way on classes and on images."""
    bias = random.normal(0, 0.3, 3)

    def predict(labels, luck):
        own = random.normal(0, 0.5, luck.shape)
        exponentials = np.exp(1.5 * np.eye(3)[labels] + luck + own + bias)
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    return predict


def test_intervals_from_predictions_hold_the_score_on_other_images():
    random = np.random.default_rng(5)
    labels, luck = draw_images(random, 5_000)
    truth = np.mean(
        [macro_f1(train(random)(labels, luck), labels) for _ in range(400)]
    )
    hits = 0
    for _ in range(300):
        labels, luck = draw_images(random, 200)
        runs = [train(random)(labels, luck) for _ in range(3)]
        scores = np.array([[macro_f1(run, labels)] for run in runs])
        replicates = [
            bootstrap_score(run, labels, num_replicates=200) for run in runs
        ]
        found = estimate(
            scores[:, 0], scores, np.stack(replicates, axis=1)[..., None]
        )
        hits += found.low <= truth <= found.high
    # Macro F1 of 20 images of the rarest class is not quite normal.
    assert 0.92 <= hits / 300 <= 0.99


def test_only_luck_that_seeds_share_outlives_their_average():
    random = np.random.default_rng(0)
    common = random.normal(0, 0.3, size=(100_000, 1, 1))
    own = random.normal(0, 0.5, size=(100_000, 4, 2))
    assert_allclose(shared_image_variance(common + own), 0.09, rtol=0.05)
    both = shared_image_variance((common + own)[:, :1])
    assert_allclose(both, 0.09 + 0.25, rtol=0.05)


def test_weights_are_the_slopes_of_the_harmonic_mean():
    means = np.array([0.2, 0.5, 0.9])
    weights = harmonic_weights(means)
    steps = 1e-6 * np.eye(3)
    slopes = [
        (harmonic_mean(means + step) - harmonic_mean(means - step)) / 2e-6
        for step in steps
    ]
    assert_allclose(weights, slopes, rtol=1e-6)
    assert_allclose(weights @ means, harmonic_mean(means))


def test_runs_that_agree_everywhere_have_an_interval_of_no_width():
    assert half_widths(np.zeros((3, 1)), np.zeros(1)) == 0
    assert np.isnan(half_widths(np.full((3, 1), np.nan), np.zeros(1)))
