"""The report of a search: tables, figures, and a study to prove its best."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from medzoo.files import safe_name
from medzoo.messages import encode_text
from medzoo.report.figures.style import (
    COLOURS,
    GRID,
    MEAN,
    NOTE,
    SEED,
    add_panel,
    add_titles,
    make_figure,
    plain,
    render,
    shorten,
)
from medzoo.report.html import dump, plain_table
from medzoo.report.html import render as render_page
from medzoo.report.index import ENTRY, make_index
from medzoo.report.tables import (
    Cell,
    Table,
    format_list,
    format_table,
    to_csv,
    to_html,
)
from medzoo.report.write import replace_file
from medzoo.scores.table import format_mean, format_score
from medzoo.search.candidates import Tried
from medzoo.search.proof import write_proof
from medzoo.search.search_file import Search
from medzoo.search.space import Dimension, is_active

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Rows of the table on the page; the CSV has all.
_SHOWN = 10
_TOO_FEW = "Too few candidates to say."


@dataclass(frozen=True)
class SearchReport:
    """The report of a search, and where it was written.

    Args:
        paths: The files.
        table: The candidates, the best first.
        best: The best of them, `None` if none has a score.
        proof: The study that compares the best with the baseline.
        unwritten: Why nothing was written, in a sentence.
    """

    paths: tuple[Path, ...]
    table: Table
    best: Tried | None
    proof: Path | None
    unwritten: str = ""


def write_search(
    search: Search,
    tried: Sequence[Tried],
    out: Path,
    *,
    command: str,
    force: bool = False,
) -> SearchReport:
    """Writes the report of a search into `out/searches/<search.name>/`.

    A report of the same search with more scored candidates is left as it is.

    Args:
        search: The search.
        tried: Its candidates, in any order.
        out: Folder of all reports.
        command: The command that runs the search, as the page shows it.
        force: Whether to replace any earlier report.
    """
    folder = out / "searches" / safe_name(search.name)
    table = make_candidates(search, tried)
    best = next((t for t in rank_tried(tried) if t.score is not None), None)
    earlier = count_scored(folder, search)
    found = sum(each.score is not None for each in tried)
    if not force and found < earlier:
        reason = (
            f"{folder} is left as it is: it has {earlier} candidates with a "
            f"score, and there are {found} now. `--force` replaces it."
        )
        return SearchReport((), table, best, None, unwritten=reason)
    files = {"candidates.csv": encode_text(to_csv(table))}
    proof = None
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
    about = _Pages(search, tried, table, best, command)
    files["summary.md"] = encode_text(about.make_markdown())
    files["report.html"] = encode_text(about.make_html())
    files[ENTRY] = encode_text(json.dumps(_make_entry(search, tried, best)))
    for name, content in files.items():
        replace_file(folder / name, content)
    replace_file(out / "index.html", encode_text(make_index(out)))
    paths = tuple(folder / name for name in files)
    return SearchReport(paths, table, best, proof)


def _make_entry(
    search: Search, tried: Sequence[Tried], best: Tried | None
) -> dict[str, object]:
    """Makes what the list of all studies says of this search."""
    about, score = search.document, best and best.score
    name = format_mean(about.score, len(about.tasks))
    found = {
        "best": f"{name} {score:.3f} on val",
        "value": score,
        "verdict": f"The study {search.name}_proof.toml decides.",
    }
    return (found if score is not None else {}) | {
        "name": search.name,
        "question": " ".join(about.question.split()),
        "tasks": list(about.tasks),
        "done": sum(each.score is not None for each in tried),
        "asked": len(tried),
    }


def count_scored(folder: Path, search: Search) -> int:
    """Counts the candidates with a score in an earlier report.

    One of another space or objective is of another search, and counts nothing.
    """
    try:
        with (folder / "candidates.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return 0
    known = {*search.document.space, search.objective}
    same = bool(rows) and known <= rows[0].keys()
    return sum(bool(row[search.objective]) for row in rows) if same else 0


@dataclass(frozen=True)
class _Pages:
    """The pages of a search.

    Args:
        search: The search.
        tried: Its candidates.
        table: The candidates, the best first.
        best: The best of them, `None` if none has a score.
        command: The command that runs it.
    """

    search: Search
    tried: Sequence[Tried]
    table: Table
    best: Tried | None
    command: str

    @cached_property
    def importance(self) -> tuple[Table, str] | None:
        """Importance of each key, and what it is worth in a sentence or two."""
        found = make_importance(self.search, self.tried)
        if found is None:
            return None
        table, predicted = found
        trust = (
            ""
            if predicted > 0
            else (" It predicts nothing, so neither do these.")
        )
        return table, (
            "Shares of what a random forest explains by each key; its R "
            "squared on candidates that a tree has not seen is "
            f"{predicted:.2f}.{trust}"
        )

    @property
    def facts(self) -> dict[str, str]:
        """How it was made."""
        about, tried = self.search.document, self.tried
        failed = sum(each.score is None for each in tried)
        seconds = {each.run_ids: each.seconds for each in tried}
        fixed = ", ".join(f"{k}={v}" for k, v in about.fixed.items())
        return {
            "tuner": f"{about.tuner}, seed {about.tuner_seed}",
            "candidates": f"{len(tried)}, of which {failed} failed",
            "a candidate": f"{', '.join(about.tasks)}; seeds {about.seeds}; "
            f"{about.data} data",
            "objective": f"{format_score(about.score)} on val, the mean over "
            "seeds and the harmonic mean over tasks; no label of test was read",
            "training": f"{sum(seconds.values()) / 60:.1f} minutes",
            "fixed": fixed or "-",
        }

    @property
    def warning(self) -> str:
        """What belongs above every number."""
        is_synthetic = self.search.document.data == "synthetic"
        return "Made-up images: this says nothing of medicine." * is_synthetic

    @property
    def proof(self) -> str:
        """What the best is worth."""
        return (
            "The best of many is in part the luckiest. How good it is, the "
            f"study `{self.search.name}_proof.toml`, decides: it trains it and "
            "a baseline with new seeds, and reads test."
        )

    def make_markdown(self) -> str:
        """Makes `summary.md`."""
        about, best, table = self.search.document, self.best, self.table
        parts = [f"# {about.question}", format_list(self.facts)]
        if self.warning:
            parts.insert(1, self.warning)
        if best is None:
            parts.append("No candidate has a score; see `candidates.csv`.")
            return "\n\n".join([*parts, f"Command: `{self.command}`\n"])
        values = {key: str(value) for key, value in best.values.items()}
        found = self.importance
        parts += [
            f"## Best values: candidate {best.number}, val "
            f"{format_score(about.score)} {best.score:.3f}",
            format_list(values),
            self.proof,
            f"## The best {min(_SHOWN, len(self.tried))} of {len(self.tried)} "
            "candidates",
            format_table(Table(table.columns, table.rows[:_SHOWN])),
            "![](best_so_far.svg)\n\n![](parallel_coordinates.svg)",
            "## What mattered",
            *([format_table(found[0]), found[1]] if found else [_TOO_FEW]),
            f"Command: `{self.command}`\n",
        ]
        return "\n\n".join(parts)

    def make_html(self) -> str:
        """Makes the page for a browser."""
        about, best, found = self.search.document, self.best, self.importance
        rows = [
            [
                _say(value) if name in about.space else value
                for name, value in zip(self.table.columns, row, strict=True)
            ]
            for row in self.table.rows
        ]
        said = f"{format_score(about.score)} on val"
        data = {
            "table": plain_table(Table(self.table.columns, rows)),
            "space": list(about.space),
            "objective": self.search.objective,
            "said": said,
        }
        sentence = best and (
            f"Candidate {best.number} has the highest {said}, {best.score:.3f}:"
            f" {', '.join(f'{k} {_say(v)}' for k, v in best.values.items())}."
        )
        table = Markup(to_html(found[0])) if found else ""  # noqa: S704
        return render_page(
            "search.html",
            title=self.search.name,
            question=about.question,
            warning=self.warning,
            best=sentence,
            proof=self.proof.replace("`", ""),
            importance=table,
            trust=found[1] if found else _TOO_FEW,
            facts=self.facts,
            command=self.command,
            data=Markup(dump(data)),  # noqa: S704
        )


def _say(value: Cell) -> Cell:
    """Words a value of the space so that a reader can tell it from others."""
    if value is None:
        return None
    return f"{value:.3g}" if isinstance(value, float) else str(value)


# Below this many candidates a forest has nothing to learn from.
FEWEST = 10
_TREES = 300


def rank_tried(tried: Sequence[Tried]) -> list[Tried]:
    """Sorts candidates, the best first, those without a score last.

    Those that were trained for less of their budget come behind: by Hyperband
    they were dropped, and the score of one is of fewer checks on val.
    """
    return sorted(
        tried,
        key=lambda each: (
            each.score is None,
            -each.share,
            -(each.score or 0.0),
            each.number,
        ),
    )


def make_candidates(search: Search, tried: Sequence[Tried]) -> Table:
    """Makes the table with a row a candidate, the best first."""
    space = search.document.space
    pruned = any(each.share < 1 for each in tried)
    failed = any(each.error for each in tried)
    columns = (
        "candidate",
        *space,
        *(("share",) if pruned else ()),
        search.objective,
        "seconds",
        *(("error",) if failed else ()),
    )
    rows: list[list[Cell]] = [
        [
            each.number,
            *(each.values.get(name) for name in space),
            *((round(each.share, 3),) if pruned else ()),
            None if each.score is None else round(each.score, 4),
            round(each.seconds, 1),
            *((each.error or None,) if failed else ()),
        ]
        for each in rank_tried(tried)
    ]
    return Table(columns, rows)


def make_importance(
    search: Search, tried: Sequence[Tried]
) -> tuple[Table, float] | None:
    """Importance of each key of the space, by a random forest.

    A random forest ([Breiman, 2001](https://doi.org/10.1023/A:1010933404324))
    learns the score from the values; a key's importance is its share of what
    the splits explain, 0 to 1. It holds for these
    candidates, and nothing where the forest does not predict candidates that a
    tree has not seen: that is what the second number is for.

    Returns:
        The table, and the coefficient of determination (R squared) on
        candidates left out of a tree: 1 if they are predicted perfectly, 0 or
        less if not at all. `None` for fewer than 10 scored candidates.
    """
    scored = [each for each in tried if each.score is not None]
    trained = [each for each in scored if each.share == 1]
    if len(trained) < FEWEST:
        return None
    from sklearn.ensemble import RandomForestRegressor

    space = search.document.space
    features = np.array([encode(space, each) for each in trained])
    scores = np.array([each.score for each in trained])
    forest = RandomForestRegressor(_TREES, oob_score=True, random_state=0)
    forest.fit(features, scores)
    found = sorted(
        zip(space, forest.feature_importances_, strict=True),
        key=lambda item: -item[1],
    )
    rows: list[list[Cell]] = [[k, round(float(v), 3)] for k, v in found]
    return Table(("key", "importance"), rows), float(forest.oob_score_)


def encode(space: dict[str, Dimension], tried: Tried) -> list[float]:
    """Places the values of a candidate between 0 and 1, in the order of keys.

    A key that does not count is at -0.15, below all of its values.
    """
    return [
        place(dimension, tried.values[name])
        if name in tried.values and is_active(dimension, tried.values)
        else -0.15
        for name, dimension in space.items()
    ]


def place(dimension: Dimension, value: Cell) -> float:
    """Places one value between 0 and 1, on the scale of its key."""
    if dimension.values is not None:
        most = max(1, len(dimension.values) - 1)
        return dimension.values.index(value) / most  # type: ignore[arg-type]
    ends = np.array([dimension.low, dimension.high, value], dtype="float64")
    low, high, here = np.log(ends) if dimension.log else ends
    return float((here - low) / (high - low))


# Candidates whose lines stand out.
_FRONT = 3


def draw_best_so_far(search: Search, tried: Sequence[Tried]) -> "Figure":
    """Draws each candidate's score, and the best one up to there."""
    from matplotlib.ticker import MaxNLocator

    figure = make_figure(6.4, 3.6)
    add_titles(
        figure,
        f"{search.name}: the best candidate so far",
        f"{format_score(search.document.score)} on val; a dot is a candidate"
        f"{_harmonic(search)}, the line is the best up to there",
    )
    axis = add_panel(figure, 0.65, 0.75, 5.5, 2.3)
    scored = [(t.number, t.score) for t in tried if t.score is not None]
    numbers, scores = zip(*scored, strict=True)
    best = np.maximum.accumulate(scores)
    axis.grid(axis="y", color=GRID)
    axis.scatter(numbers, scores, s=16, color=SEED, zorder=3)
    axis.step(numbers, best, where="post", color=MEAN, lw=1.8, zorder=4)
    for each in tried:
        if each.score is None:
            axis.axvline(each.number, color=COLOURS[1], lw=0.8, ls=":")
    axis.set_xlim(0.5, max(t.number for t in tried) + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("candidate", size=9, color=NOTE)
    return figure


def draw_parallel(search: Search, tried: Sequence[Tried]) -> "Figure":
    """Draws each candidate as a line through its value of every key."""
    space = search.document.space
    goal = format_score(search.document.score)
    width = 1.15 * (len(space) + 1) + 0.9
    figure = make_figure(max(6.4, width), 3.9)
    add_titles(
        figure,
        f"{search.name}: all candidates",
        f"a line is a candidate, the best {_FRONT} in blue; the last axis is "
        f"{goal} on val; below an axis: does not count",
    )
    axis = add_panel(figure, 0.5, 1.0, max(6.4, width) - 1.2, 2.75)
    ranked = [each for each in rank_tried(tried) if each.score is not None]
    scores = np.array([each.score for each in ranked], dtype="float64")
    low, high = scores.min(), scores.max()
    ends = (scores - low) / (high - low) if high > low else scores * 0 + 0.5
    positions = np.arange(len(space) + 1)
    for index in reversed(range(len(ranked))):
        front = index < _FRONT
        axis.plot(
            positions,
            [*encode(space, ranked[index]), ends[index]],
            color=MEAN if front else SEED,
            alpha=0.95 if front else 0.35,
            lw=1.8 if front else 0.9,
            zorder=3 if front else 2,
        )
    for position, (name, dimension) in enumerate(space.items()):
        _label(axis, position, name, _marks(dimension))
    found = [(f"{low:.3f}", 0.0), (f"{high:.3f}", 1.0)]
    _label(axis, len(space), f"val {goal}", found)
    axis.set_xlim(-0.2, len(space) + 0.6)
    axis.set_ylim(-0.25, 1.08)
    axis.set_axis_off()
    return figure


def _marks(dimension: Dimension) -> list[tuple[str, float]]:
    """Lists what to write beside an axis, and where."""
    return [
        (f"{value:g}" if isinstance(value, float) else str(value), where)
        for value in dimension.probes()
        for where in [place(dimension, value)]
    ]


def _label(
    axis: "Axes", position: int, name: str, marks: list[tuple[str, float]]
) -> None:
    axis.axvline(position, 0.25 / 1.33, 1.25 / 1.33, color=NOTE, lw=0.8)
    axis.text(position, 1.06, plain(name), size=8.5, ha="center", va="bottom")
    box = {"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.8}
    for text, where in marks:
        axis.text(
            position + 0.04,
            where,
            shorten(text, 14),
            size=7,
            va="center",
            color=NOTE,
            bbox=box,
            zorder=5,
        )


def _harmonic(search: Search) -> str:
    """Words what the score is a mean of, if it is one."""
    tasks, seeds = len(search.document.tasks), len(search.document.seeds)
    parts = [f"mean of {seeds} seeds"] if seeds > 1 else []
    parts += [f"harmonic mean of {tasks} tasks"] if tasks > 1 else []
    return f" ({', '.join(parts)})" if parts else ""
