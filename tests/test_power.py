"""Plans and looks: what they promise is what simulated studies do."""

import numpy as np
import pytest
from drawn_scores import correct, draw_scores, image_covariance_of

from medzoo.report.inference import compare_pairs
from medzoo.report.power import (
    LOOKS,
    Plan,
    look_at,
    spend_level,
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


def test_what_is_detectable_has_the_planned_power():
    shown = NINE.detectable(8)
    assert NINE.power(shown, 8) == pytest.approx(0.8)


def test_looks_spend_the_level_once():
    spent = spend_level()
    assert sum(spent) == pytest.approx(0.05)
    assert np.allclose(spent, [0.0062, 0.0072, 0.0138, 0.0228], atol=6e-5)


def conduct(values, margin=None):
    """Adds seeds look by look; settled trials are frozen. Returns outcomes."""
    images = image_covariance_of(len(values))
    seen = np.full_like(values, np.nan)
    outcomes = {}
    for look, num_seeds in enumerate(LOOKS):
        going = [k for k in range(len(values)) if k not in outcomes]
        seen[going, :num_seeds] = values[going, :num_seeds]
        decided = sum(o in ("better", "worse") for o in outcomes.values())
        outcomes |= look_at(
            seen[:, :num_seeds],
            images,
            baseline=0,
            settled=outcomes,
            decided=decided,
            look=look,
            margin=margin,
        ).settled
        if len(outcomes) == len(values) - 1:
            break
    return outcomes, (~np.isnan(seen)).mean() * LOOKS[-1]


def conduct_many(num_studies, difference, *, margin=None, **changes):
    """Returns percent of studies with false calls, of true ones, and seeds."""
    drawn = draw_scores(9, LOOKS[-1], num_studies=num_studies, **changes)
    drawn[:, 1] -= difference
    found = [conduct(values, margin) for values in drawn]
    truth = {1} if difference else set()
    false = [
        any(o in ("better", "worse") and k not in truth for k, o in out.items())
        for out, _ in found
    ]
    hits = [outcomes[1] == "worse" for outcomes, _ in found]
    equal = [outcomes[1] == "equal" for outcomes, _ in found]
    seeds = np.mean([seeds for _, seeds in found])
    shares = (100 * np.mean(told) for told in (false, hits, equal))
    return (*shares, seeds)


def test_looking_until_decided_keeps_the_level_and_saves_seeds():
    false, _, _, seeds = conduct_many(300, 0.0)
    assert false <= 5
    assert seeds <= 6.1
    false, hits, _, seeds = conduct_many(150, 0.07)
    assert hits >= 93
    assert seeds <= 6.1


def test_trials_inside_the_margin_are_called_equal():
    false, _, equal, _ = conduct_many(60, 0.0, margin=0.05)
    assert false <= 7
    assert equal >= 80
    # A trial as far off as the margin is seldom called equal.
    assert conduct_many(60, 0.05, margin=0.05)[2] <= 7


@pytest.mark.slow
@pytest.mark.parametrize("spread", ["equal", "lognormal", "baseline"])
def test_looks_keep_the_level_in_many_studies(spread):
    assert conduct_many(3_000, 0.0, spread=spread)[0] <= 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("difference", "power"), [(0.05, 84), (0.07, 99), (0.1, 100)]
)
def test_looks_find_what_is_there_in_many_studies(difference, power):
    false, hits, _, seeds = conduct_many(3_000, difference)
    assert false <= 5
    assert hits >= power - 3
    assert seeds <= 6.1


@pytest.mark.slow
def test_a_margin_keeps_its_promise_in_many_studies():
    assert conduct_many(1_000, 0.04, margin=0.04)[2] <= 5
