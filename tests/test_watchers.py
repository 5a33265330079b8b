"""Watchers: called with copies of each check, and without any effect."""

import json
import sys
from pathlib import Path

import pytest
from in_process import InProcess

import medzoo
from medzoo.conduct import Conduct, Watch
from medzoo.execution.options import ExecutionOptions
from medzoo.plugins.register import TARGETS
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.run_file import read_job
from medzoo.study.spec import read_study

WATCHERS = """
import json
import random
from pathlib import Path

import numpy as np

import medzoo


@medzoo.register_watcher
def note(check):
    facts = {**check._asdict(), "run": check.run.model, "val": {**check.val}}
    with Path(__file__).with_name("seen.jsonl").open("a") as file:
        file.write(json.dumps(facts) + "\\n")


@medzoo.register_watcher
def meddle(check):
    random.seed(0)
    np.random.seed(0)
    np.random.normal(size=7)
    try:
        check.run.seed = 5
    except Exception:
        check.val["macro_f1"] = 1.0


@medzoo.register_watcher(name="leave")
def exits(check):
    raise SystemExit(3)
"""
STUDY = """
question = "Does anyone look?"
{lines}
tasks = ["breastmnist"]
seeds = [0]
data = "synthetic"

[fixed]
model = "mlp"
width = 4
steps = 4
max_images = 32

[axes]
learning_rate = [0.01, 0.02]
"""
LINES = 'plugins = ["look.py"]\nwatch = ["note", "meddle", "leave"]'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "look.py").write_text(WATCHERS)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for key in [key for key in TARGETS if key[0] == "watcher"]:
        del TARGETS[key]


def write_study(folder, lines, name="watched"):
    (folder / f"{name}.toml").write_text(STUDY.format(lines=lines))
    return read_study(folder / f"{name}.toml")


def conduct(study, store, means):
    conducted = Conduct(study, store, means=means)
    assert conducted.execute(Watch()) == "complete"
    return [store.read(item.run.run_id) for item in expand(study)]


def check_outcome(folder, means):
    """Runs a study with and without watchers, and compares."""
    watched = write_study(folder, LINES)
    first = conduct(watched, Store(folder / "a"), means)
    plain = write_study(folder, "", "plain")
    second = conduct(plain, Store(folder / "b"), means)
    assert [r.run_id for r in first] == [r.run_id for r in second]
    for one, other in zip(first, second, strict=True):
        assert (one.history, one.scores) == (other.history, other.scores)
        assert other.warnings == []
        meddled, left = one.warnings
        assert meddled.startswith("Watcher `meddle` failed, which changes no")
        assert "look.py, line 26: TypeError" in meddled
        assert left == "Watcher `leave` asked to exit, which ends no run."
    lines = (folder / "seen.jsonl").read_text().splitlines()
    seen = [json.loads(line) for line in lines]
    for record in first:
        mine = [each for each in seen if each["run_id"] == record.run_id]
        for facts, entry in zip(mine, record.history, strict=True):
            assert facts["step"] == entry["step"]
            assert facts["loss"] == entry["loss"]
            assert facts["val"]["macro_f1"] == entry["val_macro_f1"]


def test_watchers_see_each_check_and_change_nothing(folder):
    check_outcome(folder, InProcess(keep="none"))
    study = write_study(folder, LINES)
    result = Conduct(study, Store(folder / "a"), means=InProcess()).conclude(
        folder / "results", command="medzoo study run watched"
    )
    (page,) = [p for p in result.paths if p.name == "summary.md"]
    text = page.read_text().replace("\\", "")
    assert text.count("Watcher `meddle` failed") == 1


@pytest.mark.slow
def test_watchers_are_called_in_worker_processes(folder):
    check_outcome(folder, ExecutionOptions(workers=2, keep="none"))


def test_an_unknown_watcher_is_one_sentence(folder):
    with pytest.raises(ValueError, match="No plugin registers a watcher"):
        write_study(folder, 'watch = ["note"]')
    with pytest.raises(ValueError, match=r"Did you mean `note`\?"):
        write_study(folder, LINES.replace('"note"', '"notes"'))


def test_one_run_has_the_watchers_of_its_file_and_of_flags(folder, medzoo):
    values = {"task": "breastmnist", "data": "synthetic", "model": "mlp"}
    values |= {"width": 4, "steps": 2, "max_images": 32}
    values |= {"plugins": ["look.py"], "watch": ["note"]}
    Path("run.json").write_text(json.dumps(values))
    done = medzoo("train", "run.json", "--json", "--watch", "leave")
    assert "Watcher `leave` asked to exit, which ends no run." in done.err
    lines = (folder / "seen.jsonl").read_text().splitlines()
    (seen,) = {json.loads(line)["run_id"] for line in lines}
    assert seen == json.loads(done.out)["run_id"]
    assert "watch" not in json.loads(done.out)["run"]


@pytest.mark.parametrize(
    ("watch", "sentence"),
    [
        ('["notes"]', "run.toml, line 3: .*Did you mean `note`?"),
        ('"note"', "run.toml, line 3: .*must be a list of names"),
    ],
)
def test_a_wrong_watcher_of_one_run_is_one_sentence(folder, watch, sentence):
    lines = ['task = "breastmnist"', 'plugins = ["look.py"]']
    file = Path("run.toml")
    file.write_text("\n".join([*lines, f"watch = {watch}"]))
    with pytest.raises(ValueError, match=sentence):
        read_job(file)
    with pytest.raises(ValueError, match="Unknown watcher `nobody`"):
        read_job(task="breastmnist", watch=["nobody"])


def test_a_run_from_python_shows_its_checks_to_a_function(folder):
    steps = []

    def look(check):
        steps.append(check.step)
        raise KeyError("no such place")

    values = {"data": "synthetic", "model": "mlp", "width": 4, "steps": 2}
    with pytest.warns(UserWarning, match="Watcher `look` failed.*no such"):
        record = medzoo.run(
            "breastmnist", watch=[look], max_images=32, **values
        )
    assert record.status == "done"
    assert steps == [entry["step"] for entry in record.history]
