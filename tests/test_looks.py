"""Looks at a study until it is decided: level, power, and what is saved."""

import numpy as np
import pytest
from drawn_scores import draw_scores, image_covariance_of

from medzoo.report.looks import LOOKS, look_until_decided, spend_level


def test_looks_spend_the_level_once():
    spent = spend_level()
    assert sum(spent) == pytest.approx(0.05)
    assert np.allclose(spent, [0.0062, 0.0072, 0.0138, 0.0228], atol=6e-5)


def draw_replicates(num_trials):
    """Draws bootstraps that have the covariance of the images exactly."""
    draws = np.random.default_rng(0).normal(size=(60, num_trials))
    draws -= draws.mean(axis=0)
    root = np.linalg.cholesky(np.cov(draws.T))
    wanted = np.linalg.cholesky(image_covariance_of(num_trials))
    draws = draws @ np.linalg.inv(root).T @ wanted.T
    return np.tile(draws[..., None], (1, 1, LOOKS[-1]))


def conduct(values, replicates, margin=None, baseline=0):
    """Returns outcomes, and how many seeds a trial was given on average."""
    found = look_until_decided(
        values, replicates, baseline=baseline, margin=margin
    )
    seeds = {k: look.num_seeds for look in found.done for k in look.settled}
    last = found.done[-1].num_seeds
    given = [seeds.get(trial, last) for trial in range(len(values))]
    return found.settled, np.mean(given)


def conduct_step_by_step(values, replicates):
    """Adds the seeds that are missing, as a study does."""
    seen = np.full_like(values, np.nan)
    found = None
    while found is None or found.missing:
        found = look_until_decided(seen, replicates, baseline=0)
        for trial, num_seeds in found.missing.items():
            seen[trial, :num_seeds] = values[trial, :num_seeds]
    return found


def conduct_many(
    num_studies, difference, *, margin=None, baseline=0, **changes
):
    """Returns percent of studies with false calls, of true ones, and seeds."""
    drawn = draw_scores(9, LOOKS[-1], num_studies=num_studies, **changes)
    drawn[:, 1] -= difference
    replicates = draw_replicates(9)
    found = [conduct(values, replicates, margin, baseline) for values in drawn]
    truth = {1} if difference else set()
    false = [
        any(o in ("better", "worse") and k not in truth for k, o in out.items())
        for out, _ in found
    ]
    hits = [outcomes.get(1) == "worse" for outcomes, _ in found]
    equal = [outcomes.get(1) == "equal" for outcomes, _ in found]
    seeds = np.mean([seeds for _, seeds in found])
    shares = (100 * np.mean(told) for told in (false, hits, equal))
    return (*shares, seeds)


def test_looking_until_decided_keeps_the_level_and_saves_seeds():
    false, _, _, seeds = conduct_many(160, 0.0)
    assert false <= 5
    assert seeds <= 6.1
    false, hits, _, seeds = conduct_many(80, 0.07)
    assert hits >= 93
    assert seeds <= 6.1


def test_trials_inside_the_margin_are_called_equal():
    false, _, equal, _ = conduct_many(40, 0.0, margin=0.05)
    assert false <= 7
    assert equal >= 80
    # A trial as far off as the margin is seldom called equal.
    assert conduct_many(120, 0.05, margin=0.05)[2] <= 8


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


def test_a_study_without_a_baseline_is_looked_at_from_the_highest():
    values = draw_scores(5, LOOKS[-1], num_studies=1)[0]
    values[2] += 0.2
    values[4] -= 0.1
    found = look_until_decided(values, draw_replicates(5))
    assert found.done[0].reference == 2
    assert found.done[0].settled == dict.fromkeys([0, 1, 3, 4], "worse")
    assert not found.missing


@pytest.mark.slow
def test_looks_without_a_baseline_keep_the_level():
    # 5.5 in 200 studies, which are right to 1.6.
    assert conduct_many(200, 0.0, baseline=None)[0] <= 7


def test_interruptions_and_spare_seeds_change_nothing():
    values = draw_scores(6, LOOKS[-1], num_studies=1)[0]
    values[3] -= 0.06
    replicates = draw_replicates(6)
    whole = look_until_decided(values, replicates, baseline=0)
    assert whole == conduct_step_by_step(values, replicates)
    assert set(whole.settled) == {1, 2, 3, 4, 5}
    short = look_until_decided(values[:, :4], replicates, baseline=0)
    assert short.done == whole.done[:1]
    assert set(short.missing.values()) <= {5}
