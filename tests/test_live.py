"""`medzoo study watch`: a page of a study while it runs, without its test."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from page_records import make_drawn
from pretended import make_runs
from small_study import STUDY

from medzoo.execution.leases import Leases
from medzoo.execution.running import ProgressNote, list_running
from medzoo.live.state import Watched
from medzoo.live.watch import Live
from medzoo.report.evidence import Evidence
from medzoo.report.without_test import read_without_test
from medzoo.store import Store
from medzoo.study.spec import read_study


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text(STUDY)
    return read_study(str(path))


@contextlib.contextmanager
def watching(folder, *flags):
    """Watches the study of `folder` by the command line."""
    command = [sys.executable, "-m", "medzoo", "study", "watch", "toy.toml"]
    process = subprocess.Popen(
        [*command, "--no-browser", *flags],
        cwd=folder,
        env=os.environ | {"MEDZOO_RUNS": str(folder / "runs")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that runs in the background may ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        line = process.stdout.readline()
        yield process, int(re.search(r"127\.0\.0\.1:(\d+)/", line)[1])
    finally:
        process.kill()
        process.communicate()


def ask(port, path="/", method="GET", **headers):
    """Returns status, headers and text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def wait_for(port, wanted):
    """Asks for the state until it is as wanted."""
    for _ in range(300):
        state = json.loads(ask(port, "/state.json")[2])
        if wanted(state):
            return state
        time.sleep(0.2)
    raise AssertionError(state)


def test_a_study_is_watched_from_its_first_run_to_its_last(study, tmp_path):
    store = Store(tmp_path / "runs")
    records, predictions = make_drawn(study)
    *first, last = records
    # No number of val or elsewhere is spelt so.
    for record in records.values():
        record.scores["test"] = dict.fromkeys(record.scores["test"], 0.98127)
        record.num_images = {"train": 40, "val": 40, "test": 40}
        record.seconds = {"train": 1.0, "total": 2.0}
    leases = Leases(store.folder / "leases")
    assert leases.claim(last)
    ProgressNote(store.folder, last).write({"epoch": 1.0, "loss": 0.5})
    for run_id in first:
        store.write(records[run_id], predictions[run_id])
    with watching(tmp_path, "--port", "0") as (process, port):
        state = wait_for(port, lambda state: "7 done" in state["lines"][0])
        assert state["running"][0]["words"].startswith("epoch 1 of 2, loss 0.5")
        assert not state["ended"]
        assert "on val so far" in state["leaders"][0]
        page = ask(port)[2]
        assert "7 of 8 runs are done" in page
        assert "0.9812" not in page
        store.write(records[last], predictions[last])
        leases.release(last)
        state = wait_for(port, lambda state: state["ended"])
        assert not state["running"]
        assert not state["leaders"]
        assert "Finished: 8 done" in state["lines"][0]
        assert "0.9812" in ask(port)[2]
        status, headers, text = ask(port)
        policy = headers["Content-Security-Policy"]
        assert status == 200
        assert "default-src 'none'" in policy
        assert "script-src 'sha256-" in policy
        assert headers["Cache-Control"] == "no-store"
        assert "<a href=" not in text
        check_what_is_refused(port)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert "Traceback" not in process.stderr.read()
    assert sorted(p.name for p in store.folder.glob("leases/*")) == []


def test_a_study_without_records_waits_for_the_first(study, tmp_path):
    contents = {}
    live = Live(Watched(study, Store(tmp_path / "none")), "-", contents)
    live.look()
    assert b"No run has a record yet" in contents["/"].body
    assert json.loads(contents["/state.json"].body)["version"] == 0
    assert not (tmp_path / "none").exists()


class Unsteady(Store):
    """A store that cannot be read at times."""

    is_gone = False

    def read(self, *arguments, **options):
        if self.is_gone:
            raise OSError("Stale file handle")
        return super().read(*arguments, **options)


def test_the_last_good_page_is_kept_where_a_new_one_fails(study, tmp_path):
    store = Unsteady(tmp_path / "runs")
    records, _ = make_drawn(study)
    first, second, *_ = records
    contents = {}
    store.write(records[first])
    live = Live(Watched(study, store), "-", contents, rest=(0, 0))
    live.look()
    page = contents["/"]
    assert b"1 of 8 runs are done" in page.body
    store.write(records[second])
    store.is_gone = True
    with pytest.warns(UserWarning, match="look at the study has stopped"):
        live.look()
    assert contents["/"] is page
    state = json.loads(contents["/state.json"].body)
    assert "failed" in state["trouble"]
    assert "1 done" in state["lines"][0]
    store.is_gone = False
    live.look()
    assert b"2 of 8 runs are done" in contents["/"].body
    assert not live.state["trouble"]


def check_what_is_refused(port):
    for path in ("/../../etc/passwd", "/toy.toml", "/runs/", "/index.html"):
        status, headers, text = ask(port, path)
        assert status == 404
        assert "root:" not in text
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    for host in (
        "example.org",
        f"example.org:{port}",
        f"127.0.0.1.example:{port}",
    ):
        assert ask(port, Host=host)[0] == 403
        assert ask(port, "/state.json", Host=host)[0] == 403
    assert ask(port, Host=f"localhost:{port}")[0] == 200
    assert ask(port, method="POST")[0] == 501


def test_a_port_that_is_taken_is_a_sentence(medzoo, tmp_path):
    (tmp_path / "toy.toml").write_text(STUDY)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = medzoo(
            *("study", "watch", "toy.toml", "--no-browser", "--port", port),
            code=2,
        )
    assert said.err.count("\n") == 1
    assert f"Received: port={port}." in said.err


def test_an_unknown_study_is_not_watched(medzoo):
    said = medzoo("study", "watch", "quickstrat", code=2)
    assert "Did you mean `quickstart`?" in said.err


def test_nothing_of_test_is_read_of_a_study_on_the_way(study, tmp_path):
    store = Store(tmp_path / "runs")
    records, predictions = make_drawn(study)
    for run_id, record in records.items():
        store.write(record, predictions[run_id])
    Evidence.read(study, store)  # Keeps bootstraps of test.
    found = read_without_test(study, store)
    assert found.num_done == 8
    assert not found.is_concluded
    assert "test" not in "".join(str(r.scores) for r in found.records)
    assert not found.confusions
    assert not found.galleries
    for trial in found.results:
        assert trial.matrix("macro_f1", "val").all()
        assert np.isnan(trial.matrix("macro_f1", "test")).all()
        assert np.isnan(trial.read_replicates(found.store)).all()


def test_a_note_of_progress_is_there_as_long_as_its_lease(tmp_path):
    run = make_runs(1)[0].run_id
    leases = Leases(tmp_path / "leases")
    note = ProgressNote(tmp_path, run)
    note.write({"epoch": 1.0})
    assert list_running(tmp_path) == []
    assert leases.claim(run)
    assert list_running(tmp_path)[0].pid == 0
    note.write()
    note.write({"epoch": 1.0, "loss": float("nan"), "val_auc": None})
    note.write({"epoch": 2.0})  # Too soon after the one before.
    found = list_running(tmp_path)[0]
    assert (found.run_id, found.pid) == (run, os.getpid())
    assert found.memory > 1e6
    assert found.entry == {"epoch": 1.0}
    path = leases.folder / f"{run}.progress"
    for damaged in ("", "{", "[]", '{"entry": 3}', "[" * 10_000):
        path.write_text(damaged)
        assert list_running(tmp_path)[0].entry == {}
    leases.release(run)
    assert not path.exists()
