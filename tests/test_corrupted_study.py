"""Studies that score their runs on corrupted test images."""

import dataclasses
from functools import partial

import numpy as np
import pandas as pd
import pytest
from in_process import InProcess, run_here
from report_records import SCORES, TASKS, make_record
from report_records import make_study as make_small
from small_study import make_rates

from medzoo.conduct import Conduct, Watch
from medzoo.data.corruptions import list_kinds
from medzoo.execution.job import Job
from medzoo.execution.worker import execute_job
from medzoo.record import MODEL, Predictions, Robustness, SplitPredictions
from medzoo.report.checklist import answer_checklist
from medzoo.report.corrupted import Corrupted, relate
from medzoo.report.corruption_section import list_corruption_curves
from medzoo.report.corruption_tables import (
    describe_missing,
    make_corruption_files,
    make_corruptions,
)
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import read_evidence, write_evidence
from medzoo.report.methods import find_values
from medzoo.report.statistics import estimate_over_seeds
from medzoo.report.write import write_evidence_report
from medzoo.store import Store
from medzoo.study.corrupted import find_unscored
from medzoo.study.expand import expand
from medzoo.study.kept_models import find_folder
from medzoo.study.plan import make_plan

ASKED = """
corruptions = true
keep = "all"
baseline = { learning_rate = 0.0001 }
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    return partial(make_rates, tmp_path, ASKED)


def read_folder(folder):
    files = (path for path in folder.iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in files}


def make_robust(clean, errors, kinds=("jpeg", "pixelate")):
    return Robustness(
        np.array(float(clean)), np.array(kinds), np.array(errors, "float64")
    )


TWO = [[0.2] * 5, [0.3] * 5]


def make_short(names=("adam", "sgd", "lion"), **changes):
    """Makes a study of runs of four steps, one for each optimizer."""
    fixed = {"steps": 10, "max_images": 64}
    if changes.get("axis") != "model":
        fixed |= {"model": "mlp", "width": 8}
    values = {"data": "synthetic", "corruptions": True, "keep": "all"}
    return make_small(names, fixed=fixed, **values | changes)


def write_done(study, store, errors):
    """Writes records of 2 s for corrupted images, and errors by trial."""
    split = SplitPredictions(np.eye(2, dtype="float32"), np.array([0, 1]))
    seconds = {"train": 3.0, "total": 9.0, "corruptions": 2.0}
    for trial, run in expand(study):
        record = make_record(
            run,
            SCORES.get(trial.name, [[0.5]])[0][0],
            history=[{"step": 10}],
            seconds=seconds,
            num_images={"train": 600, "val": 150, "test": 300},
        )
        robust = errors(trial.name, run)
        store.write(record, Predictions(split, split, corrupted=robust))
    return [run for _, run in expand(study)]


def test_models_at_hand_and_kept_models_score_alike(tmp_path):
    asked = make_short(("sgd",), tasks=("breastmnist",), seeds=(0,))
    (run,) = [item.run for item in expand(asked)]
    store = Store(tmp_path)
    model = find_folder(asked, store) / run.run_id / MODEL
    job = Job(run, model=str(model), corruptions=True)
    record, predictions = execute_job(job, store)
    at_hand = predictions.corrupted
    assert at_hand.clean == 1 - record.scores["test"]["balanced_accuracy"]
    assert list(at_hand.kinds) == list(list_kinds("breastmnist", 1))

    # As if it was done before the study asked: its kept model is scored.
    store.write(record, dataclasses.replace(predictions, corrupted=None))
    assert find_unscored(asked, [run], store) == [run]
    conduct = Conduct(asked, store, means=InProcess(keep="all"))
    assert conduct.execute(Watch()) == "complete"
    kept = store.read_predictions(run.run_id)
    np.testing.assert_array_equal(kept.corrupted.errors, at_hand.errors)
    np.testing.assert_array_equal(
        kept.test.probabilities, predictions.test.probabilities
    )
    after = store.read(run.run_id)
    assert after.scores == record.scores
    assert after.started == record.started


def test_a_kept_model_that_cannot_be_scored_is_told_with_its_error(
    tmp_path, monkeypatch, capsys
):
    """Its run stays done, so that nothing else would tell of it."""
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    asked, store = make_short(("sgd",), tasks=("breastmnist",)), Store()
    for _, run in expand(asked):
        store.write(*execute_job(Job(run), store))
        model = find_folder(asked, store) / run.run_id / MODEL
        model.parent.mkdir(parents=True)
        model.write_bytes(b"no model")
    run_here(asked, tmp_path / "results", code=1, retries=0)
    told = " ".join(capsys.readouterr().err.split())
    assert "2 runs are done, but could not be scored on corrupted" in told
    assert "images (the first error: ValueError: " in told
    assert set(store.statuses().values()) == {"done"}


def test_plans_count_what_is_scored_and_what_stays_without(tmp_path):
    asked, store = make_short(), Store(tmp_path)
    plain = dataclasses.replace(asked, corruptions=False)
    assert {i.run.run_id for i in expand(plain)} == {
        i.run.run_id for i in expand(asked)
    }
    assert (
        "roughly, 2 min for corrupted images)" in make_plan(asked, store).text()
    )
    assert "corrupted" not in make_plan(plain, store).text()

    def errors(name, run):
        return make_robust(0.1, TWO) if name == "adam" else None

    runs = write_done(asked, store, errors)
    for run in runs[-2:]:
        model = find_folder(asked, store) / run.run_id / MODEL
        model.parent.mkdir(parents=True)
        model.touch()
    plan = make_plan(asked, store)
    assert "Done without scores on corrupted images: 8. Those" in plan.text()
    assert "kept model, 2, are scored without training" in plan.text()
    assert plan.seconds_left == pytest.approx(2 * 2.0)
    assert plan.text().endswith("(under 1 min for corrupted images)")
    assert find_unscored(plain, runs, store) == []
    # Without the key there is nothing of it, whatever the store has.
    assert Evidence.read(plain, store).corrupted == []


def test_classifiers_without_a_model_are_not_waited_for(tmp_path):
    asked, store = make_short(("knn",), axis="model"), Store(tmp_path)
    assert make_plan(asked, store).seconds_corrupted == 0
    runs = write_done(asked, store, lambda *_: None)
    assert find_unscored(asked, runs, store) == []


@pytest.mark.slow
def test_reports_are_made_again_from_their_evidence(study, tmp_path):
    folder = run_here(study(), tmp_path / "results")
    table = pd.read_csv(folder / "corruptions.csv")
    order = [trial.trial.name for trial in read_evidence(folder).results]
    assert list(table["trial"]) == order
    assert (table["seeds"] == 2).all()
    kinds = list_kinds("breastmnist", 1)
    for _, row in table.iterrows():
        assert row[list(kinds)].mean() == pytest.approx(row["corrupted"])
        assert row["corrupted_low"] <= row["corrupted"] <= row["corrupted_high"]
    of_baseline = table[table["trial"] == "learning_rate=0.0001"].iloc[0]
    assert of_baseline["relative"] == pytest.approx(1)
    names = read_folder(folder)
    assert {f"corruptions.{e}" for e in ("md", "png", "svg")} <= set(names)
    assert b"Corrupted images" in names["report.html"]

    # All of it again, without the store.
    again = write_evidence_report(read_evidence(folder), tmp_path / "again")
    assert read_folder(again.paths[0].parent) == names


@pytest.mark.slow
@pytest.mark.parametrize("task", ["retinamnist", "breastmnist+retinamnist"])
def test_other_kinds_of_runs_are_scored_too(task, study, tmp_path):
    """Colour images, and one net of several tasks."""
    asked = study(
        task=task.replace("+", '", "'),
        model='multi_head"\ntrunk = "mlp' if "+" in task else "mlp",
    )
    folder = run_here(asked, tmp_path / "results")
    table = pd.read_csv(folder / "corruptions.csv")
    assert sorted(set(table["task"])) == sorted(task.split("+"))
    assert table["corrupted"].between(0, 1).all()


@pytest.mark.slow
def test_winners_of_tuned_values_are_scored(study, tmp_path):
    text = ASKED + "[tuned]\nwarmup = [0.0, 0.1]"
    asked = make_rates(tmp_path, text)
    folder = run_here(asked, tmp_path / "results", keep="none")
    assert (pd.read_csv(folder / "corruptions.csv")["seeds"] == 2).all()


def make_evidence(folder, errors, **changes):
    """Makes a study whose runs have errors by the name of their trial."""
    study, store = make_small(corruptions=True, **changes), Store(folder)
    write_done(study, store, errors)
    return Evidence.read(study, store)


def test_relative_errors_are_those_of_the_paper(tmp_path):
    """By hand: BE is the mean of 0.3 / 0.2 and 0.4 / 0.4, and rBE that of
    (0.3 - 0.1) / (0.2 - 0.1) and (0.4 - 0.1) / (0.4 - 0.1)."""

    def make(clean, first, second):
        errors = np.array([[[first] * 5, [second] * 5]])
        return Corrupted(
            "a", "b", (0,), 1, np.array([clean]), ("x", "y"), errors
        )

    base = make(0.1, 0.2, 0.4)
    assert relate(make(0.1, 0.3, 0.4), base) == pytest.approx((1.25, 1.5))
    assert relate(base, base) == pytest.approx((1, 1))
    # The baseline loses nothing in a kind.
    assert relate(base, make(0.2, 0.2, 0.4)) == (pytest.approx(1.0), None)
    assert relate(base, None) == (None, None)


def test_folds_share_training_images_on_corrupted_images_too():
    alone = estimate_over_seeds(np.array([0.2, 0.3, 0.4]))
    folds = estimate_over_seeds(np.array([0.2, 0.3, 0.4]), overlap=0.5)
    ratio = folds.half_width / alone.half_width
    assert ratio == pytest.approx((1 / 3 + 1 / 2) ** 0.5 * 3**0.5)


def test_seeds_are_averaged_and_published_errors_stand_below(tmp_path):
    def errors(name, run):
        if name == "lion" and run.seed == 1:
            return None
        value = {"adam": 0.4, "sgd": 0.2, "lion": 0.3}[name] + run.seed / 10
        return make_robust(0.1, [[value] * 5, [value + 0.1] * 5])

    evidence = make_evidence(tmp_path, errors)
    text = make_corruptions(evidence)
    found = {(row[0], row[1]): dict(zip(text.columns, row, strict=True))
             for row in text.rows}  # fmt: skip
    adam = found["adam", "breastmnist"]
    assert adam["corrupted"].mean == pytest.approx(0.5)
    # The t quantile of one degree of freedom is 12.706.
    assert adam["corrupted"].half_width == pytest.approx(
        12.706 * 0.0707107 / 2**0.5, rel=1e-4
    )
    assert (adam["jpeg"], adam["pixelate"]) == (0.45, 0.55)
    lion = found["lion", "breastmnist"]
    assert (lion["seeds"], lion["corrupted"].mean) == (1, pytest.approx(0.35))
    # Of the seed that both have: 0.3 / 0.4 and 0.4 / 0.5.
    assert lion["relative"] == pytest.approx(0.775)
    published = found["published: AlexNet 224 px (MedMNIST-C)", "retinamnist"]
    assert (published["clean"].mean, published["corrupted"].mean) == (
        0.558, 0.649,
    )  # fmt: skip
    assert describe_missing(evidence.corrupted).startswith("2 of 12 runs")


def test_evidence_pages_and_checklists_have_the_errors(tmp_path):
    evidence = make_evidence(
        tmp_path / "runs", lambda *_: make_robust(0.1, TWO)
    )
    files = make_corruption_files(evidence)
    write_evidence(evidence, tmp_path / "evidence.zip")
    again = read_evidence(tmp_path / "evidence.zip")
    assert make_corruption_files(again) == files
    assert "## By kind: retinamnist" in files["corruptions.md"]
    panels = list_corruption_curves(again)
    assert [panel["task"] for panel in panels] == list(TASKS)
    lines = {line["name"]: line["y"] for line in panels[0]["lines"]}
    assert lines == dict.fromkeys(SCORES, [0.1, *[0.25] * 5])

    answers = answer_checklist(find_values(evidence), "claim")
    (item,) = [a for a in answers if a.item.number == "30"]
    assert item.status == "answered"
    assert "is 0.100 on clean and 0.250 on corrupted" in item.text
    plain = Evidence.of(make_small(), evidence.store, evidence.results)
    answers = answer_checklist(find_values(plain), "claim")
    assert "corruptions = true" in answers[29].owed


def test_only_kinds_that_all_runs_share_are_averaged(tmp_path):
    def errors(name, run):
        kinds = ("jpeg", "motion") if run.seed else ("motion", "defocus")
        return make_robust(0.1, [[run.seed] * 5, [1 - run.seed] * 5], kinds)

    found = make_evidence(tmp_path, errors).corrupted
    assert {each.kinds for each in found} == {("motion",)}
    assert (found[0].errors == 0).all()


def test_errors_of_other_shapes_are_refused():
    good = make_robust(0.1, np.zeros((2, 5)))
    for bad in (
        dataclasses.replace(good, errors=np.zeros((3, 5))),
        dataclasses.replace(good, kinds=np.zeros(2)),
        dataclasses.replace(good, clean=np.zeros(2)),
    ):
        arrays = Predictions(corrupted=bad).to_arrays()
        with pytest.raises(ValueError, match="do not fit"):
            Predictions.from_arrays(arrays)
    kept = Predictions.from_arrays(Predictions(corrupted=good).to_arrays())
    assert kept.corrupted.mean == 0
