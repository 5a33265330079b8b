"""Findings of audits, kept beside the records for reports."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medzoo.store import Store


def keep_audit(store: Store, summary: Mapping[str, Any]) -> Path:
    """Keeps what an audit found under the fingerprint of its data.

    Args:
        store: Where the records of runs on these data are.
        summary: Has a `fingerprint` and the `line` that reports show.
    """
    path = _path(store, str(summary["fingerprint"]))
    store.write_text(path, json.dumps(summary, indent=1))
    return path


def copy_audits(source: Store, into: Store) -> None:
    """Copies the findings about data that `into` does not have."""
    for path in sorted((source.folder / "audits").glob("*.json")):
        target = into.folder / "audits" / path.name
        if not target.exists():
            into.write_text(target, path.read_text())


def find_leaks(store: Store, fingerprints: Iterable[str]) -> list[str]:
    """Lists the leaks that audits found, a line for each data set.

    Args:
        store: Where the findings are.
        fingerprints: Of the data; those of a run that was trained without the
            leaks end in `drop_leaks` and are passed over.
    """
    lines = []
    complete = {f for f in fingerprints if not f.endswith(":drop_leaks")}
    for path in sorted({_path(store, fingerprint) for fingerprint in complete}):
        try:
            lines.append(str(json.loads(path.read_text())["line"]))
        except (OSError, ValueError, KeyError):
            continue  # Not audited.
    return [line for line in lines if line]


def _path(store: Store, fingerprint: str) -> Path:
    """Names the file by content alone: images keep their faults in any size."""
    content = "-".join(fingerprint.split(":")[:2]) or "unknown"
    return store.folder / "audits" / f"{content}.json"
