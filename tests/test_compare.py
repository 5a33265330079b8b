"""Ranks over tasks and shares of better runs: numbers from elsewhere."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from medzoo.report.comparisons import (
    Comparisons,
    TrialScores,
    friedman,
    probability_of_improvement,
)
from medzoo.report.inference import normal_range


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


@pytest.mark.parametrize("num_tasks", [1, 2, 3, 4])
def test_ranks_over_few_tasks_are_not_told(num_tasks):
    rows = {
        name: np.full(num_tasks, score) for score, name in enumerate("abcd")
    }
    assert friedman(rows) is None
    assert friedman({n: np.full(5, s) for s, n in enumerate("abcd")})


def test_ranks_are_told_only_where_they_can_tell_trials_apart():
    found = friedman({n: np.full(5, s) for s, n in enumerate("abc")})
    assert found.critical_difference < 2
    assert found.p <= 0.05
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


def test_probability_of_improvement_is_that_of_all_pairs():
    random = np.random.default_rng(0)
    for _ in range(20):
        mine, theirs = random.integers(1, 7, 2)
        trial = random.integers(5, size=(mine, 3)) / 7
        other = random.integers(5, size=(theirs, 3)) / 7
        pairs = [
            (1 + np.sign(a - b)) / 2 for a, b in itertools.product(trial, other)
        ]
        found = probability_of_improvement(trial, other)
        assert found == pytest.approx(np.mean(pairs), abs=1e-12)


def test_pairs_of_many_trials_are_those_with_one_of_the_first():
    names = [f"trial {number}" for number in range(201)]
    unknown = np.full((9, 2, 1), np.nan)
    rows = np.random.default_rng(0).random((201, 2, 1))
    trials = [
        TrialScores(name, row, unknown)
        for name, row in zip(names, rows, strict=True)
    ]
    of_all = Comparisons(trials[:200]).of_all_pairs()
    found = Comparisons(trials).of_all_pairs()
    assert {len(of_all[name]) for name in names[:200]} == {199}
    assert [len(found[name]) for name in names] == [200] * 40 + [40] * 161
    for name, other in ((names[0], names[199]), (names[199], names[39])):
        assert found[name][other] == of_all[name][other]
