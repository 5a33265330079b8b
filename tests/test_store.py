"""The store: whole records or none, whatever happens to the writer."""

import json
import math
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from medzoo.record import Predictions, Record, SplitPredictions
from medzoo.runs.run import Run
from medzoo.store import Store

RUN = Run(task="breastmnist")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def make_record(status="done", run=RUN, **values):
    return Record(run=run, run_id=run.run_id, status=status, **values)


def predict(values):
    """Makes predictions of images whose labels are whole numbers."""
    labels = values if values.dtype == object else values.astype("int32")
    probabilities = np.full((len(values), 1000), 0.001, "float32")
    return Predictions(test=SplitPredictions(probabilities, labels))


def path_of(store, ending=".json"):
    return store.folder / RUN.run_id[:2] / (RUN.run_id + ending)


def test_what_is_written_is_read(store):
    record = make_record(
        scores={"test": {"macro_f1": 0.75, "auc": None}},
        history=[{"step": 1.0, "loss": 0.1 + 0.2}],
        seconds={"total": 1.5},
    )
    split = SplitPredictions(
        np.array([[0.25, 0.75]], "float32"), np.array([1], "int32")
    )
    predictions = Predictions(val=split, by_task={"a": Predictions(test=split)})
    store.write(record, predictions)
    assert store.read(RUN.run_id) == record
    assert store.read_many([RUN.run_id, "0" * 16]) == {RUN.run_id: record}
    found = store.read_predictions(RUN.run_id).to_arrays()
    assert found.keys() == predictions.to_arrays().keys()
    for name, array in predictions.to_arrays().items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert sorted(p.name for p in path_of(store).parent.iterdir()) == [
        f"{RUN.run_id}.json",
        f"{RUN.run_id}.npz",
    ]


@pytest.mark.parametrize(
    "fields", [{"options": "strided"}, {"options": 3}, {"model": ["skip_cnn"]}]
)
def test_a_record_of_a_damaged_run_counts_as_missing(store, fields):
    content = make_record().model_dump(mode="json")
    content["run"] |= fields
    store.write(make_record())
    path_of(store).write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="is damaged"):
        assert store.read(RUN.run_id) is None
    assert path_of(store).exists()
    store.write(make_record())
    assert path_of(store, ".json.broken").exists()
    assert store.read(RUN.run_id) == make_record()


def test_a_store_that_cannot_be_written_is_one_sentence(store, tmp_path):
    store.write(make_record(), predict(np.arange(3)))
    full = Store(tmp_path / "full")
    (tmp_path / "full").write_text("no folder")
    with pytest.raises(FileNotFoundError, match="is no folder. .* MEDZOO_RUNS"):
        Store(tmp_path / "full")
    for put in (full.write, lambda record: full.copy(record.run_id, store)):
        with pytest.raises(FileNotFoundError, match="set MEDZOO_RUNS to"):
            put(make_record())


def test_an_empty_store_has_nothing(store):
    assert store.read(RUN.run_id) is None
    assert store.read_predictions(RUN.run_id) is None
    assert store.status(RUN.run_id) is None
    assert store.statuses() == {}
    assert not store.has_done(RUN.run_id)
    assert not store.folder.exists()


def test_the_folder_is_given_or_told_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "there"))
    assert Store().folder == tmp_path / "there"
    assert Store("here").folder.name == "here"
    monkeypatch.delenv("MEDZOO_RUNS")
    assert str(Store().folder) == "runs"


def test_done_and_diverged_are_finished_and_failed_is_not(store):
    runs = [Run(task="breastmnist", seed=seed) for seed in range(3)]
    statuses = ("done", "diverged", "failed")
    for run, status in zip(runs, statuses, strict=True):
        store.write(make_record(status, run))
    finished = [store.has_done(run.run_id) for run in runs]
    assert finished == [True, True, False]
    assert store.statuses() == {
        run.run_id: status for run, status in zip(runs, statuses, strict=True)
    }
    assert sorted(run.run_id for run in runs) == list(store.run_ids())


@pytest.mark.parametrize("finished", ["done", "diverged"])
def test_a_failure_never_replaces_a_finished_record(store, finished):
    store.write(make_record("failed", error={"message": "first"}))
    store.write(make_record(finished), predict(np.ones(2)))
    store.write(make_record("failed"), predict(np.zeros(2)))
    assert store.read(RUN.run_id).status == finished
    assert store.read_predictions(RUN.run_id).test.labels.tolist() == [1, 1]


def test_a_number_that_is_not_finite_is_stored_as_null(store):
    scores = {"val": {"loss": math.nan, "auc": math.inf}}
    store.write(make_record("diverged", scores=scores))
    found = store.read(RUN.run_id)
    assert found.scores == {"val": {"loss": None, "auc": None}}
    assert "NaN" not in path_of(store).read_text()


GARBAGE = {
    "empty": b"",
    "a brace": b"{",
    "zeros": bytes(4096),
    "not text": b"\xff\xfe",
    "not a record": b'{"status":"done","run_id":"x"}\n',
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_missing_and_moved_aside_by_the_next_record(store, content):
    store.write(make_record())
    path_of(store).write_bytes(content)
    for ask in (store.read, store.status, lambda _: store.statuses()):
        with pytest.warns(UserWarning, match=r"json is damaged .* missing"):
            assert not ask(RUN.run_id)
    assert path_of(store).read_bytes() == content
    store.write(make_record())
    assert store.has_done(RUN.run_id)
    assert path_of(store, ".json.broken").read_bytes() == content


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_scan_notices_a_truncated_record(store, share):
    store.write(make_record(history=[{"step": 1.0}] * 100))
    whole = path_of(store).read_bytes()
    path_of(store).write_bytes(whole[: int(len(whole) * share)])
    with pytest.warns(UserWarning, match="is damaged"):
        assert store.statuses() == {}


def test_a_record_that_a_person_has_reformatted_is_still_one(store):
    record = make_record()
    store.write(record)
    path_of(store).write_text(record.model_dump_json(indent=2))
    assert store.statuses() == {RUN.run_id: "done"}


def test_damaged_predictions_are_passed_over(store):
    store.write(make_record(), predict(np.arange(1000)))
    path = path_of(store, ".npz")
    whole = path.read_bytes()
    array = zipfile.ZipFile(path).read("test/labels.npy")
    for content in (b"", b"PK", whole[:100], whole[:-1], b"garbage", array):
        path.write_bytes(content)
        with pytest.warns(UserWarning, match="npz is damaged"):
            assert store.read_predictions(RUN.run_id) is None
        assert path.read_bytes() == content
    assert store.has_done(RUN.run_id)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.5, 2.0])
def test_predictions_that_are_no_probabilities_are_passed_over(store, value):
    shares = np.array([[0.5, 0.5], [0.5, value]], "float32")
    split = SplitPredictions(shares, np.array([0, 1], "int32"))
    store.write(make_record(), Predictions(test=split))
    with pytest.warns(UserWarning, match="from 0 to 1"):
        assert store.read_predictions(RUN.run_id) is None


def test_pickled_predictions_are_neither_written_nor_read(store):
    objects = np.array([{}], dtype=object)
    with pytest.raises(ValueError, match="pickle"):
        store.write(make_record(), predict(objects))
    assert list(path_of(store).parent.iterdir()) == []
    np.savez(path_of(store, ".npz"), **{"test/labels": objects})
    with pytest.warns(UserWarning, match="npz is damaged"):
        assert store.read_predictions(RUN.run_id) is None


def test_unfinished_files_of_a_killed_writer_are_no_records(store):
    store.write(make_record())
    shutil.copy(path_of(store), path_of(store).with_name(".x.json.1.tmp"))
    assert list(store.run_ids()) == [RUN.run_id]


WRITER = """
import itertools, sys
import numpy as np
from medzoo.store import Store
from medzoo.record import Predictions, Record, SplitPredictions
from medzoo.store import Store
from medzoo.runs.run import Run

store = Store(sys.argv[1])
for number in itertools.count():
    run = Run(task="breastmnist", seed=number % 3)
    history = [{"step": float(number)}] * 5_000
    store.write(
        Record(run=run, run_id=run.run_id, status="done", history=history),
        Predictions(
            test=SplitPredictions(
                np.full((50_000, 1), number / 2**20), np.zeros(50_000, int)
            )
        ),
    )
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_records_only(store):
    chance = random.Random(0)
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, store.folder], stdout=subprocess.PIPE
        )
        for _ in range(chance.randint(1, 4)):
            writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.03))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        records = store.read_many(store.run_ids())
        assert records
        for run_id, record in records.items():
            assert len({entry["step"] for entry in record.history}) == 1
            assert len(record.history) == 5_000
            found = store.read_predictions(run_id).test.probabilities
            # A newer file of predictions may stand beside the older record.
            number = found.min() * 2**20
            assert number == found.max() * 2**20 >= record.history[0]["step"]


def test_a_reader_beside_a_writer_sees_whole_records_only(store):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, store.folder], stdout=subprocess.PIPE
    )
    writer.stdout.readline()
    for _ in range(30):
        for record in store.read_many(store.run_ids()).values():
            assert len(record.history) == 5_000
    writer.kill()
    writer.wait()
    writer.stdout.close()


@pytest.mark.slow
def test_a_hundred_thousand_records_are_scanned_in_five_seconds(store):
    store.write(make_record(history=[{"step": 1.0, "loss": 0.5}] * 20))
    content = path_of(store).read_bytes()
    for number in range(100_000):
        run_id = f"{number * 2654435761 % 2**32:08x}{number:08x}"
        path = store.folder / run_id[:2] / f"{run_id}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.replace(RUN.run_id.encode(), run_id.encode()))
    started = time.process_time()
    assert len(store.statuses()) == 100_001
    assert time.process_time() - started < 5


def test_scores_alone_are_those_of_the_record(store):
    both = {"val": {"macro_f1": 0.5, "auc": None}, "test": {"macro_f1": 0.25}}
    entry = {"step": 1.0, "loss": 1.0}
    for status in ("done", "failed", "trained"):
        run = Run(task="breastmnist", seed=len(status))
        scores = both if status == "done" else {}
        record = make_record(status, run, scores=scores, history=[entry] * 99)
        store.write(record)
        assert store.read_scores(run.run_id) == (status, scores)
    assert store.read_scores(RUN.run_id) is None
    store.write(make_record(scores=both))
    path_of(store).write_bytes(path_of(store).read_bytes()[:900])
    with pytest.warns(UserWarning, match="damaged"):
        assert store.read_scores(RUN.run_id) is None


def test_a_record_without_its_history_is_the_rest_of_it():
    record = make_record(history=[{"step": 1.0, "loss": 0.5}] * 3, best_step=2)
    rest = record.model_copy(update={"history": []})
    for text in (record.model_dump_json(), rest.model_dump_json()):
        assert Record.from_json(text, history=False) == rest
        assert Record.from_json(text.encode(), history=False) == rest


def test_records_of_other_seeds_are_read_as_each_by_itself(store):
    first = Run(task="breastmnist", model="mlp", dropout=0.25)
    for run in first.with_seeds([0, 1, 7, 2**32 - 1]):
        text = make_record(run=run, seconds={"total": 1.0}).model_dump_json()
        found, expected = (
            Record.from_json(text),
            Record.model_validate_json(text),
        )
        assert found == expected
        assert found.run.model_dump() == expected.run.model_dump()
        assert found.run.run_id == expected.run.run_id == run.run_id
    for seed in ("-1", "4294967296", "1.5", "null", '"x"'):
        wrong = text.replace(str(2**32 - 1), seed)
        with pytest.raises(ValueError, match="seed"):
            Record.from_json(wrong)
