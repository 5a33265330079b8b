"""Differences and intervals: level, power and coverage, by simulation."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from drawn_scores import MEAN, correct, draw_scores, image_covariance_of
from numpy.testing import assert_allclose
from scipy import stats

from medzoo.report.inference import (
    compare_pairs,
    estimate_trials,
    find_unsteady,
    holm,
    image_covariance,
    luck_of_best,
    p_of_all_pairs,
    residual_variance,
    smallest_p,
)

ROOT = Path(__file__).parents[1]
# Level in % for equal, log-normal and three times noisier baseline spread;
# power in % for differences of .05 and .1; mean half-width.
TABLE = {
    (9, 2): (1.5, 3.9, 8.2, 16, 74, 0.0496),
    (9, 3): (1.2, 2.6, 6.6, 31, 94, 0.0398),
    (9, 5): (1.9, 1.9, 4.1, 58, 100, 0.0317),
    (3, 3): (3.0, 3.8, 6.2, 49, 97, 0.0424),
    (3, 5): (3.2, 3.5, 5.1, 78, 100, 0.0320),
}
# Harmonic means of breastmnist and retinamnist by trial and seed: the study of
# optimizers as committed.
OPTIMIZERS = {
    "rmsprop": [0.508406, 0.530799, 0.500172],
    "adam": [0.516447, 0.524342, 0.480795],
    "lion": [0.500953, 0.500245, 0.498917],
    "nesterov": [0.516246, 0.493490, 0.481857],
    "momentum": [0.511560, 0.480262, 0.484746],
    "nadam": [0.495693, 0.453705, 0.524472],
    "adamw": [0.492971, 0.486426, 0.465301],
    "adagrad": [0.496872, 0.475787, 0.448865],
    "sgd": [0.403173, 0.369820, 0.398482],
}


def to_baseline(values):
    num_trials = values.shape[-2]
    pairs = [(trial, 0) for trial in range(1, num_trials)]
    return compare_pairs(values, image_covariance_of(num_trials), pairs)


def check_row(num_trials, num_seeds, num_studies, slack=(1.0, 3.0)):
    level, power = slack
    expected = TABLE[num_trials, num_seeds]
    spreads = ("equal", "lognormal", "baseline")
    for spread, told in zip(spreads, expected, strict=False):
        values = draw_scores(
            num_trials, num_seeds, spread=spread, num_studies=num_studies
        )
        wrong = correct(to_baseline(values).p).min(axis=1) <= 0.05
        assert 100 * wrong.mean() == pytest.approx(told, abs=level), spread
    values = draw_scores(num_trials, num_seeds, num_studies=num_studies, seed=1)
    for difference, told in zip((0.05, 0.1), expected[3:5], strict=True):
        moved = values.copy()
        moved[:, 1] -= difference
        found = correct(to_baseline(moved).p)[:, 0] <= 0.05
        assert 100 * found.mean() >= told - power
    halves = to_baseline(values).half_widths().mean()
    assert halves == pytest.approx(expected[5], rel=0.02)


@pytest.mark.parametrize(("num_trials", "num_seeds"), TABLE)
def test_level_power_and_width_of_differences(num_trials, num_seeds):
    check_row(num_trials, num_seeds, 6_000)


@pytest.mark.slow
@pytest.mark.parametrize(("num_trials", "num_seeds"), TABLE)
def test_level_power_and_width_in_many_studies(num_trials, num_seeds):
    check_row(num_trials, num_seeds, 60_000)


def test_the_page_shows_what_was_simulated():
    path = ROOT / "benchmarks" / "verdicts.py"
    spec = importlib.util.spec_from_file_location("verdicts", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    rows = script.read_rows()
    (shown,) = script.BLOCK.findall(script.PAGE.read_text(encoding="utf-8"))
    assert shown == script.format_rows(rows)
    for row in rows:
        shape, found = tuple(map(int, row[:2])), row[2:]
        told = [float(text.removesuffix(" %")) for text in found]
        assert_allclose(told[:3], TABLE[shape][:3], atol=1)
        assert_allclose(told[3:5], TABLE[shape][3:5], atol=3)
        assert told[5] == pytest.approx(TABLE[shape][5], abs=0.001)


def test_differences_of_a_committed_study():
    values = np.array(list(OPTIMIZERS.values()))
    names = list(OPTIMIZERS)
    # Half of the variance of a difference, which is 1e-4, in each trial.
    images = 5e-5 * np.eye(9)
    shown = ["sgd", "adagrad", "nadam"]
    pairs = [(names.index(name), names.index("adam")) for name in shown]
    found = compare_pairs(values, images, pairs)
    assert_allclose(found.estimate, [-0.11670, -0.03335, -0.01590], atol=5e-6)
    halves = found.half_widths()
    assert_allclose(halves, [0.05426, 0.03962, 0.08289], atol=5e-6)
    assert_allclose(found.p[:2], [0.00129, 0.08919], atol=5e-6)


def coverage(num_trials, num_seeds, *, shared, share, num_studies=6_000):
    """Measures how often single intervals hold the truth, in percent."""
    image_std = share * 0.018
    values = draw_scores(
        num_trials,
        num_seeds,
        shared=shared,
        image_std=image_std,
        num_studies=num_studies,
    )
    images = image_covariance_of(num_trials, image_std)
    found = estimate_trials(values, images)
    return 100 * (abs(found.estimate - MEAN) <= found.half_widths()).mean()


@pytest.mark.parametrize("share", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("shared", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("shape", [(3, 2), (3, 5), (9, 2), (9, 3)])
def test_single_intervals_hold_the_truth(shape, shared, share):
    assert 93 <= coverage(*shape, shared=shared, share=share) <= 98


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("shared", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("num_seeds", [2, 3, 5, 8])
@pytest.mark.parametrize("num_trials", [3, 5, 9, 20])
def test_single_intervals_in_many_studies(num_trials, num_seeds, shared, share):
    found = coverage(
        num_trials, num_seeds, shared=shared, share=share, num_studies=40_000
    )
    # Many trials of two seeds without any luck of images: 98.1.
    assert 93 <= found <= 98.5


def winner(num_trials, num_seeds, between, num_studies):
    """Returns coverage in percent and bias of the best trial, corrected."""
    values = draw_scores(num_trials, num_seeds, num_studies=num_studies)
    random = np.random.default_rng(5)
    truth = MEAN + between * random.normal(size=(num_studies, num_trials))
    values = values + truth[..., None] - MEAN
    images = image_covariance_of(num_trials)
    found = estimate_trials(values, images)
    rows, best = np.arange(num_studies), found.estimate.argmax(axis=1)
    errors = found.estimate - truth
    errors = errors[rows, best] - luck_of_best(values, images)
    halves = found.half_widths()[rows, best]
    return 100 * (abs(errors) <= halves).mean(), errors.mean()


@pytest.mark.parametrize("between", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("shape", [(5, 3), (9, 2), (9, 3), (9, 5)])
def test_the_interval_of_the_best_bears_that_it_was_picked(shape, between):
    covered, bias = winner(*shape, between, 6_000)
    assert covered >= 93
    assert abs(bias) <= 0.008


@pytest.mark.slow
@pytest.mark.parametrize("between", [0.0, 0.005, 0.01, 0.03])
@pytest.mark.parametrize("num_seeds", [2, 3, 5, 12])
@pytest.mark.parametrize("num_trials", [3, 4, 5, 9, 20])
def test_the_interval_of_the_best_in_many_studies(
    num_trials, num_seeds, between
):
    assert winner(num_trials, num_seeds, between, 40_000)[0] >= 93


def share_of_best_called_better(num_trials, num_seeds, num_studies):
    images = image_covariance_of(num_trials)
    wrong = 0
    for values in draw_scores(num_trials, num_seeds, num_studies=num_studies):
        p = p_of_all_pairs(values, images, num_draws=300)
        best = values.mean(axis=1).argmax()
        wrong += np.nanmin(p[best]) <= 0.05
    return 100 * wrong / num_studies


@pytest.mark.parametrize("shape", [(3, 3), (6, 3)])
def test_the_best_of_equal_trials_is_seldom_called_better(shape):
    assert share_of_best_called_better(*shape, 150) <= 9


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 2), (3, 5), (9, 2), (9, 3), (9, 5)])
def test_the_best_of_equal_trials_in_many_studies(shape):
    # 3,000 studies are right to 0.4.
    assert share_of_best_called_better(*shape, 3_000) <= 6.5


def test_pairs_of_a_committed_study():
    values = np.array(list(OPTIMIZERS.values()))
    p = p_of_all_pairs(values, 5e-5 * np.eye(9))
    assert np.isnan(np.diag(p)).all()
    assert_allclose(p, p.T)
    # Plain SGD is worse than each of the others, and nothing else is told.
    assert (p[8, :7] <= 0.05).all()
    assert np.nanmin(p[:8, :8]) > 0.05
    assert_allclose(p, p_of_all_pairs(values, 5e-5 * np.eye(9)))


def test_two_trials_are_a_paired_t_test():
    values = draw_scores(2, 5, num_studies=1)[0]
    found = compare_pairs(values, np.zeros((2, 2)), [(0, 1)])
    expected = stats.ttest_rel(*values)
    assert_allclose(found.p, expected.pvalue)
    low, high = expected.confidence_interval()
    assert_allclose(found.half_widths(), (high - low) / 2)
    assert_allclose(p_of_all_pairs(values, np.zeros((2, 2)))[0, 1], found.p)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2)])
def test_few_degrees_of_freedom_keep_the_level(shape, share):
    image_std = share * 0.018
    values = draw_scores(*shape, image_std=image_std, num_studies=20_000)
    images = image_covariance_of(shape[0], image_std)
    p = compare_pairs(values, images, [(1, 0)]).p
    assert 100 * (p <= 0.05).mean() <= 5.5


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2), (9, 3)])
def test_interval_and_test_are_one_statistic(shape):
    found = to_baseline(draw_scores(*shape, num_studies=200))
    for level in (0.01, 0.05, 0.3):
        excluded = abs(found.estimate) > found.half_widths(level)
        assert (excluded == (found.p < level)).all()


def test_more_variance_of_images_widens_an_interval():
    values = draw_scores(2, 2, num_studies=1)[0]
    halves = [
        estimate_trials(values, share * np.eye(2)).half_widths()
        for share in (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
    ]
    assert (np.diff(halves, axis=0) >= 0).all()
    assert (halves[-1] > halves[0]).all()
    halves = [
        compare_pairs(values, share * np.eye(2), [(0, 1)]).half_widths()
        for share in (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
    ]
    assert (np.diff(halves, axis=0) >= 0).all()
    assert (halves[-1] > halves[0]).all()


def test_a_trial_without_spread_leaves_the_pool():
    values = draw_scores(4, 3, num_studies=1)[0]
    steady = np.vstack([values, np.full(3, 0.4), np.full(3, 0.3)])
    images = 1e-4 * np.eye(6)
    alone = compare_pairs(values, images[:4, :4], [(1, 0)])
    found = compare_pairs(steady, images, [(1, 0), (1, 4), (5, 4)])
    assert_allclose(found.p[0], alone.p[0])
    # One of the pair is steady: prior is the mean variance of the others.
    own = values[1].var(ddof=1)
    others = np.delete(values, 1, axis=0).var(axis=1, ddof=1).mean()
    expected = max((4 * others + 2 * own) / 6, own) / 3
    assert_allclose(found.seeds[1], expected)
    assert found.freedom[1] == 6
    # Both are: only the images are left.
    assert found.seeds[2] == 0
    z = stats.norm.ppf(0.975)
    assert_allclose(found.half_widths()[2], z * np.sqrt(2e-4), rtol=1e-6)


def test_equal_runs_differ_in_nothing():
    values = np.full((3, 3), 0.5)
    found = compare_pairs(values, np.zeros((3, 3)), [(0, 1)])
    assert (found.p[0], found.half_widths()[0]) == (1, 0)
    far = compare_pairs(values + [[0], [0.1], [0]], np.zeros((3, 3)), [(0, 1)])
    assert far.p[0] == 0


def test_one_seed_covers_images_and_tests_nothing():
    values = np.array([[0.5], [0.6], [0.7]])
    images = 1e-4 * np.eye(3)
    found = estimate_trials(values, images)
    assert_allclose(found.half_widths(), 0.0196, rtol=1e-3)
    found = compare_pairs(values, images, [(0, 1)])
    assert np.isnan(found.p).all()
    assert np.isnan(p_of_all_pairs(values, images)).all()


def test_trials_that_were_stopped_still_tell_of_the_spread():
    values = draw_scores(5, 5, num_studies=1)[0]
    holed = values.copy()
    holed[3:, 3:] = np.nan
    images = image_covariance_of(5)
    found = compare_pairs(holed, images, [(1, 0), (3, 0)])
    assert list(found.num_seeds) == [5, 3]
    assert_allclose(found.estimate[0], (values[1] - values[0]).mean())
    assert_allclose(found.estimate[1], (values[3] - values[0])[:3].mean())
    # The pool: least squares on trials and seeds, less what the pair tells.
    rows = [(k, s) for k in range(5) for s in range(5) if s < 3 or k < 3]
    design = np.zeros((len(rows), 10))
    for at, (k, s) in enumerate(rows):
        design[at, [k, 5 + s]] = 1
    y = np.array([values[k, s] for k, s in rows])
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    own = (values[1] - values[0]).var(ddof=1)
    degrees = len(rows) - 9 - 4
    prior = 2 * ((left**2).sum() - 2 * own) / degrees
    expected = max((4 * prior + 4 * own) / 8, own) / 5
    assert_allclose(found.seeds[0], expected)


def test_overlapping_training_sets_are_no_independent_seeds():
    values = draw_scores(3, 5, num_studies=1)[0]
    none = np.zeros((3, 3))
    plain = compare_pairs(values, none, [(0, 1)])
    folds = compare_pairs(values, none, [(0, 1)], overlap=1 / 4)
    assert_allclose(folds.seeds, plain.seeds * (1 / 5 + 1 / 4) * 5)
    assert folds.p > plain.p


def test_what_images_do_to_all_seeds_is_parted_from_one_seeds_luck():
    random = np.random.default_rng(0)
    common = random.normal(0, 0.3, size=(40_000, 1, 1))
    of_trial = random.normal(0, 0.4, size=(40_000, 2, 1))
    own = random.normal(0, 0.5, size=(40_000, 2, 4))
    found = image_covariance(common + of_trial + own)
    assert_allclose(found, [[0.25, 0.09], [0.09, 0.25]], atol=0.01)
    one = image_covariance((common + of_trial + own)[..., :1])
    assert_allclose(one, [[0.5, 0.09], [0.09, 0.5]], atol=0.02)


def test_images_of_a_stopped_trial_are_those_of_its_seeds():
    random = np.random.default_rng(1)
    replicates = random.normal(size=(500, 3, 1)) + random.normal(
        size=(500, 3, 4)
    )
    holed = replicates.copy()
    holed[:, 2, 2:] = np.nan
    found = image_covariance(holed)
    assert_allclose(
        found[:2, :2], image_covariance(replicates[:, :2]), atol=1e-12
    )
    assert_allclose(found[2, 2], image_covariance(replicates[:, 2:, :2])[0, 0])
    pairs = [
        np.cov(replicates[:, 0, s], replicates[:, 2, r])[0, 1]
        for s in range(4)
        for r in range(2)
        if s != r
    ]
    assert_allclose(found[0, 2], np.mean(pairs))


def test_a_trial_near_collapse_is_named():
    values = draw_scores(6, 3, num_studies=2_000)
    assert find_unsteady(values).any(axis=1).mean() < 0.05
    values[:, 2, 1] -= 0.3
    found = find_unsteady(values)
    assert found[:, 2].all()
    assert not np.delete(found, 2, axis=1).any()


def test_the_residual_variance_leaves_out_trials_and_seeds():
    values = draw_scores(9, 5)
    found = [residual_variance(study) for study in values[:500]]
    assert np.mean(found) == pytest.approx(0.018**2 * 0.8, rel=0.03)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]
    assert holm([0.01, 0.4], family=3) == [0.03, 0.8]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("num_trials", "num_seeds"), [(7, 1), (7, 2), (7, 5), (300, 3)]
)
def test_smallest_p_is_the_smallest_of_all(num_trials, num_seeds):
    random = np.random.default_rng(num_seeds)
    num_studies = 200 if num_trials < 10 else 2
    values = random.normal(MEAN, 0.02, (num_studies, num_trials, num_seeds))
    values[:, -1] = values[:, -1, :1]
    if num_seeds == 5:
        values[:, :2, 3:] = np.nan
    root = random.normal(0, 0.004, (num_trials, 9))
    images = root @ root.T
    pairs = np.argwhere(np.triu(np.ones(images.shape), 1))
    found = compare_pairs(values, images, pairs)
    smallest = np.where(np.isnan(found.p), np.inf, found.p).min(axis=-1)
    smallest[np.isinf(smallest)] = np.nan
    assert_allclose(smallest_p(values, images), smallest, rtol=1e-9)
