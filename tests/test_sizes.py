"""Widths that are solved for a number of parameters."""

import re

import numpy as np
import pytest

from medzoo.models.registry import MODELS, build_model
from medzoo.models.sizes import count_trainable, solve_width
from medzoo.runs.run import Run
from medzoo.study.spec import read_study
from medzoo.study.tuning import expand
from medzoo.training.execute import execute

NETWORKS = [name for name, entry in MODELS.items() if not entry.baseline]


def count_by_building(name, width, shape, **options):
    """Counts as anyone would: builds the model and sums its weights."""
    model = build_model(name, 5, input_shape=shape, width=width, **options)
    return sum(np.size(weight) for weight in model.trainable_weights)


@pytest.mark.parametrize("name", NETWORKS)
def test_counting_without_values_counts_what_a_built_model_has(name):
    shape = (28, 28, 3)
    options = {k: "none" for k in MODELS[name].options if k == "weights"}
    for width in (3, 8):
        found = count_trainable(
            name, 5, input_shape=shape, width=width, **options
        )
        assert found == count_by_building(name, width, shape, **options)


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [((28, 28, 1), 300_000), ((64, 64, 3), 1_000_000)],
)
def test_an_mlp_and_a_cnn_meet_at_equal_size(shape, parameters):
    for name in ("mlp", "skip_cnn"):
        width = solve_width(name, 5, input_shape=shape, parameters=parameters)
        found = count_by_building(name, width, shape)
        assert abs(found - parameters) <= 0.05 * parameters


def test_the_nearest_width_is_taken():
    def count(width):
        return count_by_building("mlp", width, (28, 28, 1))

    for parameters in (count(40), count(40) + 350, count(41) - 350):
        width = solve_width(
            "mlp", 5, input_shape=(28, 28, 1), parameters=parameters
        )
        others = [abs(count(w) - parameters) for w in range(38, 44)]
        assert abs(count(width) - parameters) == min(others)


@pytest.mark.parametrize(
    ("parameters", "width", "nearest"),
    [(20_000, 8, "18,897"), (1, 1, "2,375"), (10**9, 2**14, "206,372,873")],
)
def test_a_size_that_no_width_has_names_the_nearest(parameters, width, nearest):
    sentence = (
        f"No width of `mlp` has trainable parameters within 5% of "
        f"{parameters:,} for images of shape (28, 28, 3) and 9 classes. The "
        f"nearest are {nearest} at width={width}. "
        f"Received: parameters={parameters}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        solve_width("mlp", 9, input_shape=(28, 28, 3), parameters=parameters)


def test_counting_leaves_no_variables_to_be_made_up_later():
    """A model of five billion weights is counted; the next one is built."""
    count = count_trainable("skip_cnn", 9, input_shape=(28, 28, 3), width=4096)
    assert count > 5e9
    build_model("mlp", 2, input_shape=(28, 28, 1), width=4)


def test_a_record_tells_the_width_and_the_parameters_that_came_out():
    values = {"data": "synthetic", "max_images": 64, "steps": 2}
    run = Run(task="breastmnist", model="mlp", parameters=30_000, **values)
    assert run.width is None
    record, _ = execute(run)
    assert abs(record.parameters.trainable - 30_000) <= 1_500
    by_width = Run(
        task="breastmnist", model="mlp", width=record.width, **values
    )
    same, _ = execute(by_width)
    assert (same.scores, same.parameters) == (record.scores, record.parameters)
    assert same.run_id != record.run_id


def test_a_run_has_a_width_or_parameters():
    with pytest.raises(
        ValueError,
        match=r"A model has one size\. Expected `width` or `parameters`, not "
        r"both\. Received: width=8, parameters=9000\.",
    ):
        Run(task="breastmnist", width=8, parameters=9000)
    run = Run(task="breastmnist", parameters=9000)
    assert Run.model_validate_json(run.model_dump_json()) == run
    assert run != Run(task="breastmnist")


def test_parameters_are_an_axis_that_needs_no_backend_to_be_read(tmp_path):
    path = tmp_path / "sizes.toml"
    path.write_text(
        'question = "Which at equal size?"\n'
        "[axes]\n"
        'model = ["mlp", "skip_cnn"]\n'
        "parameters = [80_000, 300_000]\n"
    )
    runs = [run for _, run in expand(read_study(path))]
    assert {run.parameters for run in runs} == {80_000, 300_000}
    assert {run.width for run in runs} == {None}
    path.write_text(path.read_text() + "[fixed]\nwidth = 8\n")
    with pytest.raises(ValueError, match=r"sizes\.toml, line \d: .*one size"):
        read_study(path)
