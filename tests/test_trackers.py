"""Trackers: each run once, whatever happened before; none costs a run."""

import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from PIL import Image
from report_records import SCORES, make_record, make_records, make_study

from medzoo.report.results import read_results
from medzoo.report.trackers import Tracking
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.trackers import TRACKERS

HISTORY = [
    {"step": 5, "epoch": 1.0, "loss": 0.9, "val_macro_f1": 0.4},
    {"step": 10, "epoch": 2.0, "loss": 0.7, "val_macro_f1": None},
]
NUM_RUNS = 12
# Raised inside the trackers' own libraries.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def store(study, tmp_path):
    store = Store(tmp_path / "runs")
    for record in make_records(study).values():
        store.write(record.model_copy(update={"history": HISTORY}))
    return store


def track(name, study, store, report=()):
    pytest.importorskip(
        TRACKERS[name], reason=f"{name} is not installed (extra `tracking`)"
    )
    tracking = Tracking([name], study, store)
    for trial, run in list(expand(study))[:5]:  # While the study runs.
        tracking.log(trial, store.read(run.run_id))
    tracking.finish(read_results(study, store), report)


def read_events(folder):
    """Reads tags and values with TensorBoard's own reader."""
    from tensorboard.backend.event_processing import event_accumulator

    found = event_accumulator.EventAccumulator(str(folder))
    found.Reload()
    return found


def test_tensorboard_has_curves_scores_and_the_hparams_view(study, store):
    track("tensorboard", study, store)
    folder = store.folder / "tensorboard" / "toy"
    names = {path.name for path in folder.iterdir()}
    records = {r.run_id: r for r in make_records(study).values()}
    assert names == set(records)  # There is no report yet.
    for run_id, record in records.items():
        events = read_events(folder / run_id)
        curve = events.Scalars("curve/loss")
        assert [(e.step, round(e.value, 6)) for e in curve] == [
            (5, 0.9),
            (10, 0.7),
        ]
        # A value that is not there is no point of the curve.
        assert len(events.Scalars("curve/val_macro_f1")) == 1
        score = events.Scalars("test/macro_f1")[0]
        assert score.value == pytest.approx(record.scores["test"]["macro_f1"])
        assert "_hparams_/session_start_info" in events.summary_metadata
        assert "_hparams_/session_end_info" in events.summary_metadata


def test_what_is_logged_is_not_logged_again(study, store):
    track("tensorboard", study, store)
    folder = store.folder / "tensorboard" / "toy"
    before = {
        path: path.read_bytes()
        for path in folder.rglob("events*")
        if path.parent.name != "report"
    }
    track("tensorboard", study, store)
    after = {
        path: path.read_bytes()
        for path in folder.rglob("events*")
        if path.parent.name != "report"
    }
    assert after == before
    assert len(before) == NUM_RUNS


def test_figures_of_the_report_are_kept(study, store, tmp_path):
    picture = tmp_path / "costs.png"
    Image.new("RGB", (8, 4)).save(picture)
    track("tensorboard", study, store, [picture, picture])
    events = read_events(store.folder / "tensorboard/toy/report")
    image = events.Images("costs")[0]
    assert (image.width, image.height) == (8, 4)


def test_a_tracker_that_fails_is_left_out_with_one_warning(study, store):
    (store.folder / "tensorboard").write_text("no folder")
    with pytest.warns(UserWarning, match="Tracking by tensorboard") as found:
        track("tensorboard", study, store)
    assert len(found) == 1


def test_failed_runs_and_candidates_are_left_out(study, store):
    tracking = Tracking(["tensorboard"], study, store)
    trial, run = expand(study)[0]
    tracking.log(trial, make_record(run, status="failed"))
    tracking.log(None, store.read(run.run_id))
    assert not list((store.folder / "tensorboard/toy").iterdir())


def test_an_unknown_tracker_and_a_missing_package_are_named(
    study, store, monkeypatch
):
    with pytest.raises(ValueError, match="Did you mean `mlflow`"):
        Tracking(["mlflo"], study, store)
    monkeypatch.setitem(TRACKERS, "wandb", "no_such_package")
    with pytest.raises(ValueError, match=r"medzoo\[tracking\]"):
        Tracking(["wandb"], study, store)


def check_mlflow(uri, study, store, picture):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment(
        study.name, artifact_location=(store.folder / "artifacts").as_uri()
    )
    # A run whose logging was ended by a crash.
    trial, run = expand(study)[0]
    client.create_run(experiment, tags={"run_id": run.run_id})
    for _ in range(2):
        track("mlflow", study, store, [picture])
    runs = client.search_runs([experiment])
    found = {r.data.tags["run_id"]: r for r in runs}
    assert len(runs) == len(found) == NUM_RUNS + 1
    report = found.pop("report")
    files = client.list_artifacts(report.info.run_id)
    assert [file.path for file in files] == [picture.name]
    for run_id, logged in found.items():
        record = store.read(run_id)
        test = record.scores["test"]["macro_f1"]
        assert logged.data.metrics["test/macro_f1"] == test
        assert logged.data.params["optimizer"] == record.run.optimizer
        assert logged.data.tags["study"] == "toy"
        assert logged.data.tags["optimizer"] in SCORES
        assert logged.info.status == "FINISHED"
        curve = client.get_metric_history(logged.info.run_id, "curve/loss")
        assert [(m.step, m.value) for m in curve] == [(5, 0.9), (10, 0.7)]


@pytest.mark.slow
def test_mlflow_in_a_file(study, store, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="not installed (extra `tracking`)")
    uri = f"sqlite:///{tmp_path / 'flow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    picture = tmp_path / "summary.md"
    picture.write_text("# Toy")
    check_mlflow(uri, study, store, picture)


@pytest.mark.slow
def test_mlflow_on_a_server(study, store, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="not installed (extra `tracking`)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"),
            *("--workers", "1"),
        ],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        picture = tmp_path / "summary.md"
        picture.write_text("# Toy")
        check_mlflow(uri, study, store, picture)
    finally:
        os.killpg(server.pid, 9)
        server.wait()


@pytest.mark.slow
def test_mlflow_without_its_server_costs_no_run(study, store, monkeypatch):
    pytest.importorskip("mlflow", reason="not installed (extra `tracking`)")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.warns(UserWarning, match="Tracking by mlflow has stopped"):
        track("mlflow", study, store)
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_wandb_offline_has_each_run_once(store, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="not installed (extra `tracking`)")
    monkeypatch.setenv("WANDB_MODE", "offline")
    picture, page = tmp_path / "costs.png", tmp_path / "summary.md"
    Image.new("RGB", (8, 4)).save(picture)
    page.write_text("# Toy")
    study = make_study(("adam",))
    for _ in range(2):
        tracking = Tracking(["wandb"], study, store)
        tracking.finish(read_results(study, store), [picture, page])
    folder = store.folder / "wandb" / "wandb"
    runs = sorted(folder.glob("offline-run-*"))
    ids = {path.name.split("-", 3)[3] for path in runs}
    planned = {f"toy-{item.run.run_id}" for item in expand(study)}
    assert ids == {*planned, "toy-report"}
    assert len(runs) == len(ids)
    found = read_wandb(next(p for p in runs if "report" not in p.name))
    assert found["config"]["task"] in study.tasks
    assert found["summary"]["test/macro_f1"] in SCORES["adam"][0] + [0.5]
    assert found["history"] == [(5, 0.9), (10, 0.7)]
    assert found["group"] == "toy"
    report = next(path for path in runs if "report" in path.name)
    names = {path.name for path in (report / "files").rglob("*.*")}
    assert "summary.md" in names
    assert any(name.startswith("costs") for name in names)


def read_log(content, block=32768):
    """Yields the messages of a log in LevelDB's format, behind its 7 bytes."""
    position, message = 7, b""
    while position + 7 <= len(content):
        if block - position % block < 7:  # No room for a head: padding.
            position += block - position % block
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        message += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # Whole, or the last part.
            yield message
            message = b""


def read_wandb(folder):
    """Reads the file that `wandb sync` sends."""
    from wandb.proto import wandb_internal_pb2

    path = next(folder.glob("run-*.wandb"))
    found = {"config": {}, "summary": {}, "history": []}
    for data in read_log(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found["group"] = record.run.run_group
            for item in record.run.config.update:
                found["config"][item.key] = json.loads(item.value_json)
        elif kind == "summary":
            for item in record.summary.update:
                key = item.key or "/".join(item.nested_key)
                found["summary"][key] = json.loads(item.value_json)
        elif kind == "history":
            values = {
                (i.key or "/".join(i.nested_key)): json.loads(i.value_json)
                for i in record.history.item
            }
            if "curve/loss" in values:
                point = values["_step"], values["curve/loss"]
                found["history"].append(point)
    return found
