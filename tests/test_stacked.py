"""Stacks: each run has the record that it would have had alone."""

import pytest
from on_jax import SMALL, assert_alike, needs_jax

from medzoo.study.job import Job
from medzoo.study.store import Store
from medzoo.study.worker import run_all, run_one
from medzoo.training.execute import execute
from medzoo.training.run import Run
from medzoo.training.stacked import execute_stack

pytestmark = needs_jax
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


@pytest.mark.parametrize("name", KINDS)
def test_each_run_has_the_record_that_it_would_have_alone(name):
    runs = make_runs(**KINDS[name])
    stack = execute_stack(runs)
    for run, (record, predictions, state) in zip(runs, stack, strict=True):
        assert (record.status, record.stack, state) == ("done", 3, None)
        assert_alike((record, predictions), execute(run))


def test_who_ends_early_does_not_touch_the_others():
    values = {"loss": "cross_entropy", "optimizer": "sgd", "epochs": 6}
    runs = [
        Run(**SMALL | values),
        Run(**SMALL | values, seed=1, learning_rate=1e30),
        Run(**SMALL | values, seed=2, learning_rate=1e-9, patience=1),
    ]
    stack = execute_stack(runs)
    assert [record.status for record, *_ in stack] == [
        "done",
        "diverged",
        "done",
    ]
    assert len(stack[2][0].history) < len(stack[0][0].history)
    for run, (record, predictions, _) in zip(runs, stack, strict=True):
        if record.status == "done":
            assert_alike((record, predictions), execute(run))


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


def test_runs_that_are_not_alike_are_executed_all_the_same(tmp_path):
    runs = [Run(**SMALL), Run(**SMALL, activation="elu")]
    found = run_all(list(map(Job, runs)), Store(tmp_path))
    assert [record.status for record, _ in found] == ["done", "done"]
    assert [record.stack for record, _ in found] == [1, 1]
    with pytest.raises(ValueError, match="one graph, equal steps"):
        execute_stack(runs)


def test_seconds_are_shares_of_the_stack():
    records = [record for record, *_ in execute_stack(make_runs())]
    trained = {record.seconds["train"] for record in records}
    assert len(trained) == 1
    for record in records:
        parts = {**record.seconds}
        total = parts.pop("total")
        assert sum(parts.values()) == pytest.approx(total, rel=0.5)
