"""What can be wrong in a study file: one sentence each, with its line."""

import re
import time
import tomllib
from pathlib import Path

import jsonschema
import pytest

from medzoo.study.document import FIELDS, Document
from medzoo.study.schema import make_schema
from medzoo.study.source import Source
from medzoo.study.spec import list_studies, read_study
from medzoo.tasks import NAMES

GOOD = """\
# Question: which?
question = "Which?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0, 1]
baseline = { optimizer = "adam" }

[axes]
optimizer = ["sgd", "adam"]

[fixed]
model = "mlp"
epochs = 2
"""


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read_with(*changes):
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path("x.toml").write_text(text, encoding="utf-8")
    return read_study("x.toml")


# What is written, what it is written instead of, and the whole sentence.
LISTED = ", ".join([*FIELDS, "dropout", "hidden"])
TASKS = ", ".join(NAMES)
FAULTS = {
    "an unknown axis": (
        "optimizer = [",
        "optimzer = [",
        "x.toml, line 8: `axes.optimzer` is not a field of a run. Did you mean "
        f"`optimizer`? Expected one of: {LISTED}.",
    ),
    "an unknown fixed key": (
        "epochs = 2",
        "epoch = 2",
        "x.toml, line 12: `fixed.epoch` is not a field of a run. Did you mean "
        f"`epochs`? Expected one of: {LISTED}.",
    ),
    "an option of another model": (
        "epochs = 2",
        "stages = 2",
        "x.toml, line 12: `fixed.stages` is not an option of `mlp`. Expected "
        "one of: dropout, hidden. Give each model its own `[[axes]]` or "
        "`[[trials]]`.",
    ),
    "a key of the study in a table": (
        "epochs = 2",
        "epochs = 2\nseeds = [1]",
        "x.toml, line 13: `fixed.seeds` is not a field of a run. "
        "`seeds` belongs above the first table of the file.",
    ),
    "a task as an axis": (
        "[axes]",
        '[axes]\ntask = ["breastmnist"]',
        "x.toml, line 8: `axes.task` is not a field of a run. "
        "`tasks` belongs above the first table of the file.",
    ),
    "an unknown key of the study": (
        "seeds =",
        "seed =",
        "x.toml, line 4: `seed` is not a key of a study. Did you mean `seeds`? "
        "Expected one of: scores, operating_point, tasks, seeds, data, until, "
        "max_seeds, question, plugins, score, equal_within, baseline, axes, "
        "fixed, trials, tuned, watch, corruptions, track, keep.",
    ),
    "no question": (
        'question = "Which?"',
        "",
        "x.toml: `question` is missing.",
    ),
    "no seeds": (
        "seeds = [0, 1]",
        "seeds = []",
        "x.toml, line 4: `seeds` must have at least 1 item, not 0. "
        "Received: seeds=[].",
    ),
    "a seed twice": (
        "seeds = [0, 1]",
        "seeds = [1, 1]",
        "x.toml, line 4: `seeds` must hold each value once. "
        "Received: seeds=[1, 1].",
    ),
    "a seed below zero": (
        "seeds = [0, 1]",
        "seeds = [-1]",
        "x.toml, line 4: `seeds` must be greater than or equal to 0. "
        "Received: seeds=-1.",
    ),
    "an unknown task": (
        '"retinamnist"',
        '"retinamist"',
        "x.toml, line 3: `tasks`: Unknown task `retinamist`. Did you mean "
        f"`retinamnist`? Expected one of: {TASKS}. "
        "Received: task='retinamist'.",
    ),
    "a task with several labels": (
        '"retinamnist"',
        '"chestmnist"',
        "x.toml, line 3: `tasks`: Task `chestmnist` has several labels per "
        f"image. Expected a single-label task: {TASKS}. "
        "Received: task='chestmnist'.",
    ),
    "an unknown data source": (
        "seeds =",
        'data = "imagenet"\nseeds =',
        "x.toml, line 4: `data`: Unknown data `imagenet`. Expected one of: "
        "medmnist, synthetic, folder:PATH, csv:FILE, npz:FILE, masks:PATH, "
        "dicom:PATH, nifti:PATH. Received: data='imagenet'.",
    ),
    "an unknown optimizer": (
        '["sgd", "adam"]',
        '["sgd", "adam", "adma"]',
        "x.toml, line 8: `axes.optimizer`: Unknown optimizer `adma`. Did you "
        "mean `adamax`? Expected one of: sgd, "
        "momentum, nesterov, rmsprop, adagrad, adadelta, adam, "
        "adamw, adamax, nadam, ftrl, lion, adafactor, lamb. Received: "
        "optimizer='adma'.",
    ),
    "an unknown model": (
        '"mlp"',
        '"mpl"',
        "x.toml, line 11: `fixed.model`: Unknown model `mpl`. Did you mean "
        "`mlp`? Expected one of: mlp, skip_cnn, multi_head, unet, transfer, "
        "logistic_regression, knn. Received: model='mpl'.",
    ),
    "a value out of range": (
        "epochs = 2",
        "epochs = 0",
        "x.toml, line 12: `fixed.epochs` must be greater than or equal to 1. "
        "Received: epochs=0.",
    ),
    "a value that no machine can do": (
        "epochs = 2",
        "steps = 10_000_000_000",
        "x.toml, line 12: `fixed.steps` must be less than or equal to "
        "1000000000. Received: steps=10000000000.",
    ),
    "a value of the wrong type": (
        "epochs = 2",
        "epochs = 1.5",
        "x.toml, line 12: `fixed.epochs` must be a whole number. "
        "Received: epochs=1.5.",
    ),
    "a value that is not one of two": (
        "epochs = 2",
        'output = "argmax"',
        "x.toml, line 12: `fixed.output`: Unknown output `argmax`. Expected "
        "one of: softmax, sigmoid. Received: output='argmax'.",
    ),
    "two budgets": (
        "epochs = 2",
        "epochs = 2\nsteps = 3",
        "x.toml, line 12: `fixed.epochs`: A run has one budget. Expected "
        "`epochs` or `steps`, not both. Received: epochs=2, steps=3.",
    ),
    "an axis value twice": (
        '["sgd", "adam"]',
        '["adam", "adam"]',
        "x.toml, line 8: `axes.optimizer` must hold each value once. "
        "Received: optimizer=['adam', 'adam'].",
    ),
    "a list that is fixed": (
        "epochs = 2",
        "epochs = [2]",
        "x.toml, line 12: `fixed.epochs` must be a string, a number, true or "
        "false. Received: epochs=[2].",
    ),
    "a key in axes and fixed": (
        "epochs = 2",
        'optimizer = "adam"',
        "x.toml, line 12: `fixed.optimizer` is a key of `axes` as well. "
        "Expected it in one of the two.",
    ),
    "nothing to compare": (
        '[axes]\noptimizer = ["sgd", "adam"]',
        "",
        "x.toml: A study compares trials. Expected `[axes]` or `[[trials]]`.",
    ),
    "a baseline that is no trial": (
        'optimizer = "adam"',
        'optimizer = "lion"',
        "x.toml, line 5: `baseline` picks 0 of the 2 trials. Expected exactly "
        "one of: sgd; adam. Received: baseline={'optimizer': 'lion'}.",
    ),
    "a baseline by another axis": (
        '{ optimizer = "adam" }',
        '{ optimiser = "adam" }',
        "x.toml, line 5: `baseline.optimiser` is not an axis of this study. "
        "Did you mean `optimizer`? Expected one of: optimizer.",
    ),
    "a trial twice": (
        "[fixed]",
        '[[trials]]\nname = "again"\noptimizer = "adam"\n[fixed]',
        "x.toml, line 10: `again` is the same trial as `adam`. "
        "Expected trials that differ.",
    ),
    "a name twice": (
        "[fixed]",
        '[[trials]]\nname = "adam"\noptimizer = "lion"\n[fixed]',
        "x.toml, line 10: Two trials are called `adam`. "
        "Expected trials that differ.",
    ),
    "a syntax error": (
        "seeds = [0, 1]",
        "seeds [0, 1]",
        "x.toml, line 4, column 7: not valid TOML: Expected '=' after a key in "
        "a key/value pair.",
    ),
    "a list without an end": (
        "epochs = 2",
        "epochs = [",
        "x.toml, line 12, at its end: not valid TOML: Invalid value.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_with_its_line(fault):
    old, new, sentence = FAULTS[fault]
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        read_with((old, new))


def test_several_faults_are_told_at_once():
    with pytest.raises(ValueError, match="line") as error:
        read_with(("epochs", "epoch"), ("optimizer = [", "lr = ["))
    assert [line[:16] for line in str(error.value).split("\n")] == [
        "x.toml, line 12:",
        "x.toml, line 8: ",
    ]


def test_the_line_is_found_behind_values_of_several_lines():
    source = Source(
        Path("x.toml"),
        'a = """\nb = 1\n"""\n\n# b = 2\nc = [\n  1, # b = 3\n]\n'
        "[[t]]\nb = 4\n[[t]]\n'b' = 5\n[u]\nb.d = 6\n[v.w]\nb = 7\n",
    )
    places = [
        ("a",),
        ("c",),
        ("t", 0, "b"),
        ("t", 1, "b"),
        ("u", "b", "d"),
        ("v", "w", "b"),
        ("b",),
    ]
    lines = [source.line_of(place) for place in places]
    assert lines == [1, 6, 10, 12, 14, 16, None]


def test_a_fault_among_many_trials_is_found_in_one_pass(tmp_path):
    trials = "".join(
        f"[[trials]]\nname = '{i}'\nseeds = [\n 1,\n]\nwidth = {i}\n"
        for i in range(400)
    )
    source = Source(tmp_path / "x.toml", "question = '?'\n" + trials)
    started = time.perf_counter()
    lines = [source.line_of(("trials", i, "width")) for i in range(400)]
    assert lines == [7 + 6 * i for i in range(400)]
    assert time.perf_counter() - started < 2


def test_the_last_of_many_trials_is_named_with_its_line():
    trials = "".join(
        f'[[trials]]\nname = "{rate}"\nlearning_rate = {rate / 1000}\n'
        for rate in range(1, 401)
    )
    with pytest.raises(ValueError, match="^x.toml, line 1210: `trials.width`"):
        read_with(("[fixed]", trials + "width = 0\n[fixed]"))


def test_the_schema_describes_every_key_of_a_study():
    schema = Document.model_json_schema()
    assert all(value["description"] for value in schema["properties"].values())
    assert set(schema["properties"]) == set(Document.model_fields)


def test_the_schema_for_editors_takes_every_study_and_finds_a_typing_error():
    schema = make_schema()
    fixed = schema["properties"]["fixed"]["properties"]
    assert "adam" in fixed["optimizer"]["enum"]
    assert fixed["epochs"]["description"].startswith("Budget")
    assert fixed["dropout"]["type"] == "number"
    validator = jsonschema.Draft202012Validator(schema)
    for study in list_studies():
        values = tomllib.loads(study.path.read_text())
        assert not [*validator.iter_errors(values)], study.path
        values["fixed"] = {"optimizer": "adamm"}
        assert [*validator.iter_errors(values)]
