"""One run from a recipe, a file and flags: who wins, and what is refused."""

import json

import pytest
from own_images import make_folder

from medzoo.runs.run import Run
from medzoo.study.expand import expand
from medzoo.study.run_file import list_recipes, read_run
from medzoo.study.spec import read_study
from medzoo.tasks import NAMES

TOML = 'task = "breastmnist"\nwidth = 8\n\ndropout = 0.1\n'


@pytest.fixture
def file(tmp_path):
    def write(text, name="run.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_file_has_fields_and_options_side_by_side(file):
    expected = Run(task="breastmnist", width=8, options={"dropout": 0.1})
    assert read_run(file(TOML)) == expected
    text = json.dumps({"task": "breastmnist", "width": 8, "dropout": 0.1})
    assert read_run(file(text, "run.json")) == expected


def test_the_table_of_data_is_that_of_a_study_file(file, tmp_path):
    root = make_folder(tmp_path / "cells")
    text = f'[data]\nsource = "folder:{root}"\n'
    run = read_run(file(text + 'resize = "stretch"\n'))
    assert (run.task, run.data) == ("cells", f"folder:{root}")
    assert run.data_options == {"resize": "stretch"}
    with pytest.raises(ValueError, match="Did you mean `source`"):
        read_run(file(text.replace("source", "sorce")), task=NAMES[0])


def test_flags_win_over_the_file_and_the_file_over_the_recipe(file):
    path = file('task = "breastmnist"\nepochs = 2\nseed = 3\n')
    recipe = read_run(recipe="best", task="breastmnist")
    run = read_run(path, recipe="best", seed=4)
    assert recipe.epochs != 2
    assert (run.epochs, run.seed) == (2, 4)
    assert run == recipe.model_copy(update={"epochs": 2, "seed": 4})


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("recipe", list_recipes())
def test_a_recipe_is_one_for_all_tasks(recipe, task):
    assert read_run(recipe=recipe, task=task).task == task


def test_the_study_of_the_recipes_asks_for_the_recipes():
    for planned in expand(read_study("best")):
        run = planned.run
        recipe = planned.trial.name
        assert run == read_run(recipe=recipe, task=run.task, seed=run.seed)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'task = "breastmnist"\n\nwidht = 8\n',
            "line 3: `widht` is not a field of a run. Did you mean `width`?",
        ),
        (
            'task = "breastmnist"\nlearning_rate = -1\n',
            "line 2: `learning_rate` must be greater than 0. "
            "Received: learning_rate=-1.",
        ),
        (
            'task = "breast"\n',
            "line 1: `task`: Unknown task `breast`. Did you mean `",
        ),
        (
            'task = "breastmnist"\nmodel = "mpl"\n',
            "line 2: Unknown model `mpl`. Did you mean `mlp`? Expected",
        ),
        (
            'task = "breastmnist"\nsteps = 5\nepochs = 5\n',
            "A run has one budget.",
        ),
        ("task = \n", "line 1, column 8: not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence_with_its_line(
    file, text, sentence
):
    with pytest.raises(
        ValueError, match="Expected|expected|not valid|must|budget"
    ) as error:
        read_run(file(text))
    assert sentence in str(error.value)
    assert "run.toml, line " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"task": "breastmnist",\n "widht": 8}',
            "run.json, line 2: `widht` is not a field of a run. "
            "Did you mean `width`?",
        ),
        ('{"task": ]}', "run.json, line 1, column 10: not valid JSON: "),
        ("[1]", "expected one object with the fields of a run"),
    ],
)
def test_json_has_the_same_sentences(file, text, sentence):
    with pytest.raises(
        ValueError, match="Expected|expected|not valid|must|budget"
    ) as error:
        read_run(file(text, "run.json"))
    assert sentence in str(error.value)
