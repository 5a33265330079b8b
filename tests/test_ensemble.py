"""Ensembles: the mean of stored probabilities, picked on val alone."""

import dataclasses

import numpy as np
import pytest
from report_records import SCORES, TASKS, make_record, make_study

from medzoo.record import Predictions, SplitPredictions
from medzoo.report.ensemble import average, make_ensembles, pick_members
from medzoo.report.results import read_results
from medzoo.scores import probabilities as scores
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.spec import Trial

CLASSES = {"breastmnist": 2, "retinamnist": 5}


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def store(study, tmp_path):
    """Records whose val says another order than their test."""
    store = Store(tmp_path)
    val = {"adam": 0.2, "sgd": 0.9, "lion": 0.5}
    for trial, run in expand(study):
        record = make_record(run, SCORES[trial.name][0][0])
        record.scores = {
            "val": record.scores["val"] | {"macro_f1": val[trial.name]},
            "test": dict(record.scores["test"]),
        }
        random = np.random.default_rng(int(run.run_id, 16) % 2**32)
        labels = np.arange(30, dtype="int32") % CLASSES[run.task]
        predictions = Predictions()
        for split in ("val", "test"):
            p = random.dirichlet(np.ones(CLASSES[run.task]), 30)
            predictions = predictions.with_split(
                split, SplitPredictions(p.astype("float32"), labels)
            )
        store.write(record, predictions)
    return store


def test_members_are_picked_by_val_and_not_by_test(study, store):
    results = read_results(study, store)
    names = [m.trial.name for m in pick_members(results, best=2)]
    assert names == ["sgd", "lion"]  # By test it is lion, adam.
    assert pick_members(results, trial="adam")[0].trial.name == "adam"
    with pytest.raises(ValueError, match="Unknown trial `adan`"):
        pick_members(results, trial="adan")
    with pytest.raises(ValueError, match="between 1 and 3"):
        pick_members(results, best=4)
    with pytest.raises(ValueError, match="No trial has a score"):
        pick_members([], best=1)


def test_a_study_picks_by_its_own_score_and_shows_it(study, store):
    by_accuracy = dataclasses.replace(study, score="balanced_accuracy")
    val = {"adam": 0.9, "sgd": 0.1, "lion": 0.3}
    for trial, run in expand(study):
        record = store.read(run.run_id)
        record.scores["val"]["balanced_accuracy"] = val[trial.name]
        record.scores["test"]["balanced_accuracy"] = 0.4
        store.write(record, store.read_predictions(run.run_id))
    names, table = make_ensembles(by_accuracy, store, best=2)
    assert names == ["adam", "lion"]
    assert table.columns[2:6] == (
        *("val_balanced_accuracy", "balanced_accuracy"),
        *("mean_of_runs", "best_run"),
    )
    assert table.rows[0][4].mean == pytest.approx(0.4)
    assert "macro_f1" in table.columns


def test_probabilities_are_averaged_over_all_seeds_of_all_trials(study, store):
    results = read_results(study, store)
    members = pick_members(results, best=2)
    for task in TASKS:
        found = average(members, task, store)
        assert len(found.members) == 2 * len(study.seeds)
        kept = [store.read_predictions(r.run_id) for r in found.members]
        mean = sum(k.test.probabilities.astype("float64") for k in kept) / len(
            kept
        )
        np.testing.assert_allclose(found.probabilities["test"], mean)
        labels = kept[0].test.labels
        assert found.scores["test"]["macro_f1"] == scores.macro_f1(mean, labels)


def test_one_run_is_its_own_ensemble(study, store):
    alone = study.override(seeds=[0])
    found = average(
        pick_members(read_results(alone, store)), "breastmnist", store
    )
    kept = store.read_predictions(found.members[0].run_id)
    assert np.array_equal(found.probabilities["test"], kept.test.probabilities)


def test_the_table_has_a_row_a_task(study, store):
    names, table = make_ensembles(study, store, best=3)
    assert names == ["sgd", "lion", "adam"]
    assert [row[:2] for row in table.rows] == [[task, 6] for task in TASKS]


def test_other_images_are_refused(study, store):
    results = read_results(study, store)
    record = results[0].done[0]
    arrays = store.read_predictions(record.run_id)
    test = arrays.test
    other = dataclasses.replace(test, labels=test.labels[::-1].copy())
    store.write(record, arrays.with_split("test", other))
    with pytest.raises(ValueError, match="different images"):
        average(results, record.run.task, store)


def test_a_run_without_predictions_of_val_takes_no_part(study, store):
    results = read_results(study, store)
    record = results[0].done[0]
    test = store.read_predictions(record.run_id).test
    store.write(record, Predictions(test=test))
    found = average(results[:1], record.run.task, store)
    assert len(found.members) == len(study.seeds) - 1
    assert record not in found.members


def test_seeds_that_take_no_part_are_counted_behind_the_name(study, store):
    first = read_results(study, store)[0]
    record = first.of_task("breastmnist")[0]
    test = store.read_predictions(record.run_id).test
    store.write(record, Predictions(test=test))
    names, table = make_ensembles(study, store, trial=first.trial.name)
    assert names == [f"{first.trial.name} (1 of 2 seeds)"]
    assert [row[1] for row in table.rows] == [1, 2]


def test_a_net_of_several_tasks_takes_part(tmp_path):
    trial = Trial("one net for all", {"model": "multi_head"})
    study = make_study(trials=(trial,), baseline=None, fixed={"epochs": 5})
    store = Store(tmp_path)
    labels = np.arange(30, dtype="int32") % 2
    split = SplitPredictions(np.eye(2, dtype="float32")[labels], labels)
    both = Predictions(val=split, test=split)
    for _, run in expand(study):
        record = make_record(run, 0.5)
        store.write(record, Predictions(by_task=dict.fromkeys(TASKS, both)))
    (trial,) = read_results(study, store)
    found = average([trial], TASKS[0], store)
    assert len(found.members) == len(study.seeds)
    assert found.scores["test"]["accuracy"] == 1


def test_without_probabilities_there_is_no_ensemble(study, tmp_path):
    store = Store(tmp_path / "empty")
    with pytest.raises(ValueError, match="has probabilities kept"):
        average(read_results(study, store), "breastmnist", store)
