"""Jobs that are executed together: what is joined, and what if some fail."""

import pytest
from pretended import Pretended, make_runs

from medzoo.execution.job import Job
from medzoo.execution.runner import Group, Queue
from medzoo.runs.run import Run

FIRST = {"task": "breastmnist", "model": "mlp"}


def key(run):
    """Joins runs of one optimizer; those of `lion` are executed alone."""
    return None if run.optimizer == "lion" else run.optimizer


@pytest.fixture
def pretended(tmp_path):
    return Pretended(tmp_path)


def test_a_queue_gives_what_is_alike_and_as_far():
    runs = [
        Run(**FIRST, seed=seed, optimizer=optimizer)
        for seed in range(5)
        for optimizer in ("sgd", "adam")
    ]
    jobs = [Job(run, until=0.5 if run.seed == 3 else None) for run in runs]
    queue = Queue(jobs)
    first = queue.take()
    taken = queue.take_alike(
        first, Group(3, key), fits=lambda job: job.run.seed != 1
    )
    assert [job.run.optimizer for job in taken] == ["sgd", "sgd"]
    assert [job.run.seed for job in taken] == [2, 4]
    left = [queue.take() for _ in range(7)]
    assert not queue
    assert {first, *taken, *left} == set(jobs)


def test_a_job_without_a_key_is_taken_alone():
    queue = Queue(Job(run) for run in make_runs(3, optimizer="lion"))
    first = queue.take()
    assert queue.take_alike(first, Group(3, key), fits=lambda job: True) == []


def test_alike_runs_go_to_a_worker_together_and_have_a_record_each(pretended):
    runs = make_runs(7) + make_runs(2, optimizer="sgd")
    records = pretended.execute(runs, workers=1, group=Group(4, key))
    assert {record.run for record in records} == set(runs)
    assert pretended.counts() == {run.run_id: 1 for run in runs}
    assert pretended.stacks() == [4, 3, 2]
    assert not list(pretended.store.folder.glob("leases/*.lease"))


def test_a_group_that_raises_is_halved_until_the_faulty_run_is_alone(pretended):
    pretended.go_wrong(seed_2="raise", seed_5="nan")
    runs = make_runs(8)
    records = pretended.execute(runs, workers=1, group=Group(8, key), retries=0)
    found = {record.run.seed: record.status for record in records}
    assert found.pop(2) == "failed"
    assert found.pop(5) == "diverged"
    assert set(found.values()) == {"done"}
    assert pretended.stacks() == [8, 4, 2, 2, 4]


def test_runs_of_a_group_that_died_are_tried_again_alone(pretended):
    pretended.go_wrong(seed_1="exit")
    records = pretended.execute(make_runs(4), workers=1, group=Group(4, key))
    found = {record.run.seed: record.status for record in records}
    assert found == {0: "done", 1: "failed", 2: "done", 3: "done"}
    assert pretended.stacks() == [4]


def test_finished_runs_of_a_group_that_was_interrupted_are_kept(pretended):
    runs = make_runs(6)
    pretended.execute(runs[:3], workers=1, group=Group(3, key))
    pretended.execute(runs, workers=1, group=Group(6, key))
    assert pretended.counts() == {run.run_id: 1 for run in runs}
