"""Proof by breaking: processes killed at random, full disks, long studies."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from pretended import Pretended

from medzoo.store import Store
from medzoo.training.saved import load_saved

pytestmark = pytest.mark.slow

STUDY = """
question = "Does anything get lost?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0, 1, 2]
data = "synthetic"
[axes]
optimizer = ["sgd", "adam", "lion", "lamb"]
[fixed]
model = "mlp"
width = 8
steps = 2
max_images = 64
"""
NUM_RUNS = 24
KILLS = int(os.environ.get("KILLS", "50"))


@pytest.fixture
def pretended(tmp_path):
    (tmp_path / "chaos.toml").write_text(STUDY)
    return Pretended(tmp_path)


REAL = ["-m", "medzoo", "study", "run", "chaos.toml"]
PRETENDED = [
    str(Path(__file__).with_name("pretended_command.py")),
    *("pretended", "chaos.toml", "executions"),
]


def start(folder, *options, command=PRETENDED, **environment):
    return subprocess.Popen(
        [sys.executable, *command, *options],
        cwd=folder,
        env=os.environ | {"MEDZOO_RUNS": "runs"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def tables(folder):
    return {
        path.name: path.read_text()
        for path in sorted((folder / "results" / "chaos").glob("*.csv"))
    }


def finish(folder, *options, **keywords):
    process = start(folder, *options, **keywords)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def finished(store):
    """Returns the content of each finished record by its run."""
    return {
        run_id: (store.folder / run_id[:2] / f"{run_id}.json").read_bytes()
        for run_id, status in store.statuses().items()
        if status == "done"
    }


def kill_someone(process, chance):
    """Kills the driver, another process, or both; returns all of them."""
    driver = psutil.Process(process.pid)
    others = driver.children(recursive=True)
    chosen = chance.choice(["driver", "other", "both"])
    if others and chosen != "driver":  # A worker, or what forks them.
        chance.choice(others).kill()
    if chosen != "other":
        driver.kill()
    return [driver, *others]


def test_fifty_kills_lose_nothing_and_repeat_nothing(pretended, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "chaos.toml").write_text(STUDY)
    finish(whole)
    chance = random.Random(0)
    kills = 0
    while kills < KILLS:
        kept, counts = finished(pretended.store), pretended.counts()
        process = start(tmp_path, "--seconds", "0.1")
        time.sleep(chance.uniform(0, 4))
        if process.poll() is None:
            processes = kill_someone(process, chance)
            kills += 1
        process.communicate(timeout=300)
        _, alive = psutil.wait_procs(processes, timeout=3)
        # One that no process has buried yet is dead.
        assert all(each.status() == psutil.STATUS_ZOMBIE for each in alive)
        # What was written stays, to the byte, and is not executed again.
        for run_id, content in kept.items():
            assert finished(pretended.store)[run_id] == content
            assert pretended.counts()[run_id] == counts[run_id]
        if len(finished(pretended.store)) == NUM_RUNS or kills == KILLS:
            finish(tmp_path)
            assert tables(tmp_path) == tables(whole)
            assert len(tables(whole)) > 1
            for path in pretended.store.folder.glob("??/*"):
                path.unlink()
    assert not list(pretended.store.folder.glob("leases/*.lease"))


def test_real_training_survives_kills_with_equal_numbers(tmp_path):
    """The same without pretence: TensorFlow, and scores to the last bit."""
    whole = tmp_path / "whole"
    for folder in (tmp_path, whole):
        folder.mkdir(exist_ok=True)
        (folder / "chaos.toml").write_text(STUDY.replace("[0, 1, 2]", "[0]"))
    finish(whole, command=REAL)
    chance = random.Random(1)
    for _ in range(5):
        process = start(tmp_path, command=REAL)
        time.sleep(chance.uniform(4, 12))
        if process.poll() is None:
            kill_someone(process, chance)
        process.communicate(timeout=300)
    finish(tmp_path, command=REAL)
    left, right = Store(tmp_path / "runs"), Store(whole / "runs")
    assert left.statuses() == right.statuses()
    for run_id in left.run_ids():
        assert left.read(run_id).scores == right.read(run_id).scores
    models, others = (
        sorted((store.folder / "models" / "chaos").iterdir())
        for store in (left, right)
    )
    assert [path.name for path in models] == [path.name for path in others]
    assert len(models) == 2  # Of the best trial, on each of two tasks.
    for path in models:
        assert load_saved(path).record.run_id == path.name


def test_a_full_disk_is_one_sentence_and_leaves_no_half_record(
    pretended, small_disk, tmp_path
):
    runs = small_disk / "runs"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(950_000))
    environment = {"MEDZOO_RUNS": str(runs)}
    process = start(tmp_path, **environment)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "cannot be written" in errors
    assert "No space left on device" in errors
    assert "Traceback" not in errors
    store = Store(runs)
    kept = finished(store)
    assert 0 < len(kept) < NUM_RUNS
    assert len(store.read_many(store.run_ids())) == len(kept)
    assert not list(runs.glob("**/.*.tmp"))
    ballast.unlink()
    finish(tmp_path, **environment)
    assert len(finished(store)) == NUM_RUNS
    assert kept.items() <= finished(store).items()


def test_a_read_only_store_is_one_sentence(pretended, small_disk, tmp_path):
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    process = start(tmp_path, MEDZOO_RUNS=str(small_disk / "runs"))
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "Read-only file system" in errors
    assert "Traceback" not in errors
    assert not pretended.counts()


def test_garbage_in_the_store_is_run_again_and_kept_beside(pretended, tmp_path):
    finish(tmp_path)
    store = pretended.store
    before = tables(tmp_path)
    first, second, *_ = sorted(finished(store))
    for run_id, content in ((first, b"garbage"), (second, b'{"status":"do')):
        (store.folder / run_id[:2] / f"{run_id}.json").write_bytes(content)
    errors = finish(tmp_path)
    for run_id in (first, second):
        assert f"{run_id}.json is damaged" in errors
        assert pretended.counts()[run_id] == 2
        assert list(store.folder.glob(f"??/{run_id}.json.broken"))
    assert tables(tmp_path) == before


RUNS = """
import os, sys
import psutil
from pretended import make_runs
from medzoo.execution.job import Job
from medzoo.execution.local import LocalExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.store import Store

def memory(record):
    driver = psutil.Process()
    workers = [p.memory_info().rss for p in driver.children(recursive=True)]
    print(driver.memory_info().rss, max(workers), flush=True)

runs = make_runs(200, model="mlp", width=8, steps=2, max_images=64)
with LocalExecutor(2) as executor:
    execute_jobs(map(Job, runs), Store(), executor=executor, on_record=memory)
"""


def test_two_hundred_real_runs_do_not_grow(tmp_path):
    (tmp_path / "runs.py").write_text(RUNS)
    environment = {
        "MEDZOO_RUNS": str(tmp_path / "runs"),
        "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH')}",
    }
    done = subprocess.run(
        [sys.executable, "runs.py"],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=True,
    )
    found = np.array([line.split() for line in done.stdout.splitlines()])
    driver, workers = found.astype(float).T / 2**20
    print(
        f"driver {driver[0]:.0f} to {driver[-1]:.0f} MB, "
        f"workers at most {workers.max():.0f} MB"
    )
    assert len(driver) == 200
    assert driver[-1] < driver[20] + 50
    assert workers[100:].max() < workers[:100].max() + 100


def test_merged_shards_give_the_tables_of_the_whole_study(pretended, tmp_path):
    finish(tmp_path)
    whole = tables(tmp_path)
    parts = [str(tmp_path / f"part{number}") for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        shard = ("--shard", f"{number}/3", "--out", part)
        finish(tmp_path, *shard, MEDZOO_RUNS=part)
    # Each run once in the whole study, and once in one of the parts.
    assert set(pretended.counts().values()) == {2}
    again = os.environ | {"MEDZOO_RUNS": str(tmp_path / "merged")}
    medzoo = [sys.executable, "-m", "medzoo", "study"]
    done = subprocess.run(
        [*medzoo, "merge", *parts],
        env=again,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "24 new, 0 replaced, 0 kept, 0 in conflict" in done.stdout
    report = [*medzoo, "report", "chaos.toml"]
    subprocess.run(
        report, cwd=tmp_path, env=again, capture_output=True, check=True
    )
    assert tables(tmp_path) == whole


def test_no_more_hours_end_a_study_as_ctrl_c_does(pretended, tmp_path):
    process = start(tmp_path, "--max-hours", "0")
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "0 hours are over." in errors
    assert "Run the same command again to go on." in errors
    assert not pretended.counts()
