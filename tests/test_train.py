"""`medzoo train` as a person and a script meet it."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.training.execute import execute

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


def train(place, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "medzoo", "train", *map(str, arguments)],
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_run_is_trained_once_and_its_scores_are_one_object(place):
    done = train(place, "run.toml", "--seed", 2, "--json", "--out", "kept")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    run = Run.model_validate(found["run"])
    assert found["run_id"] == run.run_id
    assert found["status"] == "done"
    assert (run.seed, run.width, run.steps) == (2, 8, 4)
    expected, predictions = execute(run)
    assert found["scores"] == expected.scores
    model = keras.saving.load_model(place / "kept" / "model.keras")
    from medzoo.training.execute import load_data
    from medzoo.training.predict import predict_logits, to_probabilities

    logits = predict_logits(model, load_data(run).test.images)
    np.testing.assert_allclose(
        to_probabilities(logits), predictions.test.probabilities, atol=1e-6
    )
    record = json.loads((place / "kept" / "record.json").read_text())
    assert record["run_id"] == run.run_id

    started = time.monotonic()
    again = train(place, "run.toml", "--seed", 2, "--json", "--out", "kept")
    assert "finished already" in again.stderr
    assert again.stdout == done.stdout
    assert time.monotonic() - started < 20


def test_what_is_typed_wrongly_is_one_sentence_and_trains_nothing(place):
    for arguments, sentence in (
        (["run.toml", "--task", "brest"], "Unknown task `brest`"),
        (["--recipe", "bets", "--task", "breastmnist"], "Unknown recipe"),
        (["none.toml"], "No file there"),
        ([], "A run needs a task"),
    ):
        done = train(place, *arguments)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("Error: ")
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
    assert not (place / "runs").exists()


def test_after_ctrl_c_the_same_command_goes_on(place):
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
    time.sleep(1)  # It is about to train: what comes now is noted.
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Run the same command again to go on." in said
    store = Store(place / "runs")
    (run_id,) = store.run_ids()
    assert store.status(run_id) == "pruned"
    step = store.read(run_id).history[-1]["step"]
    assert 0 < step < 4000
