"""The sentences on top of a report."""

import numpy as np
import pytest

from medzoo.report.comparisons import TrialScores
from medzoo.report.summary import summarise_scores
from medzoo.report.verdict import describe_verdicts, write_verdict

# Seeds of one trial, which the others have about a mean of their own.
SEEDS = np.array([-0.01, 0.0, 0.01])
PATTERNS = (SEEDS, SEEDS[::-1], SEEDS[[1, 0, 2]], SEEDS[[0, 2, 1]])


def make_trials(means, *, num_seeds=3, image_std=0.003, **changes):
    """Makes trials of two tasks; images err in each trial by itself."""
    trials = []
    for at, (name, mean) in enumerate(means.items()):
        random = np.random.default_rng(at)
        seeds = PATTERNS[at % 4][:num_seeds]
        matrix = np.tile(mean + seeds[:, None], (1, 2))
        luck = random.normal(0, image_std, size=(400, 1, 1))
        trials.append(TrialScores(name, matrix, matrix + luck, **changes))
    return trials


def write(means, baseline="adam", *, equal_within=None, **changes):
    trials = make_trials(means, **changes)
    return write_verdict(
        summarise_scores(trials, "ab", baseline, equal_within=equal_within)
    )


STUDY = {"adam": 0.6, "sgd": 0.5, "nadam": 0.605, "lion": 0.59}


def test_what_is_worse_comes_first_then_what_cannot_be_told():
    first, second, third = write(STUDY).split(". ")
    assert first.startswith("sgd is worse than adam by 0.10 (0.0")
    assert ", p " in first
    assert second.startswith(
        "lion and nadam cannot be told from adam with 3 seeds: a difference "
        "under 0.0"
    )
    assert " would stay hidden; " in second
    assert " seeds would show 0." in second
    assert third.startswith("nadam is highest (harmonic mean 0.6")
    assert third.endswith("tied with adam and lion.")


def test_more_test_images_are_the_only_way_below_the_floor():
    assert "on these two test sets nothing shows 0.0" in write(
        STUDY, image_std=0.02
    )
    assert "nothing shows" not in write(STUDY, image_std=1e-4)


def test_many_undecided_trials_are_counted():
    means = STUDY | {f"t{at}": 0.6 + at / 1000 for at in range(4)}
    assert ". The other six cannot be told from adam with 3 seeds" in write(
        means
    )
    del means["sgd"]
    text = write(means)
    assert text.startswith("nadam is highest (harmonic mean 0.6")
    assert "tied with t3, t2 and 4 others. No other trial can be told" in text


def test_many_worse_trials_are_counted():
    means = {"adam": 0.6} | {f"w{at}": 0.5 - at / 100 for at in range(5)}
    text = write(means)
    assert text.startswith(
        "w4, w3 and 3 others are worse than adam by 0.10 to 0.14 (p "
    )


def test_better_and_equal_trials_are_named():
    text = write({"adam": 0.5, "lion": 0.6, "nadam": 0.501}, equal_within=0.09)
    first, second, *_ = text.split(". ")
    assert first.startswith("lion is better than adam by 0.10 (0.0")
    assert second == "nadam is practically equal to adam (within 0.09)"
    assert "lion is highest" in text
    assert "cannot be told" not in text


def test_a_baseline_that_the_highest_is_better_than_is_not_tied_with_it():
    means = {"adam": 0.6, "lion": 0.642} | {f"t{at}": 0.638 for at in range(8)}
    found = summarise_scores(make_trials(means), "ab", "adam")
    # Corrected for all pairs it is undecided, as one of nine it is not.
    assert found.trials["lion"].to_others["adam"].verdict == "undecided"
    assert found.to_reference("lion").verdict == "better"
    assert "adam" not in found.tied
    assert len(found.tied) == 8


def test_without_a_baseline_the_highest_is_what_others_are_compared_to():
    text = write(STUDY, baseline=None)
    assert text.startswith("sgd is worse than nadam by ")
    assert "lion and adam cannot be told from nadam with 3 seeds" in text


def test_small_losses_have_more_digits():
    trials = make_trials({"adam": 0.6, "sgd": 0.586}, image_std=1e-4)
    for trial in trials:
        trial.matrix[:] = trial.matrix.mean() + (trial.matrix - 0.6) * 1e-3
    found = summarise_scores(trials, "ab", "adam")
    assert write_verdict(found).startswith("sgd is worse than adam by 0.0")
    assert "(0.0" in write_verdict(found)


def test_one_trial_alone():
    assert write({"mlp": 0.6}, baseline=None).startswith(
        "mlp is the only trial that can be ranked (harmonic mean 0.60, 95 % 0.5"
    )


def test_one_seed_says_what_its_intervals_leave_out():
    text = write(STUDY, num_seeds=1)
    assert text.startswith("nadam is highest")
    assert "intervals cover other test images but not another training" in text
    assert "p =" not in text


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["x"], "x is not ranked, as runs are missing or failed."),
        (["x", "y"], "x and y are not ranked, as runs are missing or failed."),
    ],
)
def test_trials_with_missing_runs_are_named(names, sentence):
    trials = make_trials(STUDY | dict.fromkeys(names, 0.9))
    for trial in trials[len(STUDY) :]:
        trial.matrix[0, 0] = np.nan
    found = summarise_scores(trials, "ab", "adam")
    assert write_verdict(found).endswith(sentence)


def test_a_diverged_trial_is_named_with_its_share_of_seeds():
    trials = make_trials(STUDY)
    (lost,) = make_trials({"wild": 0.9}, diverged=1)
    lost.matrix[2] = np.nan
    found = summarise_scores([*trials, lost], "ab", "adam")
    assert write_verdict(found).endswith(
        "wild diverged with 1 of 3 seeds, so it is ranked last."
    )
    assert "not ranked" not in write_verdict(found)


def test_a_trial_whose_seeds_spread_far_is_named():
    trials = make_trials(STUDY | {"wild": 0.6})
    trials[-1].matrix[0] -= 0.2
    found = summarise_scores(trials, "ab", "adam")
    assert "The seeds of wild spread over three times as far" in write_verdict(
        found
    )


def test_no_trial_is_complete():
    trials = make_trials({"adam": 0.6})
    trials[0].matrix[0, 0] = np.nan
    assert write_verdict(summarise_scores(trials, "ab")).startswith(
        "No trial has all its runs, so none is called highest."
    )


def test_without_predictions_nothing_is_said_of_certainty():
    trials = make_trials(STUDY)
    for trial in trials:
        trial.replicates[:] = np.nan
    text = write_verdict(summarise_scores(trials, "ab", "adam"))
    assert text.startswith("nadam is highest (harmonic mean 0.6")
    assert "there are no predictions to compute intervals from" in text
    assert "p =" not in text


def test_the_words_of_the_column_are_explained():
    found = summarise_scores(
        make_trials(STUDY), "ab", "adam", equal_within=0.03
    )
    assert describe_verdicts(found) == (
        "Verdict: against adam, better or worse if p after correction is 0.05 "
        "at most, equal if its interval is within 0.03, else undecided."
    )


def test_what_may_hide_is_said_of_steady_trials_where_one_is_not():
    trials = make_trials(STUDY)
    assert "among steady trials" not in write(STUDY)
    trials[1].matrix[:] += np.array([[0.2], [-0.2], [0.0]])
    text = write_verdict(summarise_scores(trials, "ab", "adam"))
    assert "would stay hidden among steady trials" in text
    assert "The seeds of sgd spread over three times as far" in text
