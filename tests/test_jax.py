"""medzoo on JAX, from the command line, where there is no TensorFlow."""

import csv
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
from on_jax import assert_close, needs_jax
from small_plugin import NETS, PARTS
from small_plugin import STUDY as STUDY_OF_PLUGINS

pytestmark = needs_jax
RUN = """
task = "breastmnist"
data = "synthetic"
model = "mlp"
width = 8
max_images = 64
steps = 2
"""
STUDY = """
question = "Which learning rate?"
tasks = ["breastmnist"]
data = "synthetic"
seeds = [0, 1]

[axes]
learning_rate = [1e-3, 1e-2]

[fixed]
model = "mlp"
width = 8
max_images = 64
steps = 4
"""


def run_medzoo(folder, *arguments, code=0, **environment):
    """Runs a command that ends with a code, and has imported no TensorFlow."""
    script = (
        "import sys\n"
        "from medzoo.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print('tensorflow' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.splitlines()[-1] == "False"
    return done.stdout if code == 0 else done.stderr


def test_a_run_is_trained_and_its_model_predicts(tmp_path):
    (tmp_path / "run.toml").write_text(RUN)
    found = run_medzoo(tmp_path, "train", "run.toml", "--out", "kept", "--json")
    assert json.loads(found)["status"] == "done"
    record = json.loads((tmp_path / "kept/record.json").read_text())
    assert "jax" in record["versions"]
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1))
    np.savez(tmp_path / "more.npz", images=images.astype("uint8"))
    run_medzoo(
        tmp_path, "predict", "kept", "more.npz", "--out", "predictions.csv"
    )
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert len(lines) == 1 + 5
    found = run_medzoo(tmp_path, "export", "kept", "--to", "tflite", code=2)
    assert "needs the package `tensorflow`, which is not installed." in found


def test_a_study_is_the_same_alone_and_in_stacks(tmp_path):
    (tmp_path / "rates.toml").write_text(STUDY)
    stores = {}
    for stack in ("off", "4"):
        run_medzoo(
            tmp_path,
            *("study", "run", "rates.toml", "--workers", "1"),
            *("--stack", stack, "--out", f"results-{stack}"),
            MEDZOO_RUNS=str(tmp_path / stack),
        )
        records = (tmp_path / stack).glob("*/*.json")
        found = [json.loads(path.read_text()) for path in records]
        stores[stack] = {r["run_id"]: r for r in found if "run_id" in r}
    assert len(stores["off"]) == 4
    for run_id, record in stores["off"].items():
        other = stores["4"][run_id]
        assert (record["stack"], other["stack"]) == (1, 4)
        assert_close(record["scores"], other["scores"])


def test_a_study_of_plugins_is_trained_and_scored_by_their_score(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "own.toml").write_text(STUDY_OF_PLUGINS)
    run_medzoo(
        tmp_path,
        *("study", "run", "own.toml", "--workers", "1", "--out", "results"),
        MEDZOO_RUNS=str(tmp_path / "runs"),
    )
    (path,) = (tmp_path / "results").rglob("summary.csv")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["trial"] for row in rows} == {"own", "zoo"}
    assert all(0 <= float(row["hit_rate"]) <= 1 for row in rows)


def test_this_environment_has_no_tensorflow():
    assert importlib.util.find_spec("tensorflow") is None
