"""Trainings that were stopped go on as if they never had been."""

import subprocess
import sys

import numpy as np
import pytest

from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.study.tuning import HALVING
from medzoo.training.build import prepare_model
from medzoo.training.execute import execute, load_data
from medzoo.training.trainer import Trainer

LIMITED = {"data": "synthetic", "max_images": 80, "batch_size": 10}
TIMES = {"seconds", "images_per_second", "peak_memory_mb", "started"}


def results(record):
    return record.model_dump(exclude=TIMES)


MODELS = {
    "mlp": {"model": "mlp", "optimizer": "adamw", "warmup": 0.2},
    "augmented": {"model": "mlp", "augmentation": "light", "dropout": 0.3},
    "skip_cnn": {"model": "skip_cnn", "stages": 1, "optimizer": "momentum"},
}


def make_run(name, **changes):
    values = {"schedule": "cosine", "epochs": 4, "width": 8, **LIMITED}
    values |= MODELS[name] | changes
    return Run(task="breastmnist", **values)


@pytest.mark.parametrize("name", MODELS)
def test_a_resumed_training_gives_the_bits_of_an_uncut_one(name):
    run = make_run(name)
    uncut, predictions = execute(run)
    kept = {}
    for until in HALVING:
        stopped, none = execute(
            run, until=until, state=kept.get("state"), on_stop=keep_in(kept)
        )
        assert (stopped.status, stopped.scores) == ("pruned", {})
        assert none.to_arrays() == {}
        assert stopped.history == uncut.history[: len(stopped.history)]
        # The model of this graph is another run's in between.
        execute(make_run(name, learning_rate=0.1, epochs=1))
    resumed, found = execute(run, state=kept["state"])
    assert results(resumed) == results(uncut)
    assert resumed.seconds["train"] > 0
    arrays = found.to_arrays()
    for key, values in predictions.to_arrays().items():
        np.testing.assert_array_equal(arrays[key], values)


def keep_in(place):
    return lambda state: place.update(state=state)


def test_early_stopping_and_best_weights_go_on_too():
    changes = {"patience": 2, "epochs": 12, "learning_rate": 0.03}
    run = make_run("mlp", **changes)
    uncut, _ = execute(run)
    assert uncut.history[-1]["epoch"] < 12
    kept = {}
    execute(run, until=0.2, on_stop=keep_in(kept))
    resumed, _ = execute(run, state=kept["state"])
    assert results(resumed) == results(uncut)


def test_a_state_keeps_no_hold_on_the_model():
    run = make_run("mlp")
    kept = {}
    execute(run, until=0.25, on_stop=keep_in(kept))
    before = {name: array.copy() for name, array in kept["state"].items()}
    execute(make_run("mlp", learning_rate=0.1))
    for name, array in kept["state"].items():
        np.testing.assert_array_equal(array, before[name])


def test_a_state_of_other_data_or_versions_is_not_gone_on_with():
    run = make_run("mlp")
    uncut, _ = execute(run)
    kept = {}
    stopped, _ = execute(run, until=0.25, on_stop=keep_in(kept))
    for field, value in {
        "data_fingerprint": "other",
        "versions": {**stopped.versions, "keras": "2.0"},
    }.items():
        other = stopped.model_copy(update={field: value})
        record = np.array(other.model_dump_json())
        # Weights of nothing would show.
        state = {k: np.zeros_like(v) for k, v in kept["state"].items()}
        resumed, _ = execute(run, state={**state, "record": record})
        assert results(resumed) == results(uncut)


@pytest.mark.slow
def test_a_trainer_goes_on_in_another_process(tmp_path):
    """State through a file and a fresh backend; the same best weights."""
    run = make_run("augmented")
    kept = {}
    uncut, _ = execute(run)
    execute(run, until=0.5, on_stop=keep_in(kept))
    np.savez(tmp_path / "state.npz", **kept["state"])
    (tmp_path / "run.json").write_text(run.model_dump_json())
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from medzoo.training.backend import set_threads\n"
        "set_threads(1)\n"
        "from medzoo.training.execute import execute\n"
        "from medzoo.runs.run import Run\n"
        "here = Path(sys.argv[1])\n"
        "run = Run.model_validate_json((here / 'run.json').read_text())\n"
        "record, _ = execute(run, state=dict(np.load(here / 'state.npz')))\n"
        "(here / 'record.json').write_text(record.model_dump_json())\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        capture_output=True,
        timeout=200,
    )
    text = (tmp_path / "record.json").read_text()
    assert results(Record.model_validate_json(text)) == results(uncut)


def test_speed_counts_no_step_that_was_traced():
    run = make_run("mlp")
    data = load_data(run)
    trainer = Trainer(prepare_model(run, data), data, run)
    trainer.train(until=8)
    state = trainer.state()
    resumed = Trainer(prepare_model(run, data), data, run)
    resumed.resume(state)
    resumed.train(until=16)
    expected = 7 * 10 / resumed.seconds["train"]
    assert resumed.images_per_second() == pytest.approx(expected)
