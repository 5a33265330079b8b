"""What may be shown of a study on the way: all but its test split."""

from dataclasses import replace
from pathlib import Path

from medzoo.record import Predictions, Record
from medzoo.report.evidence import Evidence
from medzoo.report.results import read_every_seed
from medzoo.store import Reader, Store
from medzoo.study.spec import Study


def read_without_test(
    study: Study, store: Store, *, smoke: bool = False, command: str = ""
) -> Evidence:
    """Reads a study as if no run had read the labels of test.

    Of a study until decided, every seed that has a record counts.

    Args:
        study: The question and its trials.
        store: Where the records are.
        smoke: Whether to read those of a smoke run.
        command: The command that runs the study, as the pages show it.
    """
    results = [
        replace(
            trial,
            records={k: drop_test(r) for k, r in trial.records.items()},
        )
        for trial in read_every_seed(study, store, smoke=smoke)
    ]
    hidden = _WithoutPredictions(store)
    found = Evidence.of(study, hidden, results, smoke=smoke, command=command)
    return replace(found, has_test=False)


def drop_test(record: Record) -> Record:
    """Returns a record without what its run has reached on test."""
    by_split = ("scores", "per_class_f1", "per_mask_class_dice")
    kept = {
        name: {k: v for k, v in getattr(record, name).items() if k != "test"}
        for name in by_split
    }
    return record.model_copy(update=kept | {"without": {}, "by_task": {}})


class _WithoutPredictions(Reader):
    """A store whose records are read already, and its audits of data."""

    def __init__(self, store: Store) -> None:
        self._store, self.folder = store, Path(store.folder)

    def read(self, run_id: str, *, history: bool = True) -> Record | None:
        return None

    def has_predictions(self, run_id: str) -> bool:
        return False

    def read_predictions(self, run_id: str) -> Predictions | None:
        return None

    def read_file(self, name: str) -> bytes | None:
        # Other files are made from predictions, bootstraps of test among them.
        is_known = name.startswith("audits/")
        return self._store.read_file(name) if is_known else None

    def cache_file(self, name: str, content: bytes) -> None:
        """Keeps nothing."""
