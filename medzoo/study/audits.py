"""Findings of audits, kept beside the records for reports."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medzoo.store import Reader, Store


def keep_audit(store: Store, summary: Mapping[str, Any]) -> Path:
    """Keeps what an audit found under the fingerprint of its data.

    Args:
        store: Where the records of runs on these data are.
        summary: Has a `fingerprint` and the `line` that reports show.
    """
    path = store.folder / name_audit(str(summary["fingerprint"]))
    store.write_text(path, json.dumps(summary, indent=1))
    return path


def copy_findings(source: Store, into: Store) -> None:
    """Copies what is known of data and their images, unless `into` knows it."""
    for folder in ("audits", "images"):
        for path in sorted((source.folder / folder).glob("*.json")):
            target = into.folder / folder / path.name
            if not target.exists():
                into.write_text(target, path.read_text(encoding="utf-8"))


def find_leaks(store: Reader, fingerprints: Iterable[str]) -> list[str]:
    """Lists the leaks that audits found, a line for each data set.

    Args:
        store: Where the findings are.
        fingerprints: Of the data; those of a run that was trained without the
            leaks end in `drop_leaks` and are passed over.
    """
    lines = []
    complete = {f for f in fingerprints if not f.endswith(":drop_leaks")}
    for name in sorted({name_audit(fingerprint) for fingerprint in complete}):
        try:
            found = json.loads(store.read_file(name) or b"{}")
            lines.append(str(found["line"]))
        except (OSError, ValueError, KeyError):
            continue  # Not audited.
    return [line for line in lines if line]


def hide_groups(content: bytes) -> bytes:
    """Leaves the names of groups, such as patients, out of kept findings.

    Example:

    >>> hide_groups(b'{"line": "", "split_groups": ["Jane Roe"]}')
    b'{"line": ""}'
    """
    try:
        found = dict(json.loads(content))
    except (ValueError, TypeError):
        return b"{}"  # Damaged: reports pass it over.
    found.pop("split_groups", None)
    return json.dumps(found).encode()


def name_audit(fingerprint: str) -> str:
    """Names the file by the images of one size, however they are split.

    Example:

    >>> name_audit("own:12ab:34cd, fold 1 of 5")
    'audits/own-12ab-34cd.json'
    """
    content = fingerprint.partition(",")[0].replace(":", "-") or "unknown"
    return f"audits/{content}.json"
