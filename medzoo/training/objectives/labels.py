"""Fills the scores of a record: those of val, and those of test at the end."""

from typing import TYPE_CHECKING

import numpy as np

from medzoo.data.dataset import Dataset, MaskedDataset, Split
from medzoo.data.mixed import MixedDataset, MixedSplit
from medzoo.record import Record
from medzoo.training.adjust import Logits, predict
from medzoo.training.build import make_loss
from medzoo.training.objectives import masks as segmentation
from medzoo.training.objectives.tasks import score_tasks
from medzoo.training.predict import evaluate, to_probabilities
from medzoo.training.trainer import Trainer

if TYPE_CHECKING:
    import keras

Predictions = dict[str, np.ndarray]
# Logits of test wait under this name for its labels; those without an option
# under the name with `_without_<option>` behind it.
_WAITING = "test_logits"


def score_val(record: Record, trainer: Trainer, data: Dataset) -> Predictions:
    """Predicts val and test, and scores val.

    Args:
        record: Its scores are filled in.
        trainer: Has trained; its model is left with its best weights.
        data: The labels of test are not read.

    Returns:
        Probabilities and labels of val, probabilities of test, and the logits
        that `score_test` needs.
    """
    if isinstance(data, MaskedDataset):
        trainer.restore_best()
        return segmentation.score_val(record, trainer.model, data)
    return score_logits(record, predict(record.run, trainer, data), data)


def score_logits(
    record: Record, found: dict[str, Logits], data: Dataset
) -> Predictions:
    """Scores val by the logits of all options of a run.

    Args:
        record: Its scores are filled in.
        found: As `predict_variants` returns it.
        data: The labels of test are not read.

    Returns:
        As `score_val`.
    """
    predictions: Predictions = {}
    loss = make_loss(record.run, data)
    for option, logits in found.items():
        predictions |= _score(
            record, "val", data.val, logits["val"], loss=loss, without=option
        )
        name = f"{_WAITING}_without_{option}" if option else _WAITING
        predictions[name] = logits["test"]
    if isinstance(data, MixedDataset):
        return predictions
    probabilities = to_probabilities(predictions[_WAITING], record.run.output)
    return predictions | {"test": probabilities}


def score_test(
    record: Record, data: Dataset, predictions: Predictions
) -> Predictions:
    """Reads the labels of test, for the first time, and scores it.

    Args:
        record: Its scores are filled in.
        data: Of the training.
        predictions: As `score_val` returns them.

    Returns:
        Probabilities and labels of val and test.
    """
    loss = make_loss(record.run, data)
    if isinstance(data, MaskedDataset):
        return segmentation.score_test(record, data, predictions, loss)
    waiting = [name for name in predictions if name.startswith(_WAITING)]
    kept = {k: v for k, v in predictions.items() if k not in waiting}
    for name in waiting:
        option = name.removeprefix(_WAITING).removeprefix("_without_")
        kept |= _score(
            record,
            "test",
            data.test,
            predictions[name],
            loss=loss,
            without=option,
        )
    return kept


def _score(
    record: Record,
    name: str,
    split: Split,
    logits: np.ndarray,
    *,
    loss: "keras.losses.Loss",
    without: str,
) -> Predictions:
    """Fills in the scores of one split, as they are or without an option."""
    if isinstance(split, MixedSplit) and not without:
        return score_tasks(record, name, split, logits, loss=loss)
    found, probabilities = evaluate(
        split, logits, loss=loss, output=record.run.output
    )
    if without:
        record.without.setdefault(without, {})[name] = found
        return {}
    record.scores[name] = found
    record.per_class_f1[name] = per_class(probabilities, split.labels)
    return {name: probabilities, f"{name}_labels": split.labels}


def per_class(probabilities: np.ndarray, labels: np.ndarray) -> list[float]:
    """Returns the F1 of each class."""
    from medzoo.scores.probabilities import per_class_f1

    found = per_class_f1(probabilities, labels)
    return [float(value) for value in found]
