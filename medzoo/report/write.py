"""Writes the report of a study from its records alone."""

from dataclasses import dataclass
from pathlib import Path

from medzoo.files import replacing, writing
from medzoo.report.about_data import format_notes, list_notes, list_warnings
from medzoo.report.figures import KINDS, NAMES, make_figures
from medzoo.report.html import make_html, make_index
from medzoo.report.pages import list_failures, make_page
from medzoo.report.results import TrialResults, read_results
from medzoo.report.study_tables import (
    make_per_task,
    make_runs,
    make_summary,
    rank,
)
from medzoo.report.summary import summarise
from medzoo.report.tables import Table, format_table, to_csv
from medzoo.report.verdict import write_verdict
from medzoo.store import Store
from medzoo.study.spec import Study

# Files that a report has only if there is something to show.
_OPTIONAL = {"failed.md", *(f"{n}.{kind}" for n in NAMES for kind in KINDS)}


@dataclass(frozen=True)
class Report:
    """What was written.

    Args:
        paths: The files, in the order in which a reader wants them.
        summary: The table of trials.
        verdict: What may be concluded, in one to three sentences.
        results: The trials in the order of the study.
        runs_done: Runs with scores.
        runs_failed: Runs that failed or diverged.
        runs_missing: Runs without a record.
        notes: What is to be said about the data.
    """

    paths: tuple[Path, ...]
    summary: Table
    verdict: str
    results: list[TrialResults]
    runs_done: int
    runs_failed: int
    runs_missing: int
    notes: tuple[str, ...]

    @property
    def markdown(self) -> str:
        """The table of trials as Markdown, without its page."""
        return format_table(self.summary)


def write_report(
    study: Study,
    store: Store,
    out: Path,
    *,
    command: str,
    smoke: bool = False,
) -> Report:
    """Writes tables and figures of a study into `out/<study.name>/`.

    The same records give the same files, byte for byte. Each file is replaced
    at once, so a reader never sees half a table.

    Args:
        study: What was asked.
        store: Where the records are.
        out: Folder of all reports; a smoke run gets `out/<study.name>_smoke/`.
        command: The command that runs the study, as the pages show it.
        smoke: Whether to report the runs of a smoke run.
    """
    found = read_results(study, store, smoke=smoke)
    results = rank(found)
    folder = out / study.folder_name(smoke=smoke)
    baseline = study.baseline.name if study.baseline else None
    statistics = summarise(
        results, store, baseline, equal_within=study.equal_within
    )
    summary = make_summary(results, study.axis_names, statistics)
    warnings = list_warnings(results, store)
    per_task = make_per_task(results, study.axis_names, statistics)
    contents = _make_texts(
        study,
        results,
        {"summary": summary, "per_task": per_task},
        verdict=write_verdict(statistics),
        command=command,
        smoke=smoke,
        warnings=warnings,
    )
    figures = make_figures(
        study, results, store, statistics, folder, smoke=smoke
    )
    page = make_html(
        study,
        results,
        store,
        statistics,
        summary=summary,
        command=command,
        smoke=smoke,
        figures=figures,
    )
    contents |= {"report.html": page.encode(), **figures}
    _replace_files(folder, contents)
    replace_file(out / "index.html", make_index(out).encode())
    done = sum(len(trial.done) for trial in results)
    failed = sum(len(trial.failed) for trial in results)
    return Report(
        paths=tuple(folder / name for name in contents),
        summary=summary,
        verdict=write_verdict(statistics),
        results=found,
        runs_done=done,
        runs_failed=failed,
        runs_missing=sum(trial.num_asked for trial in results) - done - failed,
        notes=(*warnings, *format_notes(list_notes(results))),
    )


def _make_texts(
    study: Study,
    results: list[TrialResults],
    tables: dict[str, Table],
    *,
    verdict: str,
    command: str,
    smoke: bool,
    warnings: list[str],
) -> dict[str, bytes]:
    """Makes the content of the tables and of their pages by name."""
    texts = {}
    for name, table in tables.items():
        texts[f"{name}.md"] = make_page(
            name,
            table,
            study=study,
            results=results,
            verdict=verdict,
            command=command,
            smoke=smoke,
            warnings=warnings,
        )
        texts[f"{name}.csv"] = to_csv(table)
    texts["runs.csv"] = to_csv(make_runs(results))
    if any(trial.failed for trial in results):
        texts["failed.md"] = list_failures(study, results)
    return {name: text.encode() for name, text in texts.items()}


def _replace_files(folder: Path, contents: dict[str, bytes]) -> None:
    """Puts all files in place, and takes away those that there are no more."""
    for name, content in contents.items():
        replace_file(folder / name, content)
    for name in _OPTIONAL - set(contents):
        (folder / name).unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Puts a file in place at once, whatever reads or writes it meanwhile."""
    with writing(path), replacing(path) as part:
        part.write_bytes(content)
