"""Plans: what they promise is what simulated studies do."""

import numpy as np
import pytest
from drawn_scores import correct, draw_scores, image_covariance_of

from medzoo.report.inference import compare_pairs, p_of_all_pairs
from medzoo.report.power import Plan, plan_by_spread

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


@pytest.mark.parametrize(("num_trials", "num_seeds"), [(3, 5), (9, 8)])
def test_the_planned_power_of_all_pairs_is_that_of_simulated_studies(
    num_trials, num_seeds
):
    values = draw_scores(num_trials, num_seeds, num_studies=300)
    values[:, 1] -= 0.05
    images = image_covariance_of(num_trials)
    found = [
        p_of_all_pairs(drawn, images, num_draws=300)[1, 0] <= 0.05
        for drawn in values
    ]
    plan = Plan(num_trials, RESIDUAL, IMAGES, all_pairs=True)
    power = 100 * plan.power(0.05, num_seeds)
    assert power == pytest.approx(100 * np.mean(found), abs=9)
    fewer = Plan(num_trials, RESIDUAL, IMAGES)
    assert power < 100 * fewer.power(0.05, num_seeds)
    assert plan.smallest_visible > fewer.smallest_visible


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


def test_a_trial_that_collapses_does_not_say_what_others_take():
    values = draw_scores(9, 5)[0]
    images = image_covariance_of(9)
    steady = plan_by_spread(values, images, num_trials=9, reference=0)
    assert steady.images == pytest.approx(IMAGES, rel=0.01)
    values[8] = [0.6, 0.1, 0.5, 0.2, 0.4]
    images[8, 8] *= 100
    found = plan_by_spread(values, images, num_trials=9, reference=0)
    assert found.images == pytest.approx(IMAGES, rel=0.01)
    assert found.residual == pytest.approx(steady.residual, rel=0.3)
    # Against the one that collapses, that counts.
    found = plan_by_spread(values, images, num_trials=9, reference=8)
    assert found.images > 10 * IMAGES
    assert found.residual > 10 * steady.residual


def test_one_far_trial_does_not_raise_the_floor():
    values, images = draw_scores(9, 5)[0], image_covariance_of(9)
    images[8, 8] *= 100
    found = plan_by_spread(values, images, num_trials=9)
    assert found.images == pytest.approx(IMAGES, rel=0.01)


def test_without_known_images_there_is_no_plan():
    unknown = np.full((3, 3), np.nan)
    values = draw_scores(3, 5)[0]
    assert plan_by_spread(values, unknown, num_trials=3) is None
