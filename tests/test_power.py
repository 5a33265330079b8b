"""Plans: what they promise is what simulated studies do."""

import numpy as np
import pytest
from drawn_scores import correct, draw_scores, image_covariance_of

from medzoo.report.inference import compare_pairs
from medzoo.report.power import (
    Plan,
)

# Of `draw_scores`: what a plan asks for.
RESIDUAL, IMAGES = 0.018**2 * 0.8, 0.0104**2
NINE = Plan(9, RESIDUAL, IMAGES)


@pytest.mark.parametrize(
    ("difference", "image_std", "expected"),
    [
        (0.05, 0.0104, [5, 5, 8]),
        (0.02, 0.0104, [None, None, None]),
        (0.02, 0.0022, [14, 16, 23]),
    ],
)
def test_seeds_that_a_difference_takes(difference, image_std, expected):
    plans = [Plan(count, RESIDUAL, image_std**2) for count in (2, 3, 9)]
    assert [plan.seeds_needed(difference) for plan in plans] == expected


@pytest.mark.parametrize(
    ("num_trials", "num_seeds", "simulated"),
    [(2, 5, 85), (3, 5, 79), (9, 8, 79)],
)
def test_the_planned_power_is_that_of_simulated_studies(
    num_trials, num_seeds, simulated
):
    values = draw_scores(num_trials, num_seeds)
    values[:, 1] -= 0.05
    pairs = [(trial, 0) for trial in range(1, num_trials)]
    found = compare_pairs(values, image_covariance_of(num_trials), pairs)
    power = 100 * (correct(found.p)[:, 0] <= 0.05).mean()
    assert power == pytest.approx(simulated, abs=3)
    planned = Plan(num_trials, RESIDUAL, IMAGES).power(0.05, num_seeds)
    assert 100 * planned == pytest.approx(power, abs=6)


def test_no_number_of_seeds_passes_the_floor():
    floor = NINE.smallest_visible
    assert NINE.detectable(100_000) == pytest.approx(floor, rel=0.01)
    assert NINE.seeds_needed(0.99 * floor) is None
    shown = [NINE.detectable(number) for number in range(2, 30)]
    assert (np.diff(shown) < 0).all()
    assert min(shown) > floor


def test_training_sets_that_overlap_raise_the_floor():
    folds = Plan(9, RESIDUAL, IMAGES, overlap=1 / 4)
    assert folds.smallest_visible > NINE.smallest_visible
    assert folds.detectable(100_000) == pytest.approx(
        folds.smallest_visible, rel=0.01
    )
    assert folds.power(0.05, 5) < NINE.power(0.05, 5)


def test_what_is_detectable_has_the_planned_power():
    shown = NINE.detectable(8)
    assert NINE.power(shown, 8) == pytest.approx(0.8)
