import base64
import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from report_records import (
    SCORES,
    TASKS,
    find_run,
    make_record,
    make_records,
    make_study,
)

from medzoo.report.figures.explained import path_explained, write_explained
from medzoo.report.write import write_report
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.kept_models import find_folder

GOLDEN = Path(__file__).parent / "golden"
COLUMNS = Path(__file__).parents[1] / "results" / "README.md"
FIGURES = ["macro_f1_by_task.png", "macro_f1_by_task.svg"]


def report(study, records, folder, **options):
    """Stores the records and writes their report."""
    store = Store(folder / "runs")
    for record in records.values():
        store.write(record)
    options = {"command": "make study NAME=toy", **options}
    return write_report(study, store, folder / "results", **options)


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["summary.md", "per_task.md"])
def test_pages_are_the_golden_ones(name, tmp_path):
    study = make_study()
    report(study, make_records(study), tmp_path)
    written = (tmp_path / "results" / "toy" / name).read_text()
    assert written == (GOLDEN / name).read_text()


def test_page_of_a_broken_study_is_the_golden_one(tmp_path):
    study = make_study(data="synthetic")
    scores = SCORES | {"sgd": [[0.5, None], [0.5, 0.25]]}
    records = make_records(study, scores)
    run = find_run(study, "lion")
    error = {
        "type": "ValueError",
        "message": "`width` must be | even.",
        "traceback": "Traceback:\n  ```\nValueError\n",
    }
    records[run.run_id] = make_record(run, status="failed", error=error)
    found = report(study, records, tmp_path)
    folder = tmp_path / "results" / "toy"
    for name in ("summary", "failed"):
        golden = (GOLDEN / f"broken_{name}.md").read_text()
        page = (folder / f"{name}.md").read_text()
        assert page.replace(run.run_id, "RUN_ID") == golden
    counts = (found.runs_done, found.runs_failed, found.runs_missing)
    assert counts == (10, 1, 1)


def test_same_records_give_the_same_bytes(tmp_path):
    study = make_study()
    records = make_records(study)
    backwards = dict(reversed(records.items()))
    report(study, records, tmp_path / "a")
    report(study, backwards, tmp_path / "b")
    report(study, backwards, tmp_path / "b")
    first = bytes_of(tmp_path / "a" / "results" / "toy")
    assert first == bytes_of(tmp_path / "b" / "results" / "toy")
    tables = ["summary.md", "summary.csv", "per_task.md", "per_task.csv"]
    assert sorted(first) == sorted(
        [*tables, "runs.csv", "report.html", *FIGURES]
    )


def test_report_names_what_it_wrote_and_shows_the_summary(tmp_path):
    study = make_study()
    found = report(study, make_records(study), tmp_path)
    assert all(path.is_file() for path in found.paths)
    page = (tmp_path / "results" / "toy" / "summary.md").read_text()
    assert found.markdown in page
    assert found.markdown.startswith("| optimizer |")


def test_list_of_failures_goes_when_the_failures_do(tmp_path):
    study = make_study()
    records = make_records(study)
    run = find_run(study, "adam")
    failed = make_record(run, status="failed", error={"message": "Boom."})
    report(study, records | {run.run_id: failed}, tmp_path)
    page = tmp_path / "results" / "toy" / "failed.md"
    assert "Boom." in page.read_text()
    report(study, records, tmp_path)
    assert not page.exists()


def test_smoke_runs_are_reported_apart_and_said_to_be_so(tmp_path):
    report(make_study(), {}, tmp_path, smoke=True)
    page = (tmp_path / "results" / "toy_smoke" / "summary.md").read_text()
    assert page.startswith("**Smoke run")
    assert "steps 2" in page


@pytest.mark.parametrize("smoke", [False, True])
def test_explained_images_are_those_of_the_runs_reported(smoke, tmp_path):
    study, store = make_study(), Store(tmp_path / "runs")
    run = expand(study, smoke=smoke)[0].run
    folder = find_folder(study, store, smoke=smoke) / run.run_id
    folder.mkdir(parents=True)
    images, maps = np.zeros((1, 8, 8, 1), "uint8"), np.eye(8)[None]
    path = path_explained(folder, run.task)
    write_explained(path, images=images, maps=maps, captions=["an image"])
    for asked in (False, True):
        report(study, {}, tmp_path, smoke=asked)
    (picture,) = (tmp_path / "results").glob("*/explained.png")
    assert picture.parent.name == ("toy_smoke" if smoke else "toy")
    page = picture.with_name("report.html").read_text()
    assert base64.b64encode(picture.read_bytes()).decode() in page


def test_a_study_without_records_has_a_report(tmp_path):
    found = report(make_study(baseline=None), {}, tmp_path)
    page = (tmp_path / "results" / "toy" / "summary.md").read_text()
    assert (found.runs_done, found.runs_missing) == (0, 12)
    assert "- Date: no records yet" in page


def test_figure_takes_names_that_look_like_formulas(tmp_path):
    study = make_study(["adam", "sgd"])
    trials = tuple(
        type(trial)(f"$x_{{{trial.name}$ & <b>", trial.values)
        for trial in study.trials
    )
    study = make_study(trials=trials, baseline=None)
    report(study, {}, tmp_path)
    image = (tmp_path / "results" / "toy" / FIGURES[1]).read_text()
    assert "$x_{adam$ &amp; &lt;b&gt;" in image


def test_every_column_is_explained(tmp_path):
    study = make_study()
    report(study, make_records(study), tmp_path)
    sections = re.split(r"^## ", COLUMNS.read_text(), flags=re.MULTILINE)
    explained = {
        section.split()[0]: set(re.findall(r"`(\w+)`", section))
        for section in sections
    }
    for path in (tmp_path / "results" / "toy").glob("*.csv"):
        with path.open() as file:
            columns = set(next(csv.reader(file)))
        by_rule = {
            name for name in columns if name.endswith(("_std", "_low", "_high"))
        }
        by_rule |= set(study.axis_names) | set(TASKS)
        if path.stem == "runs":
            by_rule = set()
        assert columns - by_rule <= explained[path.stem], path.name


def test_reports_import_no_backend(tmp_path):
    code = (
        "import sys, medzoo.report.write, medzoo.report.figures\n"
        "from pathlib import Path\n"
        "from medzoo.store import Store\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from report_records import make_study\n"
        "out = Path(sys.argv[2])\n"
        "medzoo.report.write.write_report(\n"
        "    make_study(), Store(out / 'runs'), out, command='x')\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib.pyplot'}\n"
        "print(*heavy & set(sys.modules))\n"
    )
    here = str(Path(__file__).parent)
    found = subprocess.run(
        [sys.executable, "-c", code, here, tmp_path],
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
    )
    assert found.stdout.split() == []
