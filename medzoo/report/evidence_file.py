"""Evidence of a study in one file, which its report can be made from again."""

import contextlib
import hashlib
import io
import operator
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from medzoo.files import DAMAGED, replacing, writing
from medzoo.record import Predictions, Record, round_probabilities
from medzoo.report.bootstrap import name_replicates
from medzoo.report.candidates import Candidate
from medzoo.report.evidence import Evidence
from medzoo.report.figures import find_masks
from medzoo.report.figures.explained import find_explained
from medzoo.report.gallery import read_shown
from medzoo.report.images import (
    fingerprint_of,
    format_pictures,
    name_pictures,
)
from medzoo.report.own_scores import with_own_scores
from medzoo.report.results import MOST_SHOWN, TrialResults
from medzoo.report.subgroups import Breakdown
from medzoo.runs.json_model import JsonModel
from medzoo.runs.run import Run
from medzoo.scores.table import SCORES
from medzoo.store import Reader
from medzoo.study.audits import hide_groups, name_audit
from medzoo.study.kept_models import name_folder
from medzoo.study.spec import Study

EVIDENCE = "evidence.zip"
_CONTENTS, _RECORDS = "contents.json", "records.jsonl"
_IF_ANY = Field(exclude_if=operator.not_)
# Raise it when files of before cannot be read any more.
_FORMAT = 1
# Bytes of an unpacked member beyond which it is none of ours.
_LARGEST = 2**31
# Arrays of predictions that are kept as they are.
_KEPT = re.compile(r"^examples/|^test/pixel_counts$|(^|/)corrupted/")


class _Cells(BaseModel):
    """A trial, and the run of each seed and task."""

    trial: TrialResults
    cells: list[tuple[int, str, str]]


class _Contents(JsonModel):
    """What an evidence file holds.

    Args:
        format: Of the file.
        command: The command that runs the study.
        smoke: Whether the runs are those of a smoke run.
        study: As of `Study.to_json`.
        trials: The best first.
        missing: Runs without a record, by `run_id`.
        subgroups: Scores by subgroup, in place of the attributes of images.
        candidates: Of tuned values; their records are among the others.
        arrays: Members with the predictions of each run, by the names that
            they have in `Predictions.to_arrays`.
        sha256: Checksums of all other members.
    """

    # What is compared without predictions has no p-value.
    model_config = ConfigDict(ser_json_inf_nan="constants")

    format: Annotated[int, Field(ge=_FORMAT, le=_FORMAT)]
    command: str
    smoke: bool
    study: str
    trials: list[_Cells]
    missing: dict[str, Run]
    subgroups: Annotated[list[Breakdown], _IF_ANY] = []
    candidates: Annotated[list[Candidate], _IF_ANY] = []
    arrays: dict[str, dict[str, str]]
    sha256: dict[str, str]


class DamagedEvidence(ValueError):
    """An evidence file that is damaged, or none."""


class EvidenceFile(Reader):
    """Records, predictions and findings that were written by `write_evidence`.

    The file is a zip archive, and `numpy.load` opens it as well. Each member is
    compared with its checksum when it is read. Of more than 10,000 runs the
    histories are left out, as in a report.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.folder = path
        try:
            if not path.is_file():  # A pipe would be waited for.
                raise FileNotFoundError(path)
            self._archive = zipfile.ZipFile(path)
            size = max(m.file_size for m in self._archive.infolist())
            if size > _LARGEST:
                raise ValueError(f"a member that unpacks to {size:,} bytes")
            text = self._archive.read(_CONTENTS)
            self.contents = _Contents.model_validate_json(text)
        except OSError as error:
            raise FileNotFoundError(
                f"No evidence there. Expected an `{EVIDENCE}`, as `medzoo "
                f"study report` writes it. Received: {path}."
            ) from error
        except DAMAGED as error:
            raise self._fault(error) from None

    @contextlib.contextmanager
    def _reading(self, *worded: type[Exception]) -> Iterator[None]:
        """Says why the file is damaged, unless an error says what is wrong."""
        try:
            yield
        except DamagedEvidence:
            raise
        except worded:
            raise
        except (*DAMAGED, OSError, IndexError, AttributeError) as error:
            raise self._fault(error) from error

    def read(self, run_id: str, *, history: bool = True) -> Record | None:
        record = self._records.get(run_id)
        if record is None or history:
            return record
        return record.model_copy(update={"history": []})

    def has_predictions(self, run_id: str) -> bool:
        return run_id in self.contents.arrays

    def read_predictions(self, run_id: str) -> Predictions | None:
        members = self.contents.arrays.get(run_id)
        if members is None:
            return None
        with self._reading():
            return Predictions.from_arrays(
                {name: self._read_array(m) for name, m in members.items()}
            )

    def read_file(self, name: str) -> bytes | None:
        known = f"files/{name}" in self.contents.sha256
        return self._read_member(f"files/{name}") if known else None

    def cache_file(self, name: str, content: bytes) -> None:
        """Keeps nothing: the file stays as it is."""

    def read_evidence(self, **shown: Any) -> Evidence:
        """Reads the study and its results, and computes their statistics.

        Args:
            **shown: As of `Study.show`.
        """
        contents = self.contents
        with self._reading():
            study = Study.from_json(contents.study)
        study = study.show(**shown)
        with self._reading(ValueError):
            for name, score in study.own_scores.items():
                SCORES.setdefault(name, score)
            return Evidence.of(
                study,
                self,
                [self._fill(cells, study) for cells in contents.trials],
                smoke=contents.smoke,
                command=contents.command,
                candidates=contents.candidates,
                kept_subgroups=contents.subgroups,
            )

    @cached_property
    def _records(self) -> dict[str, Record]:
        num_runs = sum(len(trial.cells) for trial in self.contents.trials)
        digest, found = hashlib.sha256(), {}
        with self._reading():
            with self._archive.open(_RECORDS) as file:
                for line in file:
                    digest.update(line)
                    history = num_runs <= MOST_SHOWN
                    record = Record.from_json(line, history=history)
                    found[record.run_id] = record
            self._compare(_RECORDS, digest.hexdigest())
        return found

    def _fill(self, found: _Cells, study: Study) -> TrialResults:
        """Puts the runs and records of a trial into their cells."""
        runs, records = {}, {}
        mine = dict.fromkeys(run_id for _, _, run_id in found.cells)
        known = {i: self._records[i] for i in mine if i in self._records}
        known = with_own_scores(known, self, study.asked_scores)
        for seed, task, run_id in found.cells:
            record = known.get(run_id)
            if record is None:
                runs[seed, task] = self.contents.missing[run_id]
            else:
                runs[seed, task] = record.run
                records[seed, task] = record.of_task(task)
        return replace(found.trial, runs=runs, records=records)

    def _read_array(self, member: str) -> np.ndarray:
        content = io.BytesIO(self._read_member(member))
        return np.lib.format.read_array(content, allow_pickle=False)

    def _read_member(self, name: str) -> bytes:
        with self._reading():
            content = self._archive.read(name)
            self._compare(name, hashlib.sha256(content).hexdigest())
        return content

    def _compare(self, name: str, digest: str) -> None:
        if digest != self.contents.sha256[name]:
            raise self._fault(f"the checksum of {name} is another")

    def _fault(self, reason: object) -> DamagedEvidence:
        first = (str(reason).splitlines() or [type(reason).__name__])[0]
        return DamagedEvidence(
            f"`{self.folder}` is damaged, or not the evidence of a study. "
            f"Expected a file that `medzoo study report` has written. "
            f"Received: {first}."
        )


def read_evidence(path: Path, **shown: Any) -> Evidence:
    """Reads a study from its evidence, without data and training library.

    Args:
        path: The file, or the folder of results that it is in.
        **shown: What the report shows beside what the study asks for, as of
            `Study.show`.
    """
    path = path / EVIDENCE if path.is_dir() else path
    return EvidenceFile(path).read_evidence(**shown)


def write_evidence(evidence: Evidence, path: Path) -> int:
    """Writes all that the report of a study is made from into one file.

    It holds fields, scores and history of each run and of each candidate of
    `[tuned]`; the probabilities of each run on val and test, rounded by
    `round_probabilities`; labels and numbers of groups once for
    all runs on the same data; of masks
    what is counted for each test image, and the examples that are shown. Of
    attributes of images it holds the scores by subgroup alone. The same
    evidence gives the same bytes. Records and predictions are read and written
    one by one: no more than their names is held of them.

    Returns:
        The size of the file in bytes.
    """
    with writing(path), replacing(path) as part:
        if isinstance(evidence.store, EvidenceFile):
            shutil.copyfile(evidence.store.folder, part)
        else:
            with zipfile.ZipFile(
                part, "x", zipfile.ZIP_DEFLATED, compresslevel=9
            ) as archive:
                _write_all(_Members(archive), evidence)
        return os.path.getsize(part)


def find_predicted(path: Path) -> set[str]:
    """Lists the runs whose predictions a file has; none if it is no such file.

    Args:
        path: Of an evidence file that may be missing or damaged.
    """
    try:
        return set(EvidenceFile(path).contents.arrays)
    except (FileNotFoundError, ValueError):
        return set()


def describe_evidence(title: str, num_bytes: int) -> str:
    """Words what the evidence file beside a report is for.

    Example:

    >>> describe_evidence("optimizers", 350_000).partition(" holds")[0]
    '[evidence.zip](evidence.zip) (0.35 MB)'
    """
    return (
        f"[{EVIDENCE}]({EVIDENCE}) ({max(num_bytes / 1e6, 0.01):.2f} MB) holds "
        "the runs with their probabilities; `medzoo study report --from "
        f"results/{title}` makes this folder from it."
    )


class _Members:
    """Members of an archive that is written, and their checksums."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.sha256: dict[str, str] = {}

    def add(self, name: str, content: Iterable[bytes]) -> None:
        digest = hashlib.sha256()
        with self._archive.open(name, "w") as file:
            for part in content:
                file.write(part)
                digest.update(part)
        self.sha256[name] = digest.hexdigest()

    def add_array(self, name: str, array: np.ndarray) -> str:
        """Adds an array, and returns its name: that of an equal one, if known.

        `{}` in the name is its digest.
        """
        file = io.BytesIO()
        np.lib.format.write_array(file, array, allow_pickle=False)
        content = file.getvalue()
        name = name.format(hashlib.sha256(content).hexdigest()[:16])
        if name not in self.sha256:
            self.add(name, [content])
        return name


def _write_all(members: _Members, evidence: Evidence) -> None:
    store = evidence.store
    records = _list_whole(evidence)
    tried = store.read_many(
        _list_candidates(evidence) - set(records),
        history=not evidence.is_large,
    )
    kept = [*records.values(), *(tried[run_id] for run_id in sorted(tried))]
    whole = (_with_history(record, evidence) for record in kept)
    lines = (f"{record.model_dump_json()}\n".encode() for record in whole)
    members.add(_RECORDS, lines)
    arrays = {}
    shown = find_masks(evidence.best, store)
    for run_id in records:
        predictions = store.read_predictions(run_id)
        if predictions is not None:
            with_examples = shown is not None and shown[0].run_id == run_id
            examples = shown[1] if shown and with_examples else None
            picked = replace(predictions, examples=examples)
            arrays[run_id] = {
                name: members.add_array(member, array)
                for name, member, array in _pick(run_id, picked)
            }
    for name, content in _list_files(evidence):
        members.add(f"files/{name}", [content])
    contents = _Contents(
        format=_FORMAT,
        command=evidence.command,
        smoke=evidence.smoke,
        study=evidence.study.to_json(),
        trials=[_list_cells(trial) for trial in evidence.results],
        missing={
            run.run_id: run
            for trial in evidence.results
            for run in trial.runs.values()
            if run.run_id not in records
        },
        subgroups=evidence.subgroups,
        candidates=list(evidence.candidates),
        arrays=arrays,
        sha256=dict(members.sha256),
    )
    members.add(_CONTENTS, [contents.model_dump_json(indent=1).encode()])


def _list_whole(evidence: Evidence) -> dict[str, Record]:
    """Returns the record of each run; cells of several tasks have parts."""
    found = {record.run_id: record for record in evidence.records}
    parts = [r.run_id for r in found.values() if len(r.run.tasks) > 1]
    whole = evidence.store.read_many(parts, history=not evidence.is_large)
    asked = evidence.study.asked_scores
    return found | with_own_scores(whole, evidence.store, asked)


def _with_history(record: Record, evidence: Evidence) -> Record:
    """Adds the history, which the results of many runs lack."""
    whole = evidence.store.read(record.run_id) if evidence.is_large else None
    if whole is None:
        return record
    return record.model_copy(update={"history": whole.history})


def _list_candidates(evidence: Evidence) -> set[str]:
    return {run_id for c in evidence.candidates for run_id in c.run_ids}


def _list_cells(trial: TrialResults) -> _Cells:
    cells = [(s, task, run.run_id) for (s, task), run in trial.runs.items()]
    return _Cells(trial=replace(trial, runs={}, records={}), cells=cells)


def _pick(
    run_id: str, predictions: Predictions
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yields the arrays to keep, with their names in run and archive."""
    for name, array in predictions.to_arrays().items():
        member = f"predictions/{run_id}/{name}.npy"
        if name.endswith("/probabilities"):
            yield name, member, round_probabilities(array)
        elif name.endswith(("/labels", "/groups", "corrupted/kinds")):
            yield name, f"{name.rpartition('/')[2]}/{{}}.npy", array
        elif _KEPT.search(name):
            yield name, member, array


def _list_files(evidence: Evidence) -> Iterator[tuple[str, bytes]]:
    """Yields findings of audits, and images that are shown, by their names."""
    store = evidence.store
    audits = {name_audit(r.data_fingerprint) for r in evidence.records}
    audits |= {
        name_audit(fingerprint_of(record, task))
        for trial in evidence.results
        for (_, task), record in trial.records.items()
    }
    for name in sorted(audits):
        if content := store.read_file(name):
            yield name, hide_groups(content)
    shown = read_shown(evidence.galleries, store)
    for fingerprint, pictures in sorted(shown.items()):
        yield name_pictures(fingerprint), format_pictures(pictures)
    if evidence.study.score in evidence.study.own_scores:
        yield from _list_replicates(evidence)
    models = name_folder(evidence.study, smoke=evidence.smoke)
    for _, name, content in find_explained(evidence.results, store, models):
        yield name, content


def _list_replicates(evidence: Evidence) -> Iterator[tuple[str, bytes]]:
    """Yields bootstraps of an own score, which need its function."""
    names = {
        name_replicates(record, task, evidence.study.score)
        for trial in evidence.results
        for (_, task), record in trial.records.items()
    }
    for name in sorted(names):
        if content := evidence.store.read_file(name):
            yield name, content
