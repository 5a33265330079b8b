"""Studies that score their runs on corrupted test images."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from in_process import InProcess
from report_records import SCORES, make_records
from report_records import make_study as make_small

from medzoo.cli.screen import run_on_screen
from medzoo.conduct import Conduct, Watch
from medzoo.data.corruptions import list_kinds
from medzoo.data.sources import load
from medzoo.record import Predictions, Robustness, SplitPredictions
from medzoo.report.corrupted import Corrupted, relate
from medzoo.report.corruption_tables import describe_missing, make_corruptions
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import read_evidence
from medzoo.report.write import write_evidence_report, write_report
from medzoo.store import Store
from medzoo.study.corrupted import find_unscored
from medzoo.study.expand import expand
from medzoo.study.kept_models import find_folder
from medzoo.study.plan import make_plan
from medzoo.study.spec import read_study
from medzoo.training.robustness import score_corrupted
from medzoo.training.saved import load_saved

STUDY = """
question = "Which bears corrupted images?"
tasks = ["{task}"]
seeds = [0, 1]
data = "synthetic"
keep = "all"
{more}
baseline = {{ learning_rate = 0.0001 }}
[axes]
learning_rate = [0.0001, 0.01]
[fixed]
model = "{model}"
width = 8
steps = 4
max_images = 64
loss = "cross_entropy"
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    path = tmp_path / "bears.toml"

    def make(more="corruptions = true", task="breastmnist", model="mlp"):
        path.write_text(STUDY.format(more=more, task=task, model=model))
        return read_study(path)

    return make


def run(study, tmp_path, **options):
    means = InProcess(**{"keep": study.keep, **options})
    out = tmp_path / "results"
    assert run_on_screen(study, out, command="-", means=means) == 0
    return out / study.name


def execute(study):
    conduct = Conduct(study, Store(), means=InProcess(keep="all"))
    assert conduct.execute(Watch()) == "complete"


def read_folder(folder):
    files = (path for path in folder.iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in files}


def test_runs_are_scored_with_their_model_at_hand_and_reported(study, tmp_path):
    folder = run(study(), tmp_path)
    runs = [item.run for item in expand(study())]
    # The models are those of the records, bit for bit.
    first = runs[0]
    model = load_saved(find_folder(study(), Store()) / first.run_id)
    data = load("breastmnist", "synthetic", 28, 64, seed=0)
    expected = score_corrupted(model.predict, data, data.test)
    found = Store().read_predictions(first.run_id).corrupted
    np.testing.assert_array_equal(found.kinds, expected.kinds)
    np.testing.assert_array_equal(found.errors, expected.errors)
    test = Store().read(first.run_id).scores["test"]
    assert float(found.clean) == 1 - test["balanced_accuracy"]

    table = pd.read_csv(folder / "corruptions.csv")
    assert list(table["trial"]) == [t.trial.name for t in read_evidence(
        folder).results]  # fmt: skip
    assert (table["seeds"] == 2).all()
    kinds = list_kinds("breastmnist", 1)
    for _, row in table.iterrows():
        assert row[list(kinds)].mean() == pytest.approx(row["corrupted"])
        assert row["corrupted_low"] <= row["corrupted"] <= row["corrupted_high"]
    of_baseline = table[table["trial"] == "learning_rate=0.0001"].iloc[0]
    assert of_baseline["relative"] == pytest.approx(1)
    names = read_folder(folder)
    assert {"corruptions.md", "corruptions.png", "corruptions.svg"} <= set(
        names
    )
    assert b"Corrupted images" in names["report.html"]

    # All of it again from the evidence, without the store.
    again = write_evidence_report(read_evidence(folder), tmp_path / "again")
    assert read_folder(again.paths[0].parent) == names


def test_runs_of_before_are_scored_by_kept_models_and_never_trained(
    study, tmp_path
):
    plain = study("")
    execute(plain)
    runs = [item.run for item in expand(plain)]
    store = Store()
    before = {r.run_id: store.read(r.run_id) for r in runs}
    arrays = {r.run_id: store.read_predictions(r.run_id) for r in runs}
    assert find_unscored(plain, runs, store) == []
    asked = study()
    assert {r.run_id for r in runs} == {i.run.run_id for i in expand(asked)}
    # One model is gone: its run stays without.
    gone = runs[0].run_id
    (find_folder(asked, store) / gone / "model.keras").unlink()
    text = make_plan(asked, store).text()
    assert "Done without scores on corrupted images: 4." in text
    assert "kept model, 3," in text

    execute(asked)
    folder = tmp_path / "results"
    write_report(asked, store, folder, command="-")
    assert [r.run_id for r in find_unscored(asked, runs, store)] == [gone]
    for run_id, record in before.items():
        after = store.read(run_id)
        assert after.scores == record.scores
        assert after.started == record.started
        kept = store.read_predictions(run_id)
        assert (kept.corrupted is None) == (run_id == gone)
        np.testing.assert_array_equal(
            kept.test.probabilities, arrays[run_id].test.probabilities
        )
    table = pd.read_csv(folder / "bears/corruptions.csv")
    assert sorted(table["seeds"]) == [1, 2]
    text = (folder / "bears/corruptions.md").read_text()
    assert "1 of 4 runs" in text
    # Without the key there is nothing of it, whatever the store has.
    assert Evidence.read(study(""), store).corrupted == []


@pytest.mark.slow
@pytest.mark.parametrize("task", ["retinamnist", "breastmnist+retinamnist"])
def test_other_kinds_of_runs_are_scored_too(task, study, tmp_path):
    """Colour images, and one net of several tasks."""
    asked = study(
        task=task.replace("+", '", "'),
        model='multi_head"\ntrunk = "mlp' if "+" in task else "mlp",
    )
    folder = run(asked, tmp_path)
    table = pd.read_csv(folder / "corruptions.csv")
    assert sorted(set(table["task"])) == sorted(task.split("+"))
    assert table["corrupted"].between(0, 1).all()


@pytest.mark.slow
def test_winners_of_tuned_values_are_scored(study, tmp_path):
    asked = study()
    path = asked.path
    text = path.read_text().replace(
        "[fixed]", "[tuned]\nwarmup = [0.0, 0.1]\n[fixed]"
    )
    path.write_text(text)
    folder = run(read_study(path), tmp_path, keep="none")
    assert (pd.read_csv(folder / "corruptions.csv")["seeds"] == 2).all()


def make_robust(clean, errors, kinds=("jpeg", "pixelate")):
    return Robustness(
        np.array(float(clean)), np.array(kinds), np.array(errors, "float64")
    )


def make_evidence(folder, errors, **changes):
    """Makes a study whose runs have errors by trial, then seed and task."""
    study = make_small(corruptions=True, **changes)
    store = Store(folder)
    records = make_records(study, SCORES)
    split = SplitPredictions(np.eye(2, dtype="float32"), np.array([0, 1]))
    for trial, run in expand(study):
        robust = errors(trial.name, run)
        store.write(
            records[run.run_id],
            Predictions(val=split, test=split, corrupted=robust),
        )
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
    published = found["published: AlexNet (MedMNIST-C)", "retinamnist"]
    assert (published["clean"].mean, published["corrupted"].mean) == (
        0.558, 0.649,
    )  # fmt: skip
    assert describe_missing(evidence.corrupted).startswith("2 of 12 runs")


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
