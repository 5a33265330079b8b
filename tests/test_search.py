"""Search: it resumes for every tuner, and hides nothing."""

import itertools
import math
import statistics

import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from search_records import Executed, goal, pretend, read  # noqa: E402

from medzoo.study.halving import has_reached  # noqa: E402
from medzoo.study.oracle import declare, make_oracle  # noqa: E402
from medzoo.study.search import build_hypermodel, run_search  # noqa: E402
from medzoo.study.space import list_grid  # noqa: E402
from medzoo.study.store import Store  # noqa: E402
from medzoo.study.worker import failed_record  # noqa: E402

TUNERS = ("random", "hyperband", "bayesian", "grid")


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_killed_search_goes_on_and_ends_as_if_it_had_not_been(
    tuner, tmp_path
):
    search = read(tmp_path, tuner=tuner)
    whole = Executed(Store(tmp_path / "whole"))
    expected = run_search(search, whole.store, execute=whole)
    assert len(expected) == search.document.trials

    store = Store(tmp_path / "runs")
    killed = Executed(store, falls_at=9)
    with pytest.raises(KeyboardInterrupt):
        run_search(search, store, execute=killed)
    again = Executed(store)
    assert run_search(search, store, execute=again) == expected
    # Nothing is trained twice as far.
    assert killed.jobs + again.jobs == whole.jobs


@pytest.mark.parametrize("tuner", TUNERS)
def test_the_objective_is_the_harmonic_mean_over_tasks_on_val(tuner, tmp_path):
    search = read(tmp_path, tuner=tuner)
    store = Store(tmp_path / "runs")
    for tried in run_search(search, store, execute=Executed(store)):
        records = [store.read(run_id) for run_id in tried.run_ids]
        assert {record.run.task for record in records} == {
            "breastmnist",
            "retinamnist",
        }
        ends = [goal(r.run) * math.ceil(9 * tried.share) / 9 for r in records]
        assert tried.score == pytest.approx(statistics.harmonic_mean(ends))
        assert all(has_reached(record, tried.share) for record in records)


def test_a_grid_leaves_no_choice_out(tmp_path):
    search = read(tmp_path, ("trials = 12", ""), tuner="grid")
    store = Store(tmp_path / "runs")
    tried = run_search(search, store, execute=Executed(store))
    found = [tuple(each.values.items()) for each in tried]
    # 2 optimizers, 3 rates, 3 of dropout; one loss has 3 weights, one none.
    assert len(set(found)) == len(found) == 2 * 3 * 3 * (1 + 3)
    product = itertools.product(["adam", "sgd"], [0.001, 0.01, 0.1])
    for optimizer, rate in product:
        chosen = {("optimizer", optimizer), ("learning_rate", rate)}
        assert any(chosen <= set(choice) for choice in found)


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
def test_values_lie_in_the_space_and_conditions_hold(tuner, tmp_path):
    search = read(tmp_path, tuner=tuner)
    store = Store(tmp_path / "runs")
    for each in run_search(search, store, execute=Executed(store)):
        values = each.values
        assert 0.001 <= values["learning_rate"] <= 0.1
        assert values["dropout"] in (0.0, 0.2, 0.4)
        joint = values["loss"] == "cross_entropy+soft_f1"
        assert ("loss_weight" in values) == joint


def test_a_seed_of_0_is_a_seed(tmp_path):
    def first(folder, *changes):
        store = Store(tmp_path / folder)
        search = read(tmp_path, ("trials = 12", "trials = 4"), *changes)
        tried = run_search(search, store, execute=Executed(store))
        return [each.values for each in tried]

    assert first("a") == first("b")
    other = ('"random"', '"random"\ntuner_seed = 1')
    assert first("c", other) != first("a")
    assert make_oracle(read(tmp_path)).seed == 1


def test_a_longer_search_begins_as_the_shorter_one(tmp_path):
    store = Store(tmp_path / "runs")
    short = read(tmp_path, ("trials = 9", "trials = 4"), tuner="bayesian")
    found = run_search(short, store, execute=Executed(store))
    execute = Executed(store)
    tried = run_search(read(tmp_path, tuner="bayesian"), store, execute=execute)
    assert tried[:4] == found
    assert len(execute.jobs) == 2 * (9 - 4)


def test_a_finished_search_asks_no_tuner_again(tmp_path, monkeypatch):
    store = Store(tmp_path / "runs")
    search = read(tmp_path, tuner="bayesian")
    found = run_search(search, store, execute=Executed(store))
    told = []
    with monkeypatch.context() as patched:
        patched.setattr("medzoo.study.search.make_tuner", None)
        assert run_search(search, store, on_tried=told.append) == found == told
    next(store.folder.glob(f"??/{found[3].run_ids[0]}.json")).unlink()
    again = Executed(store)
    assert run_search(search, store, execute=again) == found
    assert [job.run.run_id for job in again.jobs] == [found[3].run_ids[0]]


def test_a_new_search_under_an_old_name_asks_its_own_tuner(tmp_path):
    store = Store(tmp_path / "runs")
    old = run_search(read(tmp_path), store, execute=Executed(store))
    changed = read(tmp_path, ("high = 0.1", "high = 0.2"))
    (store.folder / "searches" / f"{changed.name}.json").unlink()
    assert run_search(changed, store, execute=Executed(store)) != old


def test_a_changed_space_is_refused_with_the_difference(tmp_path):
    store = Store(tmp_path / "runs")
    run_search(read(tmp_path), store, execute=Executed(store))
    changed = read(
        tmp_path, ("high = 0.1", "high = 0.2"), ("width = 8", "width = 9")
    )
    execute = Executed(store)
    with pytest.raises(ValueError, match="is no longer the one") as error:
        run_search(changed, store, execute=execute)
    assert "space.learning_rate.high: 0.1 became 0.2" in str(error.value)
    assert "fixed.width: 8 became 9" in str(error.value)
    assert not execute.jobs


def test_failed_candidates_stay_visible_and_the_others_go_on(tmp_path):
    search = read(tmp_path)
    store = Store(tmp_path / "runs")

    def fail_with_sgd(jobs):
        for job in jobs:
            record = pretend(job)
            if job.run.optimizer == "sgd":
                record = failed_record(
                    job.run, kind="OSError", message="no room"
                )
            store.write(record)

    tried = run_search(search, store, execute=fail_with_sgd)
    assert len(tried) == 12
    for each in tried:
        assert (each.score is None) == (each.values["optimizer"] == "sgd")
        assert each.error in ("", "OSError: no room")
    # As after any failure, the same call tries them again.
    again = Executed(store)
    fixed = run_search(search, store, execute=again)
    assert all(each.score is not None for each in fixed)
    assert {job.run.optimizer for job in again.jobs} == {"sgd"}


def test_a_budget_in_hours_ends_the_search(tmp_path):
    # A candidate takes 2 runs of 10 seconds.
    search = read(tmp_path, ("trials = 12", "hours = 0.0124"))
    store = Store(tmp_path / "runs")
    tried = run_search(search, store, execute=Executed(store))
    assert len(tried) == math.ceil(0.0124 * 3600 / 20) == 3


def test_a_full_disk_ends_the_search_and_not_the_candidate(tmp_path):
    def fail(jobs):
        raise FileNotFoundError("`x` cannot be written.")

    with pytest.raises(FileNotFoundError, match="cannot be written"):
        run_search(read(tmp_path), Store(tmp_path / "runs"), execute=fail)


def test_grids_of_keras_tuner_and_ours_have_the_same_values(tmp_path):
    search = read(tmp_path, tuner="grid")
    hp = keras_tuner.HyperParameters()
    declare(search.document.space, hp)
    theirs = {p.name: sorted(p.values) for p in hp.space}
    for name in ("learning_rate", "dropout"):
        ours = search.document.space[name].grid()
        assert ours == pytest.approx(theirs[name])
    assert list_grid(search.document.space)


def test_a_tuner_of_ones_own_trains_runs_of_the_store(tmp_path):
    search = read(
        tmp_path,
        ("epochs = 9", "epochs = 2"),
        ('tasks = ["breastmnist", "retinamnist"]', 'tasks = ["breastmnist"]'),
    )
    store = Store(tmp_path / "runs")

    def make_tuner(folder):
        return keras_tuner.RandomSearch(
            build_hypermodel(search, store),
            objective=keras_tuner.Objective("val_macro_f1", "max"),
            max_trials=2,
            seed=3,
            directory=tmp_path,
            project_name=folder,
        )

    tuner = make_tuner("first")
    tuner.search(verbose=0)
    trials = tuner.oracle.trials.values()
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    records = list(store.read_many(store.run_ids()).values())
    assert [record.status for record in records] == ["trained"] * 2
    assert sorted(r.scores["val"]["macro_f1"] for r in records) == sorted(
        trial.score for trial in trials
    )
    assert all("test" not in record.scores for record in records)
    again = make_tuner("again")
    again.search(verbose=0)
    for record in records:
        assert store.read(record.run_id) == record
