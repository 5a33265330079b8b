"""Model cards: they list what acted, and nothing else."""

import re

from report_records import make_record

from medzoo.record import Predictions
from medzoo.report.card import make_card
from medzoo.runs.run import Run


def recipe_of(**values):
    """Reads the names in the recipe of the card of a run."""
    card = make_card(
        make_record(Run(task="breastmnist", **values), 0.5), Predictions()
    )
    recipe = card.split("## Recipe")[1].split("##")[0]
    return set(re.findall(r"^- ([\w ]+):", recipe, re.MULTILINE))


def test_a_classifier_of_scikit_learn_has_no_training_in_its_card():
    found = recipe_of(model="logistic_regression")
    assert {"model", "seed", "weights"} <= found
    assert not found & {
        *("optimizer", "learning_rate", "epochs", "batch_size", "loss"),
        *("activation", "schedule", "keep", "alpha", "task_weighting"),
    }


def test_a_net_has_what_trained_it_but_nothing_that_is_off():
    found = recipe_of(model="mlp", options={"dropout": 0.25})
    assert {"optimizer", "learning_rate", "epochs", "dropout"} <= found
    assert not found & {"warmup", "mix", "ema", "loss_weight", "alpha"}
    mixed = recipe_of(model="mlp", loss="cross_entropy+soft_f1")
    assert "loss_weight" in mixed
    assert "dropout" not in recipe_of(model="mlp")
