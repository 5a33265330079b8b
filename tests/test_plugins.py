"""Models, losses and more of a user: found, identified, trained and stored."""

import csv
import importlib.util
import os
import signal
import subprocess
import sys
import time

import pytest
from small_plugin import NETS, PARTS, STUDY

from medzoo.execution.job import Job
from medzoo.execution.local import LocalExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.execution.worker import run_one
from medzoo.models.registry import MODELS
from medzoo.plugins.ahead import may_import_keras, refuse_faults
from medzoo.plugins.files import (
    PluginError,
    load_plugins,
    place_sources,
    read_sources,
)
from medzoo.plugins.identity import identify
from medzoo.plugins.register import TARGETS
from medzoo.plugins.targets import find_target
from medzoo.record import Record
from medzoo.report.bootstrap import read_replicates
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import read_evidence, write_evidence
from medzoo.report.pages import list_facts
from medzoo.report.results import read_results
from medzoo.report.study_tables import make_short_summary
from medzoo.runs.plugins import REGISTERED
from medzoo.runs.run import Run
from medzoo.scores.table import SCORES
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.spec import read_study
from medzoo.training.check import check_plugins


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a study, its plugin and a module of that."""
    for name, text in (
        ("nets.py", NETS),
        ("parts.py", PARTS),
        ("own.toml", STUDY),
    ):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    return tmp_path


def forget():
    """Leaves this process without what was registered."""
    SCORES.pop("hit_rate", None)
    TARGETS.pop(("score", "hit_rate"), None)
    REGISTERED.clear()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def content(folder, kind="model", name="tiny"):
    load_plugins(["nets.py"], folder)
    return REGISTERED[kind, name].content


def train(study, store):
    for _, run in expand(study):
        store.write(*run_one(Job(run), store))


def test_a_score_that_is_better_where_it_is_lower_ranks_no_study(folder):
    path = folder / "nets.py"
    lower = '@medzoo.register_score(label="hit rate", higher_is_better=False)'
    text = path.read_text(encoding="utf-8")
    text = text.replace('@medzoo.register_score(label="hit rate")', lower)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="cannot rank trials: lower is better"):
        read_study(folder / "own.toml")


def test_a_study_of_plugins_is_trained_and_scored_by_their_score(folder):
    study, store = read_study(folder / "own.toml"), Store()
    check_plugins(run for _, run in expand(study))
    train(study, store)
    own, zoo = read_results(study, store)
    assert [len(trial.done) for trial in (own, zoo)] == [1, 1]
    for trial in (own, zoo):
        scores = trial.done[0].scores["test"]
        assert scores["hit_rate"] == pytest.approx(scores["accuracy"])
    (record,) = own.done
    assert record.history[-1]["learning_rate"] == pytest.approx(0.01)
    values = store.read_predictions(record.run_id).test
    drawn = read_replicates(store, record, name="hit_rate")
    accuracy = (values.probabilities.argmax(1) == values.labels).mean()
    assert drawn.mean() == pytest.approx(accuracy, abs=0.02)
    evidence = Evidence.read(study, store)
    told = list_facts(evidence)["Plugins"]
    assert f"model tiny ({content(folder)})" in told
    assert "score hit_rate (" in told
    write_evidence(evidence, folder / "evidence.zip")
    forget()
    again = read_evidence(folder / "evidence.zip")
    assert make_short_summary(again) == make_short_summary(evidence)
    assert any("hit rate" in c for c in make_short_summary(again).columns)


def test_records_are_read_without_the_plugin(folder):
    run = expand(read_study(folder / "own.toml"))[0].run
    text = Record(run=run, run_id=run.run_id, status="failed").model_dump_json()
    forget()
    again = Record.model_validate_json(text).run
    assert again.run_id == run.run_id
    assert (again.model, again.options) == (run.model, run.options)
    with pytest.raises(ValueError, match="Unknown model `tiny`"):
        Run(task="breastmnist", model="tiny")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("nets.py", '    """A docstring."""\n', "    # A comment.\n"),
        (
            "nets.py",
            "(x, int(width * squeeze))",
            "(\n    x, int(width*squeeze))",
        ),
        ("nets.py", "margin - truth", "2 * margin - truth"),
        ("nets.py", "width=4", "width=5"),
    ],
    ids=["comment", "layout", "another function", "default width"],
)
def test_what_a_model_does_not_use_is_no_part_of_it(folder, file, old, new):
    before = content(folder)
    edit(folder / file, old, new)
    assert content(folder) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("nets.py", "offset=-1.0", "offset=-0.5"),
        ("nets.py", "SLOPE = 0.1", "SLOPE = 0.2"),
        ("nets.py", "squeeze: float = 0.5", "squeeze: float = 0.6"),
        ("parts.py", "AveragePooling2D(7)", "AveragePooling2D(4)"),
    ],
    ids=["source", "constant", "default of an option", "module beside it"],
)
def test_what_a_model_uses_is_part_of_it(folder, file, old, new):
    before = content(folder)
    edit(folder / file, old, new)
    assert content(folder) != before


def test_the_name_and_place_of_a_file_are_no_part_of_a_run(folder):
    first = expand(read_study(folder / "own.toml"))
    moved = folder / "moved"
    moved.mkdir()
    for name in ("nets.py", "parts.py", "own.toml"):
        (folder / name).rename(moved / name)
    second = expand(read_study(moved / "own.toml"))
    assert [r.run_id for _, r in first] == [r.run_id for _, r in second]


def test_a_run_of_built_in_things_has_the_id_it_had():
    assert Run(task="breastmnist").run_id == "dd9d84c26e8f2c47"
    run = Run(task="breastmnist", model="transfer")
    assert run.run_id == "18da8abcee631e80"


def test_content_that_changes_while_a_study_runs_is_refused(folder):
    run = expand(read_study(folder / "own.toml"))[0].run
    edit(folder / "nets.py", "offset=-1.0", "offset=-0.5")
    load_plugins(["nets.py"], folder)
    record, _ = run_one(Job(run), Store())
    assert "has changed since the run was planned" in record.error["message"]


def test_options_are_typed_by_the_signature(folder):
    load_plugins(["nets.py"], folder)
    run = Run(task="breastmnist", model="tiny", loss="hinge")
    assert run.width == 4
    assert run.options == {"margin": 1.0, "squeeze": 0.5}
    with pytest.raises(ValueError, match="`squeeze` must be of type float"):
        Run(task="breastmnist", model="tiny", squeeze="half")
    with pytest.raises(ValueError, match="takes no `augmentation`"):
        Run(task="breastmnist", model="tiny", augmentation="flips")
    with pytest.raises(ValueError, match="`margin` is not .* Did you mean|is"):
        Run(task="breastmnist", model="mlp", margin=1.0)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_takes_the_options_of_a_loss_of_ones_own(folder, model):
    load_plugins(["nets.py"], folder)
    fields = {
        "task": "shapes" if model == "unet" else "breastmnist",
        "data": "synthetic",
        "model": model,
        "loss": "hinge",
    }
    run = Run(**fields, margin=2.0)
    assert run.options["margin"] == 2.0
    assert run.run_id != Run(**fields).run_id


def test_closures_that_may_change_need_a_version():
    def make(widths):
        def build():
            return widths

        return build

    assert identify(make(3)) == identify(make(3)) != identify(make(4))
    with pytest.raises(ValueError, match="may change between runs"):
        identify(make([3]))
    with pytest.raises(ValueError, match="lambda"):
        identify(lambda x: x)
    assert identify(lambda x: x, version="3") == identify(print, version="3")


HEAD = """
import keras
import numpy as np
from keras import layers, ops
import medzoo


"""
MODEL = """
@medzoo.register_model(width=4)
def odd(num_classes, *, input_shape, width):
    inputs = keras.Input(input_shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Flatten()(layers.AveragePooling2D(7)(x))
    {before}
    return keras.Model(inputs, {end})
"""
END = "layers.Dense(num_classes)(x)"


def model(before="pass", end=END):
    return MODEL.format(before=before, end=end)


LOSS = """
@medzoo.register_loss
def odd(labels, logits):
    return {}
"""
# Each: what is in the file, and what the sentence says.
WRONG = {
    "syntax": ("def odd(:\n", "line 8: SyntaxError: invalid syntax.$"),
    "import": ("import no_such_thing\n", "line 8: ModuleNotFoundError: No mod"),
    "raises": ("int('x')\n", "line 8: ValueError: invalid literal"),
    "nothing": ("x = 1\n", "registers nothing"),
    "taken": (
        model().replace("odd", "mlp"),
        "line 9: The name `mlp` is taken: medzoo has such a model",
    ),
    "twice": (model() * 2, "Two plugins register the model `odd`"),
    "no default": (
        model().replace("width)", "width, depth)"),
        "Argument `depth` of model `odd` has no default",
    ),
    "type of option": (
        model().replace("width)", "width, depths=(1, 2))"),
        "`depths` of model `odd` must be text, a number",
    ),
    "no width": (
        model().replace("(width=4)", ""),
        "Model `odd` has no default width.* Received: none.$",
    ),
    "no shape": (
        model().replace("input_shape, ", ""),
        "`odd` must take `input_shape`",
    ),
    "no rate": (
        "@medzoo.register_optimizer\ndef odd(learning_rate):\n    pass\n",
        "Optimizer `odd` has no default learning rate.* Received: none.$",
    ),
    "iterator": (
        "FILE = iter(())\n" + model(before="next(FILE)"),
        "The content of model `odd` cannot be told",
    ),
    "layer of all runs": (
        "FLIP = layers.RandomFlip()\n" + model(before="x = FLIP(x)"),
        "line 10: The content of .*`odd:FLIP` is a layer that all runs of a",
    ),
    "shape": (
        model(end="layers.Dense(num_classes + 1)(x)"),
        "line 9: model `odd` must end in logits of shape .* \\(None, 3\\)",
    ),
    "input": (
        model().replace("keras.Input(input_shape", "keras.Input((28, 28, 3)"),
        "must take images of shape .*28, 1\\). Received: an input of .*28, 3",
    ),
    "dtype": (
        model(end="layers.Dense(num_classes, dtype='float16')(x)"),
        "must end in float32 logits. Received: float16",
    ),
    "int16": (
        model(end=f"ops.cast({END}, 'int16')"),
        "must end in float32 logits. Received: int16",
    ),
    "softmax": (
        model(end="layers.Dense(num_classes, activation='softmax')(x)"),
        "must end in logits and not in probabilities.* softmax of layer",
    ),
    "NaN logits": (
        model(before="x = layers.Rescaling(float('inf'))(x - 1)"),
        "must return finite logits",
    ),
    "unused weight": (
        model(before="x = x + 0 * layers.Dense(1)(x)"),
        "must give every trainable weight a gradient.*`dense",
    ),
    "builder raises": (
        model(before="x = layers.Conv2D(4, 3)(x)"),
        "line 14: ValueError",
    ),
    "no model": (
        model(end=END).replace("keras.Model(inputs, ", "(inputs, "),
        "line 9: the builder `odd` must return a Keras model. Received: tuple",
    ),
    "batch of one": (
        model(before="x = ops.reshape(x, (8, 16))"),
        "must end in logits of shape .* \\(8, 2\\)",
    ),
    "NaN loss": (
        LOSS.format("0 * ops.mean(logits) + float('nan')"),
        "loss `odd` must be finite. Received: nan",
    ),
    "unlabelled": (
        LOSS.format("ops.mean(ops.square(logits))"),
        "must leave out images labelled -1",
    ),
    "loss raises": (
        LOSS.format("logits[:, 7]"),
        "cannot be computed",
    ),
    "optimizer": (
        "@medzoo.register_optimizer(learning_rate=0.1)\n"
        "def odd(learning_rate):\n    return 'adam'\n",
        "line 8: optimizer `odd` must return a keras.* Received: str",
    ),
    "schedule": (
        "@medzoo.register_schedule\ndef odd(step, steps):\n    return -1.0\n",
        "must return a share of the peak learning rate.* Received: -1.0",
    ),
    "augmentation": (
        "@medzoo.register_augmentation\n"
        "def odd():\n    return layers.CenterCrop(3, 3)\n",
        "must return finite images of the shape that it takes",
    ),
    "score": (
        "@medzoo.register_score\n"
        "def odd(probabilities, labels):\n    return labels\n",
        "line 8: score `odd` must return one number or None",
    ),
}


def load_and_check(name, folder):
    fields = {"task": "breastmnist", "model": "mlp"}
    found = dict(load_plugins([name], folder))
    found.pop("score", None)
    check_plugins([Run(**fields | found)])


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_plugin_is_one_sentence(fault, tmp_path, monkeypatch):
    text, expected = WRONG[fault]
    monkeypatch.setattr("sys.path", [*sys.path])
    name = f"{fault.replace(' ', '_')}.py"
    (tmp_path / name).write_text(HEAD + text)
    with pytest.raises(ValueError, match=expected) as error:
        load_and_check(name, tmp_path)
    assert "\n" not in str(error.value)


# Those that are found without the import, which needs Keras.
SHOWN = ["import", "taken", "twice", "no default", "type of option"]
SHOWN += ["no width", "no shape", "no rate"]


@pytest.mark.parametrize("fault", SHOWN)
def test_what_a_text_shows_has_the_sentence_of_the_import(
    fault, tmp_path, monkeypatch
):
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "shown.py").write_text(HEAD + WRONG[fault][0])
    with pytest.raises(PluginError) as early:
        refuse_faults(["shown.py"], tmp_path)
    with pytest.raises(PluginError) as late:
        load_plugins(["shown.py"], tmp_path)
    assert str(early.value) == str(late.value)


@pytest.mark.parametrize(
    "text",
    [
        NETS,
        "import parts\nimport no_such_thing",
        "import sys\nimport no_such_thing",
        "try:\n    import no_such_thing\nexcept ImportError:\n    pass",
        "@medzoo.register_model(width=WIDTH)\ndef odd(n, size=SIZE): pass",
        "@medzoo.register_loss\n@other\ndef odd(labels, logits, size): pass",
        "@mine.register_model\ndef mlp(): pass",
        "def odd(:",
    ],
)
def test_what_a_text_does_not_show_is_left_to_the_import(folder, text):
    (folder / "left.py").write_text(text)
    before = dict(REGISTERED)
    refuse_faults(["left.py", "no_such_file.py"], folder)
    assert before == REGISTERED
    assert "hit_rate" not in SCORES


def test_sources_travel_to_other_machines(folder, monkeypatch):
    run = expand(read_study(folder / "own.toml"))[0].run
    sources = read_sources(run.plugins.values())
    (texts,) = sources.values()
    assert sorted(texts) == ["nets.py", "parts.py"]
    for name in texts:
        (folder / name).unlink()
    monkeypatch.setattr("tempfile.tempdir", str(folder / "far"))
    (folder / "far").mkdir()
    forget()
    TARGETS.clear()
    place_sources(sources)
    for kind, plugin in run.plugins.items():
        assert callable(find_target(kind, plugin))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import keras", True),
        ("from keras import ops", True),
        ("import my_lab.nets", True),
        ("from medzoo.losses import classification", True),
        ("import beside", True),
        ("try:\n    import keras\nexcept ImportError:\n    pass", True),
        ("import math, numpy as np\nimport medzoo", False),
        ("def build():\n    import keras\n    return keras.Model", False),
        ("import light", False),
        ("def (", False),
    ],
)
def test_keras_is_imported_only_for_plugins_that_may_import_it(
    tmp_path, text, expected
):
    (tmp_path / "beside.py").write_text("import keras")
    (tmp_path / "light.py").write_text("import plugin")
    (tmp_path / "plugin.py").write_text(text)
    assert may_import_keras("plugin.py", tmp_path) is expected


@pytest.mark.slow
def test_workers_give_the_numbers_of_one_process(folder):
    study = read_study(folder / "own.toml").override(seeds=[0, 1])
    here, there = Store(folder / "here"), Store(folder / "there")
    train(study, here)
    runs = [run for _, run in expand(study)]
    with LocalExecutor(2) as executor:
        execute_jobs(map(Job, runs), there, executor=executor, on_record=print)
    for run in runs:
        one, other = here.read(run.run_id), there.read(run.run_id)
        assert one.scores == other.scores
        assert one.history == other.history


def test_a_missing_plugin_is_one_sentence_of_the_study(folder):
    (folder / "nets.py").unlink()
    with pytest.raises(ValueError, match="own.toml, line 3: No plugin `nets"):
        read_study(folder / "own.toml")


def start_study(folder, runs, *flags):
    """Starts the study as a person would, with a store and results of its own.

    Two calls with the same store are two terminals of one person.
    """
    command = [sys.executable, "-m", "medzoo", "study", "run", "own.toml"]
    command += ["--seeds", "0,1,2", *flags]
    places = {"MEDZOO_RUNS": str(folder / runs)}
    return subprocess.Popen(
        [*command, "--out", f"results-{runs}"],
        cwd=folder,
        env=os.environ | places,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def read_table(folder, runs):
    (path,) = (folder / f"results-{runs}").rglob("summary.csv")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    timed = ("train_seconds", "images_per_second")
    return [{k: v for k, v in row.items() if k not in timed} for row in rows]


@pytest.mark.slow
def test_a_kill_workers_and_a_second_terminal_give_the_same_table(folder):
    finish(start_study(folder, "alone", "--workers", "1"))
    expected = read_table(folder, "alone")
    assert len(expected) == 2
    process = start_study(folder, "killed", "--workers", "2")
    deadline = time.monotonic() + 200
    while not list((folder / "killed").rglob("*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    terminals = [
        start_study(folder, "killed", "--workers", "1") for _ in range(2)
    ]
    for each in terminals:
        finish(each)
    assert read_table(folder, "killed") == expected


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="ray is not installed: pip install 'medzoo[ray]'",
)
def test_ray_gives_the_table_of_one_process(folder):
    finish(start_study(folder, "alone", "--workers", "1"))
    finish(start_study(folder, "ray", "--executor", "ray"))
    assert read_table(folder, "ray") == read_table(folder, "alone")
