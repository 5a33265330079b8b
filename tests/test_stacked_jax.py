"""Stacks: each run has the record that it would have had alone."""

from functools import partial

import pytest
from on_jax import SMALL, assert_alike, needs_jax

from medzoo.execution.job import Job
from medzoo.execution.options import ExecutionOptions
from medzoo.execution.worker import run_all, run_one
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.training.execute import execute
from medzoo.training.stacked_jax import LARGEST, execute_stack, stack_key

FIRST = {"task": "breastmnist", "model": "mlp"}
RATES = [
    {"seed": 0, "learning_rate": 1e-3},
    {"seed": 1, "learning_rate": 1e-2, "schedule": "cosine"},
    {"seed": 2, "learning_rate": 3e-3, "warmup": 0.3, "keep": "last"},
]
CONSTANTS = (
    {"weight_decay": 0.0, "loss_weight": 0.2},
    {"weight_decay": 0.1, "loss_weight": 0.9},
    {"weight_decay": 1.0},
)
KINDS = {
    "mlp": {"optimizer": "adamw", "max_images": None},
    "images drawn by seed": {"augmentation": "flips"},
    "splits drawn by seed": {"resplit": True, "options": {"dropout": 0.5}},
    "average": {"ema": 0.9, "flip_test": True, "adjust": "prior"},
    "constants of the graph": {
        "optimizer": "adamw",
        "loss": "cross_entropy+soft_f1",
        "constants": CONSTANTS,
    },
    "cutmix": {"mix": "cutmix"},
    "skip_cnn": {"model": "skip_cnn", "width": 4, "options": {"stages": 1}},
}


def make_runs(constants=({}, {}, {}), **values):
    pairs = zip(RATES, constants, strict=True)
    return [Run(**SMALL | values | a | b) for a, b in pairs]


@needs_jax
@pytest.mark.parametrize("name", KINDS)
def test_each_run_has_the_record_that_it_would_have_alone(name):
    runs = make_runs(**KINDS[name])
    for run, (record, predictions) in zip(
        runs, execute_stack(runs), strict=True
    ):
        assert (record.status, record.stack) == ("done", 3)
        assert_alike((record, predictions), execute(run))


@needs_jax
def test_who_ends_early_does_not_touch_the_others():
    values = {"loss": "cross_entropy", "optimizer": "sgd", "epochs": 6}
    runs = [
        Run(**SMALL | values),
        Run(**SMALL | values, seed=1, learning_rate=1e30),
        Run(**SMALL | values, seed=2, learning_rate=1e-9, patience=1),
    ]
    stack = execute_stack(runs)
    assert [record.status for record, _ in stack] == [
        "done",
        "diverged",
        "done",
    ]
    assert len(stack[2][0].history) < len(stack[0][0].history)
    for run, (record, predictions) in zip(runs, stack, strict=True):
        if record.status == "done":
            assert_alike((record, predictions), execute(run))


@needs_jax
def test_a_stack_stops_and_goes_on_like_any_run(tmp_path):
    runs = make_runs(optimizer="momentum")
    store = Store(tmp_path)
    cut = [Job(run, until=0.3, read_test=False) for run in runs]
    for record, predictions in run_all(cut, store):
        assert record.status == "pruned"
        store.write(record, predictions)
    whole = [Job(run, read_test=False) for run in runs]
    found = run_all(whole, store)
    alone = Store(tmp_path / "alone")
    for job, each in zip(whole, found, strict=True):
        assert each[0].status == "trained"
        assert_alike(each, run_one(job, alone))
        store.write(*each)
    # All that is left is to read test, for which nothing is trained.
    found = run_all(list(map(Job, runs)), store)
    for run, each in zip(runs, found, strict=True):
        assert each[0].stack == 3
        assert_alike(each, run_one(Job(run), alone))


@needs_jax
def test_runs_that_are_not_alike_are_executed_all_the_same(tmp_path):
    runs = [Run(**SMALL), Run(**SMALL, activation="elu")]
    found = run_all(list(map(Job, runs)), Store(tmp_path))
    assert [record.status for record, _ in found] == ["done", "done"]
    assert [record.stack for record, _ in found] == [1, 1]
    with pytest.raises(ValueError, match="one graph, equal steps"):
        execute_stack(runs)


@needs_jax
def test_seconds_are_shares_of_the_stack():
    records = [record for record, _ in execute_stack(make_runs())]
    trained = {record.seconds["train"] for record in records}
    assert len(trained) == 1
    for record in records:
        parts = {**record.seconds}
        total = parts.pop("total")
        assert sum(parts.values()) == pytest.approx(total, rel=0.5)


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
def test_values_and_choices_of_weights_may_differ_in_a_stack(changes):
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
        {"precision": "bfloat16"},
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


def test_stacks_are_for_gpus_under_jax(monkeypatch):
    # With a stand-in, no backend is asked for its GPUs.
    make_options = partial(ExecutionOptions, execute=len)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert make_options().find_group(100) is None
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert make_options().find_group(100) == (LARGEST, stack_key)
    assert make_options().find_group(10) == (5, stack_key)
    assert make_options(stack="off").find_group(100) is None
    assert make_options(stack="8").find_group(3) == (8, stack_key)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert make_options().find_group(100) is None


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
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(ValueError, match=sentence):
        ExecutionOptions(stack=stack).find_group(10)
