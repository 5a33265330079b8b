"""Evidence files: a report made from one is the report that it came with."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_records import make_drawn, make_widths
from report_records import make_record

from medzoo.record import MaskExamples, Predictions, SplitPredictions
from medzoo.report.evidence_file import (
    EvidenceFile,
    read_evidence,
    round_probabilities,
)
from medzoo.report.figures.explained import path_explained, write_explained
from medzoo.report.write import write_evidence_report, write_report
from medzoo.scores.counts import count_masks, score_masks
from medzoo.store import Store
from medzoo.study.audits import keep_audit
from medzoo.study.expand import expand
from medzoo.study.kept_models import find_folder
from medzoo.tasks import NAMES

ROOT = Path(__file__).parents[1]


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fill(store, study):
    """Stores records, predictions, an audit and an explained image.

    One run has failed and one is missing.
    """
    records, predictions = make_drawn(study)
    runs = [run for _, run in expand(study)]
    error = {"type": "ValueError", "message": "Boom.", "traceback": "line 7"}
    records[runs[0].run_id] = make_record(runs[0], status="failed", error=error)
    for run in runs[:-1]:
        found = records[run.run_id]
        done = found.status == "done"
        store.write(found, predictions[run.run_id] if done else None)
    fingerprint = f"drawn:{study.tasks[0]}"
    found = {"line": "3 leaks.", "test_leaks": [1, 4, 6]}
    groups = {"split_groups": ["patient 7"]}
    keep_audit(store, {"fingerprint": fingerprint} | found | groups)
    path = path_explained(find_folder(study, store) / runs[1].run_id, "x")
    path = path.with_name(path.name.replace("x", runs[1].task))
    image = np.zeros((1, 8, 8, 1), "uint8")
    write_explained(path, images=image, maps=np.eye(8)[None], captions=["A"])


def fill_masked(store, study):
    """Stores runs with masks; the later trial is the better one."""
    truth = np.random.default_rng(0).integers(0, 3, (20, 8, 8))
    for at, (_, run) in enumerate(expand(study)):
        random = np.random.default_rng(at)
        wrong = random.random(truth.shape) < 0.4 / (at + 1)
        masks = np.where(wrong, (truth + 1) % 3, truth)
        counts = count_masks(truth, masks, 3)
        labels = np.array([0, 1] * 10)
        split = SplitPredictions(np.eye(2)[labels], labels, counts)
        examples = MaskExamples(
            np.array([4]),
            np.zeros((1, 8, 8, 1), "uint8"),
            truth[4:5].astype("int8"),
            masks[4:5].astype("uint8"),
        )
        changes = {
            "mask_classes": ["none", "a", "b"],
            "classes": ["without", "with"],
            "per_class_f1": {"test": [1.0, 1.0]},
        }
        record = make_record(run, 1.0, **changes)
        record.scores["test"] |= score_masks(counts)
        store.write(record, Predictions(split, split, examples=examples))


STUDIES = {
    "labels": (make_widths(3).override(seeds=[0, 2]), fill),
    "masks": (
        make_widths(2, tasks=("shapes",), data="synthetic", score="dice"),
        fill_masked,
    ),
}


@pytest.fixture(scope="module", params=STUDIES)
def reported(request, tmp_path_factory):
    """The report of a study, and where it is."""
    study, put = STUDIES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    store = Store(folder / "runs")
    put(store, study)
    report = write_report(study, store, folder / "results", command="make it")
    return report, report.page.parent


def test_a_report_from_evidence_is_the_same_byte_for_byte(reported, tmp_path):
    report, folder = reported
    assert (folder / "evidence.zip") in report.paths
    alone = tmp_path / "clone" / "results" / folder.name
    alone.mkdir(parents=True)
    shutil.copy(folder / "evidence.zip", alone)
    made = write_evidence_report(read_evidence(alone), alone.parent)
    assert made.unwritten == ""
    assert bytes_of(alone) == bytes_of(folder)
    assert {path.name for path in made.paths} == set(bytes_of(folder))
    # And once more in place.
    write_evidence_report(read_evidence(alone), alone.parent)
    assert bytes_of(alone) == bytes_of(folder)


def test_the_same_records_give_the_same_evidence(reported, tmp_path):
    report, folder = reported
    evidence = report.evidence
    out = tmp_path / "again"
    write_report(evidence.study, evidence.store, out, command="make it")
    again = (out / folder.name / "evidence.zip").read_bytes()
    assert again == (folder / "evidence.zip").read_bytes()


def test_scores_of_labels_are_those_of_the_predictions(reported):
    report, folder = reported
    evidence, kept = report.evidence, EvidenceFile(folder / "evidence.zip")
    for record in evidence.records:
        ours = evidence.store.read_predictions(record.run_id)
        theirs = kept.read_predictions(record.run_id)
        assert (ours is None) == (theirs is None)
        if ours is None:
            continue
        for split in ("val", "test"):
            one, other = getattr(ours, split), getattr(theirs, split)
            assert other.probabilities.dtype == "float16"
            np.testing.assert_array_equal(one.labels, other.labels)
            np.testing.assert_array_equal(
                one.predicted_labels, other.predicted_labels
            )
            np.testing.assert_allclose(
                one.probabilities, other.probabilities, rtol=1e-3, atol=1e-7
            )


def test_findings_of_audits_are_kept_without_names_of_groups(reported):
    _, folder = reported
    with zipfile.ZipFile(folder / "evidence.zip") as archive:
        found = [archive.read(n) for n in archive.namelist() if "audits/" in n]
    assert all(b"3 leaks." in content for content in found)
    assert not any(b"patient 7" in content for content in found)


def test_numpy_opens_it_and_labels_are_kept_once(reported):
    report, folder = reported
    store = report.evidence.store
    predictions = [
        found
        for record in report.evidence.records
        if (found := store.read_predictions(record.run_id)) is not None
    ]
    labels = {found.test.labels.tobytes() for found in predictions}
    with np.load(folder / "evidence.zip") as arrays:
        names = [name for name in arrays.files if name.startswith("labels/")]
        assert {arrays[name].tobytes() for name in names} == labels
    assert len(names) == len(labels) < 2 * len(predictions)


def test_the_page_says_how_large_its_evidence_is(reported):
    _, folder = reported
    size = f"{(folder / 'evidence.zip').stat().st_size / 1e6:.2f} MB"
    for name in ("summary.md", "report.html"):
        assert size in (folder / name).read_text()


def test_the_command_needs_neither_data_nor_a_backend(reported, tmp_path):
    _, folder = reported
    code = (
        "import sys\n"
        "from medzoo.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch'}\n"
        "print(*heavy & set(sys.modules), file=sys.stderr)\n"
    )
    command = ["study", "report", "--from", folder, "--out", tmp_path]
    found = subprocess.run(
        [sys.executable, "-c", code, *command],
        check=True,
        timeout=60,
        cwd=ROOT,
        capture_output=True,
    )
    assert found.stderr.split() == []
    assert bytes_of(tmp_path / folder.name) == bytes_of(folder)


def change(path, into, name, content):
    """Copies an archive with other content of one member."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(into, "w") as new:
        for member in old.namelist():
            kept = old.read(member) if member != name else content
            new.writestr(member, kept)
    return into


def test_damage_is_a_sentence(reported, tmp_path):
    _, folder = reported
    path, other = folder / "evidence.zip", tmp_path / "evidence.zip"
    other.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match="is damaged, or not the evidence"):
        read_evidence(other)
    with pytest.raises(ValueError, match=r"checksum of records\.jsonl"):
        read_evidence(change(path, other, "records.jsonl", b""))
    with zipfile.ZipFile(path) as archive:
        contents = json.loads(archive.read("contents.json"))
    later = json.dumps(contents | {"format": 2}).encode()
    with pytest.raises(ValueError, match="is damaged, or not the evidence"):
        read_evidence(change(path, other, "contents.json", later))
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}]), allow_pickle=True)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("contents.json", pickled.getvalue())
    with pytest.raises(ValueError, match="is damaged, or not the evidence"):
        read_evidence(other)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("contents.json", later)
        archive.filelist[0].file_size = 2**32
    with pytest.raises(ValueError, match="unpacks to 4,294,967,296 bytes"):
        read_evidence(other)
    with pytest.raises(FileNotFoundError, match="No evidence there"):
        read_evidence(tmp_path / "nowhere")


@pytest.mark.slow
def test_evidence_of_many_runs_is_whole_where_it_is_asked_for(tmp_path):
    """10,008 runs, of which a report reads no histories."""
    study = make_widths(4, tasks=NAMES[:2], seeds=tuple(range(1251)))
    records, predictions = make_drawn(study, num_images=20, num_checks=2)
    store, out = Store(tmp_path / "runs"), tmp_path / "out"
    for at, (run_id, record) in enumerate(records.items()):
        store.write(record, predictions[run_id] if at % 100 == 0 else None)
    folder = write_report(study, store, out, command="x").page.parent
    assert "evidence.zip" not in bytes_of(folder)
    assert b"--evidence" in bytes_of(folder)["report.html"]
    write_report(study, store, out, command="x", large_evidence=True)
    found = bytes_of(folder)
    with zipfile.ZipFile(folder / "evidence.zip") as archive:
        lines = archive.read("records.jsonl").splitlines()
    assert len(lines) == 10_008
    assert all(json.loads(line)["history"] for line in lines)
    write_evidence_report(read_evidence(folder), tmp_path / "again")
    assert bytes_of(tmp_path / "again" / folder.name) == found


def test_predictions_are_not_lost_to_a_store_without_them(tmp_path):
    study = make_widths(2, tasks=NAMES[:1])
    records, predictions = make_drawn(study)
    whole, bare = Store(tmp_path / "whole"), Store(tmp_path / "bare")
    for run_id, record in records.items():
        whole.write(record, predictions[run_id])
        bare.write(record)
    out = tmp_path / "out"
    write_report(study, whole, out, command="x")
    found = write_report(study, bare, out, command="x")
    assert "predictions of 4 runs" in found.unwritten
    assert not write_report(study, bare, out, command="x", force=True).unwritten


@given(
    st.lists(
        st.lists(st.integers(0, 4000), min_size=3, max_size=3).filter(any),
        min_size=1,
    )
)
def test_rounding_keeps_the_most_probable_class(shares):
    shares = np.array(shares, "float32")
    probabilities = shares / shares.sum(axis=1, keepdims=True)
    found = round_probabilities(probabilities)
    assert (found.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(found, probabilities, rtol=2e-3, atol=1e-7)
