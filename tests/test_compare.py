"""Tests of trials: level, power, and numbers from elsewhere."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from medzoo.report.comparisons import (
    friedman,
    holm,
    normal_range,
    probability_of_improvement,
    sign_flip_test,
)


@pytest.mark.parametrize("shape", [(3, 2), (2, 5), (1, 9)])
def test_sign_flips_agree_with_scipy(shape):
    differences = np.random.default_rng(1).normal(0.5, 1, size=shape)
    expected = stats.permutation_test(
        (differences.ravel(), np.zeros(differences.size)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    found = sign_flip_test(differences, np.zeros(shape[1]))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.smallest_p == 2 / 2**differences.size


def test_random_flips_come_near_the_exact_ones():
    differences = np.random.default_rng(6).normal(0.35, 1, size=(3, 11))
    found = sign_flip_test(differences, np.zeros(11))
    expected = stats.ttest_1samp(differences.ravel(), 0).pvalue
    assert found.p == pytest.approx(expected, rel=0.2)
    assert found.smallest_p == 2**-16


def share_of_rejections(shape, share, *, effect=0.0):
    random = np.random.default_rng([*shape, int(10 * share)])
    images = np.full(shape[1], share)
    found = [
        sign_flip_test(
            effect
            + random.normal(size=shape)
            + random.normal(size=shape[1]) * share**0.5,
            images,
        ).p
        for _ in range(3_000)
    ]
    return (np.array(found) <= 0.05).mean()


@pytest.mark.parametrize("share", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("shape", [(1, 11), (2, 5), (3, 3), (5, 2), (6, 1)])
def test_the_test_finds_nothing_where_nothing_is(shape, share):
    # 3,000 studies are right to 0.004.
    assert share_of_rejections(shape, share) <= 0.062


def test_the_test_finds_what_is_there():
    assert share_of_rejections((3, 4), 0.0, effect=1.0) >= 0.8
    assert share_of_rejections((3, 4), 0.5, effect=2.0) >= 0.8


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]
    assert holm([0.01, 0.4], family=3) == [0.03, 0.8]
    assert holm([]) == []


def test_probability_of_improvement_by_hand():
    better = np.array([[0.6, 0.5], [0.8, 0.5]])
    worse = np.array([[0.5, 0.5], [0.7, 0.9]])
    # 3 of 4 pairs, and two ties of 4.
    assert probability_of_improvement(better, worse) == (0.75 + 0.25) / 2
    assert probability_of_improvement(worse, better) == (0.25 + 0.75) / 2


def test_friedman_as_demsar_has_it():
    # The example of Demsar (2006), tables 2 and 6.
    columns = {
        "C4.5": [.763, .599, .954, .628, .882, .936, .661,
                 .583, .775, 1.0, .94, .619, .972, .957],
        "+m": [.768, .591, .971, .661, .888, .931, .668,
               .583, .838, 1.0, .962, .666, .981, .978],
        "+cf": [.771, .590, .968, .654, .886, .916, .609,
                .563, .866, 1.0, .965, .614, .9751, .946],
        "+m+cf": [.798, .569, .967, .657, .898, .931, .685,
                  .625, .875, 1.0, .962, .669, .975, .970],
    }  # fmt: skip
    found = friedman({n: np.array(c) for n, c in columns.items()})
    ranks = {"+m+cf": 1.964, "+m": 2.0, "+cf": 2.893, "C4.5": 3.143}
    assert list(found.average_ranks) == list(ranks)
    assert_allclose(
        list(found.average_ranks.values()), list(ranks.values()), atol=5e-4
    )
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert found.groups == (("+m+cf", "+m", "+cf", "C4.5"),)
    expected = stats.friedmanchisquare(*columns.values()).pvalue
    assert found.p == pytest.approx(expected, abs=0.01)


def test_friedman_knows_what_few_tasks_cannot_show():
    rows = {"a": [0.9, 0.8], "b": [0.7, 0.6], "c": [0.5, 0.4]}
    found = friedman({n: np.array(row) for n, row in rows.items()})
    assert found.smallest_p == pytest.approx(1 / 6)
    assert found.p == pytest.approx(1 / 6, abs=0.015)
    assert friedman({"a": np.ones(5), "b": np.zeros(5)}) is None


def test_groups_are_the_largest_and_may_overlap():
    means = {"a": 1.0, "b": 1.9, "c": 2.8, "d": 5.0}
    tasks = np.arange(12)
    random = np.random.default_rng(0)
    rows = {n: -m + random.normal(0, 1e-9, 12) for n, m in means.items()}
    rows["b"] = np.where(tasks < 6, rows["a"] + 0.1, rows["c"] - 0.1)
    found = friedman(rows)
    # Average ranks 1.5, 2.0, 2.5 and 4 with a distance of 1.35.
    assert found.critical_difference == pytest.approx(1.354, abs=0.001)
    assert found.groups == (("a", "b", "c"),)


@pytest.mark.parametrize("number", [2, 3, 10, 100])
def test_the_range_of_normal_values_is_that_of_scipy(number):
    expected = stats.studentized_range.ppf(0.95, number, np.inf)
    assert normal_range(number) == pytest.approx(expected, abs=1e-4)
