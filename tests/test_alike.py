"""Stacks: which runs may train together, and who puts them together."""

import os

import pytest
from pretended import Pretended, make_runs

from medzoo.study.job import Job
from medzoo.study.means import STACK, Means
from medzoo.study.order import Queue
from medzoo.training.alike import stack_key
from medzoo.training.machine import name_backend
from medzoo.training.run import Run

FIRST = {"task": "breastmnist", "model": "mlp"}


@pytest.fixture
def pretended(tmp_path):
    return Pretended(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"learning_rate": 0.1, "schedule": "cosine", "warmup": 0.1},
        {"patience": 2, "keep": "last"},
        {"flip_test": True, "adjust": "prior"},
        {"weight_decay": 0.1, "loss_weight": 0.9},
    ],
)
def test_values_and_books_may_differ_in_a_stack(changes):
    run, other = Run(**FIRST), Run(**FIRST | changes)
    assert stack_key(run) == stack_key(other) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "pneumoniamnist"},
        {"optimizer": "sgd"},
        {"activation": "elu"},
        {"width": 8},
        {"batch_size": 32},
        {"epochs": 3},
        {"max_images": 100},
        {"ema": 0.9},
        {"mix": "cutmix"},
    ],
)
def test_graphs_steps_and_images_may_not(changes):
    assert stack_key(Run(**FIRST)) != stack_key(Run(**FIRST | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "knn"},
        {"model": "multi_head", "task": "breastmnist+pneumoniamnist"},
        {
            "max_images": 100,
            "imbalance": "focal",
            "loss": "cross_entropy",
        },
        {"resplit": True, "loss": "weighted_soft_f1"},
    ],
)
def test_some_runs_train_alone(changes):
    assert stack_key(Run(**FIRST | changes)) is None


def test_a_queue_gives_what_is_alike_and_as_far():
    runs = [
        Run(**FIRST, seed=seed, optimizer=optimizer)
        for seed in range(5)
        for optimizer in ("sgd", "adam")
    ]
    jobs = [Job(run, until=0.5 if run.seed == 3 else None) for run in runs]
    queue = Queue(jobs)
    first = queue.take()
    taken = queue.take_alike(first, 2, fits=lambda job: job.run.seed != 1)
    assert [job.run.optimizer for job in taken] == ["sgd", "sgd"]
    assert [job.run.seed for job in taken] == [2, 4]
    left = [queue.take() for _ in range(7)]
    assert not queue
    assert {first, *taken, *left} == set(jobs)


def test_alike_runs_go_to_a_worker_together_and_have_a_record_each(pretended):
    runs = make_runs(7) + make_runs(2, optimizer="sgd")
    records = pretended.execute(runs, workers=1, stack=4)
    assert {record.run for record in records} == set(runs)
    assert pretended.counts() == {run.run_id: 1 for run in runs}
    assert pretended.stacks() == [4, 3, 2]
    assert not list(pretended.store.folder.glob("leases/*.lease"))


def test_a_stack_that_raises_is_halved_until_the_faulty_run_is_alone(pretended):
    pretended.go_wrong(seed_2="raise", seed_5="nan")
    runs = make_runs(8)
    records = pretended.execute(runs, workers=1, stack=8, retries=0)
    found = {record.run.seed: record.status for record in records}
    assert found.pop(2) == "failed"
    assert found.pop(5) == "diverged"
    assert set(found.values()) == {"done"}
    assert pretended.stacks() == [8, 4, 2, 2, 4]


def test_runs_of_a_stack_that_died_are_tried_again_alone(pretended):
    pretended.go_wrong(seed_1="exit")
    records = pretended.execute(make_runs(4), workers=1, stack=4)
    found = {record.run.seed: record.status for record in records}
    assert found == {0: "done", 1: "failed", 2: "done", 3: "done"}
    assert pretended.stacks() == [4]


def test_finished_runs_of_a_stack_that_was_interrupted_are_kept(pretended):
    runs = make_runs(6)
    pretended.execute(runs[:3], workers=1, stack=3)
    pretended.execute(runs, workers=1, stack=6)
    assert pretended.counts() == {run.run_id: 1 for run in runs}


def test_stacks_are_for_gpus_under_jax(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert Means().find_stack(100) == 1
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert Means().find_stack(100) == STACK
    assert Means().find_stack(10) == 5
    assert Means(stack="off").find_stack(100) == 1
    assert Means(stack="8").find_stack(3) == 8
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert Means().find_stack(100) == 1


@pytest.mark.parametrize(
    ("text", "backend"),
    [
        ('{"backend": "jax"}', "jax"),
        ('{"floatx": "float32"}', "tensorflow"),
        ("{", "tensorflow"),
        (None, "tensorflow"),
    ],
)
def test_the_backend_is_the_one_that_keras_takes(
    text, backend, tmp_path, monkeypatch
):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if text is not None:
        (tmp_path / "keras.json").write_text(text)
    assert name_backend() == backend
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert name_backend() == "torch"


@pytest.mark.parametrize(
    ("stack", "backend", "sentence"),
    [
        ("8", "tensorflow", r"Expected KERAS_BACKEND=jax\. Received: .*'8'"),
        ("many", "jax", "`stack` must be `auto`, `off`, or a number of runs"),
    ],
)
def test_stacks_that_cannot_be_are_refused(
    stack, backend, sentence, monkeypatch
):
    monkeypatch.setitem(os.environ, "KERAS_BACKEND", backend)
    with pytest.raises(ValueError, match=sentence):
        Means(stack=stack).find_stack(10)
