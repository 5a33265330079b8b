"""The HTML page of a study, and the index of all studies."""

import base64
import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from medzoo.record import Record
from medzoo.report.about_data import format_notes, list_notes, list_warnings
from medzoo.report.comparisons import Difference
from medzoo.report.confusion import count_confusions
from medzoo.report.figures.bars import Bar, costs_of, describe_bars, make_bars
from medzoo.report.grid import make_grid
from medzoo.report.pages import (
    INTERVALS,
    SMOKE,
    SYNTHETIC,
    describe_failure,
    describe_gaps,
    list_facts,
)
from medzoo.report.results import TrialResults
from medzoo.report.statistics import Estimate, Spread
from medzoo.report.study_tables import make_runs
from medzoo.report.summary import StudyStatistics
from medzoo.report.tables import Cell, Table
from medzoo.report.verdict import describe_verdicts, write_verdict
from medzoo.scores.table import format_score
from medzoo.store import Store
from medzoo.study.spec import Study
from medzoo.tasks import format_tasks

# Facts that the page shows in places of their own.
_ELSEWHERE = ("Question", "Command")
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("page")),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)


def make_html(
    study: Study,
    results: Sequence[TrialResults],
    store: Store,
    statistics: StudyStatistics,
    *,
    summary: Table,
    command: str,
    smoke: bool = False,
    figures: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """Makes the page of a study.

    Whatever a study, a record or an error says is text on the page and never
    part of its code: templates escape it, scripts only set texts.

    Args:
        study: What was asked.
        results: The trials, the best first.
        store: Where the predictions are.
        statistics: Of the trials.
        summary: The table of trials.
        command: The command that runs the study.
        smoke: Whether the runs are those of a smoke run.
        figures: Files by name; of these, the pictures of masks and of
            explained images are shown.
    """
    facts = list_facts(study, results, command)
    warnings = [SYNTHETIC] * (study.data == "synthetic") + [SMOKE] * smoke
    warnings += list_warnings(results, store)
    return render(
        "page.html",
        title=study.name,
        study=study,
        entry=dump(_make_entry(study, results, statistics, facts["Date"])),
        warnings=[warning.strip("*") for warning in warnings],
        verdict=write_verdict(statistics),
        notes=" ".join(format_notes(list_notes(results))),
        gaps=_plain_words(describe_gaps(results)),
        legend=f"{describe_verdicts(statistics)} {INTERVALS}",
        bar=describe_bars(statistics),
        score=next(iter(make_bars(results[0], statistics))),
        score_name=format_score(study.score),
        axes=[*study.axis_names, "", ""],
        best=results[0].trial.name,
        masks=_embed(figures, "masks_of_best"),
        explained=_embed(figures, "explained"),
        command=command,
        facts={k: v for k, v in facts.items() if k not in _ELSEWHERE},
        fingerprints=_list_fingerprints(results),
        data=Markup(
            dump(make_data(study, results, summary, store, statistics))
        ),  # noqa: S704
    )


def render(name: str, **values: Any) -> str:
    """Renders a template of `medzoo/report/page`."""
    return _PAGES.get_template(name).render(values)


def dump(value: Any) -> str:
    r"""Writes JSON that may stand inside a script: no `<` can end it.

    Example:

    >>> dump("</script>")
    '"\\u003c/script>"'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _make_entry(
    study: Study,
    results: Sequence[TrialResults],
    statistics: StudyStatistics,
    days: str,
) -> dict[str, Any]:
    """Makes what the list of all studies says of this one."""
    warning = "Synthetic data. " * (study.data == "synthetic")
    return {
        "name": study.name,
        "question": " ".join(study.question.split()),
        "verdict": warning + write_verdict(statistics),
        "done": sum(len(trial.done) for trial in results),
        "asked": sum(len(set(trial.runs.values())) for trial in results),
        "days": days.removeprefix("records of "),
    }


def _list_fingerprints(
    results: Sequence[TrialResults],
) -> list[tuple[str, str]]:
    """Lists each task with each fingerprint of its data, once."""
    records = [r for trial in results for r in trial.records.values()]
    pairs = {pair for record in records for pair in _pair_up(record)}
    return sorted(pair for pair in pairs if pair[1])


def _pair_up(record: Record) -> Iterable[tuple[str, str]]:
    """Pairs the tasks of a run with the fingerprints of their data."""
    tasks, found = record.run.tasks, record.data_fingerprint
    several = len(tasks) > 1
    return zip(tasks, found.split("+") if several else [found], strict=False)


def _embed(figures: Mapping[str, bytes], name: str) -> str:
    """Writes a picture as text; nothing if there is none."""
    return base64.b64encode(figures.get(f"{name}.png", b"")).decode()


def _plain_words(text: str) -> str:
    return text.replace("[failed.md](failed.md)", "below")


# Columns of the table of runs on the page; `runs.csv` has all.
RUN_COLUMNS = (
    "trial",
    "task",
    "seed",
    "status",
    "val_macro_f1",
    "test_macro_f1",
    "test_balanced_accuracy",
    "test_accuracy",
    "test_auc",
    "train_seconds",
    "images_per_second",
    "parameters",
    "best_step",
    "started",
    "device",
    "run_id",
)
CURVES = ("epoch", "val_macro_f1", "val_loss", "loss")
# A curve of more points than this is thinned.
_MOST_POINTS = 100


def make_data(
    study: Study,
    results: Sequence[TrialResults],
    summary: Table,
    store: Store,
    statistics: StudyStatistics,
) -> dict[str, Any]:
    """Makes all that the scripts of the page show.

    Args:
        study: What was asked.
        results: The trials, the best first.
        summary: The table of trials.
        store: Where the predictions are.
        statistics: Estimates of the trials.

    Returns:
        Plain values for JSON; what is unknown is `None`.
    """
    runs = make_runs(results)
    at = [runs.columns.index(name) for name in RUN_COLUMNS]
    shown = [[row[index] for index in at] for row in runs.rows]
    return {
        "tasks": results[0].tasks,
        "score": format_score(study.score),
        "summary": _plain_table(summary),
        "runs": _plain_table(Table(RUN_COLUMNS, shown)),
        "trials": [_make_trial(study, trial, statistics) for trial in results],
        "histories": {
            _key(record, task): _make_history(record)
            for trial in results
            for (_, task), record in trial.records.items()
            if record.history
        },
        "failures": [
            _make_failure(trial, record)
            for trial in results
            for record in trial.failed
        ],
        "classes": [
            {
                "task": found.task,
                "names": found.classes,
                "counts": found.counts.tolist(),
                "f1": [plain(value) for value in found.f1.mean(axis=0)],
            }
            for found in count_confusions(results[0], store)
        ],
        "ranks": _make_ranks(statistics),
        "heat_map": _make_heat_map(study, results, statistics),
    }


def plain(value: Cell) -> Any:
    """Turns a cell into a value of JSON, rounded to what a reader can see.

    Returns:
        `[value, half of its interval]` for an estimate, with the ends of an
        interval that does not lie around it; `[value, lower end, upper end]`
        for a difference.
    """
    if isinstance(value, Spread):
        return plain(value.mean)
    if isinstance(value, Estimate):
        found = [value.mean, value.half_width, *(value.ends or ())]
        return [plain(x) for x in found]
    if isinstance(value, Difference):
        return [plain(x) for x in (value.estimate, value.low, value.high)]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def _make_heat_map(
    study: Study,
    results: Sequence[TrialResults],
    statistics: StudyStatistics,
) -> dict[str, Any] | None:
    grid = make_grid(study, results, statistics)
    if grid is None:
        return None
    values = [[plain(value) for value in row] for row in grid.values.tolist()]
    return {"rows": grid.rows, "columns": grid.columns, "values": values}


def _make_ranks(statistics: StudyStatistics) -> dict[str, Any] | None:
    """Makes the critical-difference diagram of a study of many tasks."""
    found = statistics.friedman
    if found is None:
        return None
    return {
        "names": list(found.average_ranks),
        "ranks": [plain(rank) for rank in found.average_ranks.values()],
        "critical_difference": plain(found.critical_difference),
        "groups": found.groups,
    }


def _plain_table(table: Table) -> dict[str, Any]:
    rows = [[plain(cell) for cell in row] for row in table.rows]
    return {"columns": table.columns, "rows": rows}


def _make_trial(
    study: Study, trial: TrialResults, statistics: StudyStatistics
) -> dict[str, Any]:
    runs: dict[str, list[str]] = {task: [] for task in trial.tasks}
    for (_, task), record in sorted(trial.records.items()):
        if record.history:
            runs[task].append(_key(record, task))
    bars = make_bars(trial, statistics)
    return {
        "name": trial.trial.name,
        "baseline": trial.trial == study.baseline,
        "scores": {key: _plain_bar(bar) for key, bar in bars.items()},
        "runs": runs,
        **{key: plain(cost) for key, cost in costs_of(trial).items()},
    }


def _key(record: Record, task: str) -> str:
    """Names a history: of a run, or of one task of a run of several."""
    run_id = record.run_id
    return run_id if record.run.task == task else f"{run_id}/{task}"


def _plain_bar(bar: Bar) -> dict[str, Any]:
    values = [plain(value) for value in bar.values.tolist()]
    ends = {key: plain(float(getattr(bar, key))) for key in bar._fields[1:]}
    return {"values": values, **ends}


def _make_history(record: Record) -> dict[str, list[Any]]:
    count = len(record.history)
    kept = np.linspace(0, count - 1, min(count, _MOST_POINTS)).round()
    entries = [record.history[int(index)] for index in kept]
    return {
        name: [plain(entry.get(name)) for entry in entries] for name in CURVES
    }


def _make_failure(trial: TrialResults, record: Record) -> dict[str, str]:
    run = record.run
    return {
        "run_id": record.run_id,
        "where": (
            f"{trial.trial.name}, {format_tasks(run.task)}, seed {run.seed}"
        ),
        "message": describe_failure(record),
        "traceback": str((record.error or {}).get("traceback") or ""),
    }


_ENTRY = re.compile(r'<meta name="medzoo" content="([^"]*)">')
# The entry of a page stands in its head.
_HEAD = 20_000


def make_index(out: Path) -> str:
    """Makes the list of the studies that have a page.

    Args:
        out: Folder of all reports; `out/<study>/report.html` are the pages.
    """
    entries = []
    for path in sorted(out.glob("*/report.html")):
        with path.open(encoding="utf-8") as file:
            found = _ENTRY.search(file.read(_HEAD))
        if found:
            entry: dict[str, Any] = json.loads(html.unescape(found[1]))
            entries.append({**entry, "folder": path.parent.name})
    return render("index.html", title="Studies", entries=entries)
