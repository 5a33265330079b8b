"""Statistics of a study: what is said of each trial, and what is not."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from report_records import TASKS, make_records, make_study

from medzoo.report.comparisons import TrialScores, compare
from medzoo.report.results import gather
from medzoo.report.summary import summarise, summarise_scores
from medzoo.scores.probabilities import harmonic_mean
from medzoo.study.expand import expand
from medzoo.study.store import Store


def make_scores(name, mean=0.6, *, shape=(3, 4), std=0.02, image_std=0.01):
    """Draws a trial; the images are the same for all trials and seeds."""
    images = np.random.default_rng(99).normal(size=(201, 1, shape[1]))
    spread = np.random.default_rng(list(name.encode())).normal(size=shape)
    matrix = mean + std * spread + image_std * images[0]
    return TrialScores(name, matrix, matrix + image_std * images[1:])


def test_one_seed_has_an_interval_over_images_and_says_so():
    trial = make_scores("adam", shape=(1, 4))
    found = summarise_scores([trial], "abcd").trials["adam"].mean
    assert found.covers == "test images"
    assert found.std is None
    # Tasks have images of their own.
    variance = trial.replicates.var(axis=0, ddof=1).sum() / 4**2
    assert found.half_width == pytest.approx(1.96 * variance**0.5, rel=1e-3)


def test_an_interval_stays_inside_the_scores():
    trial = make_scores("adam", 0.98, shape=(2, 2), std=0.01)
    found = summarise_scores([trial], "ab").trials["adam"].mean
    assert found.high == 1
    assert found.low == pytest.approx(found.mean - found.half_width)


def test_a_task_at_zero_has_a_mean_and_no_interval():
    trial = make_scores("adam")
    trial.matrix[:, 0] = 0
    found = summarise_scores([trial], "abcd").trials["adam"]
    assert found.harmonic_mean.mean == 0
    assert found.harmonic_mean.low is None
    assert found.mean.low is not None


def test_the_best_of_equal_trials_is_seldom_called_better():
    random = np.random.default_rng(2)
    wrong = 0
    for _ in range(100):
        images = random.normal(0, 0.005, size=(31, 1, 4))
        matrices = 0.6 + random.normal(0, 0.02, size=(6, 3, 4)) + images[0]
        trials = [
            TrialScores(str(number), matrix, matrix + images[1:])
            for number, matrix in enumerate(matrices)
        ]
        found = summarise_scores(trials, "abcd").trials.values()
        wrong += any(trial.tied_with_best is False for trial in found)
    assert wrong <= 10


def test_differences_leave_out_the_luck_that_both_trials_share():
    adam, sgd = (make_scores(n, image_std=0.2) for n in ("adam", "sgd"))
    found = compare(adam, sgd)
    means = [harmonic_mean(row) for row in adam.matrix]
    others = [harmonic_mean(row) for row in sgd.matrix]
    assert found.estimate == pytest.approx(np.mean(means) - np.mean(others))
    single = summarise_scores([adam, sgd], "abcd").trials["adam"]
    assert found.high - found.low < single.harmonic_mean.half_width


def test_a_difference_turns_with_its_sides():
    adam, sgd = make_scores("adam", 0.7), make_scores("sgd", 0.5)
    there, back = compare(adam, sgd), compare(sgd, adam)
    assert_allclose(there.estimate, -back.estimate)
    assert_allclose([there.low, there.high], [-back.high, -back.low])
    assert_allclose(there.p, back.p)
    assert there.probability_of_improvement == 1


def test_equal_trials_are_no_improvement():
    adam = make_scores("adam")
    found = compare(adam, dataclasses.replace(adam, name="twin"))
    assert (found.estimate, found.p) == (0, 1)
    assert found.probability_of_improvement == 0.5


def shuffle(trial, rows, columns):
    return TrialScores(
        trial.name,
        trial.matrix[rows][:, columns],
        trial.replicates[:, rows][:, :, columns],
    )


def flatten(found):
    """Lists every number of nested statistics by its place."""
    if dataclasses.is_dataclass(found):
        found = {
            field.name: getattr(found, field.name)
            for field in dataclasses.fields(found)
        }
    if isinstance(found, dict):
        return {
            f"{key}.{place}": value
            for key, part in sorted(found.items())
            for place, value in flatten(part).items()
        }
    return {"": found}


def test_the_order_of_rows_columns_and_trials_does_not_matter():
    names = {"adam": 0.6, "nadam": 0.6, "sgd": 0.5}
    trials = [make_scores(n, m, shape=(4, 5)) for n, m in names.items()]
    rows, columns = [2, 0, 3, 1], [4, 1, 0, 3, 2]
    moved = [shuffle(trial, rows, columns) for trial in trials[::-1]]
    tasks = np.array(list("abcde"))
    there = flatten(summarise_scores(trials, tasks, "adam"))
    back = flatten(summarise_scores(moved, tasks[columns], "adam"))
    assert there.keys() == back.keys()
    for place, value in there.items():
        if isinstance(value, float):
            assert back[place] == pytest.approx(value, abs=1e-12), place
        else:
            assert back[place] == value, place


def test_a_missing_run_empties_what_it_belongs_to_and_nothing_else():
    whole = [make_scores("adam"), make_scores("sgd", 0.5)]
    holed = [*whole, make_scores("lion", 0.9)]
    for array in (holed[2].matrix[1], holed[2].replicates[:, 1]):
        array[..., 0] = np.nan
    found = summarise_scores(holed, "abcd", "adam")
    lion = found.trials["lion"]
    assert (lion.harmonic_mean, lion.difference, lion.to_best) == (None,) * 3
    assert lion.tied_with_best is None
    assert (lion.mean.low, lion.by_task["a"].low) == (None, None)
    assert lion.by_task["b"].low is not None
    assert found.best == "adam"
    expected = summarise_scores(whole, "abcd", "adam")
    for name in ("adam", "sgd"):
        assert found.trials[name] == expected.trials[name]


def test_without_predictions_there_are_means_and_nothing_more(tmp_path):
    study = make_study()
    results = gather(expand(study), make_records(study))
    found = summarise(results, Store(tmp_path), baseline="adam")
    lion = found.trials["lion"]
    assert found.best == "lion"
    assert lion.harmonic_mean.mean == pytest.approx(0.6)
    assert lion.harmonic_mean.low is None
    assert list(lion.by_task) == list(TASKS)
    assert lion.difference.estimate == pytest.approx(0.6 - (0.375 + 0.5) / 2)
    assert (lion.difference.p, lion.difference.low) == (None, None)
    assert lion.difference.smallest_p == 2 / 2**4
    assert lion.difference.probability_of_improvement > 0.5


def test_a_study_without_records_says_nothing(tmp_path):
    results = gather(expand(make_study()), {})
    found = summarise(results, Store(tmp_path), baseline="adam")
    assert (found.best, found.friedman) == (None, None)
    assert found.trials["adam"].mean is None
