"""Writes what a search has found: tables, figures, and a study to prove it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medzoo.report.figures.search import draw_best_so_far, draw_parallel
from medzoo.report.figures.style import render
from medzoo.report.search_tables import (
    make_candidates,
    make_importance,
    rank_tried,
)
from medzoo.report.tables import Table, format_list, format_table, to_csv
from medzoo.report.write import replace_file
from medzoo.scores.table import format_score
from medzoo.search.candidates import Tried
from medzoo.search.proof import write_proof
from medzoo.search.search_file import Search

# Rows of the table on the page; the CSV has all.
_SHOWN = 10


@dataclass(frozen=True)
class SearchReport:
    """What was written.

    Args:
        paths: The files.
        table: The candidates, the best first.
        best: The best of them, `None` if none has a score.
        proof: The study that compares the best with the baseline.
    """

    paths: tuple[Path, ...]
    table: Table
    best: Tried | None
    proof: Path | None


def write_search(
    search: Search, tried: Sequence[Tried], out: Path, *, command: str
) -> SearchReport:
    """Writes the report of a search into `out/searches/<search.name>/`.

    Args:
        search: What was looked for.
        tried: Its candidates, in any order.
        out: Folder of all reports.
        command: The command that runs the search, as the page shows it.
    """
    folder = out / "searches" / search.name
    table = make_candidates(search, tried)
    files = {"candidates.csv": to_csv(table).encode()}
    proof = None
    best = next((t for t in rank_tried(tried) if t.score is not None), None)
    if best is not None:
        figures = {
            "best_so_far": draw_best_so_far(search, tried),
            "parallel_coordinates": draw_parallel(search, tried),
        }
        for name, figure in figures.items():
            for kind in ("png", "svg"):
                files[f"{name}.{kind}"] = render(figure, kind)
        proof = folder / f"{search.name}_proof.toml"
        files[proof.name] = write_proof(search, best.values).encode()
    page = _make_page(search, tried, table, best=best, command=command)
    files["summary.md"] = page.encode()
    for name, content in files.items():
        replace_file(folder / name, content)
    paths = tuple(folder / name for name in files)
    return SearchReport(paths, table, best, proof)


def _make_page(
    search: Search,
    tried: Sequence[Tried],
    table: Table,
    *,
    best: Tried | None,
    command: str,
) -> str:
    about = search.document
    failed = sum(each.score is None for each in tried)
    seconds = {each.run_ids: each.seconds for each in tried}
    facts = {
        "tuner": f"{about.tuner}, seed {about.tuner_seed}",
        "candidates": f"{len(tried)}, of which {failed} failed",
        "a candidate": f"{', '.join(about.tasks)}; seeds {about.seeds}; "
        f"{about.data} data",
        "objective": f"{format_score(about.score)} on val, the mean over seeds "
        "and the harmonic mean over tasks; no label of test was read",
        "training": f"{sum(seconds.values()) / 60:.1f} minutes",
        "fixed": ", ".join(f"{k}={v}" for k, v in about.fixed.items()) or "-",
    }
    parts = [f"# {search.document.question}", format_list(facts)]
    if about.data == "synthetic":
        parts.insert(1, "Made-up images: this says nothing of medicine.")
    if best is None:
        parts.append("No candidate has a score; see `candidates.csv`.")
        return "\n\n".join([*parts, f"Command: `{command}`\n"])
    values = {key: str(value) for key, value in best.values.items()}
    parts += [
        f"## Best values: candidate {best.number}, val "
        f"{format_score(about.score)} {best.score:.3f}",
        format_list(values),
        "The best of many is in part the luckiest. What it is worth says the "
        f"study `{search.name}_proof.toml`, which trains it and a baseline "
        "with new seeds, and reads test.",
        f"## The best {min(_SHOWN, len(tried))} of {len(tried)} candidates",
        format_table(Table(table.columns, table.rows[:_SHOWN])),
        "![](best_so_far.svg)\n\n![](parallel_coordinates.svg)",
        "## What mattered",
        _format_importance(search, tried),
        f"Command: `{command}`\n",
    ]
    return "\n\n".join(parts)


def _format_importance(search: Search, tried: Sequence[Tried]) -> str:
    found = make_importance(search, tried)
    if found is None:
        return "Too few candidates to say."
    table, predicted = found
    trust = (
        "" if predicted > 0 else " It predicts nothing, so neither do these."
    )
    return (
        f"{format_table(table)}\n\nShares of what a random forest explains by "
        "each key; its R squared on candidates that a tree has not seen is "
        f"{predicted:.2f}.{trust}"
    )
