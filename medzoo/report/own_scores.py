"""Scores of plugins beside those of records, from kept predictions."""

from collections.abc import Mapping

from medzoo.plugins.scores import compute_own, list_own_scores
from medzoo.record import Predictions, Record
from medzoo.store import Reader


def with_own_scores(
    records: Mapping[str, Record], store: Reader
) -> dict[str, Record]:
    """Adds the scores that are registered to records that are done.

    Args:
        records: By `run_id`; they are not changed.
        store: Holds the predictions of their runs.
    """
    names = list_own_scores()
    if not names:
        return dict(records)
    return {key: _add(record, names, store) for key, record in records.items()}


def _add(record: Record, names: list[str], store: Reader) -> Record:
    if record.status != "done":
        return record
    predictions = store.read_predictions(record.run_id) or Predictions()
    added = record.model_copy(deep=True)
    for task, mine in added.by_task.items():
        _fill_in(mine.scores, names, predictions.of_task(task))
    _fill_in(added.scores, names, predictions)
    return added


def _fill_in(
    scores: dict[str, dict[str, float | None]],
    names: list[str],
    predictions: Predictions,
) -> None:
    splits = {"val": predictions.val, "test": predictions.test}
    for split, found in splits.items():
        if found is None or split not in scores:
            continue
        for name in names:
            if name in scores[split]:  # Of evidence, whose numbers are rounded.
                continue
            value = compute_own(name, found.probabilities, found.labels)
            scores[split][name] = value
