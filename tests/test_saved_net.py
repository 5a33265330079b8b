"""A saved net of several tasks is asked for one of them, by every command."""

import json

import pytest
from typer.testing import CliRunner

import medzoo
from medzoo.cli import app
from medzoo.scores import probabilities as scores
from medzoo.training.saved import load_task

TASKS = ("breastmnist", "retinamnist")  # Grey and colour, 2 and 5 classes.


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "film"])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MEDZOO_RUNS", str(folder / "runs"))
        record = medzoo.run(
            "+".join(TASKS),
            data="synthetic",
            model="multi_head",
            trunk="mlp",
            film=request.param,
            width=8,
            steps=20,
            max_images=64,
            flip_test=True,
            out=folder,
        )
    return folder, record


@pytest.mark.parametrize("task", TASKS)
def test_a_net_of_several_tasks_answers_for_each(trained, task):
    folder, record = trained
    model = medzoo.load(folder, task=task)
    run, data = load_task(model)
    assert run.task == data.task == task
    assert model.classes == list(data.classes)
    assert model.input_shape == data.test.images.shape[1:]
    found = model.predict(data.test.images)
    expected = record.by_task[task].scores["test"]
    assert scores.macro_f1(found, data.test.labels) == pytest.approx(
        expected["macro_f1"]
    )
    assert model.record.scores["test"] == expected


def test_every_command_takes_the_task(trained, tmp_path):
    folder, record = trained

    def medzoo(*arguments):
        done = CliRunner().invoke(app, [*map(str, arguments)])
        if done.exception is not None:
            raise done.exception
        return done.stdout

    told = medzoo("evaluate", folder, "--task", TASKS[0], "--json")
    value = json.loads(told)["scores"]["macro_f1"]
    expected = record.by_task[TASKS[0]].scores["test"]["macro_f1"]
    assert value == pytest.approx(expected)
    for out in ("seen.png", "model_savedmodel"):
        command = "explain" if out.endswith("png") else "export"
        options = ["--to", "savedmodel"] if command == "export" else []
        path = tmp_path / out
        medzoo(command, folder, "--task", TASKS[1], "--out", path, *options)
        assert path.exists()
    with pytest.raises(ValueError, match=f"{TASKS[1]}, {TASKS[0]}"):
        medzoo("predict", folder, tmp_path)
    with pytest.raises(ValueError, match="Unknown task `bloodmnist`"):
        medzoo("predict", folder, tmp_path, "--task", "bloodmnist")


def test_a_model_of_one_task_is_not_asked_for_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    values = {"data": "synthetic", "model": "mlp", "width": 8, "steps": 1}
    medzoo.run(TASKS[0], max_images=32, out=tmp_path, **values)
    done = CliRunner().invoke(
        app, ["predict", str(tmp_path), "x.png", "--task", TASKS[1]]
    )
    assert "is of one task" in str(done.exception)
