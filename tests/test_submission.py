"""The competition's file: there and back again, and what is wrong with it."""

import numpy as np
import pytest
from in_process import run_here
from report_records import make_record, make_study
from sklearn.metrics import f1_score

from medzoo.record import Predictions, Record, SplitPredictions
from medzoo.report.results import gather
from medzoo.report.submission import (
    choose_on_val,
    collect_labels,
    put_in_order,
    read_submission,
    score_submission,
    write_submission,
)
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.spec import read_study

COUNTS = {"breastmnist": 4, "retinamnist": 3}
LABELS = {
    "retinamnist": np.array([4, 0, 2]),
    "breastmnist": np.array([1, 1, 0, 1]),
}
LINES = """id,id_image_in_task,task_name,label
0,0,retinamnist,4
1,1,retinamnist,0
2,2,retinamnist,2
3,0,breastmnist,1
4,1,breastmnist,1
5,2,breastmnist,0
6,3,breastmnist,1
"""


def make_split(num_classes, labels):
    return SplitPredictions(np.eye(num_classes)[labels], np.array(labels))


def write_run(store, task, predictions):
    run = Run(
        task=task,
        data="synthetic",
        model="multi_head" if "+" in task else "mlp",
    )
    record = Record(run=run, run_id=run.run_id, status="done")
    store.write(record, predictions)
    return record


def test_the_file_is_that_of_the_competition(tmp_path):
    path = tmp_path / "submission.csv"
    assert write_submission(put_in_order(LABELS), path) == 7
    assert path.read_bytes() == LINES.encode()


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "submission.csv"
    for order in ("medzoo", "alphabetical", "breastmnist,retinamnist"):
        labels = LABELS if order == "medzoo" else put_in_order(LABELS, order)
        write_submission(labels, path)
        found = read_submission(path, COUNTS.__getitem__)
        assert [*found] == [*labels]
        for task, values in found.items():
            np.testing.assert_array_equal(values, LABELS[task])


def test_rows_may_stand_in_any_order(tmp_path):
    path = tmp_path / "submission.csv"
    rows = [line.split(",", 1)[1] for line in LINES.splitlines()[1:]]
    shuffled = [f"{i},{row}" for i, row in enumerate(reversed(rows))]
    path.write_text("\n".join([LINES.splitlines()[0], *shuffled]))
    found = read_submission(path, COUNTS.__getitem__)
    np.testing.assert_array_equal(found["retinamnist"], LABELS["retinamnist"])


def test_orders_of_other_tasks_are_one_sentence():
    for order in ("breastmnist", "alphabet", "breastmnist,breastmnist"):
        with pytest.raises(ValueError, match="`order` must be medmnist"):
            put_in_order(LABELS, order)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "id,id_image",
            "nr,id_image",
            "row 1: the columns must be id,id_image",
        ),
        ("3,0,breast", "4,0,breast", "row 5, column `id`: expected 3"),
        ("2,2,retina", "2,3,retina", "row 4, column `id_image_in_task`"),
        ("2,2,retina", "2,1,retina", "row 4, .* image 1 .* is there twice"),
        ("0,retinamnist,4", "0,retinamnist,5", "row 2, .*`label`: .* 0 to 4"),
        ("breastmnist,0", "breastmnist,-1", "row 7, column `label`"),
        ("breastmnist,0", "breastmnist,0.0", "row 7, .* Received: '0.0'"),
        ("2,2,retinamnist", "2,2,chestmnist", "row 4, column `task_name`"),
        ("1,1,retinamnist,0", "1,1,retinamnist", "row 3, .* has 4 cells"),
        ("6,3,breastmnist,1\n", "", "1 of the 4 test images of `breastmnist`"),
    ],
)
def test_a_wrong_file_is_refused_with_row_and_column(
    tmp_path, old, new, sentence
):
    path = tmp_path / "submission.csv"
    assert old in LINES
    path.write_text(LINES.replace(old, new, 1))
    with pytest.raises(ValueError, match=sentence):
        read_submission(path, COUNTS.__getitem__)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "submission.csv"
    for text in ("", LINES.splitlines()[0]):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"empty file|no row"):
            read_submission(path, COUNTS.__getitem__)
    with pytest.raises(FileNotFoundError, match="No file there"):
        read_submission(tmp_path / "other.csv", COUNTS.__getitem__)


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = {
        "retinamnist": rng.integers(0, 5, 40),
        "breastmnist": rng.integers(0, 2, 30),
    }
    found = {
        "retinamnist": rng.integers(0, 4, 40),
        "breastmnist": rng.integers(0, 2, 30),
    }
    expected = {
        task: f1_score(
            truth[task],
            found[task],
            average="macro",
            labels=range(5 if task == "retinamnist" else 2),
            zero_division=0,
        )
        for task in truth
    }
    scores, mean = score_submission(found, truth)
    assert scores == pytest.approx(expected)
    assert mean == pytest.approx(2 / sum(1 / v for v in expected.values()))


def test_labels_come_from_stored_predictions_alone(tmp_path):
    store = Store(tmp_path)
    both = write_run(
        store,
        "retinamnist+breastmnist",
        Predictions(
            by_task={
                task: Predictions(test=SplitPredictions(np.eye(5)[own], own))
                for task, own in LABELS.items()
            }
        ),
    )
    alone = write_run(
        store, "bloodmnist", Predictions(test=make_split(8, [7, 3]))
    )
    found = collect_labels([both, alone], store, "synthetic")
    assert found["bloodmnist"].tolist() == [7, 3]
    for task, labels in LABELS.items():
        np.testing.assert_array_equal(found[task], labels)
    again = write_run(
        store, "breastmnist", Predictions(test=make_split(2, [0, 1]))
    )
    with pytest.raises(ValueError, match="`breastmnist` is predicted by two"):
        collect_labels([both, again], store, "synthetic")


def test_a_submission_in_another_encoding_is_one_sentence(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("id,label", encoding="utf-16")
    with pytest.raises(ValueError, match="is no CSV file in UTF-8"):
        read_submission(path, len)


def test_data_that_are_called_like_a_task_are_not_submitted(tmp_path):
    store = Store(tmp_path)
    for data in ("folder:breastmnist", "synthetic"):
        run = Run(task="breastmnist", data=data)
        record = Record(run=run, run_id=run.run_id, status="done")
        store.write(record, Predictions(test=make_split(2, [0] * 156)))
        with pytest.raises(ValueError, match="is of other data"):
            collect_labels([record], store)


def test_the_rows_must_be_those_of_the_official_file(tmp_path):
    store = Store(tmp_path)
    run = Run(task="breastmnist")
    record = Record(run=run, run_id=run.run_id, status="done")
    store.write(record, Predictions(test=make_split(2, [0, 1])))
    with pytest.raises(ValueError, match="Expected 156 images. Received: 2"):
        collect_labels([record], store)
    store.write(record, Predictions(val=make_split(2, [0, 1])))
    with pytest.raises(ValueError, match="no predictions on test"):
        collect_labels([record], store)


def test_the_trial_and_seed_to_submit_are_chosen_on_val():
    study = make_study(("adam", "sgd"))
    val = {"adam": (0.5, 0.7), "sgd": (0.4, 0.75)}
    records = {}
    for trial, run in expand(study):
        record = make_record(run, 0.9 if trial.name == "sgd" else 0.1)
        score = val[trial.name][run.seed]
        record.scores = record.scores | {"val": {"macro_f1": score}}
        records[run.run_id] = record
    choice = choose_on_val(gather(expand(study), records))
    assert (choice.trial, choice.seed) == ("adam", 1)
    assert {r.run.task for r in choice.records} == set(study.tasks)
    with pytest.raises(ValueError, match="No trial of the study has all"):
        choose_on_val(gather(expand(study), {}))


def test_a_study_goes_from_training_to_its_score(tmp_path, medzoo, capsys):
    (tmp_path / "both.toml").write_text("""
question = "One net or two?"
tasks = ["retinamnist", "breastmnist"]
seeds = [0]
data = "synthetic"
[fixed]
width = 8
steps = 2
max_images = 32
[[trials]]
name = "one"
model = "multi_head"
trunk = "mlp"
[[trials]]
name = "two"
model = "mlp"
""")
    folder = run_here(read_study("both.toml"), tmp_path / "results")
    told = capsys.readouterr().err
    assert "one run for all tasks of 1 trial = 3 runs" in told
    summary = (folder / "summary.csv").read_text()
    rows = [line.split(",") for line in summary.splitlines()]
    nets = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
    assert dict(zip(nets["model"], nets["nets"], strict=True)) == {
        "multi_head": "1",
        "mlp": "2",
    }
    told = medzoo(
        "submit", "./both.toml", "--data", "synthetic", "--out", "s.csv"
    ).err
    assert "Best on val" in told
    assert "wants all 11 tasks" in told
    told = medzoo("evaluate", "s.csv", "--data", "synthetic").out
    shown = float(told.splitlines()[-1].split()[-1])
    means = map(float, nets["harmonic_mean"])
    assert any(shown == pytest.approx(mean, abs=1e-4) for mean in means)
