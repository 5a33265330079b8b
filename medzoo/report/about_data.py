"""What a table has to say about the data it was made from."""

from collections.abc import Iterable, Sequence

from medzoo.report.results import TrialResults
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.audits import find_leaks


def describe_source(run: Run) -> str:
    """Says where images are from, how large they are, and how they are read.

    Example:

    >>> options = {"label": "", "no_mask": "empty"}
    >>> run = Run(task="x", data="masks:x", data_options=options)
    >>> describe_source(run)
    'masks:x, 28 px, no label, no_mask empty'
    """
    options = [describe_options(run)] * bool(run.data_options)
    return ", ".join([run.data, f"{run.size} px", *options])


def describe_options(run: Run) -> str:
    """Says how images are read; a column that is left out is `no label`."""
    return ", ".join(
        f"{key} {' + '.join(value) if isinstance(value, tuple) else value}"
        if value != ""
        else f"no {key}"
        for key, value in run.data_options.items()
    )


def list_notes(results: Iterable[TrialResults]) -> list[str]:
    """Lists the notes of all records, each once: splits, what was left out.

    Args:
        results: The trials in any order.
    """
    records = [r for trial in results for r in trial.records.values()]
    several = len({record.run.task for record in records}) > 1
    told = (
        f"{record.run.task}: {note}" if several else note
        for record in records
        for note in record.notes
    )
    return list(dict.fromkeys(told))


def list_warnings(results: Iterable[TrialResults], store: Store) -> list[str]:
    """Lists the leaks that audits found in the data of these results."""
    records = [r for trial in results for r in trial.records.values()]
    return find_leaks(store, [r.data_fingerprint for r in records])


def format_notes(notes: Sequence[str]) -> list[str]:
    """Makes a paragraph of notes; none of none.

    Example:

    >>> format_notes(["Split as given."])
    ['About the data: Split as given.']
    """
    return [f"About the data: {' '.join(notes)}"] if notes else []
