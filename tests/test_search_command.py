"""`medzoo search run` as a person meets it, killed and distributed."""

import os
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest

pytest.importorskip("keras_tuner")

from search_records import FILE  # noqa: E402

from medzoo.study.spec import read_study  # noqa: E402
from medzoo.study.store import Store  # noqa: E402

SMALL = FILE.replace("trials = 12", "trials = 6").replace(
    "epochs = 9", "epochs = 2"
)


def start(place, *arguments, **variables):
    paths = {"MEDZOO_RUNS": str(place / "runs")}
    return subprocess.Popen(
        [sys.executable, "-m", "medzoo", "search", *arguments],
        cwd=place,
        env={**os.environ, **paths, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process, timeout=300):
    out, errors = process.communicate(timeout=timeout)
    assert "Traceback" not in errors, errors
    return process.returncode, out, errors


def test_wrong_words_are_one_sentence_and_exit_code_2(tmp_path):
    (tmp_path / "x.toml").write_text(SMALL.replace("optimizer", "optimiser"))
    code, _, errors = end(start(tmp_path, "run", "x.toml"))
    assert code == 2
    assert "x.toml, line 9: `space.optimiser`" in errors
    code, _, errors = end(start(tmp_path, "run", "nothing"))
    assert code == 2
    assert "Unknown search `nothing`" in errors


@pytest.mark.slow
def test_a_killed_search_goes_on_and_writes_its_report(tmp_path):
    (tmp_path / "x.toml").write_text(SMALL)
    process = start(tmp_path, "run", "x.toml", "--workers", "1")
    store = Store(tmp_path / "runs")
    deadline = time.monotonic() + 300
    while len(list(store.run_ids())) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = {r: store.read(r) for r in store.run_ids()}
    assert 3 <= len(finished) < 12

    code, out, errors = end(start(tmp_path, "run", "x.toml"))
    assert code == 0, errors
    for run_id, record in finished.items():
        assert store.read(run_id) == record
    assert "Candidate" in out
    folder = tmp_path / "results" / "searches" / "x"
    table = pd.read_csv(folder / "candidates.csv")
    assert len(table) == 6
    assert table["val_macro_f1"].is_monotonic_decreasing
    study = read_study(folder / "x_proof.toml")
    assert len(study.trials) == 2
    records = store.read_many(store.run_ids()).values()
    assert all("test" not in record.scores for record in records)


@pytest.mark.slow
def test_a_chief_and_two_workers_share_a_search(tmp_path):
    (tmp_path / "x.toml").write_text(SMALL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = {
        name: start(
            tmp_path,
            *("run", "x.toml", "--workers", "1", "--out", name),
            KERASTUNER_TUNER_ID=name,
            KERASTUNER_ORACLE_IP="127.0.0.1",
            KERASTUNER_ORACLE_PORT=str(port),
        )
        for name in ("chief", "worker0", "worker1")
    }
    ends = {name: end(each, 600) for name, each in processes.items()}
    assert [code for code, _, _ in ends.values()] == [0, 0, 0], ends
    table = pd.read_csv(tmp_path / "chief" / "searches/x/candidates.csv")
    assert len(table) == 6
    assert table["val_macro_f1"].notna().all()
    assert not (tmp_path / "worker0").exists()
    # Each run was executed once: no run belongs to both workers.
    assert len(list(Store(tmp_path / "runs").run_ids())) == 12
    tried = [
        errors.count("val macro F1")
        for name, (_, _, errors) in ends.items()
        if name != "chief"
    ]
    assert sum(tried) == 6
    assert min(tried) > 0
