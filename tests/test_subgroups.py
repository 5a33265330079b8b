"""Scores by subgroup, and the images that trials fail at."""

import csv
import io
import json
import zipfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from own_images import make_folder
from page_records import make_drawn, make_widths, report_on
from PIL import Image
from report_records import make_record, make_study

from medzoo.data.custom.about import describe_images, require_attributes
from medzoo.data.custom.arrays import read_groups
from medzoo.data.custom.attributes import Attribute
from medzoo.data.custom.from_python import Dataset
from medzoo.data.sources import load
from medzoo.data.tested import find_tested
from medzoo.record import Predictions, SplitPredictions
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import read_evidence
from medzoo.report.gallery import list_pictured
from medzoo.report.html import make_html
from medzoo.report.images import (
    Picture,
    format_pictures,
    name_attributes,
    name_pictures,
)
from medzoo.report.subgroups import (
    Breakdown,
    Row,
    bootstrap_counts,
    compare_subgroups,
    describe_gap,
    make_short,
    score_counts,
    split_subgroups,
)
from medzoo.report.write import write_evidence_report, write_report
from medzoo.runs.run import Run
from medzoo.scores.counts import count_masks, score_masks
from medzoo.scores.probabilities import per_class_f1, score
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.tasks import SPLITS
from medzoo.training.execute import execute

# How a WebP begins in Base64, of which the data of a page hold some.
PICTURE = "UklGR"
NUM, CLASSES = 240, ("benign", "malignant")
OWN = """
question = "Which optimizer?"
seeds = [0]
[axes]
optimizer = ["sgd", "adam"]
[fixed]
model = "mlp"
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def make_images():
    """Makes images with a label, a patient, an age and a sex each."""
    random = np.random.default_rng(0)
    patients = np.arange(NUM) // 2
    about = {
        "age": (patients % 60 + 20).astype(object),
        "sex": np.array(["f", "m", "m"])[patients % 3].astype(object),
    }
    about["sex"][patients % 40 == 0] = None
    about["site"] = np.where(patients < 3, "ear", "arm")
    return (
        random.integers(0, 255, (NUM, 28, 28, 3), dtype="uint8"),
        np.array(CLASSES)[patients % 2],
        patients,
        about,
    )


@pytest.fixture(scope="module")
def data(cache):
    images, labels, patients, about = make_images()
    splits = ["train"] * 40 + ["val"] * 40 + ["test"] * 160
    # The first patients are in test, so that one site has few images.
    return Dataset.from_arrays(
        images, labels, groups=patients, splits=splits[::-1], attributes=about
    )


def make_own_study(data, **options):
    return make_study(
        ("adam", "sgd"),
        tasks=("arrays",),
        data=data.address,
        data_options={**data.options, **options},
    )


def predict(seed, about, labels, groups):
    """Draws predictions that are worse for one sex."""
    random = np.random.default_rng(seed)
    right = random.random(len(labels)) < np.where(about == "f", 0.5, 0.95)
    found = np.where(right, labels, 1 - labels)
    sure = 0.5 + random.random(len(labels)) / 2
    shares = np.full((len(labels), 2), 0.0)
    shares[np.arange(len(labels)), found] = sure
    shares[np.arange(len(labels)), 1 - found] = 1 - sure
    return SplitPredictions(
        shares.astype("float32"), labels.astype("int32"), groups=groups
    )


@pytest.fixture(scope="module")
def reported(data, tmp_path_factory):
    """The report of a study whose runs are worse for one sex."""
    folder = tmp_path_factory.mktemp("reported")
    study, store = make_own_study(data), Store(folder / "runs")
    _, names, patients, about = make_images()
    labels, sex = (names[:160] == CLASSES[1]).astype(int), about["sex"][:160]
    for trial, run in expand(study):
        seed = run.seed + 7 * (trial.name == "sgd")
        test = predict(seed, sex, labels, patients[:160])
        arrays = test.probabilities, test.labels
        scores = {**score(*arrays, 2), "loss": None}
        f1 = per_class_f1(*arrays).tolist()
        record = make_record(
            run,
            scores={"val": scores, "test": scores},
            per_class_f1={"val": f1, "test": f1},
            classes=list(CLASSES),
            data_fingerprint=run.fingerprint,
        )
        store.write(record, Predictions(val=test, test=test))
    return write_report(
        study, store, folder / "results", command="", pictures=True
    )


def read_rows(report):
    path = next(p for p in report.paths if p.name == "subgroups.csv")
    rows = csv.DictReader(io.StringIO(path.read_text()))
    return {(r["trial"], r["attribute"], r["subgroup"]): r for r in rows}


def test_attributes_are_no_part_of_a_run(data):
    plain = Run(task="arrays", data=data.address)
    asked = Run(task="arrays", data=data.address, data_options=data.options)
    assert data.options["attributes"] == ("age", "sex", "site")
    assert asked.run_id == plain.run_id
    ids = [
        [run.run_id for _, run in expand(make_own_study(each))]
        for each in (data, data._replace(options={}))
    ]
    assert ids[0] == ids[1]


def test_an_attribute_without_a_column_is_named(data):
    study = make_own_study(data, attributes=("agee",))
    with pytest.raises(ValueError, match="Did you mean `age`?"):
        expand(study)


def test_equal_arrays_with_other_attributes_are_two(cache):
    images, labels, _, about = make_images()
    about = {"age": about["age"]}
    other = {"age": about["age"] + 1}
    made = [
        Dataset.from_arrays(images, labels, attributes=values)
        for values in (about, other, about)
    ]
    assert made[0] == made[2] != made[1]
    assert made[0] != Dataset.from_arrays(images, labels)
    first, second = (
        describe_images(each.address, each.size, each.options).attributes["age"]
        for each in made[:2]
    )
    assert [int(age) + 1 for age in first] == [*map(int, second)]
    found = [load("arrays", each.address).fingerprint for each in made[:2]]
    assert found[0] == found[1]  # Runs of one are those of the other.


def test_attributes_of_a_table_are_columns(tmp_path):
    table = "path,label,sex\na.png,x,f\nb.png,y,\n"
    (tmp_path / "t.csv").write_text(table)
    for name in "ab":
        Image.new("L", (28, 28)).save(tmp_path / f"{name}.png")
    data = f"csv:{tmp_path / 't.csv'}"
    require_attributes(data, {"attributes": ["sex"]})
    with pytest.raises(ValueError, match="Unknown attribute `site`"):
        require_attributes(data, {"attributes": ["site"]})


@pytest.mark.parametrize("text", ["age=60/40", "age=x", "age=", "=40"])
def test_edges_ascend(text):
    with pytest.raises(ValueError, match="Received"):
        Run(task="x", data="csv:x.csv", data_options={"attributes": [text]})


def test_numbers_are_binned_by_their_quartiles():
    cells = [str(age) for age in range(100)]
    found = split_subgroups(Attribute("age"), cells)
    assert [each.name for each in found] == [
        "under 24.75",
        "24.75 to under 49.5",
        "49.5 to under 74.25",
        "74.25 and over",
    ]
    assert [int(each.holds.sum()) for each in found] == [25] * 4


def test_grades_are_values_in_their_order():
    found = split_subgroups(Attribute("grade"), ["10", "2", "", "2"])
    assert [each.name for each in found] == ["2", "10", "missing"]


def test_rare_values_are_joined():
    cells = [f"site {at}" for at in range(30)] + ["arm"] * 20
    found = split_subgroups(Attribute("site"), cells)
    assert [each.name for each in found] == ["arm", "30 others"]


def test_subgroups_are_told(reported):
    rows = read_rows(reported)
    whole = rows["adam", "sex", "all"]
    women, men = rows["adam", "sex", "f"], rows["adam", "sex", "m"]
    assert int(whole["num_images"]) == 160
    assert int(women["num_images"]) + int(men["num_images"]) == 156
    assert int(whole["num_groups"]) == 80
    assert float(women["macro_f1"]) < 0.7 < float(men["macro_f1"])
    assert float(women["macro_f1_high"]) < float(men["macro_f1_low"])
    # Drawn from all, women would have the score of all.
    mean = float(whole["macro_f1"])
    assert abs(float(women["expected"]) - mean) < 0.05
    assert (whole["highest"], whole["lowest"]) == ("m", "f")
    assert float(whole["p_holm"]) < 0.01


def test_missing_values_and_few_images_are_rows(reported):
    rows = read_rows(reported)
    few = rows["adam", "site", "ear"]
    assert (few["num_images"], few["macro_f1"], few["remark"]) == (
        "6",
        "",
        "too few",
    )
    assert rows["adam", "sex", "missing"]["num_images"] == "4"
    # One large subgroup is no gap.
    assert rows["adam", "site", "all"]["gap"] == ""


def test_the_score_of_a_subgroup_is_that_of_scikit_learn(reported):
    from sklearn.metrics import f1_score

    evidence = reported.evidence
    _, _, _, about = make_images()
    women = about["sex"][:160] == "f"
    values = []
    for record in evidence.best.records.values():
        test = evidence.store.read_predictions(record.run_id).test
        predicted = test.probabilities.argmax(axis=1)
        values.append(
            f1_score(test.labels[women], predicted[women], average="macro")
        )
    row = read_rows(reported)[evidence.best.trial.name, "sex", "f"]
    assert float(row["macro_f1"]) == pytest.approx(np.mean(values), abs=1e-5)


def test_evidence_makes_the_same_files(reported, tmp_path):
    folder = reported.page.parent
    written = write_evidence_report(read_evidence(folder), tmp_path)
    assert {p.name for p in written.paths} == {p.name for p in reported.paths}
    for path in written.paths:
        assert path.read_bytes() == (folder / path.name).read_bytes(), path


def test_evidence_has_no_attributes_of_images(reported):
    path = reported.page.with_name("evidence.zip")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        contents = json.loads(archive.read("contents.json"))
    assert [n for n in names if "images/" in n and "pictures" not in n] == []
    keys = {"trial", "task", "attribute", "score", "rows", "gap"}
    assert {key for each in contents["subgroups"] for key in each} == keys
    lengths = {len(each["rows"]) for each in contents["subgroups"]}
    assert max(lengths) < 10


def test_the_page_shows_failures(reported):
    page = reported.page.read_text()
    assert "Failures to look at" in page
    assert PICTURE in page
    assert "malignant → benign" in page
    assert len(page) < 1_000_000


def test_a_part_without_a_class_is_scored_by_the_others():
    counts = np.array([[4, 0, 0], [1, 3, 0], [0, 0, 0]])
    first, second = 8 / 9, 6 / 7
    assert score_counts(counts, "macro_f1") == (first + second) / 2


def make_null(random, *, num=120, groups=None):
    """Draws predictions that are as good in every subgroup."""
    labels = random.integers(3, size=num)
    if groups is not None:
        labels = labels[groups]
    hard = random.random(num) if groups is None else random.random(num)[groups]
    wrong = random.random((num, 2)) < 0.7 * hard[:, None]
    found = np.where(wrong, (labels[:, None] + 1) % 3, labels[:, None])
    counts = np.zeros((num, 2, 3, 3), "float32")
    for seed in range(2):
        counts[np.arange(num), seed, labels, found[:, seed]] = 1
    return counts, labels


def test_draws_count_what_a_part_has():
    counts, labels = make_null(np.random.default_rng(0))
    holds = np.arange(120) < 50
    drawn = bootstrap_counts(counts, labels, np.arange(120), holds)
    sizes = drawn.sum(axis=(2, 3))[:, 0]
    assert drawn.shape == (1000, 2, 3, 3)
    assert abs(sizes.mean() - 50) < 0.5
    whole = bootstrap_counts(counts, labels, np.arange(120), np.ones(120, bool))
    # Within classes: each has as many images in every draw.
    expected = np.bincount(labels)
    assert (whole.sum(axis=3)[:, 0] == expected).all()


def test_other_classes_are_no_gap():
    """One class is hard, and one subgroup has more of it."""
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1], 200)
    places = (random.random(400) < np.where(labels, 0.8, 0.2)).astype(int)
    right = random.random(400) < np.where(labels, 0.6, 0.98)
    counts = np.zeros((400, 1, 2, 2), "float32")
    found = np.where(right, labels, 1 - labels)
    counts[np.arange(400), 0, labels, found] = 1
    expected, p = compare_subgroups(
        counts, labels, np.arange(400), places, score="accuracy"
    )
    assert expected[0] - expected[1] > 0.15
    assert p > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("grouped", [False, True])
def test_equal_subgroups_are_called_unequal_in_5_percent(grouped):
    random = np.random.default_rng(2)
    num, found = 400, []
    for _ in range(num):
        groups = np.sort(random.integers(60, size=120)) if grouped else None
        counts, labels = make_null(random, groups=groups)
        ids = np.arange(120) if groups is None else groups
        # Of a group, and of unlike sizes.
        places = np.searchsorted([0.2, 0.5], random.random(120))[ids]
        p = compare_subgroups(counts, labels, ids, places, num_draws=200)[1]
        found.append(p <= 0.05)
    assert 0.02 < np.mean(found) < 0.08


def test_find_subgroups_asks_for_attributes(reported):
    evidence = reported.evidence
    found = evidence.subgroups
    assert {each.attribute for each in found} == {"age", "sex", "site"}


def test_attributes_may_be_added_to_a_study_that_is_done(reported, tmp_path):
    asked, store = reported.evidence.study, reported.evidence.store
    plain = replace(asked, data_options={})
    first = write_report(plain, store, tmp_path, command="")
    folder = first.page.parent
    assert not (folder / "subgroups.csv").exists()
    second = write_report(asked, store, tmp_path, command="")
    assert second.page == first.page
    assert (folder / "subgroups.csv").exists()
    text = (folder / "summary.md").read_text()
    assert "By sex the largest gap is" in text
    write_report(plain, store, tmp_path, command="")
    assert not (folder / "subgroups.csv").exists()


def test_a_run_notes_which_test_images_are_of_one_patient(data):
    run = Run(task="arrays", data=data.address, model="mlp", width=4, steps=2)
    patients = make_images()[2]
    _, predictions = execute(run)
    assert predictions.val.groups is None
    assert predictions.test.groups.tolist() == patients[:160].tolist()
    folds = run.model_copy(update={"data_options": {"folds": 2}, "seed": 1})
    _, predictions = execute(folds)
    assert (
        sorted(Counter(predictions.test.groups.tolist()).values()) == [2] * 20
    )


def test_groups_of_an_archive_are_one_for_each_image(tmp_path):
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.zeros((4, 28, 28), "uint8")
        arrays[f"{split}_labels"] = np.arange(4) % 2
    path = tmp_path / "cells.npz"
    np.savez(path, **arrays)
    assert read_groups(path) == []
    groups = {f"{split}_groups": np.array([3, 3, -1, 5]) for split in SPLITS}
    np.savez(path, **arrays, **groups)
    assert read_groups(path) == ["3", "3", "", "5"] * 3
    np.savez(path, **arrays, **{**groups, "val_groups": np.arange(3)})
    with pytest.raises(ValueError, match=r"`val_groups` of .* \(4,\).*\(3,\)"):
        read_groups(path)
    np.savez(path, **arrays, train_groups=np.arange(4))
    with pytest.raises(ValueError, match="no array `val_groups`"):
        read_groups(path)


def test_folds_are_told_as_one_test_of_all_images(data, tmp_path):
    study = make_own_study(data, folds=2)
    store = Store(tmp_path / "runs")
    about = describe_images(data.address, data.size, data.options)
    for _, run in expand(study):
        found = find_tested(
            run.task, run.data, run.size, study.data_options, seed=run.seed
        )
        # The given test split is no part of the folds.
        assert max(found.rows) < 80
        rows = found.rows.tolist()
        sexes = about.attributes["sex"]
        assert found.attributes["sex"] == [sexes[row] for row in rows]
        labels = found.dataset.train.labels.tolist()
        labels = np.array(labels + found.dataset.val.labels.tolist())[rows]
        sexes = np.array(found.attributes["sex"])
        test = predict(run.seed, sexes, labels, found.groups)
        fold = f"{run.fingerprint}, fold {run.seed} of 2"
        record = make_record(run, 0.5, data_fingerprint=fold)
        record.classes.extend(CLASSES)
        store.write(record, Predictions(val=test, test=test))

    def report_on(**options):
        return write_report(
            study, store, tmp_path / "results", command="", **options
        )

    report = report_on(pictures=True)
    row = read_rows(report)["sgd", "sex", "all"]
    assert (row["num_images"], row["num_groups"]) == ("80", "40")
    assert row["macro_f1_low"]
    assert PICTURE in report.page.read_text()
    # Unasked, neither the page nor the evidence shows images of one's own.
    page = report_on().page
    assert PICTURE not in page.read_text()
    with zipfile.ZipFile(page.with_name("evidence.zip")) as evidence:
        assert not [n for n in evidence.namelist() if "pictures" in n]


def test_a_command_names_attributes(medzoo, data, tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    command = ["study", "plan", "own.toml", "--data", data.address]
    printed = medzoo(*command, "--attributes", "sex,age=40/60")
    assert "2 runs" in printed.out
    failed = medzoo(*command, "--attributes", "sexx", code=2)
    assert "Unknown attribute `sexx`. Did you mean `sex`?" in failed.err


@pytest.mark.slow
def test_a_page_of_50_trials_with_pictures_is_small(tmp_path):
    study = make_widths(50, tasks=("pathmnist", "dermamnist"))
    evidence = report_on(study, tmp_path, *make_drawn(study, num_images=300))
    found = evidence.galleries
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), "uint8")
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "WEBP", quality=70)
    for fingerprint, places in list_pictured(found).items():
        picture = Picture(f"a_class/{'x' * 40}.png", content.getvalue())
        text = format_pictures(dict.fromkeys(places, picture))
        evidence.store.cache_file(name_pictures(fingerprint), text)
    page = make_html(evidence)
    assert {each.trial for each in found} == {t.name for t in study.trials}
    assert page.count(PICTURE) > 20
    assert len(page) < 1_000_000


def test_masks_are_told_by_their_dice(tmp_path):
    store = Store(tmp_path)
    masked = make_study(
        ("dice",),
        axis="mask_loss",
        tasks=("shapes",),
        data="synthetic",
        baseline=None,
        fixed={"model": "unet", "epochs": 5},
        score="dice",
    )
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, (60, 8, 8))
    for _, run in expand(masked):
        noise = random.random(truth.shape) < [[[0.1]], [[0.3]]] * 30
        counts = count_masks(truth, np.where(noise, 1 - truth, truth), 2)
        labels = np.zeros(60, "int32")
        test = SplitPredictions(np.ones((60, 1)), labels, counts)
        record = make_record(run, 1.0, mask_classes=["back", "lesion"])
        for scores in record.scores.values():
            scores |= score_masks(counts)
        record = record.model_copy(update={"data_fingerprint": "own:a:b"})
        store.write(record, Predictions(test=test))
    evidence = Evidence.read(masked, store)
    asked = replace(masked, data_options={"attributes": ["side"]})
    about = {"attributes": {"side": ["left", "right"] * 30}}
    name = name_attributes("own:a:b", ["side"])
    store.cache_file(name, json.dumps(about).encode())
    (found,) = replace(evidence, study=asked).subgroups
    dice = {row.name: row.estimate.mean for row in found.rows}
    assert found.score == "dice"
    assert abs(dice["left"] - 0.9) < 0.02
    assert abs(dice["right"] - 0.7) < 0.02
    assert found.gap.p < 0.01


def test_attributes_of_a_folder_are_in_a_table_beside_it(tmp_path):
    data = f"folder:{make_folder(tmp_path / 'cells')}"
    options = {"attributes": ("sex",)}
    with pytest.raises(FileNotFoundError, match="cells.images.csv"):
        require_attributes(data, options)
    table = "path,sex\nz/0.png,f\na b/1.png,m\n"
    (tmp_path / "cells.images.csv").write_text(table)
    require_attributes(data, options)
    found = describe_images(data, 28, options)
    known = dict(zip(found.names, found.attributes["sex"], strict=True))
    assert (known["z/0.png"], known["a b/1.png"]) == ("f", "m")
    assert list(known.values()).count("") == 16
    (tmp_path / "cells.images.csv").write_text("path,sex\n0.png,f\n")
    with pytest.raises(ValueError, match="has none of the images"):
        describe_images(data, 28, options)


def test_what_large_subgroups_leave_undefined_is_not_called_too_few():
    parts = [Row("all", 300, None, 2), Row("f", 280, None, 1)]
    rows = [*parts, Row("m", 20, None, 1), Row("x", 19, None, 1)]
    found = Breakdown("adam", "cells", "sex", "kappa", rows)
    shown = [row[-2] for row in make_short(found).rows]
    assert shown == ["not defined"] * 3 + ["too few"]
    assert "kappa is defined for fewer than two" in describe_gap(found)
