"""Statistics of a study: what is said of each trial, and what is not."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from report_records import (
    TASKS,
    make_record,
    make_records,
    make_study,
)

from medzoo.report.bootstrap import bootstrap_score
from medzoo.report.comparisons import Comparisons, TrialScores
from medzoo.report.inference import image_covariance, residual_variance
from medzoo.report.results import gather
from medzoo.report.statistics import estimate_all, harmonic_mean_by_seed
from medzoo.report.summary import summarise, summarise_scores
from medzoo.scores.probabilities import harmonic_mean, macro_f1
from medzoo.store import Store
from medzoo.study.expand import expand


def make_scores(name, mean=0.6, *, shape=(3, 4), std=0.02, image_std=0.01):
    """Draws a trial; the images are the same for all trials and seeds."""
    images = np.random.default_rng(99).normal(size=(201, 1, shape[1]))
    spread = np.random.default_rng(list(name.encode())).normal(size=shape)
    matrix = mean + std * spread + image_std * images[0]
    return TrialScores(name, matrix, matrix + image_std * images[1:])


def compare(trial, other):
    return Comparisons([trial, other]).to(other.name)[trial.name]


def test_one_seed_has_an_interval_over_images_and_says_so():
    trial = make_scores("adam", shape=(1, 4))
    found = summarise_scores([trial], "abcd").trials["adam"].mean
    assert found.covers == "test images"
    assert found.std is None
    variance = trial.replicates.mean(axis=(1, 2)).var(ddof=1)
    assert found.half_width == pytest.approx(1.96 * variance**0.5, rel=1e-3)


def test_an_interval_stays_inside_the_scores():
    trial = make_scores("adam", 0.98, shape=(2, 2), std=0.01)
    found = summarise_scores([trial], "ab").trials["adam"].mean
    assert found.high == 1
    assert found.low == pytest.approx(found.mean - found.half_width)


def test_two_seeds_have_no_interval_from_0_to_1_beside_other_trials():
    trials = [make_scores(name, shape=(2, 2)) for name in "abcde"]
    found = summarise_scores(trials, "xy").trials
    for trial in found.values():
        assert trial.harmonic_mean.half_width < 0.1


def test_of_one_task_all_intervals_of_the_best_are_shifted():
    trials = [make_scores(name, shape=(3, 1)) for name in "abcdef"]
    statistics = summarise_scores(trials, ["x"])
    best = statistics.trials[statistics.best]
    assert best.mean.ends is not None
    assert best.mean == best.by_task["x"] == best.harmonic_mean
    others = [t for n, t in statistics.trials.items() if n != statistics.best]
    assert all(trial.mean.ends is None for trial in others)


@pytest.mark.parametrize(
    ("bounds", "most"),
    [((0, 1), 1), ((-1, 1), 2), ((0, 10), 10), ((0, 99), 99)],
)
def test_a_difference_is_as_large_as_its_score_allows(bounds, most):
    values = {"a": [[0.9], [-0.9]], "b": [[-0.7], [0.8]]}
    trials = [
        TrialScores(name, np.array(found), np.zeros((3, 2, 1)))
        for name, found in values.items()
    ]
    uncut = Comparisons(trials, bounds=(0, None)).to("a")["b"]
    assert 10 < uncut.high < 99
    found = Comparisons(trials, bounds=bounds).to("a")["b"]
    assert (found.low, found.high) == (
        max(uncut.low, -most),
        min(uncut.high, most),
    )


def test_the_harmonic_mean_is_taken_inside_each_replicate():
    trial = make_scores("adam", 0.3, std=0.05, image_std=0.05)
    found = summarise_scores([trial], "abcd").trials["adam"].harmonic_mean
    drawn = [[harmonic_mean(row) for row in r] for r in trial.replicates]
    by_seed = np.array([harmonic_mean(row) for row in trial.matrix])
    (expected,) = estimate_all(by_seed[None], np.array(drawn)[:, None])
    assert found.half_width == pytest.approx(expected.half_width)


def test_tasks_that_go_together_are_no_independent_evidence():
    """As in one net of all tasks: a seed that is good is good everywhere."""
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        seeds = random.normal(0, 0.03, size=(4, 3, 1))
        matrices = 0.6 + np.tile(seeds, (1, 1, 8))
        trials = [
            TrialScores(str(at), matrix, np.tile(matrix, (3, 1, 1)))
            for at, matrix in enumerate(matrices)
        ]
        found = Comparisons(trials).to("0")["1"]
        hits += found.low <= 0 <= found.high
    assert hits / 400 >= 0.93


def test_a_task_at_zero_in_one_trial_leaves_the_others_their_verdict():
    trials = [make_scores(name, std=0.003) for name in ("adam", "nadam")]
    trials += [make_scores("sgd", 0.4, std=0.003)]
    trials += [make_scores("lost", std=0.003)]
    for array in (trials[3].matrix, trials[3].replicates):
        array[..., 0] = 0
    found = summarise_scores(trials, "abcd", "adam").trials
    assert found["lost"].harmonic_mean.mean == 0
    assert found["lost"].difference.verdict == "worse"
    assert found["sgd"].difference.verdict == "worse"
    assert found["nadam"].difference.verdict == "undecided"


def test_the_interval_of_the_best_of_many_lies_lower():
    trials = [make_scores(name) for name in "abcdefghi"]
    found = summarise_scores(trials, "wxyz")
    best = found.trials[found.best].harmonic_mean
    assert best.high < best.mean + best.half_width
    assert best.ends == (best.low, best.high)
    others = [
        t.harmonic_mean for n, t in found.trials.items() if n != found.best
    ]
    assert all(other.ends is None for other in others)


def test_differences_leave_out_the_luck_that_both_trials_share():
    adam, sgd = (make_scores(n, image_std=0.1) for n in ("adam", "sgd"))
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
    assert (there.verdict, back.verdict) == ("better", "worse")
    assert there.probability_of_improvement == 1


def test_equal_trials_are_no_improvement():
    adam = make_scores("adam")
    found = compare(adam, dataclasses.replace(adam, name="twin"))
    assert (found.estimate, found.p) == (0, 1)
    assert found.probability_of_improvement == 0.5


def test_trials_inside_the_margin_are_equal_whatever_their_p_value():
    near = [make_scores("a", 0.6, std=1e-4), make_scores("b", 0.605, std=1e-4)]
    near += [make_scores("c", 0.5, std=1e-4)]
    found = summarise_scores(near, "wxyz", "a", equal_within=0.03)
    verdicts = {n: t.difference for n, t in found.trials.items()}
    assert verdicts["b"].verdict == "equal"
    assert verdicts["c"].verdict == "worse"
    plain = summarise_scores(near, "wxyz", "a").trials["b"].difference
    assert plain.verdict == "better"


def test_simultaneous_intervals_hold_all_comparisons():
    trials = [make_scores(name) for name in "abcde"]
    for found in Comparisons(trials).to("a").values():
        low, high = found.simultaneous
        assert low < found.low < found.high < high


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
        if isinstance(value, float | tuple):
            assert back[place] == pytest.approx(value, abs=1e-9), place
        else:
            assert back[place] == value, place


def test_a_missing_run_empties_what_it_belongs_to_and_nothing_else():
    whole = [make_scores("adam"), make_scores("sgd", 0.5)]
    holed = [*whole, make_scores("lion", 0.9)]
    for array in (holed[2].matrix[1], holed[2].replicates[:, 1]):
        array[..., 0] = np.nan
    found = summarise_scores(holed, "abcd", "adam")
    lion = found.trials["lion"]
    assert (lion.harmonic_mean, lion.difference, lion.to_others) == (
        None,
        None,
        {},
    )
    assert (lion.mean.low, lion.by_task["a"].low) == (None, None)
    assert lion.by_task["b"].low is not None
    assert found.best == "adam"
    assert found.complete == ["adam", "sgd"]
    expected = summarise_scores(whole, "abcd", "adam")
    for name in ("adam", "sgd"):
        for key in ("harmonic_mean", "difference", "to_others"):
            value = getattr(expected.trials[name], key)
            assert getattr(found.trials[name], key) == value


def test_a_trial_without_predictions_leaves_the_others_theirs():
    trials = [make_scores("adam"), make_scores("sgd", 0.4)]
    trials += [make_scores("lion")]
    trials[2].replicates[:] = np.nan
    found = summarise_scores(trials, "abcd", "adam").trials
    assert found["lion"].harmonic_mean.low is None
    assert found["lion"].difference.p is None
    assert found["lion"].difference.verdict == "undecided"
    assert found["sgd"].difference.verdict == "worse"


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
    assert lion.difference.probability_of_improvement > 0.5
    assert found.plan is None


def test_a_study_without_records_says_nothing(tmp_path):
    results = gather(expand(make_study()), {})
    found = summarise(results, Store(tmp_path), baseline="adam")
    assert (found.best, found.friedman) == (None, None)
    assert found.trials["adam"].mean is None


def test_the_harmonic_mean_by_seed_is_that_of_the_scores():
    matrix = np.random.default_rng(0).uniform(size=(5, 4))
    expected = [harmonic_mean(row) for row in matrix]
    assert_allclose(harmonic_mean_by_seed(matrix), expected)
    matrix[0, 1], matrix[1, 2] = 0, np.nan
    found = harmonic_mean_by_seed(matrix)
    assert found[0] == 0
    assert np.isnan(found[1])
    matrix[0, 2] = np.nan
    assert np.isnan(harmonic_mean_by_seed(matrix)[0])


def resplit_results(seeds):
    """Runs whose seeds hold out other images of the same ones."""
    study = make_study(["adam", "sgd"], fixed={"resplit": True}, seeds=seeds)
    records = {}
    for number, (_, run) in enumerate(expand(study)):
        record = make_record(run.model_copy(update={"resplit": True}), 0.5)
        record.num_images.update(train=60, val=20, test=20)
        record.scores["test"]["macro_f1"] = 0.5 + 0.01 * (number % 3)
        records[run.run_id] = record
    return gather(expand(study), records)


def test_resplit_seeds_overlap_in_their_training_images():
    results = resplit_results((0, 1, 2))
    assert [trial.overlap for trial in results] == [0.25, 0.25]
    study = make_study()
    official = gather(expand(study), make_records(study))
    assert {trial.overlap for trial in official} == {0.0}


def draw_images(random, num_images):
    """Draws luck with images that all models share; classes are as given."""
    labels = np.repeat(
        [0, 1, 2], [0.6 * num_images, 0.3 * num_images, 0.1 * num_images]
    )
    return labels, random.normal(size=(num_images, 3))


def train(random):
    """Trains a model: it errs in its own way on classes and on images."""
    bias = random.normal(0, 0.3, 3)

    def predict(labels, luck):
        own = random.normal(0, 0.5, luck.shape)
        exponentials = np.exp(1.5 * np.eye(3)[labels] + luck + own + bias)
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    return predict


def test_intervals_from_predictions_hold_the_score_on_other_images():
    random = np.random.default_rng(5)
    labels, luck = draw_images(random, 5_000)
    truth = np.mean(
        [macro_f1(train(random)(labels, luck), labels) for _ in range(400)]
    )
    hits = 0
    for _ in range(300):
        labels, luck = draw_images(random, 200)
        runs = [train(random)(labels, luck) for _ in range(3)]
        scores = np.array([[macro_f1(run, labels) for run in runs]])
        replicates = [
            bootstrap_score(run, labels, num_replicates=200) for run in runs
        ]
        drawn = np.stack(replicates, axis=1)[:, None]
        (found,) = estimate_all(scores, drawn)
        hits += found.low <= truth <= found.high
    # Macro F1 of 20 images of the rarest class is not quite normal.
    assert 0.92 <= hits / 300 <= 0.99


def test_many_trials_and_seeds_are_those_of_few():
    """Large studies take other ways to the same numbers."""
    random = np.random.default_rng(0)
    values = random.normal(size=(201, 3))
    left = values - values.mean(axis=1, keepdims=True)
    left = left - left.mean(axis=0)
    assert residual_variance(values) == pytest.approx((left**2).sum() / 400)
    drawn = random.normal(size=(70, 201, 300))
    found = image_covariance(drawn)
    rows = np.moveaxis(drawn - drawn.mean(axis=0), 1, 0)
    for one, other in ((0, 0), (3, 7)):
        products = rows[one].T @ rows[other] / 69
        apart = products.sum() - np.trace(products)
        assert found[one, other] == pytest.approx(apart / (300 * 299))
