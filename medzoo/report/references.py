"""What a study has to cite, and its BibTeX."""

import functools
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from medzoo.runs.run import Run

_FOLDER = Path(__file__).with_name("paper")
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},?$", re.MULTILINE)


@functools.cache
def read_entries() -> MappingProxyType[str, str]:
    """Returns each entry of the packaged `references.bib` by its key."""
    text = (_FOLDER / "references.bib").read_text(encoding="utf-8")
    entries = [part.strip() for part in re.split(r"^(?=@)", text, flags=re.M)]
    return MappingProxyType(
        {e[e.index("{") + 1 : e.index(",")]: e for e in entries if e}
    )


@functools.cache
def read_cited() -> MappingProxyType[str, dict[str, list[str] | str]]:
    """Returns what to cite, by field and value; a text says why nothing."""
    text = (_FOLDER / "cited.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def find_keys(kind: str, value: Any) -> list[str]:
    """Lists the keys of what a value of a field has to cite.

    Args:
        kind: A field or an option, or `package`.
        value: Its value; unknown ones have nothing to cite here.

    Example:

    >>> find_keys("optimizer", "adamw"), find_keys("ema", 0.99)
    (['loshchilov2019'], ['polyak1992'])
    """
    known = read_cited().get(kind, {})
    name = f"{value:g}" if isinstance(value, float) else str(value)
    name = name.lower() if isinstance(value, bool) else name
    found = known.get(name, known.get("*", ""))
    return [] if isinstance(found, str) else found


def list_keys(runs: Iterable[Run]) -> list[str]:
    """Lists the keys of what fields and options of runs have to cite.

    Fields that a classifier of scikit-learn has no use for are left out.
    """
    settings: dict[tuple[str, Any], None] = {}
    for run in runs:
        values = {**run.entry.defaults, **run.flatten()}
        skipped = _UNUSED_BY_BASELINES if run.entry.baseline else ()
        if values.get("backbone") == "none":
            skipped = (*skipped, "weights")
        settings |= {
            (kind, values[kind]): None
            for kind in read_cited()
            if kind in values and kind not in (*skipped, "task")
        }
        if run.data == "medmnist":
            settings |= {("task", task): None for task in run.tasks}
    found = [key for pair in settings for key in find_keys(*pair)]
    return list(dict.fromkeys(found))


_UNUSED_BY_BASELINES = (
    "optimizer",
    "schedule",
    "loss",
    "augmentation",
    "activation",
    "mix",
    "warmup",
    "ema",
)


def make_bibliography(keys: Iterable[str]) -> str:
    """Writes the BibTeX entries of some keys, in the order of the table."""
    wanted = set(keys)
    return "\n\n".join(e for k, e in read_entries().items() if k in wanted) + (
        "\n" * bool(wanted)
    )


def name_source(key: str) -> str:
    """Names a source as a sentence does.

    Example:

    >>> name_source("smyth2004"), name_source("efron1973")
    ('Smyth, 2004', 'Efron and Morris, 1973')
    """
    fields = _read_fields(key)
    authors = fields["author"].split(" and ")
    names = [_plain(author.partition(",")[0]) for author in authors]
    if len(names) > 2 or names[-1] == "others":
        return f"{names[0]} et al., {fields['year']}"
    return f"{' and '.join(names)}, {fields['year']}"


def format_source(key: str) -> str:
    """Writes a source as a line of a list of references."""
    fields = _read_fields(key)
    places = ("journal", "booktitle", "publisher", "howpublished")
    place = next((fields[name] for name in places if name in fields), "")
    numbers = [fields[name] for name in ("volume", "pages") if fields.get(name)]
    where = ", ".join(filter(None, [place, *numbers]))
    address = fields.get("url", "")
    if doi := fields.get("doi"):
        address = f"https://doi.org/{doi}"
    parts = [f"{name_source(key)}", fields["title"], where, address]
    return ". ".join(_plain(part) for part in parts if part)


def _read_fields(key: str) -> dict[str, str]:
    return dict(_FIELD.findall(read_entries()[key]))


def _plain(text: str) -> str:
    return text.translate({ord("{"): None, ord("}"): None}).replace("--", "–")
