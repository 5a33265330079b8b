r"""Tables of a study for a paper, each a complete `table` of LaTeX.

They need `booktabs` and `tabularx`. The first column takes what the numbers
leave of the line, and breaks its names there, so that no table is wider.
"""

import re
from collections.abc import Mapping, Sequence

from medzoo.messages import printable, unknown
from medzoo.report.comparisons import Difference, TrialScores
from medzoo.report.evidence import Evidence
from medzoo.report.figures.style import describe_picked, pick_trials
from medzoo.report.results import TrialResults
from medzoo.report.statistics import Estimate, mean_over_tasks
from medzoo.report.summary import StudyStatistics, summarise_scores
from medzoo.report.tables import Table, escape_latex, escape_signs
from medzoo.scores.table import Needs, format_mean, format_score, list_scores

PAPER = ("score", "balanced_accuracy", "auc", "difference", "p")
_COSTS = {
    "parameters": ("parameters", "{:,.0f}"),
    "mflops": ("MFLOPs", "{:,.2f}"),
    "train_seconds": ("train time (s)", "{:,.1f}"),
}
# Widths in points of a line of an article and of its footnote size.
_LINE, _DIGIT, _GAP = 345, 4.4, 8
_NARROWEST = 70
# Rows of a page at that size, and so trials of a table.
_MOST_ROWS = 30
_LONGEST_HEAD = 16


def list_columns(evidence: Evidence) -> tuple[str, ...]:
    """Lists the columns that the table of trials may have."""
    masks = any(trial.has_masks for trial in evidence.results)
    needs: tuple[Needs, ...] = ("labels", "probabilities", "own")
    scores = list_scores(*needs, *(("masks",) if masks else ()))
    known = ("score", *scores, "difference", "p", *_COSTS)
    return tuple(dict.fromkeys(known))


def choose_columns(evidence: Evidence, columns: str = "paper") -> list[str]:
    """Reads the columns that were asked for.

    Args:
        evidence: The study; without a baseline it has no differences.
        columns: `paper`, or names of `list_columns` with commas between.

    Raises:
        ValueError: For an unknown column.
    """
    known = list_columns(evidence)
    if columns == "paper":
        chosen = [name for name in PAPER if name != evidence.study.score]
    else:
        chosen = [name.strip() for name in columns.split(",")]
    for name in chosen:
        if name not in known:
            raise ValueError(unknown("column", name, ("paper", *known)))
    if evidence.statistics.baseline is None:
        chosen = [name for name in chosen if name not in ("difference", "p")]
    return chosen


def make_tables(evidence: Evidence, columns: str = "paper") -> str:
    """Writes the table of trials, and that by task of a study of several.

    Args:
        evidence: The study, its records and their statistics.
        columns: See `choose_columns`.
    """
    tables = [make_table(evidence, columns)]
    if len(evidence.results[0].tasks) > 1:
        tables.append(make_table_by_task(evidence))
    return "\n\n".join(tables) + "\n"


def make_table(evidence: Evidence, columns: str = "paper") -> str:
    """Writes the table of trials."""
    chosen = choose_columns(evidence, columns)
    shown = pick_trials(evidence, _MOST_ROWS)
    heads = [_name_column(evidence, name) for name in chosen]
    bold = _find_bold(evidence.statistics, evidence.is_concluded)
    rows = [
        [
            escape_name(trial.trial.name),
            *(_write_cell(evidence, trial, name, bold) for name in chosen),
        ]
        for trial in shown
    ]
    caption = " ".join(
        filter(
            None,
            [
                escape_latex(evidence.verdict),
                _describe_shown(evidence, shown),
                _describe_baseline(evidence, chosen),
                _describe_means(evidence),
                _describe_bold(bold),
                _describe_shift(evidence.statistics),
            ],
        )
    )
    blocks = [_write_block(("trial", *heads), rows)]
    return _write_table(blocks, caption, f"tab:{_label(evidence.title)}")


def make_table_by_task(evidence: Evidence) -> str:
    """Writes the table of the score by task, in as many parts as it takes.

    Bold are the highest of a task and those that are tied with it there, by
    p-values that are corrected over all pairs of that task.
    """
    tasks, shown = evidence.results[0].tasks, pick_trials(evidence, _MOST_ROWS)
    bold = {
        task: _find_bold(found, evidence.is_concluded)
        for task, found in _summarise_by_task(evidence).items()
    }
    cells = {
        task: [
            _embolden(
                _write_estimate(
                    evidence.statistics.trials[t.trial.name].by_task[task]
                ),
                t.trial.name in bold[task],
            )
            for t in shown
        ]
        for task in tasks
    }
    names = [escape_name(trial.trial.name) for trial in shown]
    blocks = []
    for part in _split_tasks(tasks, cells):
        columns = [cells[task] for task in part]
        rows = [list(row) for row in zip(names, *columns, strict=True)]
        heads = ("trial", *map(escape_latex, part))
        blocks.append(_write_block(heads, rows))
    score = escape_latex(format_score(evidence.study.score))
    caption = (
        f"{score[0].upper()}{score[1:]} on test by task. "
        f"{_describe_shown(evidence, shown)} {_INTERVALS}"
        + " Bold: the highest of a task, and those that cannot be told from "
        "it there." * any(bold.values())
    )
    label = f"tab:{_label(evidence.title)}-by-task"
    together = max(1, _MOST_ROWS // (len(names) + 3))
    pages = [
        blocks[at : at + together] for at in range(0, len(blocks), together)
    ]
    return "\n\n".join(
        _write_table(
            page,
            caption if number == 1 else "The same for further tasks.",
            label if number == 1 else f"{label}-{number}",
        )
        for number, page in enumerate(pages, start=1)
    )


def _describe_shown(evidence: Evidence, shown: Sequence[TrialResults]) -> str:
    """Says which trials are shown, if not all are."""
    if len(shown) == len(evidence.results):
        return ""
    told = describe_picked(evidence, shown)
    return f"{escape_latex(told)}."


_INTERVALS = (
    r"$\pm$ is half the width of a 95~\% interval over seeds and test images."
)


def _split_tasks(
    tasks: Sequence[str], cells: Mapping[str, Sequence[str]]
) -> list[list[str]]:
    """Splits tasks into parts of which each fits into a line."""
    parts: list[list[str]] = [[]]
    left = float(_LINE - _NARROWEST)
    for task in tasks:
        longest = max(len(task), *(_measure(text) for text in cells[task]))
        width = longest * _DIGIT * 1.1 + _GAP
        if parts[-1] and width > left:
            parts.append([])
            left = float(_LINE - _NARROWEST)
        parts[-1].append(task)
        left -= width
    return parts


def _measure(text: str) -> int:
    return len(re.sub(r"\\textbf|\\pm|[{}$]", "", text))


def _summarise_by_task(evidence: Evidence) -> dict[str, StudyStatistics]:
    """Compares the trials on each task by itself."""
    return {
        task: summarise_scores(
            [
                TrialScores(
                    trial.trial.name,
                    trial.matrix(trial.score)[:, [at]],
                    trial.read_replicates(evidence.store, [task]),
                    trial.diverged,
                    trial.num_given,
                )
                for trial in evidence.results
            ],
            [task],
            score=evidence.study.score,
            overlap=max(trial.overlap for trial in evidence.results),
        )
        for at, task in enumerate(evidence.results[0].tasks)
    }


def write_plain_table(table: Table, caption: str, label: str) -> str:
    """Writes a table of texts, which may break in the first column."""
    rows = [
        [escape_name(str(row[0])), *(escape_latex(str(c)) for c in row[1:])]
        for row in table.rows
    ]
    block = _write_block([escape_latex(c) for c in table.columns], rows)
    return _write_table([block], escape_latex(caption), label)


def _find_bold(statistics: StudyStatistics, concluded: bool) -> set[str]:
    """Names the highest trial and those tied with it, once all has ended."""
    if not concluded or statistics.best is None:
        return set()
    return {statistics.best, *statistics.tied}


def _name_column(evidence: Evidence, name: str) -> str:
    if name == "score":
        num_tasks = len(evidence.results[0].tasks)
        return escape_latex(format_mean(evidence.study.score, num_tasks))
    if name == "difference":
        baseline = str(evidence.statistics.baseline)
        if len(baseline) > _LONGEST_HEAD:
            return "difference to baseline"
        return f"difference to {escape_name(baseline)}"
    return escape_latex(_COSTS[name][0]) if name in _COSTS else _head(name)


def _head(score: str) -> str:
    return escape_latex(format_score(score))


def _write_cell(
    evidence: Evidence, trial: TrialResults, name: str, bold: set[str]
) -> str:
    found = evidence.statistics.trials[trial.trial.name]
    several = len(trial.tasks) > 1
    if name == "score":
        estimate = found.harmonic_mean if several else found.mean
        return _embolden(_write_estimate(estimate), trial.trial.name in bold)
    if name == "difference":
        return _write_difference(found.difference)
    if name == "p":
        difference = found.difference
        return _write_p(None if difference is None else difference.p_corrected)
    if name in _COSTS:
        value = trial.costs[name]
        return "" if value != value else _COSTS[name][1].format(value)
    mean = mean_over_tasks(trial.matrix(name)).mean
    return "" if mean != mean else escape_latex(_sign(f"{mean:.3f}"))


def _embolden(text: str, bold: bool) -> str:
    return rf"\textbf{{{text}}}" if bold and text else text


def _write_estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    half = estimate.half_width
    width = "" if half is None else f" ± {half:.3f}"
    return escape_latex(_sign(f"{estimate.mean:.3f}{width}"))


def _write_difference(found: Difference | None) -> str:
    if found is None:
        return ""
    width = ""
    if found.low is not None and found.high is not None:
        width = f" ± {(found.high - found.low) / 2:.3f}"
    return escape_latex(_sign(f"{found.estimate:+.3f}{width}"))


def _write_p(p: float | None) -> str:
    if p is None:
        return ""
    return escape_latex("<0.001" if p < 0.001 else f"{p:.3f}")


def _sign(number: str) -> str:
    """Puts a true minus sign before a number."""
    return number.replace("-", "−")


def _describe_baseline(evidence: Evidence, columns: Sequence[str]) -> str:
    """Names the baseline, if no head has room for it."""
    baseline = str(evidence.statistics.baseline)
    if "difference" not in columns or len(baseline) <= _LONGEST_HEAD:
        return ""
    return f"The baseline is {escape_name(baseline)}."


def _describe_means(evidence: Evidence) -> str:
    score = escape_latex(format_score(evidence.study.score))
    if len(evidence.results[0].tasks) == 1:
        return f"Scores are of the test split. {_INTERVALS}"
    return (
        f"The harmonic mean is that of {score} over the tasks; all scores are "
        f"of the test split. {_INTERVALS}"
    )


def _describe_bold(bold: set[str]) -> str:
    told = " and those that cannot be told from it" * (len(bold) > 1)
    return f"Bold: the highest{told}." if bold else ""


def _describe_shift(statistics: StudyStatistics) -> str:
    """Says where the interval of the best lies, which is not around it."""
    best = statistics.trials.get(statistics.best or "")
    ends = best and best.harmonic_mean and best.harmonic_mean.ends
    if not ends:
        return ""
    low, high = ends
    name = escape_name(str(statistics.best))
    return (
        f"The interval of {name} is {low:.3f}--{high:.3f}, as it was picked "
        "for its score."
    )


def escape_name(name: str) -> str:
    r"""Escapes a name, which may break after each sign.

    Example:

    >>> print(escape_name("a_b"))
    a\_\allowbreak{}b
    >>> print(escape_name("adam, sgd"))
    adam,\allowbreak{} sgd
    """
    words = " ".join(printable(name).split())
    parts = re.findall(r"\w*?[_\-/+=.,:]|[^_\-/+=.,:]+", words)
    return r"\allowbreak{}".join(map(escape_signs, parts))


def _label(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _write_block(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes the columns below each other's heads, numbers to the right."""
    sides = "r" * (len(heads) - 1)
    first = r">{\raggedright\arraybackslash}X"
    lines = [
        rf"\begin{{tabularx}}{{\linewidth}}{{@{{}}{first}{sides}@{{}}}}",
        r"\toprule",
        _join([heads[0], *map(_stack, heads[1:])]),
        r"\midrule",
        *map(_join, rows),
        r"\bottomrule",
        r"\end{tabularx}",
    ]
    return "\n".join(lines)


def _stack(head: str) -> str:
    """Sets the words of a head below each other."""
    words = head.split()
    if len(words) == 1:
        return head
    first, rest = " ".join(words[:-1]), words[-1]
    return rf"\begin{{tabular}}[b]{{@{{}}r@{{}}}}{first}\\{rest}\end{{tabular}}"


def _join(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _write_table(blocks: Sequence[str], caption: str, label: str) -> str:
    return "\n".join(
        [
            r"\begin{table}[tbp]",
            r"\centering",
            r"\setlength{\belowcaptionskip}{6pt}",
            rf"\caption{{{caption}}}",
            rf"\label{{{label}}}",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{4pt}",
            "\n\n\\medskip\n".join(blocks),
            r"\end{table}",
        ]
    )
