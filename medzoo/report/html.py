"""The HTML page of a study."""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from medzoo.record import Record
from medzoo.report.comparisons import Difference
from medzoo.report.conformal import describe_coverage
from medzoo.report.corruption_section import (
    lay_out_corruptions,
    list_corruption_curves,
)
from medzoo.report.drawn_runs import name_classes
from medzoo.report.evidence import Evidence
from medzoo.report.figures.bars import Bar, describe_bars, make_bars
from medzoo.report.figures.costs import COSTS
from medzoo.report.figures.curves import find_drawn
from medzoo.report.figures.differences import (
    Differences,
    describe_intervals,
    find_differences,
    name_difference,
)
from medzoo.report.figures.heat_map import make_grid
from medzoo.report.gallery import lay_out
from medzoo.report.heads import is_trained
from medzoo.report.packed_curves import pack_curves
from medzoo.report.pages import (
    describe_failure,
    describe_gaps,
    explain_intervals,
    list_facts,
)
from medzoo.report.references import list_keys, make_bibliography
from medzoo.report.results import MOST_SHOWN, TrialResults, describe_cell
from medzoo.report.statistics import Estimate, Spread
from medzoo.report.study_tables import (
    judge_trials,
    make_axes,
    make_looks,
    make_runs,
    make_short_summary,
    make_summary,
    make_trials,
)
from medzoo.report.subgroups import (
    LEGEND,
    Breakdown,
    describe_gap,
    make_short,
)
from medzoo.report.summary import StudyStatistics
from medzoo.report.tables import Cell, Table, format_cell, to_html
from medzoo.report.verdict import describe_looks, describe_verdicts
from medzoo.scores.table import format_mean, format_score

# Facts that the page shows in places of their own.
_ELSEWHERE = ("Question", "Command")
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("page")),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)


def make_html(
    evidence: Evidence,
    figures: Mapping[str, bytes] = MappingProxyType({}),
    *,
    evidence_bytes: int = 0,
    runs: Table | None = None,
    template: str = "page.html",
    **values: Any,
) -> str:
    """Makes the page of a study.

    Whatever a study, a record or an error says is text on the page and never
    part of its code: templates escape it, scripts only set texts.

    Args:
        evidence: The trials and their statistics.
        figures: Files by name; of these, the pictures of masks and of
            explained images are shown.
        evidence_bytes: Size of the evidence file beside the page, if there is
            one.
        runs: The table of runs, if it is made already.
        template: The page, or one that extends it.
        **values: What that one needs besides.
    """
    study, statistics = evidence.study, evidence.statistics
    facts = list_facts(evidence)
    details, looks = make_trials(evidence), make_looks(evidence)
    return render(
        template,
        **values,
        title=evidence.title,
        has_test=evidence.has_test,
        study=study,
        entry=dump(_make_entry(evidence, facts["Date"])),
        warnings=evidence.warnings,
        verdict=evidence.verdict,
        notes=evidence.notes,
        gaps=describe_gaps(evidence).replace("[failed.md](failed.md)", "below"),
        legend=f"{describe_verdicts(statistics)} {explain_intervals(evidence)}",
        details=Markup(to_html(details) if details else ""),  # noqa: S704
        looks=Markup(to_html(looks) if looks else ""),  # noqa: S704
        about_looks=describe_looks(statistics),
        bar=describe_bars(statistics),
        differences=find_differences(evidence),
        bars=_describe_differences(evidence),
        score=next(iter(make_bars(evidence.best, statistics))),
        score_name=format_score(study.score),
        drawn=format_score(find_drawn(evidence)),
        coverage=describe_coverage(evidence) * evidence.asks_for_more,
        asked=evidence.asks_for_more,
        corruptions=lay_out_corruptions(evidence),
        axes=[*study.axis_names, "", ""],
        best=evidence.best.trial.name,
        first="the first trial" if evidence.smoke else "the best trial",
        subgroups=_lay_subgroups(evidence.subgroups),
        masks=_embed(figures, "masks_of_best"),
        explained=_embed(figures, "explained"),
        references=make_bibliography(
            list_keys(r for t in evidence.results for r in t.kinds)
        ),
        command=evidence.command,
        megabytes=f"{max(evidence_bytes / 1e6, 0.01):.2f}"
        * bool(evidence_bytes),
        facts={k: v for k, v in facts.items() if k not in _ELSEWHERE},
        fingerprints=sorted({p for r in evidence.records for p in _pair_up(r)}),
        data=Markup(dump(make_data(evidence, runs))),  # noqa: S704
    )


def _lay_subgroups(found: Sequence[Breakdown]) -> dict[str, Any]:
    """Lays the scores by subgroup out, trial by trial."""
    trials: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        table = Markup(to_html(make_short(each)))  # noqa: S704
        part = {"sentence": describe_gap(each), "table": table}
        trials.setdefault(f"{each.trial}, {each.task}", []).append(part)
    if not trials:
        return {}
    laid = [{"title": name, "parts": p} for name, p in trials.items()]
    return {"legend": LEGEND, "trials": laid}


def _describe_differences(evidence: Evidence) -> str:
    found = find_differences(evidence)
    return "" if found is None else describe_intervals(evidence, found)


def render(name: str, **values: Any) -> str:
    """Renders a template of `medzoo/report/page`."""
    return _PAGES.get_template(name).render(values)


def dump(value: Any) -> str:
    r"""Writes JSON for the inside of a script: no `<` can end it.

    Example:

    >>> dump("</script>")
    '"\\u003c/script>"'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _make_entry(evidence: Evidence, days: str) -> dict[str, Any]:
    """Makes what the list of all studies says of this one."""
    runs = {r for trial in evidence.results for r in trial.runs.values()}
    warning = "Synthetic data. " * (evidence.study.data == "synthetic")
    return _make_best(evidence) | {
        "name": evidence.title,
        "question": " ".join(evidence.study.question.split()),
        "tasks": evidence.results[0].tasks,
        "verdict": warning + evidence.verdict,
        "done": evidence.num_done,
        "asked": len(runs),
        "days": days.removeprefix("records of "),
    }


def _make_best(evidence: Evidence) -> dict[str, Any]:
    """Words the highest score, once all runs have ended."""
    found = evidence.statistics.trials[evidence.best.trial.name]
    several = len(evidence.results[0].tasks) > 1
    best = found.harmonic_mean if several else found.mean
    if best is None or not evidence.is_concluded:
        return {}
    name = format_mean(evidence.study.score, len(evidence.results[0].tasks))
    text = f"{name} {format_cell('', best)}"
    return {"best": text, "value": plain(best.mean)}


def _pair_up(record: Record) -> Iterable[tuple[str, str]]:
    """Pairs the tasks of a run with the fingerprints of their data."""
    tasks, found = record.run.tasks, record.data_fingerprint
    several = len(tasks) > 1
    parts = found.split("+") if several else [found]
    return [pair for pair in zip(tasks, parts, strict=False) if pair[1]]


def _embed(figures: Mapping[str, bytes], name: str) -> str:
    """Writes a picture as text; nothing if there is none."""
    return base64.b64encode(figures.get(f"{name}.png", b"")).decode()


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
_WATCHED = ("epoch", "val_loss", "loss")
# A curve of more points than this is thinned, and further where there are many.
_MOST_POINTS, _FEWEST_POINTS, _ALL_POINTS = 100, 16, 9_000


def make_data(evidence: Evidence, runs: Table | None = None) -> dict[str, Any]:
    """Makes all that the scripts of the page show.

    Args:
        evidence: The trials and their statistics.
        runs: The table of runs, if it is made already.

    Returns:
        Plain values for JSON; what is unknown is `None`.
    """
    results = evidence.results
    if runs is None:
        runs = make_runs(results, evidence.study.asked_scores)
    at = [runs.columns.index(name) for name in RUN_COLUMNS]
    rows = runs.rows[:MOST_SHOWN]
    shown = [[row[index] for index in at] for row in rows]
    places = judge_trials(evidence)
    found = find_differences(evidence)
    drawn = find_drawn(evidence)
    return {
        "tasks": results[0].tasks,
        "score": format_score(evidence.study.score),
        "summary": _make_summary(evidence, places),
        "axes": plain_table(make_axes(evidence)),
        "marked": any(places.values()),
        "runs": plain_table(_choose(evidence, Table(RUN_COLUMNS, shown))),
        "trials": [_make_trial(evidence, trial) for trial in results],
        "drawn": {"key": f"val_{drawn}", "name": format_score(drawn)},
        "histories": _make_histories(results, drawn),
        "failures": [
            _make_failure(trial, record)
            for trial in results
            for record in trial.failed
        ],
        "classes": {
            task: name_classes(results, task) for task in results[0].tasks
        },
        "confusions": [
            {
                "trial": shown.trial,
                "task": shown.task,
                "counts": shown.counts.tolist(),
                "f1": [plain(value) for value in shown.f1.mean(axis=0)],
            }
            for shown in evidence.confusions
        ],
        "points": pack_curves(evidence.curves),
        "corruptions": list_corruption_curves(evidence),
        **lay_out(evidence.galleries, evidence.store),
        "differences": _make_differences(evidence, found),
        "pairs": _make_pairs(found),
        "ranks": _make_ranks(evidence.statistics),
        "heat_map": _make_heat_map(evidence),
    }


# Columns of the full table that the short one has by another name.
_SHORT = (
    "trial",
    "verdict",
    "harmonic_mean",
    "macro_f1",
    "difference",
    "p_holm",
    "parameters",
    "parameters_in_all",
    "train_seconds",
    "train_seconds_in_all",
    "runs_done",
)


def _make_summary(
    evidence: Evidence, places: Mapping[str, str | None]
) -> dict[str, Any]:
    """Makes the table of trials, behind it the columns to choose."""
    short = _choose(evidence, _insert_places(evidence, places))
    full = make_summary(evidence)
    score = evidence.study.score
    known = {*_SHORT, score, f"{score}_without_leaks", *evidence.asked}
    more = [i for i, name in enumerate(full.columns) if name not in known]
    more = more if evidence.has_test else []
    hidden = [full.columns[i] for i in more]
    rows = [
        [*row, *(every[i] for i in more)]
        for row, every in zip(short.rows, full.rows, strict=True)
    ]
    table = plain_table(Table((*short.columns, *hidden), rows))
    return table | {"hidden": hidden}


def _choose(evidence: Evidence, table: Table) -> Table:
    """Leaves columns without any value out, where scores of test are."""
    if evidence.has_test:
        return table
    filled = [
        i
        for i, name in enumerate(table.columns)
        if any(
            plain(row[i]) not in (None, "", [None, None]) for row in table.rows
        )
    ]
    rows = [[row[i] for i in filled] for row in table.rows]
    return Table(tuple(table.columns[i] for i in filled), rows)


def _insert_places(
    evidence: Evidence, places: Mapping[str, str | None]
) -> Table:
    """Puts the place of each trial behind its name."""
    table = make_short_summary(evidence)
    if not any(places.values()):
        return table
    rows = [[row[0], places[str(row[0])], *row[1:]] for row in table.rows]
    return Table((table.columns[0], "verdict", *table.columns[1:]), rows)


def plain(value: Cell) -> Any:
    """Turns a cell into a value of JSON, rounded to what a reader can see.

    Returns:
        `[value, half of its interval]` for an estimate, with the ends of an
        interval that is not around it; `[value, lower end, upper end]` for a
        difference.
    """
    if isinstance(value, Spread):
        return plain(value.mean)
    if isinstance(value, Estimate):
        parts = [value.mean, value.half_width, *(value.ends or ())]
        return [plain(x) for x in parts]
    if isinstance(value, Difference):
        return [plain(x) for x in (value.estimate, value.low, value.high)]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def _make_heat_map(evidence: Evidence) -> dict[str, Any] | None:
    grid = make_grid(evidence)
    if grid is None or not evidence.has_test:
        return None
    values = [[plain(value) for value in row] for row in grid.values.tolist()]
    return {"rows": grid.rows, "columns": grid.columns, "values": values}


def _make_differences(
    evidence: Evidence, found: Differences | None
) -> dict[str, Any] | None:
    """Makes the rows of the trials beside the one that verdicts are about."""
    if found is None:
        return None
    return {
        "name": name_difference(evidence, found.reference),
        "margin": evidence.statistics.equal_within,
        "rows": [
            {
                "name": name,
                "mean": plain(each.estimate),
                "low": plain(each.low),
                "high": plain(each.high),
                "wide": [plain(end) for end in each.simultaneous or ()],
                "p": plain(each.p_corrected),
                "verdict": each.verdict,
            }
            for name, each in found.to_reference.items()
        ],
    }


def _make_pairs(found: Differences | None) -> dict[str, Any] | None:
    """Makes the matrix of all pairs: what is shown, and the verdicts."""
    if found is None or len(found.names) < 3:
        return None
    cells = [
        [each and [plain(each), plain(each.p_corrected)] for each in row]
        for row in found.pairs
    ]
    verdicts = [[each and each.verdict for each in row] for row in found.pairs]
    return {"names": found.names, "cells": cells, "verdicts": verdicts}


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


def plain_table(table: Table) -> dict[str, Any]:
    """Turns a table into values of JSON; see `plain`."""
    rows = [[plain(cell) for cell in row] for row in table.rows]
    return {"columns": table.columns, "rows": rows}


def _make_trial(evidence: Evidence, trial: TrialResults) -> dict[str, Any]:
    runs: dict[str, list[str]] = {task: [] for task in trial.tasks}
    for (_, task), record in sorted(trial.records.items()):
        if record.history:
            runs[task].append(_key(record, task))
    bars = make_bars(trial, evidence.statistics)
    return {
        "name": trial.trial.name,
        "baseline": trial.trial == evidence.study.baseline,
        "scores": {key: _plain_bar(bar) for key, bar in bars.items()},
        "runs": runs,
        **{key: plain(trial.costs[key]) for key in COSTS},
    }


def _key(record: Record, task: str) -> str:
    """Names a history: of a run, or of one task of a run of several."""
    run_id = record.run_id
    return run_id if record.run.task == task else f"{run_id}/{task}"


def _plain_bar(bar: Bar) -> dict[str, Any]:
    values = [plain(value) for value in bar.values.tolist()]
    ends = {key: plain(float(getattr(bar, key))) for key in bar._fields[1:]}
    return {"values": values, **ends}


def _make_histories(
    results: Sequence[TrialResults], drawn: str
) -> dict[str, dict[str, list[Any]]]:
    """Makes the learning curves of all runs, by the names of their rows."""
    found = {
        _key(record, task): record
        for trial in results
        for (_, task), record in trial.records.items()
        if record.history
    }
    most = max(_ALL_POINTS // max(len(found), 1), _FEWEST_POINTS)
    most = min(most, _MOST_POINTS)
    return {k: _make_history(r, drawn, most) for k, r in found.items()}


def _make_history(
    record: Record, drawn: str, most: int
) -> dict[str, list[Any]]:
    count = len(record.history)
    kept = np.linspace(0, count - 1, min(count, most)).round()
    entries = [record.history[int(index)] for index in kept]
    found = {
        name: [_round(entry.get(name)) for entry in entries]
        for name in (*_WATCHED, f"val_{drawn}")
    }
    if not is_trained(record.run, drawn):
        found[f"val_{drawn}"] = [None] * len(entries)
    return found


def _round(value: float | None) -> float | None:
    """Rounds a point of a curve to what a chart can show."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded


def _make_failure(trial: TrialResults, record: Record) -> dict[str, str]:
    return {
        "run_id": record.run_id,
        "where": f"{trial.trial.name}, {describe_cell(record.run)}",
        "message": describe_failure(record),
        "traceback": str((record.error or {}).get("traceback") or ""),
    }
