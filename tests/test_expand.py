"""From studies to runs: none missing, none twice, always in the same order."""

import dataclasses
import math
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medzoo.runs.fields import ACTIVATIONS, LOSSES, OPTIMIZERS
from medzoo.study.document import Document
from medzoo.study.expand import expand, is_shared
from medzoo.study.source import Source
from medzoo.study.spec import list_studies, read_study
from medzoo.study.trials import make_trials
from medzoo.tasks import NAMES

STUDIES = list_studies()

VALUES = {
    "optimizer": sorted(OPTIMIZERS),
    "activation": list(ACTIVATIONS),
    "loss": list(LOSSES),
    "width": [4, 8, 16],
    "learning_rate": [0.1, 0.01, 1e-3],
    "batch_size": [32, 64],
    "dropout": [0.0, 0.5],
    "stages": [1, 2],
}
AXES = st.fixed_dictionaries(
    {},
    optional={
        key: st.lists(
            st.sampled_from(values), min_size=1, max_size=3, unique=True
        )
        for key, values in VALUES.items()
    },
).filter(bool)


@settings(max_examples=50)
@given(
    axes=AXES,
    tasks=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    seeds=st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
)
def test_a_grid_is_the_product_of_its_axes(axes, tasks, seeds):
    study = make_study(axes, tasks, seeds)
    planned = expand(study)
    num_trials = math.prod(len(values) for values in axes.values())
    assert len(planned) == num_trials * len(tasks) * len(seeds)
    assert len({item.run.run_id for item in planned}) == len(planned)
    assert len({trial.name for trial, _ in planned}) == num_trials
    assert planned == expand(study)


@settings(max_examples=50)
@given(axes=AXES)
def test_runs_have_the_values_of_their_trial(axes):
    for trial, run in expand(make_study(axes, ["breastmnist"], [3])):
        content = {**run.model_dump(), **run.options}
        for key, values in axes.items():
            assert content[key] in values
            assert trial.values.get(key, content[key]) == content[key]
        assert (run.task, run.seed) == ("breastmnist", 3)


def make_study(axes, tasks, seeds):
    """Takes a shipped study and gives it other trials."""
    document = Document(question="?", axes=axes)
    found = make_trials(Source(Path("x.toml"), ""), document)
    return dataclasses.replace(
        read_study("quickstart"),
        tasks=tuple(tasks),
        seeds=tuple(seeds),
        trials=found.trials,
        axis_names=found.axis_names,
        fixed=found.fixed,
    )


# All other studies are of all tasks.
OF_SOME_TASKS = (
    *("backbones", "best", "flops", "imbalance"),
    *("pathmnist_finetuning", "precision", "recipe", "robustness"),
    "transfer",
)


@pytest.mark.parametrize("name", [study.name for study in STUDIES])
def test_every_shipped_study_expands_over_its_tasks(name):
    study = read_study(name)
    planned = expand(study)
    tasks = set(study.tasks)
    assert (tasks == set(NAMES)) == (name not in OF_SOME_TASKS)
    assert study.data in ("medmnist", "synthetic")
    shared = sum(is_shared(study, trial) for trial in study.trials)
    nets = shared + (len(study.trials) - shared) * len(tasks)
    assert {task for _, run in planned for task in run.tasks} == tasks
    assert len({run.run_id for _, run in planned}) == nets * len(study.seeds)
    assert study.baseline in study.trials


@pytest.mark.parametrize("name", [study.name for study in STUDIES])
def test_every_shipped_study_opens_with_what_it_asks_runs_and_writes(name):
    study = read_study(name)
    comment = " ".join(
        line.strip("# ")
        for line in study.text.split("\nquestion")[0].split("\n")
    )
    comment = " ".join(comment.split())
    assert f"Question: {study.question} Command: " in comment
    assert f"make study NAME={name} Writes: results/{name}/" in comment
    assert f"{len(expand(study))} runs" in comment


def test_the_first_studies_have_the_trials_that_they_promise():
    found = {study.name: len(study.trials) for study in STUDIES}
    assert found["activations"] == 5 * 2
    assert found["learning_rates"] == 5
    assert found["optimizers"] == 9
    assert found["parameter_counts"] == 5 + 5
    assert found["quickstart"] == 3


def test_each_seed_is_finished_before_the_next_and_each_task_within_it():
    study = read_study("quickstart")
    runs = [run for _, run in expand(study)]
    blocks = [key for key, _ in groupby(runs, lambda r: (r.seed, r.task))]
    assert blocks == [(seed, task) for seed in study.seeds for task in NAMES]


def test_a_study_over_fewer_tasks_asks_for_the_same_runs():
    study = read_study("optimizers")
    few = expand(study.override(tasks=["breastmnist"], seeds=[0]))
    assert {item.run for item in few} < {item.run for item in expand(study)}


def test_a_smoke_run_is_short_and_has_one_seed():
    planned = expand(read_study("optimizers"), smoke=True)
    assert len(planned) == 9 * 11
    for _, run in planned:
        assert (run.steps, run.epochs, run.max_images) == (2, None, 64)
        assert run.seed == 0


def test_a_smoke_run_keeps_the_trials_of_a_study_of_budgets(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('question = "?"\n[axes]\nepochs = [1, 2]\n')
    planned = expand(read_study(path), smoke=True)
    assert [trial.name for trial, _ in planned[:2]] == [
        "epochs=1",
        "epochs=2",
    ]
    assert planned[0].run == planned[1].run
