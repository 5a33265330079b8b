"""Studies in parts, and stores that are joined."""

import json
from dataclasses import replace

import numpy as np
import pytest

from medzoo.execution.shard import Shard, take_shard
from medzoo.record import Predictions, Record, Robustness, SplitPredictions
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.audits import find_leaks, keep_audit
from medzoo.study.expand import expand
from medzoo.study.merge import merge_stores
from medzoo.study.spec import read_study

RUN = Run(task="breastmnist")


def all_runs(name="optimizers"):
    study = read_study(name)
    return list(dict.fromkeys(item.run for item in expand(study)))


@pytest.mark.parametrize("parts", [1, 2, 7, 64])
def test_shards_are_disjoint_and_complete(parts):
    runs = all_runs()
    shards = [take_shard(runs, Shard(i + 1, parts)) for i in range(parts)]
    assert sorted(r.run_id for s in shards for r in s) == sorted(
        run.run_id for run in runs
    )
    # Each keeps the order of the study, and is the same every time.
    for number, shard in enumerate(shards, 1):
        assert shard == [run for run in runs if run in set(shard)]
        assert shard == take_shard(runs, Shard(number, parts))


@pytest.mark.parametrize("parts", [2, 7])
def test_shards_have_about_the_same_number_of_runs(parts):
    runs = all_runs()
    shards = [take_shard(runs, Shard(i + 1, parts)) for i in range(parts)]
    expected = len(runs) / parts
    # Five standard deviations of a binomial count.
    assert all(abs(len(s) - expected) < 5 * expected**0.5 for s in shards)


def test_a_run_stays_in_its_shard_whatever_else_is_listed():
    runs = all_runs()
    shard = Shard(2, 7)
    part = take_shard(runs[::3], shard)
    assert part == [run for run in runs[::3] if run in take_shard(runs, shard)]


def test_more_shards_than_runs_leave_some_empty():
    shards = [take_shard([RUN], Shard(i + 1, 3)) for i in range(3)]
    assert sorted(map(len, shards)) == [0, 0, 1]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "-1/2", "1/0"])
def test_a_wrong_shard_is_one_sentence(text):
    with pytest.raises(ValueError, match=f"Received: shard='{text}'"):
        Shard.parse(text)


def write(store, status="done", value=0.5, started="2026-01-01", run=RUN):
    scores = {"test": {"macro_f1": value}} if status == "done" else {}
    record = Record(
        run=run,
        run_id=run.run_id,
        status=status,
        scores=scores,
        started=started,
        seconds={"total": value},
    )
    split = SplitPredictions(np.full((3, 1), value), np.zeros(3, int))
    store.write(record, Predictions(test=split) if scores else None)
    return record


@pytest.fixture
def stores(tmp_path):
    return [Store(tmp_path / name) for name in ("ours", "a", "b")]


def test_merged_shards_are_the_whole_study(stores):
    ours, *parts = stores
    runs = all_runs()[:20]
    for number, store in enumerate(parts, 1):
        for run in take_shard(runs, Shard(number, 2)):
            write(store, run=run, value=run.learning_rate)
    merged = merge_stores([part.folder for part in parts], ours)
    assert merged.counts == {"new": 20}
    assert not merged.conflicts
    for run in runs:
        assert ours.read(run.run_id).run == run
        found = ours.read_predictions(run.run_id).test.probabilities
        assert found.tolist() == [[run.learning_rate]] * 3
    again = merge_stores([part.folder for part in parts], ours)
    assert again.counts == {"kept": 20}


@pytest.mark.parametrize("there", ["done", "diverged", "failed"])
def test_a_finished_run_is_better_than_a_failed_one(stores, there):
    ours, theirs, _ = stores
    write(ours, "failed", started="2026-02-02")
    kept = write(theirs, there, started="2026-03-03")
    assert merge_stores([theirs.folder], ours).counts == {"replaced": 1}
    assert ours.read(RUN.run_id).started == kept.started
    write(theirs, "failed", started="2026-04-04")
    if there != "failed":
        merge_stores([theirs.folder], ours)
        assert ours.read(RUN.run_id).status == there


@pytest.mark.parametrize(("date", "winner"), [("2025", 0.5), ("2027", 0.25)])
def test_of_two_different_results_the_later_wins_and_both_are_named(
    stores, date, winner
):
    ours, theirs, _ = stores
    write(ours)
    write(theirs, value=0.25, started=date)
    (conflict,) = merge_stores([theirs.folder], ours).conflicts
    assert ours.read(RUN.run_id).scores["test"]["macro_f1"] == winner
    for part in (RUN.run_id, str(ours.folder), str(theirs.folder), date):
        assert part in conflict


def test_other_times_for_the_same_result_are_no_conflict(stores):
    ours, theirs, _ = stores
    record = write(ours)
    other = {"seconds": {"total": 9.0}, "started": "2027", "device": "gpu"}
    theirs.write(record.model_copy(update=other))
    merged = merge_stores([theirs.folder], ours)
    assert merged.counts == {"kept": 1}
    assert not merged.conflicts


@pytest.mark.parametrize("lacking", ["corrupted", "predictions"])
def test_of_equal_results_that_with_more_beside_it_is_kept(stores, lacking):
    ours, theirs, _ = stores
    record = write(ours)
    found = ours.read_predictions(RUN.run_id)
    if lacking == "predictions":
        (ours.folder / RUN.run_id[:2] / f"{RUN.run_id}.npz").unlink()
    robust = Robustness(np.array(0.1), np.array(["jpeg"]), np.ones((1, 5)))
    theirs.write(record, replace(found, corrupted=robust))
    merged = merge_stores([theirs.folder], ours)
    assert merged.counts == {"replaced": 1}
    assert not merged.conflicts
    assert ours.read_predictions(RUN.run_id).test.labels.tolist() == [0, 0, 0]
    # What lacks it in turn changes nothing.
    theirs.write(record, found)
    assert merge_stores([theirs.folder], ours).counts == {"kept": 1}
    assert ours.has_corrupted(RUN.run_id)


def test_a_damaged_record_is_not_merged(stores):
    ours, theirs, _ = stores
    write(theirs)
    path = theirs.folder / RUN.run_id[:2] / f"{RUN.run_id}.json"
    path.write_text(json.dumps({"status": "done"}))
    with pytest.warns(UserWarning, match="is damaged"):
        merge_stores([theirs.folder], ours)
    assert not ours.statuses()


def test_a_folder_that_is_not_there_is_named_before_anything_is_merged(stores):
    ours, theirs, nowhere = stores
    write(theirs)
    with pytest.raises(FileNotFoundError, match=str(nowhere.folder)):
        merge_stores([theirs.folder, nowhere.folder], ours)
    assert not ours.statuses()


def test_findings_about_data_are_merged_too(stores):
    ours, theirs, _ = stores
    keep_audit(theirs, {"fingerprint": "folder:12", "line": "Leaks in x."})
    merge_stores([theirs.folder], ours)
    assert find_leaks(ours, ["folder:12"]) == ["Leaks in x."]
