"""The command line as a person meets it: studies, crashes, wrong input."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import run_here
from small_study import STUDY as SMALL

from medzoo.study.spec import read_study

STUDY = f"{SMALL}max_images = 64\nbatch_size = 32\n"
NUM_RUNS = 8
# Columns of the tables that tell times, and so differ from call to call.
TIMES = r"seconds|images_per_second|memory|started"


@pytest.fixture
def place(tmp_path):
    """A folder with one small study in it."""
    (tmp_path / "small.toml").write_text(STUDY)
    return tmp_path


def environment(place, **variables):
    paths = {"MEDZOO_RUNS": place / "runs", "MEDZOO_DATA": place / "data"}
    paths |= {"MEDZOO_MIRROR": "http://127.0.0.1:9"}  # Nothing listens there.
    return {**os.environ, **{k: str(v) for k, v in paths.items()}, **variables}


def records(place):
    return sorted((place / "runs").glob("*/*.json"))


def tables(folder):
    """Reads the tables without times; pages without their dates."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        table = pd.read_csv(path)
        found[path.name] = table.loc[:, ~table.columns.str.contains(TIMES)]
    return found


def assert_equal_tables(left, right):
    assert left.keys() == right.keys()
    assert left
    for name, table in left.items():
        pd.testing.assert_frame_equal(table, right[name], check_exact=True)


PRETENDED = [
    str(Path(__file__).with_name("pretended_command.py")),
    *("pretended", "small.toml", "executions", "--seconds", "0.2"),
]


def start(place, *arguments, **variables):
    """Starts a command in a process; by default a study without training."""
    return subprocess.Popen(
        [sys.executable, *(arguments or PRETENDED)],
        cwd=place,
        env=environment(place, **variables),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def wait_for_records(place, count):
    deadline = time.monotonic() + 200
    while len(records(place)) < count and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_killed_study_goes_on_where_it_stopped(place, medzoo):
    process = start(place)
    wait_for_records(place, 3)
    process.kill()
    process.communicate()
    finished = {path.stem: path.read_bytes() for path in records(place)}
    assert 3 <= len(finished) < NUM_RUNS

    again = start(place)
    _, told = again.communicate(timeout=200)
    assert again.returncode == 0, told
    assert told.count("val macro F1") == NUM_RUNS - len(finished)
    for path in records(place):
        if path.stem in finished:
            assert path.read_bytes() == finished[path.stem]

    whole = start(place, *PRETENDED, "--out", "whole", MEDZOO_RUNS="other")
    _, told = whole.communicate(timeout=200)
    assert whole.returncode == 0, told
    written = tables(place / "results" / "small")
    assert_equal_tables(written, tables(place / "whole" / "small"))
    # The report is made again from records alone.
    medzoo("study", "report", "small.toml", "--out", "again")
    assert_equal_tables(written, tables(place / "again" / "small"))


def test_interrupting_keeps_what_is_done_and_says_how_to_go_on(place):
    process = start(place)
    wait_for_records(place, 1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Run the same command again to go on." in errors
    assert "Traceback" not in errors


def test_a_failing_run_is_an_empty_cell_and_exit_code_1(tmp_path, medzoo):
    text = STUDY.replace('["sgd", "adam"]', '["sgd"]')
    text = text.replace('baseline = { optimizer = "sgd" }', "")
    # No width of the network has so few parameters.
    text += '[[trials]]\nname = "bad"\nmodel = "skip_cnn"\nparameters = 9\n'
    text = text.replace('model = "mlp"\nwidth = 8\n', "")
    text = text.replace("[axes]", '[axes]\nmodel = ["mlp"]')
    (tmp_path / "bad.toml").write_text(text)
    study = read_study("bad.toml").override(seeds=[0])
    folder = run_here(study, tmp_path / "out", code=1)
    assert folder.name == "bad@seeds-0"
    summary = pd.read_csv(folder / "summary.csv")
    bad = summary[summary["runs_failed"] == 2]
    assert len(bad) == 1
    assert bad["macro_f1"].isna().all()
    assert bad["harmonic_mean"].isna().all()
    assert (folder / "failed.md").exists()


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def pickle_objects(path):
    arrays = {f"{s}_images": np.array([{}]) for s in ("train", "val", "test")}
    np.savez(path, **arrays, allow_pickle=True)


def change_shapes(path):
    with zipfile.ZipFile(path):
        arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "val_labels": arrays["val_labels"][:-1]})


@pytest.mark.parametrize(
    "damage", [flip_a_bit, truncate, pickle_objects, change_shapes]
)
def test_a_damaged_file_is_refused_before_anything_trains(
    tmp_path, medzoo, damage, real_data
):
    (tmp_path / "small.toml").write_text(STUDY)
    path = tmp_path / "data" / "breastmnist.npz"
    path.parent.mkdir()
    path.write_bytes((real_data / path.name).read_bytes())
    damage(path)
    content = path.read_bytes()
    options = ["--data", "medmnist", "--tasks", "breastmnist"]
    told = medzoo("study", "run", "small.toml", *options, code=2).err
    assert "breastmnist.npz" in told
    assert path.read_bytes() == content
    assert not records(tmp_path)


def test_make_and_module_reach_the_same_command_line():
    path = Path(sys.executable).parent / "medzoo"
    done = subprocess.run(
        [path, "--help"], capture_output=True, text=True, check=True
    )
    assert "study" in done.stdout
