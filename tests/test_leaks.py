"""Scores without the test images that leak."""

import dataclasses
import json

import numpy as np
import pytest
from page_records import make_drawn, make_widths, report_on
from sklearn.metrics import f1_score
from test_audit import make, noise

from medzoo.data.audit.audit import audit
from medzoo.report.leaks import make_leaks
from medzoo.report.study_tables import make_short_summary, make_summary
from medzoo.store import Store
from medzoo.study.audits import keep_audit
from medzoo.study.expand import expand

LEAKS = {"breastmnist": [0, 5, 11, 17], "retinamnist": [2, 3]}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A study, its predictions and its evidence before any audit."""
    study, folder = make_widths(2), tmp_path_factory.mktemp("runs")
    records, predictions = make_drawn(study)
    return study, predictions, report_on(study, folder, records, predictions)


def audited(evidence, folder, tasks, **findings):
    """Returns evidence of a study whose data were audited meanwhile."""
    store = Store(folder)
    for task in tasks:
        found = {"fingerprint": f"drawn:{task}", "line": f"{task} leaks."}
        keep_audit(store, found | {"test_leaks": LEAKS[task]} | findings)

    class Both(Store):
        def read_file(self, name):
            return store.read_file(name) or evidence.store.read_file(name)

    both = Both(evidence.store.folder)
    return dataclasses.replace(evidence, store=both)


def list_rows(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_scores_without_leaks_are_those_of_the_other_images(drawn, tmp_path):
    study, predictions, evidence = drawn
    evidence = audited(evidence, tmp_path, LEAKS)
    rows = list_rows(make_leaks(evidence.results, evidence.leak_scores))
    assert len(rows) == 4
    means = {}
    for row in rows:
        scores = []
        for trial, run in expand(study):
            if (trial.name, run.task) != (row["trial"], row["task"]):
                continue
            test = predictions[run.run_id].test
            kept = np.setdiff1d(np.arange(len(test.labels)), LEAKS[run.task])
            scores.append(
                f1_score(
                    test.labels[kept],
                    test.probabilities[kept].argmax(1),
                    labels=range(test.probabilities.shape[1]),
                    average="macro",
                    zero_division=0,
                )
            )
        found = row["macro_f1_without_leaks"]
        assert found == pytest.approx(np.mean(scores), abs=1e-6)
        assert row["leaking_images"] == len(LEAKS[row["task"]])
        means.setdefault(row["trial"], []).append(found)
    name = "macro F1 without leaks"
    for row in list_rows(make_short_summary(evidence)):
        expected = np.mean(means[row["trial"]])
        assert row[name].mean == pytest.approx(expected, abs=1e-5)


def test_the_mean_is_of_studies_whose_tasks_all_leak(drawn, tmp_path):
    evidence = audited(drawn[2], tmp_path, ["breastmnist"])
    assert set(evidence.leak_scores["width 8"]) == {"breastmnist"}
    for row in list_rows(make_summary(evidence)):
        assert row["macro_f1_without_leaks"] is None


@pytest.mark.parametrize(
    "findings",
    [{"test_leaks": []}, {"test_leaks": [40]}, {"fingerprint": "drawn:x"}],
)
def test_there_is_no_column_where_nothing_is_known_to_leak(
    drawn, tmp_path, findings
):
    evidence = audited(drawn[2], tmp_path, ["breastmnist"], **findings)
    assert evidence.leak_scores == {}
    assert "without_leaks" not in "".join(make_summary(evidence).columns)


def test_groups_of_train_leak_as_well():
    dataset = make(noise(4), noise(2, 1), noise(3, 2))
    dataset.test.images[2] = noise(4)[1]
    groups = ["p", "q", "", "r", "s", "s", "p", "t", ""]
    found, _ = audit(dataset, groups=groups)
    assert found.test_leaks == [0, 2]
    assert json.loads(json.dumps(found.summary()))["test_leaks"] == [0, 2]
