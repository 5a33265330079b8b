"""What a planned study can show, from records or from typical values."""

import json
from collections import Counter

import numpy as np
import pytest
from report_records import make_study
from test_until_decided import carry_on, make_looked

from medzoo.cli import main
from medzoo.report.detect import detect, plan_by_typical
from medzoo.report.statistics import harmonic_mean_by_seed
from medzoo.store import Store


def test_a_difference_takes_seeds_or_cannot_be_found():
    study = make_study()
    found = detect(study, Store("none"), 0.05)
    plan = plan_by_typical(study)
    assert found.num_seeds == plan.seeds_needed(0.05)
    assert found.num_runs == 3 * 2 * found.num_seeds
    assert found.seconds > 0
    assert f"{found.num_seeds} seeds find a difference of 0.05" in found.text()
    assert "typical values of breastmnist, retinamnist" in found.text()
    none = detect(study, Store("none"), 0.01)
    assert none.num_seeds is None
    assert none.floor == pytest.approx(plan.smallest_visible)
    assert "The way out is more test images" in none.text()


def test_typical_values_of_several_tasks_are_those_of_simulated_scores():
    """The means and deviations of `typical.toml`, as drawn scores."""
    random = np.random.default_rng(0)
    drawn = [0.76, 0.35] + [0.028, 0.019] * random.normal(size=(40_000, 2))
    expected = harmonic_mean_by_seed(drawn).var()
    assert plan_by_typical(make_study()).residual == pytest.approx(
        expected, rel=0.05
    )


def test_records_of_the_study_are_used_as_soon_as_there_are_enough(tmp_path):
    study = make_looked(until="seeds", seeds=(0, 1))
    carry_on(study, tmp_path, Counter())
    found = detect(study, Store(tmp_path), 0.2)
    assert found.source == "the 8 records of this study"
    # Done runs are not run again.
    assert found.num_runs == 4 * (found.num_seeds - 2)


def test_without_records_and_typical_values_the_way_out_is_said(tmp_path):
    study = make_study(tasks=("pathmnist",))
    with pytest.raises(ValueError, match="no typical values of macro F1 on "):
        detect(study, Store(tmp_path), 0.05)


def test_the_command_line_says_it_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scope = ["--tasks", "breastmnist,retinamnist", "--json"]
    command = ["study", "plan", "optimizers", "--detect", "0.05", *scope]
    monkeypatch.setattr("sys.argv", ["medzoo", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    found = json.loads(capsys.readouterr().out)["detect"]
    assert ended.value.code == 0
    assert found["num_seeds"] >= 3
    assert 0 < found["floor"] < 0.05
