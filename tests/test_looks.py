"""Looks at a study until it is decided: level, power, and what is saved."""

import numpy as np
import pytest
from drawn_scores import draw_scores, image_covariance_of

from medzoo.report.inference import compare_pairs
from medzoo.report.looks import (
    LOOKS,
    list_looks,
    look_until_decided,
    spend_level,
)


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


def look(values, replicates, **options):
    names = "abcdefghi"[: len(values)]
    return look_until_decided(names, values, replicates, **options)


def conduct_step_by_step(values, replicates):
    """Adds the seeds that are missing, as a study does."""
    seen = np.full_like(values, np.nan)
    found = None
    while found is None or found.missing:
        found = look(seen, replicates, baseline="a")
        for row, num_seeds in enumerate(found.given.values()):
            seen[row, :num_seeds] = values[row, :num_seeds]
    return found


def conduct_many(
    num_studies,
    difference,
    *,
    num_trials=9,
    baseline="a",
    options=None,
    **changes,
):
    """Returns percent of studies with false calls, of true ones, and seeds."""
    drawn = draw_scores(
        num_trials, LOOKS[-1], num_studies=num_studies, **changes
    )
    drawn[:, 1] -= difference
    replicates = draw_replicates(num_trials)
    options = {"baseline": baseline, **(options or {})}
    found = [look(values, replicates, **options) for values in drawn]
    settled = [each.settled for each in found]
    truth = {"b"} if difference else set()
    false = [
        any(o in ("better", "worse") and k not in truth for k, o in out.items())
        for out in settled
    ]
    hits = [outcomes.get("b") == "worse" for outcomes in settled]
    equal = [outcomes.get("b") == "equal" for outcomes in settled]
    seeds = np.mean([list(each.given.values()) for each in found])
    shares = (100 * np.mean(told) for told in (false, hits, equal))
    return (*shares, seeds)


def test_looking_until_decided_keeps_the_level_and_saves_seeds():
    false, _, _, seeds = conduct_many(160, 0.0)
    assert false <= 5
    assert seeds <= 6.1
    false, hits, _, seeds = conduct_many(80, 0.07)
    assert hits >= 93
    assert seeds <= 6.1


def test_intervals_hold_the_truth_after_all_looks():
    drawn = draw_scores(9, LOOKS[-1], num_studies=120, seed=3)
    drawn[:, 1] -= 0.05
    replicates, images = draw_replicates(9), image_covariance_of(9)
    truth = np.array([-0.05, *[0.0] * 7])
    pairs = [(row, 0) for row in range(1, 9)]
    held = []
    for values in drawn:
        given = look(values, replicates, baseline="a").given.values()
        seen = np.arange(LOOKS[-1]) < np.array(list(given))[:, None]
        found = compare_pairs(np.where(seen, values, np.nan), images, pairs)
        held.append(abs(found.estimate - truth) <= found.half_widths())
    assert 0.93 <= np.mean(held) <= 0.99


def test_trials_inside_the_margin_are_called_equal():
    false, _, equal, _ = conduct_many(40, 0.0, options={"margin": 0.05})
    assert false <= 7
    assert equal >= 80
    # A trial as far off as the margin is seldom called equal.
    assert conduct_many(120, 0.05, options={"margin": 0.05})[2] <= 8


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
    assert conduct_many(1_000, 0.04, options={"margin": 0.04})[2] <= 5


def test_a_study_without_a_baseline_is_looked_at_from_the_highest():
    values = draw_scores(5, LOOKS[-1], num_studies=1)[0]
    values[2] += 0.2
    values[4] -= 0.1
    found = look(values, draw_replicates(5))
    assert found.done[0].reference == "c"
    assert found.done[0].settled == dict.fromkeys("abde", "worse")
    assert not found.missing


@pytest.mark.slow
@pytest.mark.parametrize("num_trials", [3, 9])
def test_looks_without_a_baseline_keep_the_level(num_trials):
    false = conduct_many(
        2_000,
        0.0,
        baseline=None,
        num_trials=num_trials,
        options={"num_draws": 499},
    )[0]
    assert false <= 5


def test_interruptions_and_spare_seeds_change_nothing():
    values = draw_scores(6, LOOKS[-1], num_studies=1)[0]
    values[3] -= 0.06
    replicates = draw_replicates(6)
    whole = look(values, replicates, baseline="a")
    assert whole == conduct_step_by_step(values, replicates)
    assert set(whole.settled) == set("bcdef")
    short = look(values[:, :4], replicates, baseline="a")
    assert short.done == whole.done[:1]
    assert max(short.given.values()) == 5
    assert short.held == dict.fromkeys("abcdef", 3)


def test_a_trial_that_lost_a_run_leaves_when_its_score_is_asked_for():
    values = draw_scores(4, LOOKS[-1], num_studies=1)[0]
    values[2] -= 0.03
    replicates = draw_replicates(4)
    whole = look(values, replicates, baseline="a")
    lost = np.zeros(values.shape, bool)
    lost[2, 4] = True
    values[2, 4] = np.nan
    found = look(values, replicates, baseline="a", lost=lost)
    assert found.done[0] == whole.done[0]
    assert (found.settled["c"], found.given["c"]) == ("lost", 5)
    assert "c" not in found.done[1].p
    assert not found.missing


def test_a_study_that_lost_its_baseline_is_looked_at_from_the_highest():
    values = draw_scores(4, LOOKS[-1], num_studies=1)[0]
    values[1] += 0.2
    lost = np.zeros(values.shape, bool)
    lost[0] = True
    found = look(values, draw_replicates(4), baseline="a", lost=lost)
    assert found.done[0].reference == "b"
    assert found.settled == {"a": "lost", "c": "worse", "d": "worse"}


def test_trials_without_predictions_are_never_settled():
    values = draw_scores(4, LOOKS[-1], num_studies=1)[0]
    values[1:3] -= 0.2
    replicates = draw_replicates(4)
    replicates[:, 1] = np.nan
    for baseline in ("a", None):
        found = look(values, replicates, baseline=baseline)
        assert found.settled["b"] == "undecided"
        assert found.settled["c"] == "worse"


def test_the_last_look_is_at_the_most_seeds():
    assert list_looks(12) == (3, 5, 8, 12)
    assert list_looks(4) == (3, 4)
    assert list_looks(3) == (3,)
    assert list_looks(20) == (3, 5, 8, 12, 20)
