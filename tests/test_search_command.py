"""`medzoo search run` as a person meets it, killed, and from a script."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

pytest.importorskip("keras_tuner")

from search_records import FILE  # noqa: E402

from medzoo.store import Store  # noqa: E402
from medzoo.study.spec import read_study  # noqa: E402

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


def test_a_search_whose_hours_are_over_says_so(tmp_path, medzoo):
    (tmp_path / "x.toml").write_text(SMALL)
    told = medzoo("search", "run", "x.toml", "--max-hours", "0", code=130).err
    assert "0 hours are over." in told
    assert "Interrupted" not in told


@pytest.mark.slow
def test_a_terminated_search_keeps_what_is_done_and_says_how_to_go_on(
    tmp_path,
):
    (tmp_path / "x.toml").write_text(SMALL)
    process = start(tmp_path, "run", "x.toml", "--workers", "2")
    while "Candidate" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    code, _, errors = end(process)
    assert code == 143
    assert "Run the same command again to go on." in errors
    # Where there is no Makefile, its page says no target of one.
    page = tmp_path / "results" / "searches" / "x" / "summary.md"
    assert "Command: `medzoo search run x.toml`" in page.read_text()


@pytest.mark.slow
def test_a_killed_search_goes_on_and_writes_its_report(tmp_path):
    (tmp_path / "x.toml").write_text(SMALL)
    process = start(tmp_path, "run", "x.toml", "--workers", "2")
    store = Store(tmp_path / "runs")
    deadline = time.monotonic() + 300
    while len(list(store.run_ids())) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = {r: store.read(r) for r in store.run_ids()}
    assert 3 <= len(finished) < 12

    code, out, errors = end(start(tmp_path, "run", "x.toml", "--workers", "2"))
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
def test_a_script_searches_with_workers_and_prints_nothing(tmp_path):
    small = SMALL.replace("trials = 6", "trials = 2")
    small = small.replace(', "retinamnist"', "")
    (tmp_path / "x.toml").write_text(small.replace("epochs = 2", "steps = 2"))
    (tmp_path / "script.py").write_text(
        "import medzoo\n"
        "if __name__ == '__main__':\n"
        "    tried = medzoo.run_search('x.toml', workers=2)\n"
        "    assert [each.number for each in tried] == [1, 2]\n"
        "    assert all(each.score is not None for each in tried)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "MEDZOO_RUNS": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(list(Store(tmp_path / "runs").run_ids())) == 2
