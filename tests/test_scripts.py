"""What a plain script does that has no `if __name__ == "__main__"`."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import medzoo
from medzoo.execution.job import Job
from medzoo.execution.local import LocalExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.store import Store
from medzoo.study.run_file import read_run

STUDY = """
question = "Does a script start itself again?"
tasks = ["breastmnist"]
seeds = [0, 1]
data = "synthetic"
[axes]
learning_rate = [0.001, 0.01]
[fixed]
model = "mlp"
width = 8
steps = {steps}
max_images = 64
"""
# Each start of the script adds a line to the file `starts`.
SCRIPT = """
import medzoo

with open("starts", "a") as file:
    file.write("started\\n")
result = medzoo.run_study("small.toml", workers=2, out="results")
print(result.table["macro_f1"].notna().all(), len(result.table))
print(result.runs_done, result.runs_failed, result.verdict)
print(all(path.is_file() for path in result.paths))
assert "<table" in result._repr_html_()
assert result.verdict in str(result)
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "small.toml").write_text(STUDY.format(steps=4))
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def start(place):
    # As a person has it: nothing has set the number of threads.
    threads = {
        "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
        "NPROC",
    }  # fmt: skip
    kept = {k: v for k, v in os.environ.items() if k not in threads}
    return subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=place,
        env=kept | {"MEDZOO_RUNS": "runs"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(place):
    process = start(place)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output, errors


def test_a_study_in_a_script_runs_and_imports_the_script_once(place):
    output, errors = finish(place)
    table, counts, files = output.splitlines()
    assert table == "True 2"
    assert counts.startswith("4 0 ")
    assert files == "True"
    assert errors == ""  # There is no terminal for a bar.
    assert (place / "starts").read_text() == "started\n"


@pytest.mark.slow
def test_a_study_without_any_score_is_an_error_with_its_reason(
    place, monkeypatch
):
    monkeypatch.chdir(place)
    monkeypatch.setenv("MEDZOO_RUNS", "runs")
    study = STUDY.format(steps=4).replace("[0.001, 0.01]", "[1e30, 1e35]")
    (place / "small.toml").write_text(study + 'optimizer = "sgd"\n')
    with pytest.raises(RuntimeError) as error:
        medzoo.run_study("small.toml", workers=1, out="results")
    assert str(error.value) == (
        "No run of study `small` succeeded; 4 failed. All of them diverged. "
        "See results/small/failed.md."
    )


def test_ctrl_c_ends_a_script_as_it_ends_any_other(place):
    (place / "small.toml").write_text(STUDY.format(steps=100_000))
    process = start(place)
    folder = place / "runs" / "leases"
    while not list(folder.glob("*.lease")):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1
    assert output == ""
    assert not list(folder.glob("*.lease"))


RUN = """
{before}
import medzoo

for values in {runs}:
    record = medzoo.run(out="trained/" + values["model"], **values)
    assert record.status == "done", record.error
"""
RUNS = [
    {"task": "breastmnist", "data": "synthetic", "batch_size": 64} | values
    for values in (
        {"model": "skip_cnn", "width": 16, "stages": 1, "steps": 12},
        {"model": "logistic_regression", "backbone": "none", "strength": 0.1},
    )
]
COMPUTE = """
import tensorflow as tf
tf.linalg.matmul(tf.ones((600, 600)), tf.ones((600, 600)))
"""


@pytest.fixture(scope="module")
def in_workers(tmp_path_factory):
    """The store of the runs as workers of a study execute them."""
    store = Store(tmp_path_factory.mktemp("workers"))
    jobs = [Job(read_run(**values)) for values in RUNS]
    with LocalExecutor(1) as executor:
        execute_jobs(jobs, store, executor=executor, on_record=lambda _: None)
    return store


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("", id="alone", marks=pytest.mark.slow),
        pytest.param(
            "import tensorflow", id="backend imported", marks=pytest.mark.slow
        ),
        pytest.param(COMPUTE, id="backend used"),
    ],
)
def test_a_run_of_a_script_has_the_bits_of_a_worker(place, in_workers, before):
    (place / "script.py").write_text(RUN.format(before=before, runs=RUNS))
    output, errors = finish(place)
    assert output == ""
    assert before or errors == ""  # A backend that we import prints nothing.
    ours = Store(place / "runs")
    assert set(ours.run_ids()) == set(in_workers.run_ids())
    for run_id in ours.run_ids():
        assert ours.read(run_id).scores == in_workers.read(run_id).scores
        left, right = (
            s.read_predictions(run_id).to_arrays() for s in (ours, in_workers)
        )
        assert left.keys() == right.keys()
        for name in left:
            np.testing.assert_array_equal(left[name], right[name])
    assert (place / "trained/skip_cnn/model.keras").is_file()
    assert (place / "trained/skip_cnn/record.json").is_file()
