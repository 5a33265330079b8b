"""The files of a report that go into a paper."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from medzoo.messages import encode_text
from medzoo.report.checklist import (
    answer_checklist,
    make_checklist,
    tabulate_checklist,
)
from medzoo.report.evidence import Evidence
from medzoo.report.figures.paper import make_paper_figures
from medzoo.report.latex import make_tables
from medzoo.report.methods import (
    find_values,
    in_latex,
    in_markdown,
    list_sources,
    make_methods,
)
from medzoo.report.references import make_bibliography
from medzoo.report.tables import escape_latex, to_csv
from medzoo.report.write import replace_file

# LaTeX has too many braces of its own.
_LATEX = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("paper")),
    block_start_string="((%",
    block_end_string="%))",
    variable_start_string="((*",
    variable_end_string="*))",
    comment_start_string="((=",
    comment_end_string="=))",
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701, as values are escaped here.
)
# Makes a figure fit into the one column of an article.
_FIT = r"height=0.8\textheight,keepaspectratio"
# Figures that `paper.tex` shows, and what they are.
_CAPTIONS = {
    "differences_one_column.pdf": "Differences between trials. Thick: 95 % "
    "interval; thin: 95 % for all at once.",
    "macro_f1_by_task_two_columns.pdf": "The score on test by task, each panel "
    "with a scale of its own. Bars: 95 % intervals.",
}


def write_manuscript(
    evidence: Evidence,
    folder: Path,
    *,
    methods: bool = False,
    checklist: str | None = None,
    columns: str = "paper",
    figures: bool = False,
) -> tuple[Path, ...]:
    """Writes what was asked for beside the tables of a report.

    Args:
        evidence: The study, its records and their statistics.
        folder: Of the report.
        methods: Whether to write `methods.md`, and what `paper.tex` is made of.
        checklist: A name of `CHECKLISTS`, or `None`.
        columns: See `medzoo.report.latex.choose_columns`.
        figures: Whether to draw figures for a paper, which `paper.tex` shows.
    """
    texts: dict[str, str] = {}
    values = find_values(evidence) if methods or checklist else {}
    drawn = make_paper_figures(evidence) if figures else {}
    if methods:
        shown = {name: _CAPTIONS[name] for name in _CAPTIONS if name in drawn}
        texts |= _write_methods(evidence, values, columns, shown)
    if checklist is not None:
        name, answers = checklist, answer_checklist(values, checklist)
        texts[f"checklist_{name}.md"] = make_checklist(evidence, name, answers)
        texts[f"checklist_{name}.csv"] = to_csv(tabulate_checklist(answers))
    contents = {name: encode_text(text) for name, text in texts.items()} | drawn
    for name, content in contents.items():
        replace_file(folder / name, content)
    return tuple(folder / name for name in contents)


def _describe_width(name: str) -> str:
    wide = r"width=\linewidth" if "two_columns" in name else "width=3.5in"
    return f"{wide},{_FIT}"


def _write_methods(
    evidence: Evidence,
    values: Mapping[str, Any],
    columns: str,
    figures: Mapping[str, str],
) -> dict[str, str]:
    markdown, latex = in_markdown(), in_latex()
    text = make_methods(values, markdown)
    paper = _LATEX.get_template("paper.tex.jinja").render(
        title=escape_latex(evidence.title),
        results=escape_latex(evidence.verdict),
        figures=[
            {
                "file": name,
                "caption": escape_latex(caption),
                "options": _describe_width(name),
            }
            for name, caption in figures.items()
        ],
    )
    return {
        "methods.md": f"{text}\n{list_sources(markdown)}",
        "methods.tex": make_methods(values, latex),
        "tables.tex": make_tables(evidence, columns),
        "references.bib": make_bibliography(markdown.cited),
        "paper.tex": paper,
    }
