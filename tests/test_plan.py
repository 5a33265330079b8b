"""Plans: what is there is counted, and what is left is timed by it."""

import dataclasses

import pytest

from medzoo.record import Record
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.plan import make_plan
from medzoo.study.spec import read_study

FILE = """
question = "Which?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0, 1]
[axes]
optimizer = ["sgd", "adam", "lion"]
[fixed]
model = "mlp"
batch_size = 100
steps = 101
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(FILE)
    return read_study(path)


def write(store, run, status="done", train=10.0, check=0.0):
    """Writes a record of a run that took `train` + `check` + 3 seconds."""
    store.write(
        Record(
            run=run,
            run_id=run.run_id,
            status=status,
            history=[{"step": run.steps}],
            seconds={
                "build": 1.0,
                "first_step": 2.0,
                "train": train,
                "check": check,
                "total": train + check + 3.0,
            },
            num_images={"train": 546, "val": 78, "test": 156},
        )
    )


def test_a_fresh_study_is_all_left(study, store):
    plan = make_plan(study, store)
    assert (plan.num_runs, plan.left) == (12, 12)
    assert (plan.done, plan.failed, plan.diverged) == (0, 0, 0)
    # 3 s a run, and 0.6 us for each of 101 x 100 x 28 x 28 pixels.
    assert plan.seconds_left == pytest.approx(12 * (3 + 4.75104))
    assert plan.text() == (
        "small: Which?\n"
        "3 trials x 2 tasks x 2 seeds = 12 runs on medmnist data\n"
        "0 done, 0 failed, 0 diverged, 12 left\n"
        "Estimated time left with 1 worker: 2 min "
        "(from steps and pixels, roughly)"
    )
    assert "with 2 workers: 1 min (" in plan.text(workers=2)


def test_failed_runs_are_left_and_diverged_ones_are_not(study, store):
    runs = [item.run for item in expand(study)]
    for run, status in zip(
        runs, ["done", "failed", "diverged", "done"], strict=False
    ):
        write(store, run, status)
    plan = make_plan(study, store)
    assert (plan.done, plan.failed, plan.diverged, plan.left) == (2, 1, 1, 9)
    assert plan.status().startswith("2 done, 1 failed, 1 diverged, 9 left\n")


def test_a_finished_study_has_no_time_left(study, store):
    for _, run in expand(study):
        write(store, run)
    plan = make_plan(study, store)
    assert (plan.left, plan.seconds_left, plan.sources) == (0, 0, {})
    assert plan.status() == "12 done, 0 failed, 0 diverged, 0 left"


def test_time_is_the_median_of_the_same_task_else_of_the_model(study, store):
    runs = [item.run for item in expand(study)]
    for run, train in zip(runs[:3], [10.0, 10.0, 70.0], strict=True):
        write(store, run, train=train - 5.0, check=5.0)
    plan = make_plan(study, store)
    # 100 steps after the first took 10 s by the median, and the rest 3 s.
    assert plan.seconds_left == pytest.approx(9 * (101 * 0.1 + 3))
    assert plan.sources == {
        "earlier runs of the same model, options and width": 6,
        "earlier runs of the same model, options, width and task": 3,
    }


def test_time_grows_with_steps_and_pixels(study, store):
    for item in expand(study.override(seeds=[0])):
        write(store, item.run)
    base = make_plan(study.override(seeds=[1]), store).seconds_left
    for key, value in {"steps": 1010, "batch_size": 10, "size": 64}.items():
        factor = {"steps": 10, "batch_size": 0.1, "size": (64 / 28) ** 2}[key]
        other = dataclasses.replace(study, fixed=study.fixed | {key: value})
        plan = make_plan(other.override(seeds=[1]), store)
        steps = 101 * 0.1 * factor
        assert plan.seconds_left == pytest.approx(6 * (steps + 3))
    assert base == pytest.approx(6 * (101 * 0.1 + 3))


def test_a_frozen_backbone_is_expected_to_see_each_image_once(study, store):
    fixed = study.fixed | {"model": "transfer", "resize": 32}
    study = dataclasses.replace(study, fixed=fixed)
    # 3 s a run, and 0.6 us for each pixel of train.
    images = 6e-7 * 32**2 * (546 + 1080)
    expected = 12 * 3 + 6 * images
    assert make_plan(study, store).seconds_left == pytest.approx(expected)


def test_a_smoke_run_says_nothing_of_the_time_of_a_full_one(study, store):
    for _, run in expand(study, smoke=True):
        write(store, run)
    assert set(make_plan(study, store).sources) == {"steps and pixels, roughly"}
    assert make_plan(study, store, smoke=True).left == 0


def test_another_study_with_the_same_runs_has_them_done(study, store):
    for _, run in expand(study.override(seeds=[1])):
        write(store, run)
    other = dataclasses.replace(study, name="other", trials=study.trials[:2])
    plan = make_plan(other, store)
    assert (plan.num_runs, plan.done, plan.left) == (8, 4, 4)


def test_runs_that_two_trials_share_are_timed_once(tmp_path, store):
    path = tmp_path / "x.toml"
    path.write_text(
        'question = "?"\ntasks = ["breastmnist"]\n[axes]\nepochs = [1, 2, 3]\n'
    )
    plan = make_plan(read_study(path), store, smoke=True)
    assert (plan.num_runs, plan.num_seeds, plan.left) == (3, 1, 3)
    assert sum(plan.sources.values()) == 1
