"""A search by Dice: what it maximises, what it says, and what it refuses."""

import csv

import pytest

pytest.importorskip("keras_tuner")

from search_records import Executed, pretend, read  # noqa: E402

from medzoo.report.search import write_search  # noqa: E402
from medzoo.store import Store  # noqa: E402
from medzoo.study.spec import read_study  # noqa: E402

TASKS = 'tasks = ["breastmnist", "retinamnist"]'
MASKS = (
    (TASKS, 'tasks = ["shapes"]\nscore = "dice"'),
    ('model = "mlp"', 'model = "unet"'),
    ("trials = 12", "trials = 6"),
)


def mark(job):
    """Pretends that Dice falls where the macro F1 rises."""
    record = pretend(job)
    for at, entry in enumerate(record.history, 1):
        # The best weights are those of both heads, at check 4.
        entry["val_dice"] = 1 - entry["val_macro_f1"]
        entry["val_joint"] = 1 - abs(at - 4)
    return record


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid"])
def test_a_search_by_dice_looks_for_the_weights_that_are_kept(tuner, tmp_path):
    trials = "trials = 9" if tuner == "bayesian" else "trials = 12"
    changes = (*MASKS[:2], (trials, "trials = 6"))
    search = read(tmp_path, *changes, tuner=tuner)
    store = Store(tmp_path / "runs")
    tried = Executed(store, make=mark).search(search)
    assert len(tried) == 6
    for each in tried:
        (record,) = (store.read(run_id) for run_id in each.run_ids)
        assert each.score == record.history[3]["val_dice"]


def test_a_report_of_more_candidates_is_not_replaced(tmp_path):
    search = read(tmp_path, *MASKS)
    store = Store(tmp_path / "runs")
    tried = Executed(store, make=mark).search(search)
    report = write_search(search, tried, tmp_path, command="x")
    before = report.paths[0].read_bytes()
    fewer = write_search(search, tried[:2], tmp_path, command="x")
    assert "has 6 candidates with a score, and there are 2" in fewer.unwritten
    assert fewer.paths == ()
    assert report.paths[0].read_bytes() == before
    forced = write_search(search, tried[:2], tmp_path, command="x", force=True)
    assert len(forced.paths[0].read_text().splitlines()) == 3


def test_the_report_and_the_proof_name_the_score(tmp_path):
    search = read(tmp_path, *MASKS)
    store = Store(tmp_path / "runs")
    tried = Executed(store, make=mark).search(search)
    report = write_search(search, tried, tmp_path, command="x")
    with open(report.paths[0], encoding="utf-8") as file:
        scores = [float(row["val_dice"]) for row in csv.DictReader(file)]
    assert scores == sorted(scores, reverse=True)
    page = (report.proof.parent / "summary.md").read_text()
    assert f"val Dice {report.best.score:.3f}" in page
    assert "macro F1" not in page
    page = (report.proof.parent / "report.html").read_text()
    assert f"Dice on val, {report.best.score:.3f}" in page
    assert "macro F1" not in page
    assert read_study(report.proof).score == "dice"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ('"random"', '"random"\nscore = "dice"'),
            "tiny.toml, line 5: `score` of dice needs a model that predicts "
            "masks, such as `unet`. Expected it, or score = 'macro_f1'. "
            "Received: model='mlp'.",
        ),
        (
            ('"random"', '"random"\nscore = "auc"'),
            "tiny.toml, line 5: `score` must be 'macro_f1' or 'dice'. "
            "Received: score='auc'.",
        ),
    ],
)
def test_a_score_that_the_data_do_not_have_is_one_sentence(
    change, sentence, tmp_path, medzoo
):
    with pytest.raises(ValueError, match=r"tiny\.toml"):
        read(tmp_path, change)
    told = medzoo("search", "run", "tiny.toml", code=2).err
    assert told.count(sentence) == 1


def test_a_score_without_any_label_on_val_ends_the_search(tmp_path):
    search = read(tmp_path, ("trials = 12", "trials = 2"))
    store = Store(tmp_path / "runs")

    def unlabelled(job):
        record = pretend(job)
        for entry in record.history:
            entry["val_macro_f1"] = None
        return record

    with pytest.raises(ValueError, match="has no macro F1 on val: nothing is"):
        Executed(store, make=unlabelled).search(search)


def test_another_score_is_another_search(tmp_path):
    store = Store(tmp_path / "runs")
    Executed(store).search(read(tmp_path, ("trials = 12", "trials = 2")))
    with pytest.raises(ValueError, match="score: macro_f1 became dice"):
        Executed(store, make=mark).search(read(tmp_path, *MASKS))


def test_the_list_of_studies_names_the_search_and_its_best(tmp_path):
    search = read(tmp_path, *MASKS)
    store = Store(tmp_path / "runs")
    tried = Executed(store, make=mark).search(search)
    report = write_search(search, tried, tmp_path, command="x")
    text = (tmp_path / "index.html").read_text()
    assert f"Dice {report.best.score:.3f} on val" in text
    assert f"{len(tried)} of {len(tried)}" in text
    assert 'href="./searches/tiny/report.html"' in text
