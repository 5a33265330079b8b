"""The list of all studies and searches that have a report."""

import html
import json
import re
from pathlib import Path
from typing import Any

from medzoo.files import open_regular
from medzoo.messages import printable, tolerating
from medzoo.report.html import render

# What the list says of a search is in a file; of a study it is in its page.
ENTRY = "entry.json"
_ENTRY = re.compile(r'<meta name="medzoo" content="([^"]*)">')
# The entry of a page is in its head.
_HEAD = 20_000
_FIRST_SENTENCE = re.compile(r"(?:Synthetic data\. )?.*?\.(?=\s|$)")
# Pages of older versions lack some of it.
_TEXTS = ("name", "question", "verdict", "days", "best")


def make_index(out: Path) -> str:
    """Makes the list of the studies and searches that have a report.

    Args:
        out: Folder of all reports; `out/<study>/report.html` are the pages,
            `out/searches/<search>/report.html` those of searches.
    """
    pages = [*sorted(out.glob("*/report.html"))]
    pages += sorted(out.glob(f"searches/*/{ENTRY}"))
    entries = []
    for path in pages:
        with tolerating(f"Reading {path}", "It is left out of the index."):
            with open_regular(path) as file:
                head = file.read(_HEAD).decode("utf-8", "replace")
            is_search = path.name == ENTRY
            # Searches of older versions have no page.
            page = path.with_name("report.html")
            page = page if page.is_file() else path.with_name("summary.md")
            found = _ENTRY.search(head)
            text = head if is_search else found and html.unescape(found[1])
            if text:
                kind = "search" if is_search else "study"
                entry = _read_entry(text, page.relative_to(out))
                entries.append(entry | {"kind": kind})
    tasks = {task for entry in entries for task in entry["tasks"]}
    entries.sort(key=lambda entry: (", ".join(entry["tasks"]), entry["name"]))
    return render(
        "index.html", title="Studies", entries=entries, tasks=sorted(tasks)
    )


def _read_entry(text: str, page: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(text)
    shown: dict[str, Any] = {
        key: printable(entry.get(key, "")) for key in _TEXTS
    }
    first = _FIRST_SENTENCE.match(shown["verdict"])
    return shown | {
        "page": page.as_posix(),
        "verdict": first[0] if first else shown["verdict"],
        "tasks": [printable(task) for task in entry.get("tasks", ())],
        "value": "" if entry.get("value") is None else float(entry["value"]),
        "done": int(entry["done"]),
        "asked": int(entry["asked"]),
    }
