"""Trials of two studies on the same images, pair by pair."""

import dataclasses

import pytest
from page_records import make_alike, make_widths, report_on
from typer.testing import CliRunner

from medzoo.cli import app
from medzoo.record import Predictions, SplitPredictions
from medzoo.report.evidence_file import write_evidence
from medzoo.report.pairwise import compare_studies, open_evidence
from medzoo.report.results import gather
from medzoo.study.expand import expand
from medzoo.tasks import NAMES


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    study = make_widths(4, tasks=NAMES[:2], seeds=(0, 1, 2))
    return report_on(
        study, tmp_path_factory.mktemp("whole"), *make_alike(study)
    )


def split(evidence, names, **changes):
    """Takes some trials of a study as a study of its own."""
    study = dataclasses.replace(evidence.study, baseline=None, **changes)
    results = [r for r in evidence.results if r.trial.name in names]
    return type(evidence).of(study, evidence.store, results)


def test_studies_of_shared_images_are_compared_as_one_study(whole):
    first = split(whole, {"width 8", "width 9"}, name="a")
    second = split(whole, {"width 10", "width 11"}, name="b")
    table = compare_studies(first, second)
    assert len(table.rows) == 4
    sizes = [abs(row[2].estimate) for row in table.rows]
    assert sizes == sorted(sizes, reverse=True)
    for name, other, difference, p, verdict in table.rows:
        own, theirs = name.removeprefix("a: "), other.removeprefix("b: ")
        joint = whole.statistics.trials[own].to_others[theirs]
        assert difference.estimate == pytest.approx(joint.estimate)
        assert difference.low == pytest.approx(joint.low)
        assert (p, verdict) == (difference.p_corrected, difference.verdict)


def test_a_trial_that_both_have_is_compared_once(whole):
    first = split(whole, {"width 8", "width 9"}, name="a")
    second = split(whole, {"width 9", "width 10"}, name="b")
    table = compare_studies(first, second)
    pairs = {(row[0], row[1]) for row in table.rows}
    assert pairs == {
        ("a: width 8", "b: width 10"),
        ("a: width 9", "b: width 10"),
    }


def test_only_shared_seeds_and_tasks_count(whole):
    one = split(whole, {"width 8"}, name="a")
    study = dataclasses.replace(
        whole.study, name="b", baseline=None, seeds=(1, 2), tasks=NAMES[1:2]
    )
    records = whole.store.read_many(run.run_id for _, run in expand(study))
    fewer = gather(expand(study), records)
    other = type(whole).of(
        study, whole.store, [t for t in fewer if t.trial.name == "width 10"]
    )
    (row,) = compare_studies(one, other).rows
    means = [
        trial.matrix("macro_f1")[1:, 1].mean()
        for name in ("width 8", "width 10")
        for trial in whole.results
        if trial.trial.name == name
    ]
    assert row[2].estimate == pytest.approx(means[0] - means[1])


def test_other_images_are_refused(whole, tmp_path):
    study = dataclasses.replace(whole.study, name="b")
    records, predictions = make_alike(study)
    run = expand(study)[0].run
    found = predictions[run.run_id].test
    turned = SplitPredictions(found.probabilities[::-1], found.labels[::-1])
    predictions[run.run_id] = Predictions(turned, turned)
    other = report_on(study, tmp_path / "turned", records, predictions)
    with pytest.raises(ValueError, match="tested on other images of"):
        compare_studies(whole, other)
    moved = {
        run_id: record.model_copy(update={"data_fingerprint": "own:12:34"})
        for run_id, record in records.items()
    }
    other = report_on(study, tmp_path / "moved", moved, predictions)
    with pytest.raises(ValueError, match=r"own-12 \(60 images\)"):
        compare_studies(whole, other)


def test_what_cannot_be_compared_is_refused(whole, tmp_path):
    smoke = dataclasses.replace(whole, smoke=True)
    with pytest.raises(ValueError, match="Only finished studies"):
        compare_studies(whole, smoke)
    with pytest.raises(ValueError, match="runs of the second study are runs"):
        compare_studies(whole, whole)
    study = make_widths(2, tasks=NAMES[:1], seeds=(7,))
    other = report_on(study, tmp_path, *make_alike(study))
    with pytest.raises(ValueError, match="share no task, or no seed"):
        compare_studies(whole, other)


def test_the_command_compares_two_files(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, widths in (("a", ("8", "9")), ("b", ("10", "11"))):
        part = split(whole, {f"width {w}" for w in widths}, name=name)
        write_evidence(part, tmp_path / name / "evidence.zip")
    assert open_evidence("a").title == open_evidence("a/evidence.zip").title
    command = ["compare", "a", "b/evidence.zip", "--format", "csv"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("trial,minus,difference,")
    assert len(lines) == 5
