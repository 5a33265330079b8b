"""Runs with masks: what they train, score, keep and refuse."""

import csv
import re

import numpy as np
import pytest
from own_masks import make_masks
from PIL import Image
from sklearn.metrics import f1_score

from medzoo.data.sources import load
from medzoo.report.card import make_card
from medzoo.runs.run import Run
from medzoo.scores.counts import score_masks
from medzoo.store import Store
from medzoo.training.execute import complete, execute, load_data
from medzoo.training.objectives import objective_class
from medzoo.training.objectives.masks import pick_examples, score
from medzoo.training.saved import load_saved

SMALL = {
    "task": "shapes",
    "data": "synthetic",
    "model": "unet",
    "width": 4,
    "size": 16,
    "steps": 4,
    "batch_size": 8,
    "max_images": 16,
    "loss": "cross_entropy",
    "augmentation": "warp",
    "options": {"levels": 1},
}
RUN = Run(**SMALL)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder as `medzoo train --out` leaves it, and the predictions."""
    folder = tmp_path_factory.mktemp("trained")
    record, predictions = execute(
        RUN, on_model=lambda model: model.save(folder / "model.keras")
    )
    (folder / "record.json").write_text(record.model_dump_json())
    return folder, record, predictions


def test_a_record_has_scores_of_masks_and_labels(trained):
    _, record, predictions = trained
    data = load("shapes", "synthetic", 16)
    assert record.status == "done"
    assert record.mask_classes == ["background", "disc", "bar"]
    counts = predictions.test.pixel_counts
    assert counts.sum() == data.test.masks.size
    masks = data.test.masks
    support = counts.sum(axis=(0, 2))
    np.testing.assert_array_equal(support, np.bincount(masks.ravel()))
    scores = record.scores["test"]
    for name, value in score_masks(counts.astype("int64")).items():
        assert scores[name] == value
    labels = predictions.test.labels
    assert scores["macro_f1"] == pytest.approx(
        f1_score(
            labels,
            predictions.test.probabilities.argmax(axis=1),
            average="macro",
        )
    )
    assert scores["joint"] == pytest.approx(
        (scores["dice"] + scores["macro_f1"]) / 2
    )
    assert len(record.per_mask_class_dice["test"]) == 3
    assert "loss" in record.scores["val"]
    assert "loss" not in scores


def test_the_best_step_is_that_of_both_heads_together(trained):
    _, record, _ = trained
    ranks = [objective_class(RUN).rank(entry) for entry in record.history]
    best = record.history[ranks.index(max(ranks))]
    assert record.best_step == best["step"]
    assert record.scores["val"]["joint"] == best["val_joint"]
    assert record.scores["val"]["loss"] == pytest.approx(best["val_loss"])


def test_few_masks_are_kept_the_best_the_middle_and_the_worst(trained):
    _, record, predictions = trained
    data = load("shapes", "synthetic", 16)
    rows = predictions.examples.rows
    assert 0 < len(rows) <= 3
    np.testing.assert_array_equal(
        predictions.examples.truth, data.test.masks[rows]
    )
    np.testing.assert_array_equal(
        predictions.examples.images, data.test.images[rows]
    )
    assert predictions.test_masks is None
    assert not predictions.test_logits
    counts = np.zeros((9, 2, 2), "int64")
    counts[:, 1, 1] = counts[:, 0, 1] = range(9)
    counts[:, 1, 0] = np.arange(9) ** 2
    assert pick_examples(counts).tolist() == [1, 4, 8]


def test_labels_and_masks_of_test_wait_until_they_are_asked_for(trained):
    _, record, predictions = trained
    waiting, kept = execute(RUN, read_test=False)
    assert waiting.status == "trained"
    assert "test" not in waiting.scores
    done, found = complete(waiting, kept)
    assert done.scores == record.scores
    arrays = found.to_arrays()
    assert arrays.keys() == predictions.to_arrays().keys()
    for name, values in predictions.to_arrays().items():
        np.testing.assert_array_equal(values, arrays[name])


def test_a_training_goes_on_where_it_stopped(trained):
    _, record, _ = trained
    states = []
    stopped, _ = execute(RUN, until=0.5, on_stop=states.append)
    assert stopped.status == "pruned"
    going_on, _ = execute(RUN, state=states[0])
    assert going_on.scores == record.scores
    assert going_on.history == record.history


def test_a_saved_model_predicts_what_its_run_did(trained, medzoo):
    folder, record, predictions = trained
    saved = load_saved(folder)
    assert saved.has_masks
    data = load_data(RUN)
    np.testing.assert_allclose(
        saved.predict(data.test.images),
        predictions.test.probabilities,
        atol=1e-6,
    )
    rows = predictions.examples.rows
    found = saved.model.predict_on_batch(data.test.images[rows])["mask"]
    np.testing.assert_array_equal(
        found.argmax(axis=-1), predictions.examples.predicted
    )
    told = medzoo("evaluate", folder).out
    assert f"dice              {record.scores['test']['dice']:.4f}" in told


def test_masks_and_labels_of_images_are_written_large_ones_by_tiles(
    trained, tmp_path, medzoo
):
    folder, _, predictions = trained
    data = load_data(RUN)
    images = data.test.images[predictions.examples.rows]
    (tmp_path / "images").mkdir()
    for at, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(tmp_path / "images" / f"{at}.png")
    large = np.tile(images[0], (3, 2, 1))[..., 0]
    Image.fromarray(large).save(tmp_path / "images" / "large.png")
    out = tmp_path / "out"
    medzoo("predict", folder, tmp_path / "images", "--out", out)
    with (out / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, mask in zip(rows, predictions.examples.predicted, strict=False):
        found = np.asarray(Image.open(out / row["mask"]))
        np.testing.assert_array_equal(found, mask)
        assert row["predicted"] in ("without", "with")
        share = float(row["disc_share"])
        assert share == pytest.approx((mask == 1).mean(), abs=1e-6)
    assert np.asarray(Image.open(out / rows[-1]["mask"])).shape == (48, 32)
    assert rows[-1]["predicted"] in (None, "")
    told = medzoo("predict", folder, tmp_path / "images", code=2).err
    assert "Expected --out FOLDER" in told


def test_own_masks_are_trained_by_the_command(tmp_path, medzoo):
    root = make_masks(tmp_path / "cells", num=20)
    config = tmp_path / "run.toml"
    config.write_text(
        f'data = "masks:{root}"\nmodel = "unet"\nwidth = 2\nlevels = 1\n'
        'size = 12\nsteps = 2\nbatch_size = 4\nlabel_weight = 0.5\n'
        '[data_options]\nno_mask = "empty"\n'
    )  # fmt: skip
    told = medzoo("train", config, "--out", tmp_path / "out").out
    assert told.splitlines()[0].split()[:2] == ["split", "Dice"]
    record = load_saved(tmp_path / "out").record
    assert record.run.task == "cells"
    assert record.mask_classes == ["background", "foreground"]
    assert record.run.options["label_weight"] == 0.5
    assert record.data_fingerprint == record.run.fingerprint
    assert Store().read(record.run_id).scores == record.scores


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # The converter's.
@pytest.mark.slow
def test_integers_are_told_by_their_dice_too(trained, tmp_path, medzoo):
    pytest.importorskip("tensorflow")
    out = tmp_path / "model.tflite"
    told = medzoo(
        "export", trained[0], "--to", "tflite", "--int8", "--out", out
    ).out
    assert re.search(r"On val Dice was 0\.\d+ and is 0\.\d+ in integers", told)
    assert out.exists()


def test_the_card_says_what_masks_are_worth(trained):
    _, record, predictions = trained
    text = make_card(record, predictions)
    found = re.search(r"Dice (0\.\d+) to (0\.\d+), macro F1", text)
    low, high = map(float, found.groups())
    assert low <= record.scores["test"]["dice"] <= high
    assert text.index("taken for") < text.index("## Masks")
    assert "likeliest class of each pixel" in text


def test_a_classifier_sees_the_labels_of_images_with_masks():
    values = {**SMALL, "model": "mlp", "width": 8, "options": {}}
    record, predictions = execute(Run(**values))
    assert record.mask_classes == []
    assert predictions.test.probabilities.shape == (200, 2)


def test_without_labels_masks_are_scored_alone():
    counts = np.array([[[6, 1], [0, 1]]])
    logits = np.zeros((1, 2), "float32")
    found = score(np.array([-1]), logits, counts, "softmax", (1.0, 1.0))
    assert found.scores["macro_f1"] is None
    assert found.scores["joint"] == found.scores["dice"] == 2 / 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"task": "breastmnist", "size": 28},
            "Model `unet` needs images with masks.",
        ),
        ({"data": "medmnist"}, "Task `shapes` is made up, and by itself."),
        ({"data": "folder:x"}, "Model `unet` needs images with masks."),
        ({"mix": "mixup"}, "`unet` has no `mix`"),
        ({"flip_test": True}, "`unet` has no `flip_test`"),
        ({"ema": 0.9}, "`unet` has no `ema`"),
        ({"options": {"mask_loss": "dise"}}, "Did you mean `dice`?"),
        ({"options": {"mask_weight": -1.0}}, "must be at least 0"),
        (
            {"options": {"mask_weight": 0.0, "label_weight": 0.0}},
            "`mask_weight` or `label_weight` must be above 0",
        ),
        (
            {"task_weighting": "pcgrad"},
            "Expected one of: equal, uncertainty, dwa",
        ),
        (
            {"task_weighting": "dwa", "options": {"mask_weight": 2.0}},
            "finds the weights of the heads itself",
        ),
        ({"model": "mlp"}, "Unknown option `levels`"),
    ],
)
def test_what_has_no_form_for_masks_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        Run(**{**SMALL, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["uncertainty", "dwa"])
def test_both_heads_may_weigh_themselves(weighting):
    record, _ = execute(Run(**SMALL, task_weighting=weighting))
    assert record.status == "done"


@pytest.mark.slow
def test_shapes_are_found_at_the_full_budget():
    values = {**SMALL, "size": 64, "width": 8, "max_images": None}
    values |= {"steps": None, "epochs": 36, "options": {"label_weight": 0.1}}
    values |= {"learning_rate": 0.003, "schedule": "cosine"}
    record, _ = execute(Run(**values | {"augmentation": "flips"}))
    assert record.scores["test"]["dice"] > 0.9
