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

STUDY = """
question = "Does a small MLP care for its optimizer?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0, 1]
data = "synthetic"
baseline = { optimizer = "sgd" }
[axes]
optimizer = ["sgd", "adam"]
[fixed]
model = "mlp"
width = 8
epochs = 2
max_images = 64
batch_size = 32
"""
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


def medzoo(place, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "medzoo", *map(str, arguments)],
        cwd=place,
        env=environment(place, **variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


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


def test_a_killed_study_goes_on_where_it_stopped(place):
    process = subprocess.Popen(
        [sys.executable, "-m", "medzoo", "study", "run", "small.toml"],
        cwd=place,
        env=environment(place),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while len(records(place)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path.stem: path.read_bytes() for path in records(place)}
    assert 3 <= len(finished) < NUM_RUNS

    again = medzoo(place, "study", "run", "small.toml")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("val macro F1") == NUM_RUNS - len(finished)
    for path in records(place):
        if path.stem in finished:
            assert path.read_bytes() == finished[path.stem]

    options = ["--out", "whole", "--workers", "1"]
    whole = medzoo(
        place, "study", "run", "small.toml", *options, MEDZOO_RUNS="other"
    )
    assert whole.returncode == 0, whole.stderr
    assert_equal_tables(
        tables(place / "results" / "small"), tables(place / "whole" / "small")
    )
    # Nothing is left to do, and the report is rebuilt from records alone.
    before = (place / "results/small/summary.md").read_bytes()
    report = medzoo(place, "study", "report", "small.toml")
    assert report.returncode == 0, report.stderr
    assert (place / "results/small/summary.md").read_bytes() == before


def test_interrupting_keeps_what_is_done_and_says_how_to_go_on(place):
    process = subprocess.Popen(
        [sys.executable, "-m", "medzoo", "study", "run", "small.toml"],
        cwd=place,
        env=environment(place),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not records(place) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Run the same command again to go on." in errors
    assert "Traceback" not in errors


def test_a_failing_run_is_an_empty_cell_and_exit_code_1(place):
    text = STUDY.replace('["sgd", "adam"]', '["sgd"]')
    text = text.replace('baseline = { optimizer = "sgd" }', "")
    # No width of the network has so few parameters.
    text += '[[trials]]\nname = "bad"\nmodel = "skip_cnn"\nparameters = 9\n'
    text = text.replace('model = "mlp"\nwidth = 8\n', "")
    text = text.replace("[axes]", '[axes]\nmodel = ["mlp"]')
    (place / "bad.toml").write_text(text)
    done = medzoo(place, "study", "run", "bad.toml", "--seeds", "0")
    assert done.returncode == 1, done.stderr
    summary = pd.read_csv(place / "results/bad@seeds-0/summary.csv")
    bad = summary[summary["runs_failed"] == 2]
    assert len(bad) == 1
    assert bad["macro_f1"].isna().all()
    assert bad["harmonic_mean"].isna().all()
    assert (place / "results/bad@seeds-0/failed.md").exists()


WRONG = {
    "unknown study": (["study", "run", "optimisers"], "Did you mean"),
    "unknown task": (
        ["study", "run", "small.toml", "--tasks", "brestmnist"],
        "Did you mean `breastmnist`?",
    ),
    "several labels": (
        ["study", "run", "small.toml", "--tasks", "chestmnist"],
        "several labels per image",
    ),
    "no seeds": (
        ["study", "run", "small.toml", "--seeds", "one"],
        "whole numbers",
    ),
    "unknown data": (
        ["study", "run", "small.toml", "--data", "cifar"],
        "Unknown data `cifar`",
    ),
    "missing files": (
        ["study", "run", "small.toml", "--data", "medmnist"],
        "--data synthetic",
    ),
    "unknown download": (["download", "bloodmist"], "`bloodmnist`"),
    "unknown size": (["download", "bloodmnist", "--size", "32"], "28, 64"),
    "missing file": (["study", "plan", "nowhere.toml"], "nowhere.toml"),
}


@pytest.mark.parametrize(("arguments", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_words_are_one_sentence_and_exit_code_2(
    place, arguments, sentence
):
    done = medzoo(place, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not records(place)
    assert not (place / "results").exists()


WRONG_FILES = {
    "syntax": (STUDY.replace('"sgd", "adam"]', '"sgd"'), "not valid TOML"),
    "axis": (STUDY.replace("optimizer = [", "optimiser = ["), "`optimizer`"),
    "optimizer": (STUDY.replace('"adam"]', '"adm"]'), "Unknown optimizer"),
    "model": (STUDY.replace('"mlp"', '"mpl"'), "Unknown model `mpl`"),
    "seeds": (STUDY.replace("[0, 1]", "[]"), "`seeds`"),
}


@pytest.mark.parametrize(
    ("text", "sentence"), WRONG_FILES.values(), ids=WRONG_FILES
)
def test_a_wrong_study_file_is_named_with_its_line(place, text, sentence):
    (place / "wrong.toml").write_text(text)
    done = medzoo(place, "study", "run", "wrong.toml")
    assert done.returncode == 2
    assert "wrong.toml, line " in done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


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
    place, damage, real_data
):
    path = place / "data" / "breastmnist.npz"
    path.parent.mkdir()
    path.write_bytes((real_data / path.name).read_bytes())
    damage(path)
    content = path.read_bytes()
    options = ["--data", "medmnist", "--tasks", "breastmnist"]
    done = medzoo(place, "study", "run", "small.toml", *options)
    assert done.returncode == 2, done.stderr
    assert "breastmnist.npz" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == content
    assert not records(place)


def test_the_light_commands_answer(place):
    assert "bloodmnist" in medzoo(place, "tasks").stdout
    assert "skip_cnn" in medzoo(place, "models").stdout
    plan = medzoo(place, "study", "plan", "small.toml")
    assert "2 trials x 2 tasks x 2 seeds = 8 runs" in plan.stdout
    assert "8 left" in medzoo(place, "study", "status", "small.toml").stdout


def test_make_and_module_reach_the_same_command_line():
    path = Path(sys.executable).parent / "medzoo"
    done = subprocess.run(
        [path, "--help"], capture_output=True, text=True, check=True
    )
    assert "study" in done.stdout
