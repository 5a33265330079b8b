"""Joins stores that were filled in different places."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from medzoo.record import Record
from medzoo.store import Store
from medzoo.study.audits import copy_findings

# Fields about the execution of a run, not about its result.
_CIRCUMSTANCES = {
    "seconds", "images_per_second", "peak_memory_mb", "device", "versions",
    "started", "error",
    "run",  # Its id is the same; its plugins may lie elsewhere.
}  # fmt: skip
_RANKS = {"done": 3, "diverged": 3, "trained": 2, "pruned": 1, "failed": 0}


@dataclass
class Merged:
    """What a merge did.

    Args:
        counts: Records by what became of them: `new`, `replaced` a record that
            was there, or `kept` the one that was there.
        conflicts: Runs that ended differently in two stores, one sentence each.
    """

    counts: Counter[str] = field(default_factory=Counter)
    conflicts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = (f"{self.counts[k]} {k}" for k in ("new", "replaced", "kept"))
        lines = [f"{', '.join(counts)}, {len(self.conflicts)} in conflict"]
        return "\n".join(lines + self.conflicts)


def merge_stores(folders: Iterable[Path], into: Store) -> Merged:
    """Copies records, predictions and findings of audits, each as a whole.

    A finished record is better than a failed one, and of two equals the one
    that was started last wins. Of two finished ones with equal results, the one
    that is there stays, unless the other alone has predictions, or scores of
    corrupted images. It can be interrupted and repeated.

    Args:
        folders: Stores to read; nothing in them is changed.
        into: Store to write.

    Raises:
        FileNotFoundError: If one of the folders is not there.
    """
    sources = [Store(folder) for folder in folders]
    for source in sources:
        if not source.folder.is_dir():
            raise FileNotFoundError(
                "No store there. Expected a folder of records, such as `runs`. "
                f"Received: {source.folder}."
            )
    merged = Merged()
    for source in sources:
        for run_id in source.run_ids():
            if theirs := source.read(run_id):
                _merge_one(theirs, source, into, merged)
        copy_findings(source, into)
    return merged


def _merge_one(
    theirs: Record, source: Store, into: Store, merged: Merged
) -> None:
    ours = into.read(theirs.run_id)
    is_better = ours is None or _rank(theirs) > _rank(ours)
    if ours and _RANKS[ours.status] == _RANKS[theirs.status] == 3:
        if _result_of(ours) == _result_of(theirs):
            is_better = _has_more(theirs.run_id, source, into)
        else:
            winner = source if is_better else into
            merged.conflicts.append(
                f"{theirs.run_id} ended differently in {into.folder} (started "
                f"{ours.started}) and {source.folder} (started "
                f"{theirs.started}); the one of {winner.folder} is kept."
            )
    if is_better:
        into.copy(theirs.run_id, source)
    merged.counts[
        "kept" if not is_better else "replaced" if ours else "new"
    ] += 1


def _has_more(run_id: str, source: Store, into: Store) -> bool:
    """Says whether a store has arrays of a run that another one lacks."""
    if into.has_corrupted(run_id):
        return False
    lacks = not into.has_predictions(run_id) and source.has_predictions(run_id)
    return lacks or source.has_corrupted(run_id)


def _rank(record: Record) -> tuple[int, str]:
    return _RANKS[record.status], record.started


def _result_of(record: Record) -> dict:
    return record.model_dump(exclude=_CIRCUMSTANCES)
