"""The list of all studies: `results/index.html`."""

import html
import json
import re
from pathlib import Path
from typing import Any

from medzoo.report.html import render

_ENTRY = re.compile(r'<meta name="medzoo" content="([^"]*)">')
# The entry of a page stands in its head.
_HEAD = 20_000


def make_index(out: Path) -> str:
    """Makes the list of the studies that have a page.

    Args:
        out: Folder of all reports; `out/<study>/report.html` are the pages.
    """
    entries = []
    for path in sorted(out.glob("*/report.html")):
        with path.open(encoding="utf-8") as file:
            found = _ENTRY.search(file.read(_HEAD))
        if found:
            entry: dict[str, Any] = json.loads(html.unescape(found[1]))
            entries.append({**entry, "folder": path.parent.name})
    return render("index.html", title="Studies", entries=entries)
