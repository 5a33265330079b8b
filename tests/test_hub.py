"""Repositories of Hugging Face: metadata, and nothing of the own machine."""

import json
from pathlib import Path

import pytest
from report_records import make_record

from medzoo.record import Predictions
from medzoo.report.hub import find_licence, make_metadata, make_readme
from medzoo.report.without_paths import hide_folders
from medzoo.runs.run import Run


def record_of(**values):
    return make_record(Run(**{"task": "breastmnist", **values}), 0.81239)


def read_metadata(readme):
    """Reads the lines before the card, each a value of YAML that is JSON."""
    _, head, _ = readme.split("---\n", 2)
    lines = (line.split(": ", 1) for line in head.splitlines())
    return {key: json.loads(value) for key, value in lines}


def test_metadata_have_what_hugging_face_sorts_models_by():
    readme = make_readme(record_of(), Predictions(), "me/it")
    found = read_metadata(readme)
    assert found["license"] == "cc-by-4.0"
    assert found["library_name"] == "keras"
    assert found["pipeline_tag"] == "image-classification"
    assert {"medzoo", "breastmnist"} <= set(found["tags"])
    assert found["datasets"] == ["albertvillanova/medmnist-v2"]
    (index,) = found["model-index"]
    (result,) = index["results"]
    assert result["dataset"]["split"] == "test"
    values = {m["type"]: m["value"] for m in result["metrics"]}
    assert values["f1"] == 0.8124
    assert "roc_auc" not in values  # It is not known.
    assert set(values) == set(found["metrics"])
    assert "hf download me/it" in readme
    assert "no medical device" in readme


@pytest.mark.parametrize(
    ("licence", "values"),
    [
        ("cc-by-nc-4.0", {"task": "dermamnist"}),
        ("other", {"data": "synthetic"}),
        ("other", {"data": "folder:cells"}),
        ("other", {"model": "transfer"}),
        ("cc-by-4.0", {"model": "transfer", "options": {"weights": "none"}}),
    ],
)
def test_the_licence_is_that_of_the_data_unless_others_have_a_say(
    licence, values
):
    record = record_of(**values)
    assert find_licence(record) == licence
    assert make_metadata(record, "mit")["license"] == "mit"
    says = "licence of the backbone" in make_readme(record, Predictions())
    assert says == (values == {"model": "transfer"})


def test_custom_data_have_no_scores_under_another_name():
    found = make_metadata(record_of(task="cells", data="csv:cells/all.csv"))
    assert "datasets" not in found
    assert found["model-index"][0]["results"][0]["dataset"]["type"] == "cells"


@pytest.mark.parametrize(
    "data",
    [
        "folder:/home/jane doe/ward 3/cells",
        "folder:../jane/cells",
        "folder:~/jane/cells",
        "folder:jane/private/cells",
    ],
)
def test_a_published_record_names_no_folder(data, tmp_path):
    home = Path.home() / "jane" / "it.py"
    record = record_of(task="cells", data=data)
    record.notes = [f"2 files of {data.partition(':')[2]}/a are bad."]
    record.warnings = [
        f'Watcher failed (File "{home}", line 3): {tmp_path}/jane/x.log',
        "C:\\jane\\images and /mnt/jane/images; 3/4 and/or 24/7, a / b",
        "See https://zenodo.org/jane for more.",
    ]
    found = hide_folders(record)
    assert found.run_id == record.run_id
    assert found.run.data == "folder:cells"
    assert found.scores == record.scores
    assert found.notes == ["2 files of cells/a are bad."]
    assert found.warnings == [
        'Watcher failed (File "it.py", line 3): x.log',
        "images and images; 3/4 and/or 24/7, a / b",
        "See https://zenodo.org/jane for more.",
    ]
    readme = make_readme(found, Predictions())
    assert "jane" not in readme.replace("zenodo.org/jane", "")
