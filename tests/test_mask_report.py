"""Reports of studies with masks: their columns, intervals and figure."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_records import make_record, make_study

from medzoo.record import MaskExamples, Predictions, SplitPredictions
from medzoo.report.bootstrap import bootstrap_masks
from medzoo.report.evidence import Evidence
from medzoo.report.figures import find_masks
from medzoo.report.figures.masks import BLANK
from medzoo.report.html import make_data
from medzoo.report.images import (
    Picture,
    fingerprint_of,
    format_pictures,
    name_pictures,
)
from medzoo.report.results import gather
from medzoo.report.study_tables import list_trial_scores, make_runs
from medzoo.report.write import write_report
from medzoo.scores.counts import count_masks, score_masks
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.spec import read_study
from medzoo.study.trials import Trial
from medzoo.training.objectives.masks import pick_examples

EXAMPLES = Path(__file__).parents[1] / "examples"
MASK_CLASSES = ["background", "benign", "malignant"]


def make_masked_study():
    return make_study(
        names=("dice", "focal"),
        axis="mask_loss",
        tasks=("shapes",),
        data="synthetic",
        fixed={"model": "unet", "epochs": 5},
        score="dice",
    )


def predict(seed, wrong):
    """Makes masks of which a share of the pixels is wrong, one for all images
    or one each."""
    truth = np.random.default_rng(0).integers(0, 3, (20, 8, 8))
    random = np.random.default_rng(seed)
    other = (truth + 1) % 3
    masks = np.where(random.random(truth.shape) < wrong, other, truth)
    counts = count_masks(truth, masks, 3)
    rows = pick_examples(counts)
    labels = np.array([0, 1] * 10)
    return Predictions(
        test=SplitPredictions(np.eye(2)[labels], labels, counts),
        examples=MaskExamples(
            rows,
            np.zeros((len(rows), 8, 8, 1), "uint8"),
            truth[rows].astype("int8"),
            masks[rows].astype("uint8"),
        ),
    )


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reported")
    study, store = make_masked_study(), Store(folder / "runs")
    for trial, run in expand(study):
        predictions = predict(run.seed, 0.1 if trial.name == "dice" else 0.4)
        found = score_masks(predictions.test.pixel_counts)
        record = make_record(
            run, 1.0, mask_classes=MASK_CLASSES, classes=["without", "with"]
        )
        for scores in record.scores.values():
            scores |= found
        record.per_mask_class_dice = {"test": [0.5, None, 0.25]}
        record.per_class_f1 = {"test": [1.0, 1.0]}
        store.write(record, predictions)
    out = folder / "results"
    return study, store, write_report(study, store, out, command="make"), out


def test_dice_and_iou_stand_beside_macro_f1(reported):
    study, _, report, out = reported
    table = pd.read_csv(out / "toy" / "summary.csv")
    columns = list(table.columns)
    assert columns.index("dice") < columns.index("mean_iou")
    assert columns.index("mean_iou") < columns.index("macro_f1")
    assert "loss" not in columns
    assert table["mask_loss"].tolist() == ["dice", "focal"]
    assert (table["dice_low"] < table["dice"]).all()
    assert "Dice" in report.evidence.verdict


def test_a_row_a_run_has_all_scores_of_masks(reported):
    _, _, _, out = reported
    runs = pd.read_csv(out / "toy" / "runs.csv")
    assert runs["test_mask_mcc"].notna().all()
    assert runs["test_per_segment_dice"][0] == "0.5 None 0.25"


def test_the_best_masks_are_drawn_beside_the_true_ones(reported):
    _, _, _, out = reported
    assert "(masks_of_best.png)" in (out / "toy" / "summary.md").read_text()
    picture = (out / "toy" / "masks_of_best.png").read_bytes()
    page = (out / "toy" / "report.html").read_text()
    assert base64.b64encode(picture).decode() in page
    for kind in ("png", "svg"):
        assert (out / "toy" / f"masks_of_best.{kind}").stat().st_size > 5000


def test_images_of_custom_data_are_shown_when_asked_for(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / "scans" / folder).mkdir(parents=True)
        for i in range(10):
            image = Image.fromarray(np.full((8, 8), i % 2, "uint8"))
            image.save(tmp_path / "scans" / folder / f"{i}.png")
    data = f"masks:{tmp_path / 'scans'}"
    study = replace(make_masked_study(), data=data)
    store = Store(tmp_path / "runs")
    for _, run in expand(study):
        record = make_record(run, mask_classes=MASK_CLASSES)
        store.write(record, predict(run.seed, 0.4))
    best = Evidence.read(study, store).best
    assert (find_masks(best, store)[1].images == BLANK).all()
    fingerprint = fingerprint_of(best.done[0], "shapes")
    pictures = format_pictures({0: Picture("0.png", b"")})
    store.cache_file(name_pictures(fingerprint), pictures)
    assert not find_masks(best, store)[1].images.any()


def test_studies_without_masks_have_the_columns_that_they_had():
    study = make_study()
    results = gather(expand(study), {})
    assert "dice" not in list_trial_scores(results)
    assert "loss" in list_trial_scores(results)
    assert not [name for name in make_runs(results).columns if "mask_" in name]


def test_images_are_drawn_with_all_of_their_pixels():
    counts = predict(0, 0.3).test.pixel_counts
    found = bootstrap_masks(counts, "dice", num_replicates=300)
    assert found.shape == (300,)
    assert abs(found.mean() - score_masks(counts)["dice"]) < 0.01
    # As many pixels of one image would be equal, so would their scores.
    alike = np.repeat(counts[:1], 20, axis=0)
    assert np.ptp(bootstrap_masks(alike, "dice", num_replicates=5)) == 0
    again = bootstrap_masks(counts, "dice", num_replicates=300)
    np.testing.assert_array_equal(found, again)


def test_runs_on_the_same_images_are_scored_on_the_same_draws():
    # Some images are harder than others, for both runs alike.
    wrong = np.linspace(0, 0.9, 20)[:, None, None]
    counts = [predict(seed, wrong).test.pixel_counts for seed in (0, 1)]
    assert (counts[0] != counts[1]).any()
    pairs = [bootstrap_masks(c, "dice") for c in counts]
    assert np.corrcoef(pairs)[0, 1] > 0.9


@pytest.mark.parametrize("name", ["unet_loss_weights", "unet_losses"])
def test_shapes_stand_in_for_images_with_masks(name):
    study = read_study(EXAMPLES / "busi" / f"{name}.toml")
    assert study.data.startswith("masks:")
    moved = study.override(data="synthetic")
    assert moved.tasks == ("shapes",)
    runs = [run for _, run in expand(moved, smoke=True)]
    assert {run.task for run in runs} == {"shapes"}
    assert len({run.run_id for run in runs}) == len(study.trials)


def test_untrained_heads_are_not_shown(tmp_path):
    """Of one trial the labels have no weight in the loss, of the other the
    masks."""
    trials = (
        Trial("masks alone", {"label_weight": 0.0}),
        Trial("labels alone", {"mask_weight": 0.0}),
    )
    study = replace(make_masked_study(), trials=trials, baseline=trials[0])
    store = Store(tmp_path)
    for _, run in expand(study):
        predictions = predict(run.seed, 0.1)
        history = [
            {"epoch": e, "val_loss": 1, "val_dice": e / 9, "val_macro_f1": 0.5}
            for e in (1, 2)
        ]
        names = {"classes": ["without", "with"], "mask_classes": MASK_CLASSES}
        record = make_record(run, 1.0, history=history, **names)
        for scores in record.scores.values():
            scores |= score_masks(predictions.test.pixel_counts)
        record.per_class_f1 = {"test": [1.0, 1.0]}
        test = predictions.test
        store.write(record, replace(predictions, val=test))
    evidence = Evidence.read(study, store)
    data = make_data(evidence)
    assert data["drawn"] == {"key": "val_dice", "name": "Dice"}
    of = {trial["name"]: trial["runs"]["shapes"] for trial in data["trials"]}
    curves = {name: data["histories"][ids[0]] for name, ids in of.items()}
    assert curves["masks alone"]["val_dice"] == [0.1111, 0.2222]
    assert curves["labels alone"]["val_dice"] == [None, None]
    assert {c["trial"] for c in data["confusions"]} == {"labels alone"}
    assert {c["trial"] for c in data["points"]} == {"labels alone"}
    runs = make_runs(evidence.results)
    table = pd.DataFrame(runs.rows, columns=runs.columns).set_index("trial")
    names = ["test_macro_f1", "test_dice", "test_mean_iou"]
    is_known = table[names].notna()
    assert not is_known.loc["masks alone", "test_macro_f1"].any()
    assert is_known.loc["masks alone", "test_dice"].all()
    assert not is_known.loc["labels alone", "test_mean_iou"].any()
    # By its own score a study judges all of its trials.
    assert is_known["test_dice"].all()
    assert all(trial.has_ended for trial in evidence.results)
    assert len(evidence.statistics.trials) == 2
