"""Resident training: the numbers of the ordinary one, in fewer programs."""

import pytest
from on_jax import RUNS, SMALL, assert_alike, needs_jax

from medzoo.runs.run import Run
from medzoo.training.execute import choose_trainer, execute, load_data
from medzoo.training.resident_jax import ResidentTrainer
from medzoo.training.trainer import Trainer


@needs_jax
@pytest.mark.parametrize("name", RUNS)
def test_resident_training_gives_the_record_of_the_ordinary_one(
    name, monkeypatch
):
    run = Run(**SMALL | RUNS[name])
    monkeypatch.setenv("MEDZOO_RESIDENT", "off")
    expected = execute(run)
    monkeypatch.setenv("MEDZOO_RESIDENT", "on")
    assert_alike(execute(run), expected)


@needs_jax
@pytest.mark.parametrize("ways", [("off", "on"), ("on", "off")], ids="-".join)
def test_either_way_goes_on_where_the_other_stopped(ways, monkeypatch):
    run = Run(**SMALL, optimizer="adam", schedule="cosine")
    uncut = execute(run)
    kept = {}
    monkeypatch.setenv("MEDZOO_RESIDENT", ways[0])
    execute(run, until=0.4, on_stop=lambda state: kept.update(state=state))
    monkeypatch.setenv("MEDZOO_RESIDENT", ways[1])
    assert_alike(execute(run, state=kept["state"]), uncut)


@needs_jax
def test_what_diverges_is_noticed(monkeypatch):
    monkeypatch.setenv("MEDZOO_RESIDENT", "on")
    values = {"optimizer": "sgd", "learning_rate": 1e30}
    record, _ = execute(Run(**SMALL | values, loss="cross_entropy"))
    assert record.status == "diverged"


@needs_jax
def test_compiling_is_told_apart_from_training(monkeypatch):
    monkeypatch.setenv("MEDZOO_RESIDENT", "on")
    record, _ = execute(Run(**SMALL, activation="elu"))
    assert record.seconds["first_step"] > 5 * record.seconds["train"] > 0
    again, _ = execute(Run(**SMALL, activation="elu", seed=1))
    assert again.seconds["first_step"] < record.seconds["first_step"] / 5


@needs_jax
def test_jax_on_a_cpu_keeps_the_ordinary_way_unless_asked(monkeypatch):
    run = Run(**SMALL)
    data = load_data(run)
    assert choose_trainer(data) is Trainer
    monkeypatch.setenv("MEDZOO_RESIDENT", "on")
    assert choose_trainer(data) is ResidentTrainer


def test_the_switch_has_three_positions(monkeypatch):
    run = Run(**SMALL)
    monkeypatch.setenv("MEDZOO_RESIDENT", "yes")
    with pytest.raises(ValueError, match="MEDZOO_RESIDENT `yes`.* auto, on"):
        choose_trainer(load_data(run))
