"""Tuned values: who is chosen, and what is executed for it."""

import dataclasses

import pytest
from tuned_records import (
    CHOICES,
    FILE,
    carry_out,
    pretend,
    read,
    read_halving,
    work,
)

from medzoo.store import Store
from medzoo.study.plan import make_plan
from medzoo.study.tuning import (
    choose,
    make_tuning_problems,
    next_jobs,
    plan_runs,
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture
def study(tmp_path):
    return read(tmp_path).override(tasks=["breastmnist"])


@pytest.fixture
def halving(tmp_path):
    return read_halving(tmp_path)


def test_the_winner_alone_is_run_with_all_seeds_and_nothing_twice(study, store):
    tried = carry_out(study, store)
    choices = choose(study, store)
    assert choices == {k: v for k, v in CHOICES.items() if "breast" in k[1]}
    for problem in make_tuning_problems(study):
        for values, (run,) in zip(problem.values, problem.runs, strict=True):
            won = values == choices[problem.key]
            assert store.status(run.run_id) == ("done" if won else "trained")
    planned = plan_runs(study, store)
    assert len(planned) == 6
    assert all(store.has_done(run.run_id) for _, run in planned)
    # 2 trials x 3 candidates; of 2 winners the test, and their other seeds.
    assert [job.read_test for job in tried] == [False] * 6 + [True] * 6
    assert len({job.run for job in tried}) == 10
    assert next_jobs(study, store) == []


def test_another_study_that_asks_for_a_candidate_has_its_test_read(
    study, store, tmp_path
):
    work(store, next_jobs(study, store), pretend)
    text = FILE.replace("[tuned]", "[fixed]").replace("[fixed]\nmodel", "model")
    text = text.replace("tune_seeds = [0]\n", "").replace(
        "seeds = [0, 1, 2]", "seeds = [0]"
    )
    text = text.replace("[0.3, 0.001, 1e-6]", "1e-6")
    other = read(tmp_path, text=text).override(tasks=["breastmnist"])
    jobs = next_jobs(other, store)
    assert [store.status(job.run.run_id) for job in jobs] == ["trained"] * 2
    assert make_plan(other, store).left == 2
    assert make_plan(other, store).seconds_left == 0
    choices = choose(study, store)
    carry_out(other, store)
    assert make_plan(other, store).done == 2
    # And the tuned study takes those records as they are.
    assert choose(study, store) == choices
    assert set(next_jobs(study, store)).isdisjoint(jobs)


def test_a_candidate_that_fails_stands_back_until_it_is_tried_again(
    study, store
):
    def fail(job, store):
        record, _ = pretend(job, store)
        if (job.run.optimizer, job.run.learning_rate) == ("adam", 0.001):
            record = record.model_copy(update={"status": "failed"})
        return record, {}

    carry_out(study, store, fail)
    assert choose(study, store)["adam", "breastmnist"] == {"learning_rate": 0.3}
    assert len(plan_runs(study, store)) == 6
    (job,) = next_jobs(study, store)
    assert (job.run.learning_rate, job.read_test) == (0.001, False)
    carry_out(study, store)
    assert choose(study, store)["adam", "breastmnist"] == {
        "learning_rate": 0.001
    }


def test_a_deadline_leaves_the_rest_to_the_next_call(study, store):
    jobs = next_jobs(study, store)
    work(store, jobs[:2], pretend)
    assert next_jobs(study, store, tried=jobs) == []
    assert next_jobs(study, store) == jobs[2:]


def test_a_study_without_pruning_trains_the_pruned_ones_on(halving, store):
    carry_out(halving, store)
    choices = choose(halving, store)
    tuned = halving.tuned.model_copy(update={"prune": None})
    whole = dataclasses.replace(halving, tuned=tuned)
    assert choose(whole, store) == {}
    tried = carry_out(whole, store)
    assert [job.until for job in tried] == [None] * 4
    # What was trained on says nothing new to the study that had cut it.
    assert choose(halving, store) == choices
    assert next_jobs(halving, store) == []
