"""Checklists of reporting: what records answer, and what is owed."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from medzoo.report.evidence import Evidence
from medzoo.report.methods import Prose, in_markdown
from medzoo.report.references import format_source
from medzoo.report.tables import Table, escape_markdown, format_table

CHECKLISTS = ("claim", "tripod-ai")
Status = Literal["answered", "in part", "owed"]


class Item(BaseModel):
    """One item of a checklist.

    Args:
        number: As the checklist has it, such as `12a`.
        section: Its part of a paper.
        asks: What it asks for, in our own words.
        answer: Blocks of `methods.jinja`.
        place: Where these are found.
        owed: What no record knows.
    """

    model_config = ConfigDict(extra="forbid")

    number: str
    section: str
    asks: str
    answer: list[str] = []
    place: str = ""
    owed: str = ""


class Checklist(BaseModel):
    """The items of a checklist, and the key of its source."""

    model_config = ConfigDict(extra="forbid")

    title: str
    source: str
    items: list[Item]


@dataclass(frozen=True)
class Answer:
    """What a study answers to an item.

    Args:
        item: The item.
        text: From the records; empty if they know nothing.
        owed: What the author has to say; empty if nothing.
    """

    item: Item
    text: str
    owed: str

    @property
    def status(self) -> Status:
        """Whether it is answered, in part, or owed."""
        if not self.text:
            return "owed"
        return "in part" if self.owed else "answered"


def read_checklist(name: str) -> Checklist:
    """Reads a packaged checklist, one of `CHECKLISTS`."""
    path = Path(__file__).with_name("paper") / f"{name}.toml"
    text = path.read_text(encoding="utf-8")
    return Checklist.model_validate(tomllib.loads(text))


def answer_checklist(values: Mapping[str, Any], name: str) -> list[Answer]:
    """Answers each item of a checklist from the records of a study.

    Args:
        values: What `medzoo.report.methods.find_values` found.
        name: One of `CHECKLISTS`.
    """
    owed: list[str] = []

    def remember(text: str) -> str:
        owed.append(text)
        return ""

    prose = Prose(values, replace(in_markdown(), owed=remember))
    answers = []
    for item in read_checklist(name).items:
        owed.clear()
        text = " ".join(filter(None, map(prose.write, item.answer)))
        wanted = "; ".join(filter(None, [item.owed, *owed]))
        unsaid = item.owed or f"this: {item.asks}"
        answers.append(Answer(item, text, wanted or ("" if text else unsaid)))
    return answers


def count_answers(answers: Sequence[Answer]) -> str:
    """Says how many items are answered, in part, and owed."""
    states = [answer.status for answer in answers]
    return (
        f"{states.count('answered')} of {len(states)} items are answered by "
        f"the records, {states.count('in part')} in part, and "
        f"{states.count('owed')} are for you to answer."
    )


def make_checklist(
    evidence: Evidence, name: str, answers: Sequence[Answer]
) -> str:
    """Writes a checklist with its answers as Markdown."""
    checklist = read_checklist(name)
    overview = Table(
        ("item", "section", "status", "place"),
        [
            [
                a.item.number,
                a.item.section,
                a.status,
                a.item.place * bool(a.text),
            ]
            for a in answers
        ],
    )
    parts = [
        *(f"**{escape_markdown(text)}**" for text in evidence.warnings),
        f"# {checklist.title}: {escape_markdown(evidence.title)}",
        f"{count_answers(answers)} Items are in the words of medzoo; the "
        f"checklist itself is in {format_source(checklist.source)}.",
        format_table(overview),
        *map(_write_answer, answers),
    ]
    return "\n\n".join(parts) + "\n"


def _write_answer(answer: Answer) -> str:
    item = answer.item
    place = f" ({item.place})" * bool(item.place)
    parts = [
        f"## {item.number}. {item.section}",
        f"*{item.asks}*",
        f"{answer.text}{place}" if answer.text else "",
        f"**[you must say: {answer.owed}]**" if answer.owed else "",
    ]
    return "\n\n".join(filter(None, parts))


def tabulate_checklist(answers: Iterable[Answer]) -> Table:
    """Makes a row an item, for a form of a journal."""
    return Table(
        ("item", "section", "asks", "status", "answer", "place", "owed"),
        [
            [
                a.item.number,
                a.item.section,
                a.item.asks,
                a.status,
                a.text,
                a.item.place * bool(a.text),
                a.owed,
            ]
            for a in answers
        ],
    )
