"""Tuned values: chosen on val, and test is read for the winner alone."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from medzoo.report.by_run import make_runs
from medzoo.report.by_trial import make_per_task, make_summary, rank
from medzoo.report.matrix import read_results
from medzoo.report.pages import describe_gaps, list_facts
from medzoo.study.contests import list_units, make_contests, plan_all
from medzoo.study.expand import expand
from medzoo.study.job import Job
from medzoo.study.plan import make_plan
from medzoo.study.spec import read_study
from medzoo.study.store import Store
from medzoo.study.tuning import choose, next_jobs, plan_runs
from medzoo.study.worker import run_one
from medzoo.training import execute as execution
from medzoo.training.execute import execute, load_data
from medzoo.training.fit import Trainer
from medzoo.training.record import Record

FILE = """\
question = "Which optimizer, each at its own learning rate?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0, 1, 2]
data = "synthetic"

[axes]
optimizer = ["sgd", "adam"]

[tuned]
learning_rate = [0.3, 0.001, 1e-6]
tune_seeds = [0]

[fixed]
model = "mlp"
width = 8
steps = 8
batch_size = 16
"""
TIMES = {"seconds", "images_per_second", "peak_memory_mb", "started"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def read(tmp_path, old="", new="", text=FILE):
    assert old in text
    path = tmp_path / "x.toml"
    path.write_text(text.replace(old, new, 1))
    return read_study(path)


@pytest.fixture
def study(tmp_path):
    return read(tmp_path).override(tasks=["breastmnist"])


@pytest.fixture
def halving(tmp_path):
    lines = 'tune_seeds = [0, 1]\nprune = "halving"'
    study = read(tmp_path, "tune_seeds = [0]", lines)
    return dataclasses.replace(
        study, tasks=("breastmnist",), trials=study.trials[1:]
    )


# Macro F1 on val in the end; what is tuned is better for sgd the larger it is.
GOALS = {
    ("sgd", 0.3): 0.8,
    ("sgd", 0.001): 0.5,
    ("sgd", 1e-6): 0.3,
    ("adam", 0.3): 0.4,
    ("adam", 0.001): 0.9,
    ("adam", 1e-6): 0.3,
}
CHOICES = {
    (trial, task): {"learning_rate": value}
    for trial, value in (("sgd", 0.3), ("adam", 0.001))
    for task in ("breastmnist", "retinamnist")
}


def pretend(job, store):
    """Makes the record that a job might end with, without any training."""
    run = job.run
    goal = GOALS[run.optimizer, run.learning_rate] + run.seed / 100
    history = [
        {"step": step, "val_macro_f1": goal * step / 8, "val_loss": 1.0}
        for step in range(1, 9)
    ]
    status = "done" if job.read_test else "trained"
    names = ("val", "test") if job.read_test else ("val",)
    if job.until is not None:
        history, status, names = history[: round(8 * job.until)], "pruned", ()
    record = Record(
        run=run,
        run_id=run.run_id,
        status=status,
        history=history,
        scores={name: {"macro_f1": goal, "loss": 1.0} for name in names},
        num_images={"train": 500},
        seconds={"train": 1.0, "total": 2.0},
    )
    return record, {}


def work(store, jobs, execute):
    for job in jobs:
        store.write(*execute(job, store))


def carry_out(study, store, execute=pretend):
    """Does what the command line does, in this process."""
    tried = []
    while jobs := next_jobs(study, store, tried=tried):
        tried += jobs
        work(store, jobs, execute)
    return tried


def results(record):
    return record.model_dump(exclude=TIMES)


def test_a_study_reads_its_candidates(tmp_path):
    study = read(tmp_path, "tune_seeds = [0]", "dropout = [0.0, 0.5]")
    assert study.tune_seeds == study.seeds
    assert study.override(seeds=[7]).tune_seeds == (7,)
    assert study.tuned.candidates()[:3] == [
        {"learning_rate": 0.3, "dropout": 0.0},
        {"learning_rate": 0.3, "dropout": 0.5},
        {"learning_rate": 0.001, "dropout": 0.0},
    ]
    contests = make_contests(study)
    assert [contest.key for contest in contests] == [
        ("sgd", "breastmnist"),
        ("adam", "breastmnist"),
        ("sgd", "retinamnist"),
        ("adam", "retinamnist"),
    ]
    for contest in contests:
        for values, runs in zip(contest.values, contest.runs, strict=True):
            for run, seed in zip(runs, study.seeds, strict=True):
                assert run.learning_rate == values["learning_rate"]
                assert run.options["dropout"] == values["dropout"]
                assert run.optimizer == contest.trial.name
                assert (run.task, run.seed) == (contest.task, seed)


def test_a_study_without_tuned_values_has_no_contests(tmp_path, store):
    text = FILE.replace("learning_rate = [0.3, 0.001, 1e-6]\n", "")
    text = text.replace("[tuned]\ntune_seeds = [0]\n", "")
    study = read(tmp_path, text=text)
    assert make_contests(study) == []
    assert choose(study, store) == {}
    assert plan_runs(study, store) == plan_all(study) == expand(study)
    jobs = next_jobs(study, store)
    assert [job.run for job in jobs] == [run for _, run in expand(study)]
    assert all(job.read_test and job.until is None for job in jobs)


FAULTS = {
    "an unknown key": (
        "learning_rate =",
        "learning_rat =",
        "x.toml, line 10: `tuned.learning_rat` is not a field of a run. "
        "Did you mean `learning_rate`? Expected one of: ",
    ),
    "a key of the axes": (
        "learning_rate =",
        'optimizer = ["lion", "ftrl"]\nlearning_rate =',
        "x.toml, line 10: `tuned.optimizer` is a key of `axes` as well. "
        "Expected it in one of the two.",
    ),
    "a fixed key": (
        "tune_seeds = [0]",
        "width = [8, 16]",
        "x.toml, line 15: `fixed.width` is a key of `tuned` as well. "
        "Expected it in one of the two.",
    ),
    "a wrong value": (
        "1e-6",
        "-1",
        "x.toml, line 10: `tuned.learning_rate` must be greater than 0. "
        "Received: learning_rate=-1.",
    ),
    "a value that is no list": (
        "[0.3, 0.001, 1e-6]",
        "0.3",
        "x.toml, line 10: `tuned.learning_rate` must be a valid list. "
        "Received: learning_rate=0.3.",
    ),
    "a wrong seed": (
        "tune_seeds = [0]",
        "tune_seeds = [-1]",
        "x.toml, line 11: `tuned.tune_seeds` must be greater than or equal to "
        "0. Received: seeds=-1.",
    ),
    "a wrong way to prune": (
        "tune_seeds = [0]",
        'prune = "halve"',
        "x.toml, line 11: `tuned.prune` must be 'halving'. "
        "Received: prune='halve'.",
    ),
    "nothing to choose": (
        "learning_rate = [0.3, 0.001, 1e-6]\n",
        "",
        "x.toml, line 9: `tuned` has nothing to choose from. Expected a list "
        "of values for a field of a run.",
    ),
    "a key that belongs above": (
        "tune_seeds = [0]",
        "seeds = [0]",
        "x.toml, line 11: `tuned.seeds` is not a field of a run. "
        "`seeds` belongs above the first table of the file.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_with_its_line(tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    old, new, sentence = FAULTS[fault]
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}") as raised:
        read(tmp_path, old, new)
    assert "\n" not in str(raised.value)


def test_the_winner_alone_is_run_with_all_seeds_and_nothing_twice(study, store):
    tried = carry_out(study, store)
    choices = choose(study, store)
    assert choices == {k: v for k, v in CHOICES.items() if "breast" in k[1]}
    for contest in make_contests(study):
        for values, (run,) in zip(contest.values, contest.runs, strict=True):
            won = values == choices[contest.key]
            assert store.status(run.run_id) == ("done" if won else "trained")
    planned = plan_runs(study, store)
    assert len(planned) == 6
    assert all(store.has_done(run.run_id) for _, run in planned)
    # 2 trials x 3 candidates; of 2 winners the test, and their other seeds.
    assert [job.read_test for job in tried] == [False] * 6 + [True] * 6
    assert len({job.run for job in tried}) == 10
    assert next_jobs(study, store) == []


class Touched(Exception):
    """Labels of test were looked at."""


class Locked:
    """Labels that nobody may touch."""

    def _refuse(self, *_, **__):
        raise Touched

    __len__ = __getitem__ = __iter__ = __array__ = __eq__ = _refuse
    __getattr__ = _refuse
    __hash__ = None


@pytest.mark.parametrize("prune", ["halving", None])
def test_no_label_of_test_is_touched_before_the_choice(
    prune, halving, store, monkeypatch
):
    tuned = halving.tuned.model_copy(update={"prune": prune, "tune_seeds": [0]})
    study = dataclasses.replace(halving, tuned=tuned, seeds=(0,))

    def load_locked(run):
        data = load_data(run)
        test = dataclasses.replace(data.test, labels=Locked())
        return dataclasses.replace(data, test=test)

    with monkeypatch.context() as patch:
        patch.setattr(execution, "load_data", load_locked)
        tried = []
        jobs = next_jobs(study, store)
        while jobs and not jobs[0].read_test:
            work(store, jobs, run_one)
            tried += jobs
            jobs = next_jobs(study, store, tried=tried)
        assert len(choose(study, store)) == 1
        assert "failed" not in store.statuses().values()
        for record in store.read_many(store.run_ids()).values():
            assert "test" not in record.scores
            assert "test" not in record.per_class_f1
        job = next(job for job in jobs if store.status(job.run.run_id))
        # The lock does hold: this one reads test.
        assert run_one(job, store)[0].error["type"] == "Touched"
    before = choose(study, store)
    carry_out(study, store, run_one)
    assert choose(study, store) == before


def test_a_completed_winner_equals_a_run_that_read_test_at_once(
    study, store, monkeypatch
):
    job = next_jobs(study, store)[0]
    work(store, [job], run_one)
    record = store.read(job.run.run_id)
    assert record.status == "trained"
    assert record.scores.keys() == {"val"}
    assert "test_labels" not in store.read_predictions(record.run_id)
    whole, predictions = execute(record.run)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", None)  # There is nothing to train.
        work(store, [Job(job.run)], run_one)
    assert results(store.read(record.run_id)) == results(whole)
    found = store.read_predictions(record.run_id)
    assert found.keys() == predictions.keys()
    for name, values in predictions.items():
        np.testing.assert_array_equal(found[name], values)


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


def test_halving_goes_on_with_states_and_trains_nothing_twice(halving, store):
    tried = carry_out(halving, store, run_one)
    shares = [job.until for job in tried if not job.read_test]
    # Of three, two go on at a quarter of the budget, and one at a half.
    assert shares == [0.25] * 3 * 2 + [0.5] * 2 * 2
    records = store.read_many(store.run_ids())
    statuses = [record.status for record in records.values()]
    assert sorted(statuses) == ["done"] * 3 + ["pruned"] * 4
    for run_id, record in records.items():
        is_pruned = record.status == "pruned"
        assert (store.read_state(run_id) is not None) == is_pruned
    for _, run in plan_runs(halving, store):
        whole, _ = execute(run)
        assert results(whole) == results(records[run.run_id])
    assert next_jobs(halving, store) == []
    plan = make_plan(halving, store)
    assert (plan.left, plan.choices) == (0, 1)
    assert plan.status() == (
        "1 of 1 choice made, 3 done, 0 failed, 0 diverged, 0 left"
    )


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


def test_a_plan_counts_candidates_and_the_runs_of_winners(tmp_path, store):
    study = read(tmp_path)
    plan = make_plan(study, store)
    assert plan.text().splitlines()[1:4] == [
        "2 trials x 2 tasks x 3 seeds = 12 runs on synthetic data",
        "Tuned on val: learning_rate; 12 candidate runs, with those of the "
        "winners at most 20 runs",
        "0 of 4 choices made, 0 done, 0 failed, 0 diverged, 12 left",
    ]
    assert "one worker: at most " in plan.text()
    assert sum(plan.sources.values()) == 20
    assert len(plan_all(study)) == 20


def test_units_are_the_trials_tasks_of_a_tuned_study(study, tmp_path, store):
    units = list_units(read(tmp_path))
    assert len(units) == 4
    ours = next_jobs(read(tmp_path), store, units=units[:1])
    assert {(job.run.optimizer, job.run.task) for job in ours} == {
        ("sgd", "breastmnist")
    }
    assert len(ours) == 3


def test_tables_tell_what_was_chosen_and_have_empty_cells_before(
    tmp_path, store
):
    study = read(tmp_path)
    empty = read_results(study, store)
    summary = make_summary(rank(empty), study.axis_names)
    assert summary.columns[:3] == (
        "optimizer",
        "learning_rate",
        "harmonic_mean",
    )
    assert [row[1] for row in summary.rows] == [None, None]
    assert make_runs(empty).rows == []
    assert "0 of 12 runs are done, 12 missing." in describe_gaps(empty)

    carry_out(study.override(tasks=["breastmnist"]), store)
    half = read_results(study, store)
    assert "6 of 12 runs are done, 6 missing." in describe_gaps(half)
    carry_out(study, store)
    found = read_results(study, store)
    assert describe_gaps(found) == "All 12 runs are done."
    assert choose(study, store) == CHOICES
    for make in (make_summary, make_per_task):
        told = {row[0]: row[1] for row in make(found, study.axis_names).rows}
        assert told == {
            "sgd": "breastmnist 0.3, retinamnist 0.3",
            "adam": "breastmnist 0.001, retinamnist 0.001",
        }
    facts = list_facts(study, found, "make")
    assert facts["Tuned on val"] == (
        "learning_rate of 0.3, 0.001, 1e-06, for each trial and task, by mean "
        "macro F1 on val over seeds 0"
    )
    assert "steps 8" in facts["Fixed"]
    assert "learning_rate" not in facts["Fixed"]
    assert "learning_rate" not in facts.get("Following from the axes", "")


def test_pages_say_how_many_images_a_task_was_cut_to(tmp_path, store):
    study = read(tmp_path, "steps = 8", "steps = 8\nmax_images = 64")
    plain = dataclasses.replace(study, tuned=None)
    facts = list_facts(plain, read_results(plain, store), "make")
    assert "max_images 64" in facts["Fixed"]


def start_study(folder, runs):
    """Runs the study of this file as a person would, in its own processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "medzoo", "study", "run", "x.toml"],
        cwd=folder,
        env={**os.environ, "MEDZOO_RUNS": str(folder / runs)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_killed_study_goes_on_with_its_cuts_and_states(halving, tmp_path):
    """Through worker processes: the records are those of an uncut study."""
    whole = Store(tmp_path / "whole")
    carry_out(read_study(tmp_path / "x.toml"), whole, run_one)
    process = start_study(tmp_path, "killed")
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("killed/*/*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    store = Store(tmp_path / "killed")
    assert "done" not in store.statuses().values()
    assert start_study(tmp_path, "killed").wait(300) == 0
    assert store.statuses() == whole.statuses()
    for run_id in whole.run_ids():
        found, expected = store.read(run_id), whole.read(run_id)
        assert results(found) == results(expected)
