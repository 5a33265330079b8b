"""The pages of a report: what was asked, the table, what is missing."""

import textwrap
from collections.abc import Iterable, Sequence

from medzoo.record import Record
from medzoo.report.about_data import describe_source, format_notes, list_notes
from medzoo.report.results import TrialResults
from medzoo.report.study_tables import PACKAGES
from medzoo.report.tables import Table, format_list, format_table
from medzoo.runs.fields import list_fields
from medzoo.runs.run import Run
from medzoo.scores.table import format_score
from medzoo.study.document import Tuned
from medzoo.study.spec import Study
from medzoo.tasks import format_tasks

SYNTHETIC = (
    "**Synthetic data: drawn by a program to try things out, not medical "
    "images. The scores say nothing about medical tasks.**"
)
SMOKE = (
    "**Smoke run: a tiny budget to see that everything works. "
    "The scores mean nothing.**"
)
INTERVALS = (
    "± is half the width of a 95 % interval over seeds and test images (over "
    "test images alone if there is one seed); that of the highest of more than "
    "three trials lies lower, as it was picked for its score."
)


def make_page(
    name: str,
    table: Table,
    *,
    study: Study,
    results: Sequence[TrialResults],
    verdict: str,
    command: str,
    smoke: bool,
    warnings: Sequence[str] = (),
) -> str:
    """Writes the page of a table in Markdown.

    Args:
        name: `summary` or `per_task`.
        table: The table.
        study: What was asked.
        results: What came of it; the sources of everything that is stated.
        verdict: What may be concluded, from the numbers and tests alone.
        command: The command that runs the study.
        smoke: Whether the runs are those of a smoke run.
        warnings: What an audit found.
    """
    parts = [
        *[SYNTHETIC] * (study.data == "synthetic"),
        *[SMOKE] * smoke,
        *(f"**{warning}**" for warning in warnings),
        f"# {study.name}: {name.replace('_', ' ')}",
        textwrap.fill(verdict, width=80, break_on_hyphens=False),
        format_list(list_facts(study, results, command)),
        *format_notes(list_notes(results)),
        format_table(table),
        *_show_masks(name, results),
        describe_gaps(results),
        f"{_legend(name, study.score)} {INTERVALS} "
        "Every column is explained in [results/README.md](../README.md).",
    ]
    return "\n\n".join(parts) + "\n"


def _show_masks(name: str, results: Iterable[TrialResults]) -> list[str]:
    """Shows the figure of masks below the table of trials, if there are any."""
    masked = any(trial.has_masks for trial in results)
    picture = "![Truth, prediction and error of masks](masks_of_best.png)"
    return [picture] * (masked and name == "summary")


def _legend(name: str, score: str) -> str:
    told = format_score(score)
    if name == "per_task":
        return f"{told[0].upper()}{told[1:]} on the test split."
    return (
        "Scores are of the test split, averaged over the tasks; "
        f"`harmonic_mean` is of their {told}."
    )


def list_facts(
    study: Study, results: Sequence[TrialResults], command: str
) -> dict[str, str]:
    """Lists what a reader must know beside the numbers, each with its name."""
    runs = [run for trial in results for run in trial.runs.values()]
    records = [r for trial in results for r in trial.records.values()]
    tuned = study.tuned.values if study.tuned else {}
    fixed, varying = _settings(runs, [*study.axis_names, *tuned])
    facts = {
        "Question": " ".join(study.question.split()),
        "Command": f"`{command}`",
        "Data": ", ".join(_unique(describe_source(r) for r in runs)),
        "Date": _date(records),
        "Versions": _versions(records),
        "Device": " and ".join(_unique(r.device for r in records)) or "unknown",
        "Tasks": ", ".join(results[0].tasks),
        "Seeds": ", ".join(map(str, results[0].seeds)),
        "Fixed": ", ".join(f"{key} {value}" for key, value in fixed.items()),
    }
    if study.tuned:
        facts["Tuned on val"] = _describe_tuning(study, study.tuned)
    if study.baseline is not None:
        facts["Baseline"] = study.baseline.name
    if varying:
        facts["Following from the axes"] = ", ".join(varying)
    return facts


def _describe_tuning(study: Study, tuned: Tuned) -> str:
    values = "; ".join(
        f"{key} of {', '.join(map(str, values))}"
        for key, values in tuned.values.items()
    )
    seeds = ", ".join(map(str, study.tune_seeds))
    pruned = f", pruned by {tuned.prune}" if tuned.prune else ""
    return (
        f"{values}, for each trial and task, by mean macro F1 on val over "
        f"seeds {seeds}{pruned}"
    )


def describe_gaps(results: Iterable[TrialResults]) -> str:
    """Says in a sentence or three how many runs are done, failed, missing.

    Example:

    >>> describe_gaps([])
    'All 0 runs are done.'
    """
    results = list(results)
    asked = sum(trial.num_asked for trial in results)
    done = sum(len(trial.done) for trial in results)
    failed = sum(len(trial.failed) for trial in results)
    missing = asked - done - failed
    if done == asked:
        return f"All {asked} runs are done."
    parts = [f"{done} of {asked} runs are done"]
    if failed:
        parts.append(
            f"{failed} failed or diverged (see [failed.md](failed.md))"
        )
    if missing:
        parts.append(f"{missing} missing")
    return (
        f"{', '.join(parts)}. A run that is not done leaves its cells empty: "
        "its seed is left out of means over tasks, and its trial has no "
        "harmonic mean. Run the same command again to complete the table."
    )


def list_failures(study: Study, results: Iterable[TrialResults]) -> str:
    """Writes the page of the runs that failed or diverged."""
    parts = [f"# {study.name}: runs that failed or diverged"]
    for trial in results:
        for record in trial.failed:
            run = record.run
            parts += [
                f"## {trial.trial.name}, {format_tasks(run.task)}, "
                f"seed {run.seed}",
                f"`{record.run_id}` {record.status}. "
                f"{describe_failure(record)}",
            ]
            if record.error and record.error.get("traceback"):
                # Indented, as nothing inside can end such a block early.
                parts.append(textwrap.indent(record.error["traceback"], "    "))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def describe_failure(record: Record) -> str:
    """Says in a line why a run failed or diverged."""
    if record.error is None:
        return "The loss became NaN or infinite."
    sentence = " ".join(str(record.error.get("message", "")).split())
    return f"{record.error.get('type', 'Error')}: {sentence}"


def _settings(
    runs: Sequence[Run], axis_names: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Parts fields and options that are no axes: held still, or following.

    What is held still and off is not worth a word.
    """
    flat = [run.flatten() for run in runs]
    models = {run.model: run for run in runs}.values()
    own_lines = {
        "size",
        *list_fields(place="study"),
        *list_fields(place="none"),
    }
    keys = dict.fromkeys(key for values in flat for key in values)
    fixed, varying = {}, []
    for key in (k for k in keys if k not in {*own_lines, *axis_names}):
        values = _unique(str(values.get(key)) for values in flat)
        if len(values) > 1:
            varying.append(key)
        elif values and not all(run.is_quiet(key) for run in models):
            fixed[key] = values[0]
    return fixed, varying


def _date(records: Iterable[Record]) -> str:
    """Tells the days of the records: they, not today, date a result."""
    days = sorted({record.started[:10] for record in records} - {""})
    if not days:
        return "no records yet"
    return f"records of {' to '.join(_unique([days[0], days[-1]]))}"


def _versions(records: Sequence[Record]) -> str:
    found = [
        (name, _unique(r.versions.get(name, "") for r in records))
        for name in PACKAGES
    ]
    return (
        ", ".join(f"{n} {' and '.join(v)}" for n, v in found if v) or "unknown"
    )


def _unique(texts: Iterable[str]) -> list[str]:
    """Keeps the first of each text that is not empty."""
    return [text for text in dict.fromkeys(texts) if text]
