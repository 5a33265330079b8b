"""The report of a study, written from its records alone."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medzoo.files import replacing, writing
from medzoo.messages import encode_text, tolerating
from medzoo.report.candidates import CANDIDATES, make_candidates
from medzoo.report.corruption_tables import (
    CORRUPTIONS,
    make_corruption_files,
)
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import (
    EVIDENCE,
    EvidenceFile,
    describe_evidence,
    find_predicted,
    write_evidence,
)
from medzoo.report.figures import KINDS, NAMES, make_figures
from medzoo.report.gallery import keep_gallery
from medzoo.report.html import make_html
from medzoo.report.images import keep_attributes
from medzoo.report.index import make_index
from medzoo.report.leaks import LEAKS, make_leaks
from medzoo.report.pages import list_failures, make_page
from medzoo.report.score_files import SCORE_FILES, make_score_files
from medzoo.report.study_tables import (
    make_per_task,
    make_runs,
    make_short_summary,
    make_summary,
    make_trials,
)
from medzoo.report.subgroups import (
    describe_gaps_of_best,
    make_subgroups,
)
from medzoo.report.tables import Table, format_table, to_csv
from medzoo.store import Reader, Store
from medzoo.study.spec import Study

# Files that a report has only if there is something to show.
_OPTIONAL = {
    "failed.md",
    "subgroups.csv",
    CANDIDATES,
    LEAKS,
    *SCORE_FILES,
    *CORRUPTIONS,
    *(f"{n}.{kind}" for n in NAMES for kind in KINDS),
}


@dataclass(frozen=True)
class Report:
    """The report of a study, and where it was written.

    Args:
        evidence: The trials and their statistics.
        summary: The table of trials with every column.
        paths: The files, in the order in which a reader wants them; none if
            nothing was written.
        unwritten: Why nothing was written, in a sentence or two.
    """

    evidence: Evidence
    summary: Table
    paths: tuple[Path, ...] = ()
    unwritten: str = ""

    @property
    def page(self) -> Path | None:
        """The page for a browser."""
        return next((p for p in self.paths if p.suffix == ".html"), None)

    @property
    def markdown(self) -> str:
        """The short table of trials as Markdown, without its page."""
        return format_table(make_short_summary(self.evidence))


def write_report(
    study: Study,
    store: Store,
    out: Path,
    *,
    command: str,
    smoke: bool = False,
    force: bool = False,
    pictures: bool = False,
    large_evidence: bool = False,
) -> Report:
    """Writes tables and figures of a study into `out/<its folder>/`.

    The same records give the same files, byte for byte. Each file is replaced
    at once, so a reader never sees half a table. Nothing is written without a
    record, nor in place of a report of other data or one with finished runs
    that this one has not.

    Args:
        study: The question and its trials.
        store: Where the records are.
        out: Folder of all reports; see `Study.folder_name`.
        command: The command that runs the study, as the pages show it.
        smoke: Whether to report the runs of a smoke run.
        force: Whether to replace any earlier report.
        pictures: Whether the page and the evidence show custom images that
            trials fail at, with the names of their files, and those under
            masks.
        large_evidence: Whether to write the evidence of more than 10,000 runs,
            which takes minutes.
    """
    evidence = Evidence.read(study, store, smoke=smoke, command=command)
    if not evidence.records:
        unwritten = format_no_records(command, store, evidence.title)
        return Report(evidence, make_summary(evidence), unwritten=unwritten)
    with tolerating("Reading the test images"):
        keep_attributes(study, evidence.results, store)
        found, kept = evidence.results, evidence.galleries
        keep_gallery(study, found, kept, store, pictures=pictures)
    return write_evidence_report(
        evidence, out, force=force, large_evidence=large_evidence
    )


def write_evidence_report(
    evidence: Evidence,
    out: Path,
    *,
    force: bool = False,
    large_evidence: bool = False,
) -> Report:
    """Writes the report of what was read, from a store or an evidence file.

    See `write_report`.
    """
    summary, folder = make_summary(evidence), out / evidence.title
    runs = make_runs(evidence.results, evidence.study.asked_scores)
    if not force and (reason := find_loss(folder, runs, evidence.store)):
        reason = f"{folder} is left as it is: {reason} `--force` replaces it."
        return Report(evidence, summary, unwritten=reason)
    is_kept = large_evidence or not evidence.is_large
    is_kept |= isinstance(evidence.store, EvidenceFile)
    size = write_evidence(evidence, folder / EVIDENCE) if is_kept else 0
    short, per_task = make_short_summary(evidence), make_per_task(evidence)
    feet = (
        describe_gaps_of_best(evidence.subgroups),
        describe_evidence(evidence.title, size) if size else "",
    )
    texts = {
        "summary.md": make_page(
            evidence,
            "summary",
            short,
            make_trials(evidence),
            foot="\n\n".join(filter(None, feet)),
        ),
        "summary.csv": to_csv(summary),
        "per_task.md": make_page(evidence, "per_task", per_task),
        "per_task.csv": to_csv(per_task),
        "runs.csv": to_csv(runs),
    }
    texts |= make_score_files(evidence)
    if evidence.candidates:
        texts[CANDIDATES] = to_csv(make_candidates(evidence.candidates))
    if evidence.corrupted:
        texts |= make_corruption_files(evidence)
    if leaks := evidence.leak_scores:
        texts[LEAKS] = to_csv(make_leaks(evidence.results, leaks))
    if evidence.num_failed:
        texts["failed.md"] = list_failures(evidence)
    if evidence.subgroups:
        texts["subgroups.csv"] = to_csv(make_subgroups(evidence.subgroups))
    figures = make_figures(evidence, folder)
    texts["report.html"] = make_html(
        evidence,
        figures,
        evidence_bytes=size,
        runs=runs,
    )
    contents = {
        name: encode_text(text) for name, text in texts.items()
    } | figures
    for name, content in contents.items():
        replace_file(folder / name, content)
    for name in _OPTIONAL - set(contents):
        (folder / name).unlink(missing_ok=True)
    replace_file(out / "index.html", encode_text(make_index(out)))
    if not is_kept:
        (folder / EVIDENCE).unlink(missing_ok=True)
    names = (*contents, *[EVIDENCE] * is_kept)
    return Report(evidence, summary, tuple(folder / name for name in names))


def format_no_records(command: str, store: Store, title: str) -> str:
    """Words that a study has no records, and the command that makes them."""
    folder = store.folder
    place = folder if folder.is_absolute() else f"./{folder}"
    return f"No records of `{title}` in {place}. Run `{command}` first."


def find_loss(folder: Path, runs: Table, store: Reader) -> str:
    """Finds what would be lost if a report took the place of an earlier one.

    Args:
        folder: Of the earlier report, if there is one.
        runs: The table of runs of the later one.
        store: Where its records are.

    Returns:
        A sentence, or nothing if nothing would be lost: all runs that the
        earlier report has are done here as well, with their predictions, or
        are no longer part of the study, and there are as many of them.
    """
    path = folder / "runs.csv"
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", newline="") as file:
        earlier = csv.reader(file)
        old = _choose(next(earlier, []), earlier)
    old = [row for row in old if row["status"] == "done"]
    rows = _choose(runs.columns, runs.rows)
    new = [row for row in rows if row["status"] == "done"]
    sources = {_describe_data(row) for row in rows}
    others = {_describe_data(row) for row in old} - sources
    if others:
        return f"It shows results of other data ({', '.join(sorted(others))})."
    if len(new) < len(old):
        return f"It has {len(old)} finished runs, and there are {len(new)} now."
    planned = {str(row["run_id"]) for row in rows}
    done = {str(row["run_id"]) for row in new}
    lost = {row["run_id"] for row in old} & planned - done
    if lost:
        count = f"{len(lost)} run{'s' * (len(lost) > 1)}"
        return f"It has {count} that {store.folder} does not."
    lost = {
        run_id
        for run_id in find_predicted(folder / EVIDENCE) & planned
        if not store.has_predictions(run_id)
    }
    if lost:
        count = f"{len(lost)} run{'s' * (len(lost) > 1)}"
        return f"It has predictions of {count} that {store.folder} has not."
    return ""


# Columns of the table of runs that say which run it is, and of which data.
_COMPARED = ("run_id", "status", "data", "data_options")


def _choose(
    columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> list[dict[str, Any]]:
    """Picks these columns of each row: `None` where it has not all of them."""
    at = [(n, columns.index(n)) for n in _COMPARED if n in columns]
    blank = dict.fromkeys(_COMPARED)
    return [
        blank | {name: row[i] for name, i in at if i < len(row)} for row in rows
    ]


def _describe_data(row: Mapping[str, Any]) -> str:
    """Words the source of the data of a run, and how they are read."""
    options = json.loads(row.get("data_options") or "{}")
    words = (f"{key} {value}" for key, value in sorted(options.items()))
    return ", ".join([str(row["data"]), *words])


def replace_file(path: Path, content: bytes) -> None:
    """Puts a file in place at once, whatever reads or writes it meanwhile."""
    with writing(path), replacing(path) as part:
        part.write_bytes(content)
