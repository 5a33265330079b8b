"""Tuned studies that train: test is read for the winner, nothing twice."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tuned_records import carry_out, read_halving, results, work

from medzoo.execution.job import Job
from medzoo.execution.worker import run_one
from medzoo.store import Store
from medzoo.study.plan import make_plan
from medzoo.study.spec import read_study
from medzoo.study.tuning import choose, next_jobs, plan_runs
from medzoo.training import execute as execution
from medzoo.training.execute import execute, load_data
from medzoo.training.trainer import Trainer


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture
def halving(tmp_path):
    return read_halving(tmp_path)


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
    halving, store, monkeypatch
):
    job = next_jobs(halving, store)[0]._replace(until=None)
    work(store, [job], run_one)
    record = store.read(job.run.run_id)
    assert record.status == "trained"
    assert record.scores.keys() == {"val"}
    assert store.read_predictions(record.run_id).test is None
    whole, predictions = execute(record.run)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", None)  # There is nothing to train.
        work(store, [Job(job.run)], run_one)
    assert results(store.read(record.run_id)) == results(whole)
    found = store.read_predictions(record.run_id).to_arrays()
    assert found.keys() == predictions.to_arrays().keys()
    for name, values in predictions.to_arrays().items():
        np.testing.assert_array_equal(found[name], values)


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
