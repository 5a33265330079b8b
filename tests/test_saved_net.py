"""A saved net of several tasks is asked for one of them, by every command."""

import json

import pytest

import medzoo as package
from medzoo.scores import probabilities as scores
from medzoo.training.saved import load_task

TASKS = ("breastmnist", "retinamnist")  # Grey and colour, 2 and 5 classes.


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "film"])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MEDZOO_RUNS", str(folder / "runs"))
        record = package.run(
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
    model = package.load(folder, task=task)
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


def test_every_command_takes_the_task(trained, tmp_path, medzoo):
    folder, record = trained
    told = medzoo("evaluate", folder, "--task", TASKS[0], "--json").out
    value = json.loads(told)["scores"]["macro_f1"]
    expected = record.by_task[TASKS[0]].scores["test"]["macro_f1"]
    assert value == pytest.approx(expected)
    for out in ("seen.png", "model_savedmodel"):
        command = "explain" if out.endswith("png") else "export"
        options = ["--to", "savedmodel"] if command == "export" else []
        path = tmp_path / out
        medzoo(command, folder, "--task", TASKS[1], "--out", path, *options)
        assert path.exists()
    told = medzoo("predict", folder, tmp_path, code=2).err
    assert f"{TASKS[1]}, {TASKS[0]}" in told
    other = ("--task", "bloodmnist")
    told = medzoo("predict", folder, tmp_path, *other, code=2).err
    assert "Unknown task `bloodmnist`" in told


def test_a_model_of_one_task_is_not_asked_for_one(tmp_path, medzoo):
    values = {"data": "synthetic", "model": "mlp", "width": 8, "steps": 1}
    package.run(TASKS[0], max_images=32, out=tmp_path, **values)
    told = medzoo("predict", ".", "x.png", "--task", TASKS[1], code=2).err
    assert "is of one task" in told
