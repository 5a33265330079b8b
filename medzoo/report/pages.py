"""Facts and notes on the pages of a study, and its Markdown page."""

import textwrap
from collections.abc import Iterable, Sequence

from medzoo.messages import printable
from medzoo.record import Record
from medzoo.report.evidence import Evidence
from medzoo.report.results import MOST_SHOWN, describe_cell
from medzoo.report.study_tables import PACKAGES, make_looks
from medzoo.report.tables import (
    Table,
    escape_markdown,
    format_list,
    format_table,
)
from medzoo.report.verdict import describe_looks
from medzoo.runs.fields import FIELDS, list_fields
from medzoo.runs.run import Run
from medzoo.scores.table import format_score
from medzoo.study.document import Tuned
from medzoo.study.spec import Study

_INTERVALS = (
    "± is half the width of a 95 % interval over seeds and test images{groups} "
    "(over test images alone if there is one seed); that of the highest of "
    "more than three trials lies lower, as it was picked for its score."
)


def explain_intervals(evidence: Evidence) -> str:
    """Says what the intervals of a report are over."""
    groups = ", those of a group together" * evidence.has_groups
    return _INTERVALS.format(groups=groups)


def make_page(
    evidence: Evidence,
    name: str,
    table: Table,
    details: Table | None = None,
    *,
    foot: str = "",
) -> str:
    """Writes the page of a table in Markdown.

    Args:
        evidence: The source of everything that is stated.
        name: `summary` or `per_task`.
        table: The table.
        details: A second table, of what the trials are made of.
        foot: Last paragraph.
    """
    masked = any(trial.has_masks for trial in evidence.results)
    picture = "![Truth, prediction and error of masks](masks_of_best.png)"
    parts = [
        *(f"**{escape_markdown(text)}**" for text in evidence.warnings),
        f"# {escape_markdown(evidence.title)}: {name.replace('_', ' ')}",
        textwrap.fill(
            escape_markdown(evidence.verdict), width=80, break_on_hyphens=False
        ),
        format_list(_escape_facts(list_facts(evidence))),
        escape_markdown(evidence.notes),
        format_table(table),
        "The trials are made of:" if details else "",
        format_table(details) if details else "",
        *_list_looks(evidence, name),
        picture if masked and name == "summary" else "",
        describe_gaps(evidence),
        f"{_legend(evidence, name)} {explain_intervals(evidence)} "
        "Every column is explained in [results/README.md](../README.md).",
        foot,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _list_looks(evidence: Evidence, name: str) -> list[str]:
    table = make_looks(evidence) if name == "summary" else None
    if table is None:
        return []
    looks = escape_markdown(describe_looks(evidence.statistics))
    return [looks, format_table(table)]


def _escape_facts(facts: dict[str, str]) -> dict[str, str]:
    """Keeps all as it is but the command, which is code."""
    return {
        name: f"`{printable(text).replace('`', '')}`"
        if name == "Command"
        else escape_markdown(text)
        for name, text in facts.items()
    }


def _legend(evidence: Evidence, name: str) -> str:
    score = format_score(evidence.study.score)
    if name == "per_task":
        return f"{score[0].upper()}{score[1:]} on the test split."
    if len(evidence.results[0].tasks) == 1:
        means = "Scores are of the test split."
    else:
        means = (
            "Scores are of the test split, averaged over the tasks; the "
            f"harmonic mean is of their {score}."
        )
    return f"{means} `summary.csv` has more columns."


def describe_source(run: Run) -> str:
    """Words where images are from, how large they are, and how they are read.

    Example:

    >>> options = {"label": "", "no_mask": "empty"}
    >>> run = Run(task="x", data="masks:x", data_options=options)
    >>> describe_source(run)
    'masks:x, 28 px, no label, no_mask empty'
    """
    options = [describe_options(run)] * bool(run.data_options)
    return ", ".join([run.data, f"{run.size} px", *options])


def describe_options(run: Run) -> str:
    """Words how images are read; a column that is left out is `no label`."""
    return ", ".join(
        f"{key} {' + '.join(value) if isinstance(value, tuple) else value}"
        if value != ""
        else f"no {key}"
        for key, value in run.data_options.items()
    )


def list_facts(evidence: Evidence) -> dict[str, str]:
    """Lists what a reader must know beside the numbers, each with its name."""
    study, results = evidence.study, evidence.results
    records = evidence.records
    runs = [run for trial in results for run in trial.kinds]
    tuned = study.tuned.values if study.tuned else {}
    fixed, varying = _settings(runs, [*study.axis_names, *tuned])
    facts = {
        "Question": " ".join(study.question.split()),
        "Command": evidence.command,
        "Data": ", ".join(_unique(describe_source(r) for r in runs)),
        "Date": _date(records),
        "Versions": _versions(records),
        "Device": " and ".join(_unique(r.device for r in records)) or "unknown",
        "Tasks": ", ".join(results[0].tasks),
        "Seeds": ", ".join(map(str, results[0].seeds))
        + f", until decided, {study.max_seeds} at most" * study.is_looked_at,
        "Fixed": ", ".join(f"{key} {value}" for key, value in fixed.items()),
    }
    if any(trial.overlap for trial in results):
        facts["Folds"] = (
            "each seed tests other images; intervals and tests bear that "
            "training sets overlap (Nadeau and Bengio, 2003)"
        )
    if study.tuned:
        facts["Tuned on val"] = _describe_tuning(study, study.tuned)
    if study.baseline is not None:
        facts["Baseline"] = study.baseline.name
    if varying:
        facts["Following from the axes"] = ", ".join(varying)
    if plugins := _describe_plugins(study, runs):
        facts["Plugins"] = plugins
    return facts


def _describe_plugins(study: Study, runs: Sequence[Run]) -> str:
    """Names what is not of medzoo, with the digests of its content."""
    found = {
        f"{kind} {plugin.name} ({plugin.content})"
        for run in runs
        for kind, plugin in run.plugins.items()
    }
    scores = study.own_scores.items()
    found |= {f"score {name} ({score.content})" for name, score in scores}
    return ", ".join(sorted(found))


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


def describe_gaps(evidence: Evidence) -> str:
    """Words how many runs are done, failed and missing, and which are shown."""
    shown = (
        f" Of so many runs the page lists {MOST_SHOWN:,} and no histories or "
        "images; runs.csv has all, and evidence.zip is written where "
        "`--evidence` asks for it."
    )
    return _describe_gaps(evidence) + shown * evidence.is_large


def _describe_gaps(evidence: Evidence) -> str:
    if evidence.num_done == evidence.num_runs:
        return f"All {evidence.num_runs} runs are done."
    parts = [f"{evidence.num_done} of {evidence.num_runs} runs are done"]
    if evidence.num_failed:
        parts.append(
            f"{evidence.num_failed} failed or diverged (see "
            "[failed.md](failed.md))"
        )
    if evidence.num_missing:
        parts.append(f"{evidence.num_missing} missing")
    return (
        f"{', '.join(parts)}. A run that is not done leaves its cells empty: "
        "its seed is left out of means over tasks, and its trial has no "
        "harmonic mean. Run the same command again to complete the table."
    )


def list_failures(evidence: Evidence) -> str:
    """Writes the page of the runs that failed or diverged."""
    title = escape_markdown(evidence.title)
    parts = [f"# {title}: runs that failed or diverged"]
    for trial in evidence.results:
        for record in trial.failed:
            parts += [
                f"## {escape_markdown(trial.trial.name)}, "
                f"{escape_markdown(describe_cell(record.run))}",
                f"`{record.run_id}` {record.status}. "
                f"{escape_markdown(describe_failure(record))}",
            ]
            if record.error and record.error.get("traceback"):
                # Indented, as nothing inside can end such a block early.
                trace = printable(record.error["traceback"])
                parts.append(textwrap.indent(trace, "    "))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def describe_failure(record: Record) -> str:
    """Words why a run failed or diverged, in one line."""
    if record.error is None:
        return "The loss became NaN or infinite."
    sentence = " ".join(str(record.error.get("message", "")).split())
    return f"{record.error.get('type', 'Error')}: {sentence}"


# All that a classifier of scikit-learn has of the fields of a run.
_OF_BASELINES = ("model", "max_images", "resplit", "imbalance", "adjust")


def list_settings(
    run: Run, quiet: dict[tuple[str, ...], bool] | None = None
) -> dict[str, str]:
    """Lists the fields and options that acted on the outcome of a run.

    What is off is left out, and so is what its model or loss has no use for.

    Args:
        run: The run.
        quiet: Answers on settings of earlier runs, as a study has thousands of
            runs with a few settings.
    """
    quiet = {} if quiet is None else quiet

    def is_quiet(key: str, value: str) -> bool:
        setting = (run.model, *run.options, key, value)
        if setting not in quiet:
            quiet[setting] = run.is_quiet(key)
        return quiet[setting]

    about = (*list_fields(place="study"), *list_fields(place="none"), "size")
    unused = {*about, *["loss_weight"] * (run.loss != "cross_entropy+soft_f1")}
    if run.entry.baseline:
        unused |= FIELDS.keys() - set(_OF_BASELINES)
    return {
        key: str(value)
        for key, value in run.flatten().items()
        if key not in unused and not is_quiet(key, str(value))
    }


def _settings(
    runs: Sequence[Run], axis_names: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Parts settings that are no axes: the same in all runs, or following."""
    quiet: dict[tuple[str, ...], bool] = {}
    settings = [list_settings(run, quiet) for run in runs]
    keys = dict.fromkeys(key for values in settings for key in values)
    fixed, varying = {}, []
    for key in (key for key in keys if key not in axis_names):
        texts = _unique(values.get(key, "None") for values in settings)
        if len(texts) > 1:
            varying.append(key)
        else:
            fixed[key] = texts[0]
    return fixed, varying


def _date(records: Iterable[Record]) -> str:
    """Tells the days of the records: they, not today, date a result."""
    days = sorted({record.started[:10] for record in records} - {""})
    if not days:
        return "no records yet"
    return f"records of {' to '.join(_unique([days[0], days[-1]]))}"


def _versions(records: Sequence[Record]) -> str:
    rows = dict.fromkeys(
        tuple(r.versions.get(name, "") for name in PACKAGES) for r in records
    )
    columns = zip(*rows, strict=True) if rows else [[]] * len(PACKAGES)
    found = zip(PACKAGES, map(_unique, columns), strict=True)
    return (
        ", ".join(f"{n} {' and '.join(v)}" for n, v in found if v) or "unknown"
    )


def _unique(texts: Iterable[str]) -> list[str]:
    """Keeps the first of each text that is not empty."""
    return [text for text in dict.fromkeys(texts) if text]
