"""Runs: what they accept, and which of them are the same."""

from typing import get_type_hints

import pytest
from pydantic import ValidationError

from medzoo.models.registry import MODELS
from medzoo.runs.fields import FIELDS, OPTIMIZERS, RunFields
from medzoo.runs.plugins import KINDS
from medzoo.runs.run import Run
from medzoo.runs.values import RunValues


def test_written_out_defaults_make_the_same_run():
    plain = Run(task="breastmnist")
    written = Run(
        task="breastmnist",
        width=24,
        learning_rate=1e-3,
        epochs=20,
        options={"dropout": 0.2},
        precision="float32",
        ema=0.0,
        flip_test=False,
        adjust="none",
        mix="none",
        imbalance="none",
    )
    assert plain == written
    assert plain.run_id == written.run_id


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"learning_rate": 2e-3},
        {"options": {"dropout": 0.3}},
        {"data": "synthetic"},
        {"steps": 20},
        {"precision": "bfloat16"},
        {"imbalance": "oversample"},
        {"ema": 0.9},
    ],
)
def test_whatever_decides_the_outcome_changes_the_id(change):
    assert (
        Run(task="breastmnist").run_id
        != Run(task="breastmnist", **change).run_id
    )


def test_the_id_survives_a_round_trip():
    run = Run(task="retinamnist", optimizer="lion", options={"blocks": 2})
    assert Run.model_validate_json(run.model_dump_json()).run_id == run.run_id


@pytest.mark.parametrize("deep", [False, True])
def test_a_copy_has_the_id_of_its_own_fields(deep):
    run = Run(task="breastmnist")
    assert run.run_id  # Is kept from now on, but not by its copies.
    assert run.model_copy(deep=deep) == run
    copy = run.model_copy(update={"seed": 1}, deep=deep)
    assert copy == Run(task="breastmnist", seed=1)
    assert copy != run


def test_ids_never_change_unnoticed():
    """A changed id orphans every stored record: raise RUN_VERSION knowingly."""
    run = Run(task="breastmnist", width=32, options={"stem": "strided"})
    assert run.run_id == "b4ed218bc7d6d6bb"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_brings_its_own_learning_rate(name):
    run = Run(task="breastmnist", optimizer=name)
    assert run.learning_rate == OPTIMIZERS[name].learning_rate


def test_seed_zero_is_a_seed():
    assert Run(task="breastmnist", seed=0).seed == 0


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"task": "brestmnist"}, "Did you mean `breastmnist`?"),
        ({"task": "chestmnist"}, "several labels per image"),
        ({"optimizer": "adm"}, "Unknown optimizer `adm`. Did you mean `adam`?"),
        ({"model": "resnet"}, "Unknown model `resnet`"),
        ({"options": {"dropuot": 1}}, "Did you mean `dropout`?"),
        ({"epochs": 3, "steps": 3}, "A run has one budget."),
        ({"learning_rate": -1}, "greater than 0"),
        ({"epoch": 3}, "epoch"),
        ({"steps": True}, "`steps` is neither true nor false"),
    ],
)
def test_a_wrong_field_says_what_was_expected(fields, sentence):
    with pytest.raises(ValidationError) as error:
        Run(**{"task": "breastmnist", **fields})
    assert sentence in str(error.value)


def test_every_field_is_described_in_the_schema():
    schema = Run.model_json_schema()["properties"]
    assert set(schema) == set(FIELDS)
    assert all(field["description"] for field in schema.values())
    assert schema["optimizer"]["enum"] == list(OPTIMIZERS)


@pytest.mark.parametrize("model", MODELS)
def test_no_option_has_the_name_of_a_field(model):
    assert not set(MODELS[model].options) & set(FIELDS)


@pytest.mark.parametrize("model", [m for m in MODELS if m != "unet"])
def test_the_options_of_a_model_stand_beside_fields(model):
    options = MODELS[model].defaults
    beside = Run(task="breastmnist", model=model, **options)
    inside = Run(task="breastmnist", model=model, options=options)
    assert beside == inside == Run(task="breastmnist", model=model)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"epochs": 3, "steps": 3}, ("epochs", "steps")),
        ({"imbalance": "focal"}, ("loss", "imbalance")),
        ({"dropout": 1.5}, ("dropout",)),
        ({"options": {"dropuot": 1}}, ("dropuot",)),
        ({"model": "knn", "mix": "mixup"}, ("mix", "model")),
        ({"task": "bloodmnist+breastmnist"}, ("task", "model")),
    ],
)
def test_an_error_names_the_fields_that_it_is_about(values, fields):
    with pytest.raises(ValidationError) as error:
        Run(**{"task": "breastmnist", **values})
    (details,) = error.value.errors()
    assert details["ctx"]["error"].fields == fields


def test_the_graph_is_decided_by_what_the_table_says():
    run = Run(task="breastmnist", model="multi_head", alpha=0.25)
    same = Run(task="bloodmnist", model="multi_head", alpha=1.0, seed=3)
    assert run.graph() == same.graph()
    for change in ({"ema": 0.9}, {"film": True}, {"weight_decay": 0.1}):
        other = Run(task="breastmnist", model="multi_head", **change)
        assert other.graph() != run.graph()


def test_typed_values_are_the_fields_and_options():
    typed = get_type_hints(RunValues)
    assert typed.pop("recipe") is str
    fields = get_type_hints(RunFields)
    for name, about in FIELDS.items():
        if about.place != "none" and name != "task":
            found = typed.pop(name)
            named = name == "data" or name in KINDS  # Also other than a name.
            assert named or found == fields[name]
    options = {
        name: type(option.default)
        for entry in MODELS.values()
        for name, option in entry.options.items()
    }
    assert typed == options
