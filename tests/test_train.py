"""`medzoo train` as a person and a script meet it."""

import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.training.execute import execute, load_data
from medzoo.training.predict import predict_logits, to_probabilities
from medzoo.training.saved import save_model

FILE = """
task = "breastmnist"
data = "synthetic"
model = "mlp"
width = 8
batch_size = 32
max_images = 64
steps = 4
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "run.toml").write_text(FILE)
    return tmp_path


def environment(place):
    return {**os.environ, "MEDZOO_RUNS": str(place / "runs")}


def test_a_run_is_trained_once_and_its_scores_are_one_object(place, medzoo):
    command = ["train", "run.toml", "--seed", 2, "--json", "--out", "kept"]
    done = medzoo(*command)
    found = json.loads(done.out)
    run = Run.model_validate(found["run"])
    assert found["run_id"] == run.run_id
    assert found["status"] == "done"
    assert (run.seed, run.width, run.steps) == (2, 8, 4)
    expected, predictions = execute(run)
    assert found["scores"] == expected.scores
    model = keras.saving.load_model(place / "kept" / "model.keras")
    logits = predict_logits(model, load_data(run).test.images)
    np.testing.assert_allclose(
        to_probabilities(logits), predictions.test.probabilities, atol=1e-6
    )
    record = json.loads((place / "kept" / "record.json").read_text())
    assert record["run_id"] == run.run_id
    again = medzoo(*command)
    assert "finished already" in again.err
    assert again.out == done.out


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (["--set", "learning_rate=1e30"], "diverged"),
        (["--model", "knn", "--set", "backbone=none"], "done"),
    ],
)
def test_a_run_without_a_model_leaves_the_model_of_another_one(
    place, medzoo, change, status
):
    if status == "done":  # A baseline has no such fields.
        (place / "fit.toml").write_text(FILE.partition("model")[0])
    medzoo("train", "run.toml", "--out", "kept")
    before = read_files(place / "kept")
    file = "fit.toml" if status == "done" else "run.toml"
    command = ["train", file, *change, "--json", "--out", "kept"]
    for said in ("Run ", "finished already"):
        told = medzoo(*command, code=int(status != "done"))
        assert json.loads(told.out)["status"] == status
        assert said in told.err
        assert f"has left no model ({status}): kept keeps the" in told.err
        assert read_files(place / "kept") == before


def read_files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_without_a_model_is_trained_once_and_its_record_kept(
    place, medzoo
):
    command = ["train", "--task", "breastmnist", "--data", "synthetic"]
    command += ["--model", "knn", "--set", "backbone=none", "--out", "kept"]
    assert "no model that Keras can keep" in medzoo(*command).err
    assert "finished already" in medzoo(*command).err
    assert set(read_files(place / "kept")) == {"record.json", "model.md"}


def test_a_model_is_never_beside_the_record_of_another(place, medzoo):
    """Whatever ends the process between its model and its record."""
    medzoo("train", "run.toml", "--out", "kept")
    path = place / "kept" / "model.keras"
    save_model(keras.saving.load_model(path), path)
    assert set(read_files(place / "kept")) == {"model.keras"}
    assert "its weights are not in kept" in (
        medzoo("train", "run.toml", "--out", "kept").err
    )
    assert len(read_files(place / "kept")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_a_signal_the_same_command_goes_on(place, number):
    long = FILE.replace("steps = 4", "steps = 4000")
    (place / "run.toml").write_text(long)
    process = subprocess.Popen(
        [sys.executable, "-m", "medzoo", "train", "run.toml"],
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline().startswith("Run ")
    # It is about to train: what comes now is noted.
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number, said
    assert "Run the same command again to go on." in said
    store = Store(place / "runs")
    (run_id,) = store.run_ids()
    assert store.status(run_id) == "pruned"
    step = store.read(run_id).history[-1]["step"]
    assert 0 < step < 4000
