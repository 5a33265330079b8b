"""The page of a study: one HTML file that opens from disk, without network."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from markupsafe import Markup

from medzoo.report.about_data import list_notes, list_warnings, word_notes
from medzoo.report.bars import describe_bars, make_bars
from medzoo.report.embed import make_data
from medzoo.report.matrix import TrialResults
from medzoo.report.pages import (
    INTERVALS,
    SMOKE,
    SYNTHETIC,
    describe_gaps,
    list_facts,
)
from medzoo.report.stats import StudyStatistics
from medzoo.report.tables import Table
from medzoo.study.spec import Study
from medzoo.study.store import Store
from medzoo.training.record import Record
from medzoo.wording import word_score

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
        verdict=statistics.verdict,
        notes=" ".join(word_notes(list_notes(results))),
        gaps=_plain_words(describe_gaps(results)),
        legend=f"Tied: cannot be told from the best. {INTERVALS}",
        bar=describe_bars(statistics),
        score=next(iter(make_bars(results[0], statistics))),
        score_name=word_score(study.score),
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
        "verdict": warning + statistics.verdict,
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
