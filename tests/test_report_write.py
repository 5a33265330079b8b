import base64
import csv
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
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
    made = found.evidence
    counts = (made.num_done, made.num_failed, made.num_missing)
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
        [*tables, "runs.csv", "report.html", "evidence.zip", *FIGURES]
    )


def test_report_names_what_it_wrote_and_shows_the_summary(tmp_path):
    study = make_study()
    found = report(study, make_records(study), tmp_path)
    assert all(path.is_file() for path in found.paths)
    page = (tmp_path / "results" / "toy" / "summary.md").read_text()
    assert found.markdown in page
    assert found.markdown.startswith("| trial |")


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


def make_smoke_records(study):
    """Makes the records of two-step runs."""
    runs = [run for _, run in expand(study, smoke=True)]
    return {run.run_id: make_record(run, 0.5) for run in runs}


def test_smoke_runs_are_reported_apart_and_said_to_be_so(tmp_path):
    study = make_study()
    report(study, make_smoke_records(study), tmp_path, smoke=True)
    page = (tmp_path / "results" / "toy@smoke" / "summary.md").read_text()
    assert page.startswith("**Smoke run")
    assert "steps 2" in page
    assert "best" not in page.replace("keep best", "").replace("best macro", "")


@pytest.mark.parametrize("smoke", [False, True])
def test_explained_images_are_those_of_the_runs_reported(smoke, tmp_path):
    study, store = make_study(), Store(tmp_path / "runs")
    run = expand(study, smoke=smoke)[0].run
    folder = find_folder(study, store, smoke=smoke) / run.run_id
    folder.mkdir(parents=True)
    images, maps = np.zeros((1, 8, 8, 1), "uint8"), np.eye(8)[None]
    path = path_explained(folder, run.task)
    write_explained(path, images=images, maps=maps, captions=["an image"])
    records = make_records(study) | make_smoke_records(study)
    for asked in (False, True):
        report(study, records, tmp_path, smoke=asked)
    (picture,) = (tmp_path / "results").glob("*/explained.png")
    assert picture.parent.name == ("toy@smoke" if smoke else "toy")
    page = picture.with_name("report.html").read_text()
    assert base64.b64encode(picture.read_bytes()).decode() in page


def test_without_a_record_nothing_is_written(tmp_path):
    found = report(make_study(baseline=None), {}, tmp_path)
    assert found.unwritten.startswith("No records of `toy` in ")
    assert found.unwritten.endswith("Run `make study NAME=toy` first.")
    assert found.paths == ()
    assert not (tmp_path / "results").exists()


def test_only_force_replaces_a_report_of_more_runs_or_other_data(tmp_path):
    study, store = make_study(), Store(tmp_path / "few")
    report(study, make_records(study), tmp_path)
    folder = tmp_path / "results" / "toy"
    before = bytes_of(folder)
    run = find_run(study, "adam")
    store.write(make_record(run, 0.5))
    found = write_report(study, store, tmp_path / "results", command="x")
    assert "12 finished runs, and there are 1 now" in found.unwritten
    assert bytes_of(folder) == before
    moved = make_study(data="synthetic")
    records = make_records(moved)
    assert "other data" in report(moved, records, tmp_path).unwritten
    assert bytes_of(folder) == before
    write_report(study, store, tmp_path / "results", command="x", force=True)
    assert bytes_of(folder) != before


def test_runs_that_the_study_no_longer_has_do_not_keep_a_report(tmp_path):
    study = make_study(["adam", "sgd"])
    report(study, make_records(study), tmp_path)
    changed = make_study(["adam", "lion"])
    assert not report(changed, make_records(changed), tmp_path).unwritten


def test_a_report_is_not_replaced_by_as_many_other_runs(tmp_path):
    study = make_study(["adam", "sgd"])
    records = list(make_records(study).values())
    halves = records[:4], records[4:]
    for folder, half in zip("ab", halves, strict=True):
        store = Store(tmp_path / folder)
        for record in half:
            store.write(record)
        found = write_report(study, store, tmp_path / "out", command="x")
    assert "4 runs that" in found.unwritten


@pytest.mark.parametrize(
    ("changes", "smoke", "name"),
    [
        ({}, False, "toy"),
        ({"tasks": TASKS, "seeds": [1, 0]}, False, "toy"),
        ({}, True, "toy@smoke"),
        ({"data": "synthetic"}, False, "toy@synthetic"),
        ({"tasks": TASKS[:1]}, False, "toy@breastmnist"),
        (
            {"data": "synthetic", "tasks": ["bloodmnist"], "seeds": [0, 2]},
            True,
            "toy@synthetic+bloodmnist+seeds-0-2+smoke",
        ),
        (
            {"data_options": {"drop_leaks": True}},
            False,
            "toy@drop_leaks",
        ),
    ],
)
def test_folder_is_named_by_what_flags_have_changed(changes, smoke, name):
    assert make_study().override(**changes).folder_name(smoke=smoke) == name


def test_a_page_says_what_flags_have_changed(tmp_path):
    study = make_study().override(tasks=TASKS[:1])
    records = {r.run_id: make_record(r, 0.5) for _, r in expand(study)}
    report(study, records, tmp_path)
    folder = tmp_path / "results" / "toy@breastmnist"
    for page in ("summary.md", "report.html"):
        text = (folder / page).read_text()
        assert "Changed by flags: tasks breastmnist." in text


class Ways(RuleBasedStateMachine):
    """Whatever is run, reported or interrupted, no page loses a run."""

    def __init__(self):
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name)
        self.file = make_study(["adam", "sgd"])
        self.seen = {}

    def teardown(self):
        self.place.cleanup()

    def run_some(self, study, store, smoke, count):
        """Runs so many of the runs that have no record yet, and reports."""
        store = Store(self.folder / store)
        missing = [
            run
            for _, run in expand(study, smoke=smoke)
            if store.read(run.run_id) is None
        ]
        for run in missing[:count]:
            store.write(make_record(run, 0.5))
        write_report(
            study, store, self.folder / "out", command="x", smoke=smoke
        )

    @rule(
        store=st.sampled_from(["here", "there"]),
        count=st.integers(0, 8),
        smoke=st.booleans(),
        tasks=st.sampled_from([None, TASKS[:1], TASKS[1:]]),
        seeds=st.sampled_from([None, (0,), (0, 1, 2)]),
        data=st.sampled_from([None, "synthetic"]),
    )
    def run(self, store, count, smoke, tasks, seeds, data):
        study = self.file.override(tasks=tasks, seeds=seeds, data=data)
        self.run_some(study, store, smoke, count)

    @invariant()
    def no_run_is_lost(self):
        for path in self.folder.glob("out/*/runs.csv"):
            with path.open() as file:
                rows = list(csv.DictReader(file))
            done = {r["run_id"] for r in rows if r["status"] == "done"}
            assert self.seen.get(path, set()) <= done
            self.seen[path] = done
            # What the study says of itself is in its own folder alone.
            if path.parent.name == "toy":
                assert {r["data"] for r in rows} == {"medmnist"}
                assert len(rows) == 8


TestWays = Ways.TestCase
TestWays.settings = settings(max_examples=6, stateful_step_count=5)


def test_figure_takes_names_that_look_like_formulas(tmp_path):
    study = make_study(["adam", "sgd"])
    trials = tuple(
        type(trial)(f"$x_{{{trial.name}$ & <b>", trial.values)
        for trial in study.trials
    )
    study = make_study(trials=trials, baseline=None)
    runs = [run for _, run in expand(study)]
    records = {run.run_id: make_record(run, 0.5) for run in runs}
    report(study, records, tmp_path)
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


@pytest.mark.slow
def test_report_of_very_many_runs_leaves_each_to_its_table(tmp_path):
    study = make_study(["adam", "sgd"], seeds=tuple(range(2_501)))
    scores = {name: [[0.5, 0.25]] for name in ("adam", "sgd")}
    entry = {"step": 1.0, "epoch": 1.0, "val_macro_f1": 0.5, "val_loss": 1.0}
    records = {
        run_id: record.model_copy(update={"history": [entry]})
        for run_id, record in make_records(
            make_study(["adam", "sgd"], seeds=(0,)), scores
        ).items()
    }
    found = report(study, records, tmp_path)
    folder = tmp_path / "results" / "toy"
    names = {path.name for path in folder.iterdir()}
    assert not names & {"evidence.zip", "learning_curves.png"}
    assert set(found.paths) == set(folder.iterdir())
    with (folder / "runs.csv").open() as file:
        assert len(file.readlines()) == 1 + 10_004
    assert "runs.csv has all" in (folder / "summary.md").read_text()


def test_a_report_names_data_as_its_study_does(tmp_path, monkeypatch):
    """And not by the path at which another machine trained on them."""
    split = {"images": np.zeros((8, 28, 28), "uint8"), "labels": [0, 1] * 4}
    arrays = {
        f"{name}_{kind}": values
        for name in ("train", "val", "test")
        for kind, values in split.items()
    }
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "scans.npz", **arrays)
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "here"))
    study = make_study(tasks=("scans",), data="npz:$MEDZOO_DATA/scans.npz")
    there = f"npz:{tmp_path / 'there' / 'scans.npz'}"
    runs = [run for _, run in expand(study)]
    records = {
        run.run_id: make_record(run.model_copy(update={"data": there}), 0.5)
        for run in runs
    }
    written = report(study, records, tmp_path)
    assert written.evidence.num_done == len(runs)
    for path in written.paths:
        content = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as members:
                content = members.read("records.jsonl")
            assert b"$MEDZOO_DATA/scans.npz" in content
        assert there.encode() not in content, path
