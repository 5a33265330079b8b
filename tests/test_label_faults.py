"""Images that every run gets wrong: probable label faults."""

import csv

import numpy as np
import pytest
from own_images import make_folder
from report_records import make_record

from medzoo.data.sources import load
from medzoo.record import Predictions, SplitPredictions
from medzoo.scores.probabilities import per_class_f1, score
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.spec import read_study

STUDY = """question = "Which width?"
data = "folder:cells"
tasks = ["cells"]
seeds = [0, 1, 2]
[axes]
width = [8, 16]
[fixed]
model = "mlp"
steps = 2
"""


@pytest.fixture
def stored(tmp_path, medzoo):
    """A study whose runs all get the first test image wrong, one the second."""
    make_folder(tmp_path / "cells")
    (tmp_path / "s.toml").write_text(STUDY, encoding="utf-8")
    study, store = read_study("s.toml"), Store()
    for number, (_, run) in enumerate(expand(study)):
        data = load("cells", run.data, run.size)
        labels = data.test.labels
        wrong = [0, 1] if number == 3 else [0]
        predicted = labels.copy()
        predicted[wrong] = (labels[wrong] + 1) % data.num_classes
        shares = np.full((len(labels), data.num_classes), 0.1, "float32")
        shares[np.arange(len(labels)), predicted] = 1 - 0.1 * (
            data.num_classes - 1
        )
        split = SplitPredictions(shares, labels)
        found = score(shares, labels, data.num_classes) | {"loss": 0.1}
        changes = {
            "scores": {"val": found, "test": found},
            "per_class_f1": {"test": per_class_f1(shares, labels).tolist()},
            "classes": list(data.classes),
            "data_fingerprint": data.fingerprint,
        }
        store.write(make_record(run, **changes), Predictions(split, split))
    return data


def test_an_audit_with_a_study_lists_what_every_run_gets_wrong(
    stored, tmp_path, medzoo
):
    out = medzoo("audit", "cells", "--with", "s.toml").out
    assert f"1 of {len(stored.test)} test images are wrong in all of" in out
    folder = tmp_path / "results" / "cells_audit"
    with (folder / "label_faults.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["place"] == "0"
    assert row["label"] == stored.classes[stored.test.labels[0]]
    assert row["prediction"] != row["label"]
    expected = 1 - 0.1 * (stored.num_classes - 1)
    assert float(row["probability"]) == pytest.approx(expected, abs=1e-3)
    assert (tmp_path / "cells" / row["image"]).is_file()
    page = (folder / "audit.html").read_text(encoding="utf-8")
    assert row["image"] in page
    assert "data:image/png" in page


def test_a_study_of_other_images_is_refused(stored, medzoo):
    said = medzoo("audit", "cells", "--size", 12, "--with", "s.toml", code=2)
    assert "no predictions on these images" in said.err
