"""Search: it resumes for every tuner, and hides nothing."""

import functools
import itertools
import json
import math
import shutil
import statistics
from collections import Counter

import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from search_records import Executed, goal, pretend, read  # noqa: E402

from medzoo.execution.worker import failed_record  # noqa: E402
from medzoo.search.oracle import declare  # noqa: E402
from medzoo.search.space import list_grid  # noqa: E402
from medzoo.store import Store  # noqa: E402
from medzoo.study.tuning import has_reached  # noqa: E402

TUNERS = ("random", "hyperband", "bayesian", "grid")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Returns a search, its executor and its results; each is made once."""

    @functools.cache
    def make(tuner, workers=1):
        folder = tmp_path_factory.mktemp(f"{tuner}_{workers}")
        search = read(folder, tuner=tuner)
        whole = Executed(Store(folder / "runs"), workers=workers)
        return search, whole, whole.search(search)

    return make


# With 14, Gaussian processes propose the last two of nine at once.
@pytest.mark.parametrize(
    ("tuner", "workers"),
    [
        *(("random", 14), ("hyperband", 14), ("grid", 14)),
        *(pytest.param(t, 1, marks=pytest.mark.slow) for t in TUNERS),
        pytest.param("bayesian", 14, marks=pytest.mark.slow),
    ],
)
def test_a_killed_search_goes_on_and_ends_as_if_it_had_not_been(
    tuner, workers, searched, tmp_path
):
    search, whole, expected = searched(tuner, workers)
    assert len(expected) == search.document.trials

    store = Store(tmp_path / "runs")
    killed = Executed(store, workers=workers, falls_at=9)
    with pytest.raises(KeyboardInterrupt):
        killed.search(search)
    again = Executed(store, workers=workers)
    assert again.search(search) == expected
    # Nothing is trained twice as far.
    assert Counter(killed.jobs + again.jobs) == Counter(whole.jobs)


@pytest.mark.parametrize(
    "tuner", [pytest.param("bayesian", marks=pytest.mark.slow), "hyperband"]
)
def test_the_order_in_which_runs_end_changes_no_candidate(
    tuner, searched, tmp_path
):
    search, _, expected = searched(tuner, 14)
    turned = Executed(Store(tmp_path), workers=14, latest_first=True)
    assert turned.search(search) == expected


def test_candidates_are_told_as_soon_as_their_last_run_has_ended(tmp_path):
    search = read(tmp_path)
    execute = Executed(Store(tmp_path / "runs"), workers=3)
    told = []
    found = execute.search(
        search, on_tried=lambda each: told.append((each, len(execute.jobs)))
    )
    assert len(told) == len(found) == 12
    assert sorted((each for each, _ in told), key=lambda e: e.number) == found
    ended = [job.run.run_id for job in execute.jobs]
    for each, count in told:
        assert count == 1 + max(ended.index(run_id) for run_id in each.run_ids)


def test_a_search_whose_time_is_over_says_so_and_goes_on(tmp_path):
    search, store = read(tmp_path), Store(tmp_path / "runs")
    with pytest.raises(TimeoutError):
        Executed(store).search(search, deadline=0.0)
    assert len(Executed(store).search(search)) == 12


@pytest.mark.parametrize("tuner", TUNERS)
def test_the_objective_is_the_harmonic_mean_over_tasks_on_val(tuner, searched):
    _, whole, found = searched(tuner)
    for tried in found:
        records = [whole.store.read(run_id) for run_id in tried.run_ids]
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
    tried = Executed(store).search(search)
    found = [tuple(each.values.items()) for each in tried]
    # 2 optimizers, 3 rates, 3 of dropout; one loss has 3 weights, one none.
    assert len(set(found)) == len(found) == 2 * 3 * 3 * (1 + 3)
    product = itertools.product(["adam", "sgd"], [0.001, 0.01, 0.1])
    for optimizer, rate in product:
        chosen = {("optimizer", optimizer), ("learning_rate", rate)}
        assert any(chosen <= set(choice) for choice in found)


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
def test_values_lie_in_the_space_and_conditions_hold(tuner, searched):
    for each in searched(tuner)[2]:
        values = each.values
        assert 0.001 <= values["learning_rate"] <= 0.1
        assert values["dropout"] in (0.0, 0.2, 0.4)
        joint = values["loss"] == "cross_entropy+soft_f1"
        assert ("loss_weight" in values) == joint


def test_a_seed_of_0_is_a_seed(tmp_path):
    def first(folder, *changes):
        store = Store(tmp_path / folder)
        search = read(tmp_path, ("trials = 12", "trials = 4"), *changes)
        tried = Executed(store).search(search)
        return [each.values for each in tried]

    assert first("a") == first("b")
    other = ('"random"', '"random"\ntuner_seed = 1')
    assert first("c", other) != first("a")


@pytest.mark.slow
def test_a_longer_search_begins_as_the_shorter_one(tmp_path):
    store = Store(tmp_path / "runs")
    short = read(tmp_path, ("trials = 9", "trials = 4"), tuner="bayesian")
    found = Executed(store).search(short)
    execute = Executed(store)
    tried = execute.search(read(tmp_path, tuner="bayesian"))
    assert tried[:4] == found
    assert len(execute.jobs) == 2 * (9 - 4)
    # And the shorter one is still there, as the longer one is behind it.
    short = read(tmp_path, ("trials = 9", "trials = 4"), tuner="bayesian")
    execute = Executed(store)
    assert execute.search(short) == found
    assert execute.search(read(tmp_path, tuner="bayesian")) == tried
    assert not execute.jobs


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_finished_search_is_the_same_with_any_number_of_workers(
    tuner, searched, tmp_path
):
    search, whole, found = searched(tuner, 14)
    store = Store(shutil.copytree(whole.store.folder, tmp_path / "runs"))
    again, told = Executed(store, workers=2), []
    assert again.search(search, on_tried=told.append) == found == told
    assert not again.jobs
    next(store.folder.glob(f"??/{found[3].run_ids[0]}.json")).unlink()
    assert again.search(search) == found
    assert {job.run.run_id for job in again.jobs} == {found[3].run_ids[0]}


def test_a_gaussian_process_is_not_asked_again_for_what_it_proposed(
    searched, tmp_path
):
    search, whole, found = searched("bayesian")
    store = Store(shutil.copytree(whole.store.folder, tmp_path / "runs"))
    (kept,) = (store.folder / "searches").glob("tiny*")
    content = json.loads(kept.read_text())
    content["rounds"][-1][0]["learning_rate"] = 0.0123
    kept.write_text(json.dumps(content))
    again = Executed(store)
    *same, last = again.search(search)
    assert same == found[:-1]
    assert last.values == {**found[-1].values, "learning_rate": 0.0123}
    assert len(again.jobs) == 2


def test_a_search_without_its_proposals_is_begun_anew(tmp_path):
    store = Store(tmp_path / "runs")
    old = Executed(store).search(read(tmp_path))
    (kept,) = (store.folder / "searches").glob("tiny*")
    kept.write_text("{")
    again = Executed(store)
    assert again.search(read(tmp_path)) == old
    assert not again.jobs
    kept.unlink()
    changed = read(tmp_path, ("high = 0.1", "high = 0.2"))
    assert Executed(store).search(changed) != old


def test_a_changed_space_is_refused_with_the_difference(tmp_path):
    store = Store(tmp_path / "runs")
    Executed(store).search(read(tmp_path))
    changed = read(
        tmp_path, ("high = 0.1", "high = 0.2"), ("width = 8", "width = 9")
    )
    execute = Executed(store)
    with pytest.raises(ValueError, match="is no longer the one") as error:
        execute.search(changed)
    assert "space.learning_rate.high: 0.1 became 0.2" in str(error.value)
    assert "fixed.width: 8 became 9" in str(error.value)
    assert not execute.jobs


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_failed_candidates_stay_visible_and_the_others_go_on(tuner, tmp_path):
    search = read(tmp_path, tuner=tuner)
    store = Store(tmp_path / "runs")

    def fail_with_sgd(job):
        if job.run.optimizer == "sgd":
            return failed_record(job.run, kind="OSError", message="no room")
        return pretend(job)

    first = Executed(store, make=fail_with_sgd)
    tried = first.search(search, retries=0)
    assert len(tried) == search.document.trials
    for each in tried:
        assert (each.score is None) == (each.values["optimizer"] == "sgd")
        assert each.error in ("", "OSError: no room")
    # As after any failure, the same call tries them again, and them alone.
    again = Executed(store)
    fixed = again.search(search)
    assert [e.values for e in fixed] == [e.values for e in tried]
    assert all(each.score is not None for each in fixed)
    assert {job.run.optimizer for job in again.jobs} == {"sgd"}


def test_a_budget_in_hours_ends_the_search(tmp_path):
    # A candidate takes 2 runs of 10 seconds.
    search = read(tmp_path, ("trials = 12", "hours = 0.0124"))
    tried = Executed(Store(tmp_path / "runs")).search(search)
    assert len(tried) == math.ceil(0.0124 * 3600 / 20) == 3


@pytest.mark.parametrize("tuner", ["random", "hyperband", "grid"])
def test_a_search_by_hours_that_was_killed_ends_as_another(tuner, tmp_path):
    search = read(tmp_path, ("trials = 12", "hours = 0.05"), tuner=tuner)
    whole = Executed(Store(tmp_path / "whole"), workers=4)
    expected = whole.search(search)
    assert (
        sum({each.run_ids: each.seconds for each in expected}.values())
        >= 9 * 20
    )
    store = Store(tmp_path / "runs")
    killed = Executed(store, workers=4, falls_at=len(whole.jobs) - 2)
    with pytest.raises(KeyboardInterrupt):
        killed.search(search)
    assert Executed(store, workers=4).search(search) == expected


def test_a_full_disk_ends_the_search_and_not_the_candidate(tmp_path):
    def fail(job):
        raise FileNotFoundError("`x` cannot be written.")

    with pytest.raises(FileNotFoundError, match="cannot be written"):
        Executed(Store(tmp_path / "runs"), make=fail).search(read(tmp_path))


def test_grids_of_keras_tuner_and_ours_have_the_same_values(tmp_path):
    search = read(tmp_path, tuner="grid")
    hp = keras_tuner.HyperParameters()
    declare(search.document.space, hp)
    theirs = {p.name: sorted(p.values) for p in hp.space}
    for name in ("learning_rate", "dropout"):
        ours = search.document.space[name].grid()
        assert ours == pytest.approx(theirs[name])
    assert list_grid(search.document.space)
