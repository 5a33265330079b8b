"""Studies of public data, on made-up images in their publishers' layouts."""

import csv
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from own_images import make_image
from own_masks import make_mask
from PIL import Image

from medzoo.plugins.files import load_plugins
from medzoo.plugins.targets import find_target
from medzoo.runs.plugins import REGISTERED
from medzoo.search.search_file import read_search
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.plan import make_plan
from medzoo.study.spec import read_study
from medzoo.training.execute import load_data

ROOT = Path(__file__).parents[1]
# The others are a search, and studies of official tasks.
STUDIES = [
    path.relative_to(ROOT)
    for path in sorted(ROOT.glob("examples/*/*.toml"))
    if path.stem
    not in (
        "unet_search",
        "own_model",
        "ordered_grades",
        "training_cells",
        "robustness_cells",
        "backbones_at_hand",
    )
]
SEARCH = Path("examples/busi/unet_search.toml")
FOLDERS = sorted({path.parts[1] for path in STUDIES} | {"bloodcells"})


def make_busi(folder):
    for label in ("benign", "malignant", "normal"):
        place = folder / "Dataset_BUSI_with_GT" / label
        place.mkdir(parents=True)
        for at in range(1, 13):
            make_image(at, shape=(40, 50)).convert("RGB").save(
                place / f"{label} ({at}).png"
            )
            mask = make_mask(0 if label == "normal" else 1, side=40)
            whole = Image.fromarray(mask).resize((50, 40), 0)  # Nearest.
            whole.save(place / f"{label} ({at})_mask.png")
        if label == "benign":
            whole.save(place / f"{label} (4)_mask_1.png")


def make_mednist(folder):
    listed = ROOT / "examples" / "mednist" / "imbalanced.csv"
    for at, row in enumerate(csv.DictReader(listed.read_text().split())):
        path = folder / "MedNIST" / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        make_image(at, shape=(8, 8)).save(path)


def make_jurkat(folder):
    for label in ("Anaphase", "G1", "S"):
        place = folder / "CellCycle" / label
        place.mkdir(parents=True)
        for at in range(10):
            for channel in (3, 4, 6):
                cell = make_image(at, dtype="uint16", high=4096)
                cell.save(place / f"{at}_Ch{channel}.ome.tif")


def make_skin(folder):
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((30, 40), "uint8")
    mask[5:20, 10:30] = 255
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for at in range(60):
        name, label = f"ISIC_{at:07}", ("nv", "mel", "df")[at % 3]
        make_image(at, shape=(30, 40)).convert("RGB").save(
            folder / "images" / f"{name}.jpg"
        )
        Image.fromarray(mask).save(folder / f"masks/{name}_segmentation.png")
        rows.append(f"HAM_{at // 6}{label},{name},{label},histo,50.0,male,back")
    (folder / "HAM10000_metadata.csv").write_text("\n".join(rows))


LAYOUTS = {
    "busi": make_busi,
    "jurkat": make_jurkat,
    "mednist": make_mednist,
    "skin": make_skin,
}


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty data folder, beside a copy of the examples."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.parametrize("path", STUDIES, ids=str)
def test_a_study_reads_the_layout_of_the_publisher(data_folder, path):
    LAYOUTS[path.parent.name](data_folder / path.parent.name)
    study = read_study(path)
    plan = make_plan(study, Store(data_folder / "runs"), smoke=True)
    assert study.data in plan.text()
    planned = expand(study, smoke=True)
    assert len({run.run_id for _, run in planned}) == len(study.trials)
    data = load_data(planned[0].run)
    assert data.task == path.parent.name
    for split in (data.train, data.val, data.test):
        assert set(split.labels) == set(range(data.num_classes))


def test_each_trial_on_blood_cells_changes_one_choice():
    study = read_study(ROOT / "examples/bloodcells/training_cells.toml")
    baseline, *others = (run for _, run in expand(study) if run.seed == 0)
    for run in others:
        changed = baseline.flatten().items() ^ run.flatten().items()
        keys = {key for key, _ in changed if run.model == "skip_cnn"}
        assert len(keys) <= 1 or "learning_rate" in keys


def test_backbones_at_hand_are_compared_in_the_same_three_ways(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = ROOT / "examples/backbones/backbones_at_hand.toml"
    with pytest.raises(ValueError, match="No network at `blood/model.keras`"):
        read_study(file)
    (tmp_path / "blood").mkdir()
    (tmp_path / "blood/model.keras").write_bytes(b"")
    names = [trial.name.split(", ") for trial in read_study(file).trials]
    assert len(names) == 9
    for ways in zip(*(names[at : at + 3] for at in (0, 3, 6)), strict=True):
        assert len({network for network, _ in ways}) == 3


def test_a_list_beside_a_study_is_found_from_any_folder(
    data_folder, tmp_path, monkeypatch
):
    make_mednist(data_folder / "mednist")
    monkeypatch.chdir(data_folder)
    study = read_study("../examples/mednist/mednist.toml")
    data = load_data(expand(study, smoke=True)[0].run)
    assert data.num_classes == 6


def test_images_of_a_lesion_stay_in_one_split(data_folder):
    make_skin(data_folder / "skin")
    study = read_study("examples/skin/imbalance_skin.toml")
    data = load_data(expand(study, smoke=True)[0].run)
    for split in (data.train, data.val, data.test):
        assert len(split) % 2 == 0  # Every lesion has two images.


def test_masks_are_of_the_class_of_their_folder(data_folder):
    make_busi(data_folder / "busi")
    study = read_study("examples/busi/unet_losses.toml")
    data = load_data(expand(study, smoke=True)[0].run)
    assert data.mask_classes == ("background", "benign", "malignant")
    assert read_search(SEARCH).document.data == study.data


@pytest.mark.parametrize("path", STUDIES, ids=str)
def test_where_data_are_missing_one_sentence_tells_the_page(
    medzoo, data_folder, path
):
    (sentence,) = medzoo("study", "plan", path, code=2).err.splitlines()
    study = read_study(path)
    assert str(data_folder / path.parent.name) in sentence
    assert study.data_options["page"] in sentence
    assert "MEDZOO_DATA" in sentence
    assert "--data synthetic" in sentence
    assert expand(study.override(data="synthetic"), smoke=True)


@pytest.mark.parametrize("path", STUDIES, ids=str)
def test_a_study_opens_with_what_it_asks_runs_and_writes(data_folder, path):
    study = read_study(path)
    head = study.text.split("\nquestion")[0].replace("\n#", " ")
    comment = " ".join(head.strip("# ").split())
    runs = len(study.trials) * len(study.seeds)
    assert f"Question: {study.question} Command: " in comment
    assert f"make study NAME={path} Writes: results/{study.name}/" in comment
    assert f"{runs} runs" in comment


def test_losses_of_ordered_grades_are_their_formulas():
    load_plugins(["ordered.py"], ROOT / "examples" / "retina")
    given = {
        # Cumulative: 0.2, 0.5, 1 where the truth has 0, 1, 1.
        ("squared_emd", 1): 0.2**2 + 0.5**2,
        ("distance_weighted", 0): -math.log(0.7) - 4 * math.log(0.5),
        # Targets in the ratio of 1 to e^-1 to e^-4.
        ("soft_grades", 0): -(
            math.log(0.2)
            + math.exp(-1) * math.log(0.3)
            + math.exp(-4) * math.log(0.5)
        )
        / (1 + math.exp(-1) + math.exp(-4)),
    }
    for (name, label), expected in given.items():
        target = find_target("loss", REGISTERED["loss", name])
        logits = np.log(np.array([[0.2, 0.3, 0.5]], "float32"))
        found = target(np.array([label], "int32"), logits)
        assert float(found[0]) == pytest.approx(expected, rel=1e-5), name


@pytest.mark.parametrize("name", FOLDERS)
def test_each_data_set_has_licence_citation_and_page(name):
    text = (ROOT / "examples" / name / "README.md").read_text()
    for word in ("Publisher's page:", "Licence:", "Citation:", "MEDZOO_DATA"):
        assert word in text
    for path in STUDIES:
        if path.parent.name == name:
            assert str(path) in text
            assert read_study(ROOT / path).data_options["page"] in text
