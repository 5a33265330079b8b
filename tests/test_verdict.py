"""The sentences on top of a report."""

import pytest

from medzoo.report.comparisons import Difference
from medzoo.report.statistics import Estimate
from medzoo.report.summary import TrialStatistics
from medzoo.report.verdict import tied_with_best, write_verdict


def make_estimate(mean, half=0.03, covers="seeds and test images"):
    return Estimate(mean, 0.01, mean - half, mean + half, half, covers)


def make_trial(mean, *, best=False, p=0.5, half=0.03, smallest_p=0.001):
    """Makes a trial with what it has to the best one, of 0.61."""
    if best:
        found = make_estimate(mean)
        return TrialStatistics(found, found, {}, tied_with_best=True)
    loss = round(mean - 0.61, 6)
    to_best = Difference(
        other="adamw",
        estimate=loss,
        low=loss - half,
        high=loss + half,
        p=p / 4,
        p_holm=p,
        smallest_p=smallest_p,
        probability_of_improvement=0.3,
    )
    found = make_estimate(mean)
    return TrialStatistics(
        found,
        found,
        {},
        to_best=to_best,
        tied_with_best=not to_best.is_decided,
    )


def write(trials, *, num_seeds=3, num_tasks=11):
    best = next((n for n, t in trials.items() if t.tied_with_best), None)
    return write_verdict(trials, best, num_seeds=num_seeds, num_tasks=num_tasks)


def make_study():
    return {
        "adamw": make_trial(0.61, best=True),
        "sgd": make_trial(0.53, p=0.004),
        "adam": make_trial(0.6),
        "nadam": make_trial(0.605),
    }


def test_the_sentence_of_the_readme():
    assert write(make_study()) == (
        "adamw is best (harmonic mean 0.61, 95 % 0.58 to 0.64); nadam and adam "
        "cannot be told from it; sgd is worse by 0.08 (0.05 to 0.11, "
        "p = 0.004)."
    )


def test_trials_that_cannot_be_told_from_the_best_are_marked():
    assert tied_with_best(make_study()) == {"adamw", "adam", "nadam"}


@pytest.mark.parametrize("changes", [{"p": 0.01, "half": 0.1}, {"p": 0.06}])
def test_an_interval_and_a_test_decide_only_together(changes):
    trials = {"adamw": make_trial(0.61, best=True)}
    trials["sgd"] = make_trial(0.53, **changes)
    assert tied_with_best(trials) == {"adamw", "sgd"}


def test_everything_tied():
    trials = make_study()
    del trials["sgd"]
    assert write(trials) == (
        "adamw has the highest harmonic mean of 0.61 (95 % 0.58 to 0.64), but "
        "nadam and adam cannot be told from it."
    )


def test_small_losses_have_more_digits():
    trials = {"adamw": make_trial(0.61, best=True)}
    trials["sgd"] = make_trial(0.596, p=0.0001, half=0.0062)
    assert write(trials).endswith(
        "; sgd is worse by 0.014 (0.008 to 0.020, p < 0.001)."
    )


def test_many_trials_are_counted():
    trials = {"adamw": make_trial(0.61, best=True)}
    trials |= {
        f"w{i}": make_trial(0.5 - i / 100, p=0.01, smallest_p=1e-4)
        for i in range(5)
    }
    trials |= {
        f"t{i}": make_trial(0.6 - i / 1000, smallest_p=1e-4) for i in range(5)
    }
    assert write(trials).endswith(
        "; t0, t1 and 3 others cannot be told from it; 5 others are worse by "
        "0.11 to 0.15 (p = 0.01 at most)."
    )


def test_too_few_runs_cannot_decide():
    trials = {
        "adamw": make_trial(0.61, best=True),
        "sgd": make_trial(0.53, p=1, smallest_p=1 / 32),
    }
    trials["adam"] = trials["sgd"]
    assert write(trials, num_tasks=2) == (
        "adamw has the highest harmonic mean of 0.61 (95 % 0.58 to 0.64), but "
        "two tasks and three seeds cannot decide this; smallest reachable "
        "p = 0.031 (p = 0.094 corrected for the pairs of 3 trials)."
    )
    pair = {"adamw": trials["adamw"], "sgd": make_trial(0.5, smallest_p=0.25)}
    assert write(pair, num_tasks=1).endswith(
        "(95 % 0.58 to 0.64), but one task and three seeds cannot decide this; "
        "smallest reachable p = 0.25."
    )


def test_one_trial_alone():
    assert write({"mlp": make_trial(0.61, best=True)}, num_tasks=1) == (
        "mlp reaches a macro F1 of 0.61 (95 % 0.58 to 0.64); no other trial "
        "can be compared."
    )


def test_one_seed_says_what_its_intervals_leave_out():
    assert write(make_study(), num_seeds=1).endswith(
        " With one seed, intervals cover other test images but not another "
        "training."
    )


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["lion"], "lion is not ranked, as runs are missing or failed."),
        (
            ["lion", "ftrl"],
            "lion and ftrl are not ranked, as runs are missing or failed.",
        ),
    ],
)
def test_trials_with_missing_runs_are_named(names, sentence):
    trials = make_study()
    trials |= {name: TrialStatistics(None, None, {}) for name in names}
    assert write(trials).endswith(f"p = 0.004). {sentence}")


def test_no_trial_is_complete():
    trials = {"adam": TrialStatistics(None, None, {})}
    assert write(trials) == "No trial has all its runs, so none is called best."


def test_without_predictions_nothing_is_said_of_certainty():
    bare = Estimate(0.61, 0.01)
    to_best = Difference("adamw", -0.1, None, None, None, None, 0.001, 0.2)
    trials = {
        "adamw": TrialStatistics(bare, bare, {}, tied_with_best=True),
        "sgd": TrialStatistics(bare, bare, {}, to_best=to_best),
    }
    assert write(trials).startswith(
        "adamw has the highest harmonic mean of 0.61, but how sure that is "
    )
    assert "p =" not in write(trials)
