"""Writes the report of a study from its records alone."""

import os
from dataclasses import dataclass
from pathlib import Path

from medzoo.report.by_run import make_runs
from medzoo.report.by_trial import make_per_task, make_summary, rank
from medzoo.report.figures import draw_macro_f1, render
from medzoo.report.markdown import format_table
from medzoo.report.matrix import TrialResults, gather
from medzoo.report.pages import list_failures, make_page
from medzoo.report.tables import to_csv
from medzoo.study.expand import expand
from medzoo.study.spec import Study
from medzoo.study.store import Store


@dataclass(frozen=True)
class Report:
    """What was written.

    Args:
        paths: The files, in the order in which a reader wants them.
        markdown: The summary table as text, without its page.
        runs_done: Runs with scores.
        runs_failed: Runs that failed or diverged.
        runs_missing: Runs without a record.
    """

    paths: tuple[Path, ...]
    markdown: str
    runs_done: int
    runs_failed: int
    runs_missing: int


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
    planned = expand(study, smoke=smoke)
    records = store.read_many(item.run.run_id for item in planned)
    results = rank(gather(planned, records))
    folder = out / (f"{study.name}_smoke" if smoke else study.name)
    folder.mkdir(parents=True, exist_ok=True)
    contents = _make_files(study, results, command=command, smoke=smoke)
    for name, content in contents.items():
        _replace(folder / name, content)
    if "failed.md" not in contents:
        (folder / "failed.md").unlink(missing_ok=True)
    done = sum(len(trial.done) for trial in results)
    failed = sum(len(trial.failed) for trial in results)
    return Report(
        paths=tuple(folder / name for name in contents),
        markdown=format_table(make_summary(results, study.axis_names)),
        runs_done=done,
        runs_failed=failed,
        runs_missing=len(planned) - done - failed,
    )


def _make_files(
    study: Study, results: list[TrialResults], *, command: str, smoke: bool
) -> dict[str, bytes]:
    """Makes the content of every file by its name."""
    texts = {}
    tables = {
        "summary": make_summary(results, study.axis_names),
        "per_task": make_per_task(results, study.axis_names),
    }
    for name, table in tables.items():
        texts[f"{name}.md"] = make_page(
            name,
            table,
            study=study,
            results=results,
            command=command,
            smoke=smoke,
        )
        texts[f"{name}.csv"] = to_csv(table)
    texts["runs.csv"] = to_csv(make_runs(results))
    if any(trial.failed for trial in results):
        texts["failed.md"] = list_failures(study, results)
    figure = draw_macro_f1(study, results)
    images = {
        f"macro_f1_by_task.{kind}": render(figure, kind)
        for kind in ("png", "svg")
    }
    return {name: text.encode() for name, text in texts.items()} | images


def _replace(path: Path, content: bytes) -> None:
    """Puts a file in place at once, whatever reads or writes it meanwhile."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
