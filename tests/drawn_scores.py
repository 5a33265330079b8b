"""Scores of made-up studies, drawn by a model that statistics are held to.

A score is 0.5, plus what the seed does to all trials, plus what it does to one
of them, plus what the test images do: as in the committed studies of small
tasks, seeds have a standard deviation of .018 with an intraclass correlation of
.2, images one of .019 with a correlation of .85 between trials.
"""

import numpy as np

SEED_STD, SEED_SHARED = 0.018, 0.2
IMAGE_STD, IMAGE_SHARED = 0.019, 0.85
MEAN = 0.5


def draw_scores(
    num_trials,
    num_seeds,
    *,
    num_studies=6_000,
    spread="equal",
    seed=0,
    shared=SEED_SHARED,
    image_std=IMAGE_STD,
):
    """Draws scores, shape `(num_studies, num_trials, num_seeds)`.

    `spread` is `equal`, `lognormal` (each trial has its own) or `baseline`
    (the first trial spreads three times as far).
    """
    random = np.random.default_rng([seed, num_trials, num_seeds])
    std = np.full((num_studies, num_trials, 1), SEED_STD)
    if spread == "lognormal":
        std *= np.exp(0.5 * random.normal(size=std.shape))
    if spread == "baseline":
        std[:, 0] *= 3
    seeds = random.normal(size=(num_studies, 1, num_seeds)) * shared**0.5
    own = random.normal(size=(num_studies, num_trials, num_seeds))
    seeds = seeds + own * (1 - shared) ** 0.5
    images = random.normal(size=(num_studies, 1, 1)) * IMAGE_SHARED**0.5
    own = random.normal(size=(num_studies, num_trials, 1))
    images = images + own * (1 - IMAGE_SHARED) ** 0.5
    return MEAN + std * seeds + image_std * images


def image_covariance_of(num_trials, image_std=IMAGE_STD):
    """Returns the covariance that `draw_scores` gives trials by the images."""
    shares = np.full((num_trials, num_trials), IMAGE_SHARED)
    np.fill_diagonal(shares, 1)
    return image_std**2 * shares


def correct(p):
    """Holm's correction along the last axis, by its definition."""
    order = np.argsort(p, axis=-1)
    steps = np.take_along_axis(p, order, -1)
    steps = steps * np.arange(p.shape[-1], 0, -1)
    steps = np.minimum(np.maximum.accumulate(steps, axis=-1), 1)
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, steps, -1)
    return corrected
