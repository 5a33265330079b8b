"""The objective of masks with labels: a class of each pixel and of the image.

Logits of masks are as large as images, so that a split is predicted and counted
batch by batch.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from medzoo.data.dataset import (
    Dataset,
    MaskedDataset,
    MaskedSplit,
    count_pixels,
)
from medzoo.record import MaskExamples, Predictions, Record, SplitPredictions
from medzoo.runs.run import Run
from medzoo.scores import counts as mask_scores
from medzoo.scores import probabilities as scores
from medzoo.scores.table import list_scores
from medzoo.training.objectives.labels import LabelObjective, list_f1
from medzoo.training.objectives.tasks import make_weighting
from medzoo.training.predict import Scores, fill_up, to_probabilities

if TYPE_CHECKING:
    import keras

    from medzoo.losses.multitask import HeadsLoss


# Images of a batch in evaluation.
AT_A_TIME = 16


class MaskObjective(LabelObjective):
    """Masks, and the labels of their images."""

    main_score = "joint"
    data: MaskedDataset

    @classmethod
    def select_data(cls, run: Run, data: Dataset) -> Dataset:
        return data

    @property
    def model_options(self) -> dict[str, Any]:
        return {"num_mask_classes": self.data.num_mask_classes}

    def graph_constants(self) -> object:
        return super().graph_constants(), self._mask_class_weights()

    def make_loss(self) -> "HeadsLoss":
        from medzoo.losses.multitask import HeadsLoss
        from medzoo.losses.segmentation import MaskLoss

        options = self.run.options
        mask_loss = MaskLoss(
            str(options["mask_loss"]),
            self.data.num_mask_classes,
            class_weights=self._mask_class_weights(),
        )
        return HeadsLoss(
            mask_loss,
            super().make_loss(),
            mask_weight=float(options["mask_weight"]),
            label_weight=float(options["label_weight"]),
        )

    def _mask_class_weights(self) -> list[float] | None:
        if not self.run.options["mask_balance"]:
            return None
        from medzoo.losses.classification import inverse_frequency

        return inverse_frequency(count_pixels(self.data))

    def prepare(self, model: "keras.Model") -> "keras.Model":
        from medzoo.losses.multitask import FixedWeights, TaskModel

        weighting = make_weighting(self.run, 2, len(self.data.train))
        return TaskModel(model, weighting or FixedWeights())

    def check_val(
        self,
        model: "keras.Model",
        predict_val: Callable[[], tuple[np.ndarray, Callable[..., Any]]],
    ) -> Scores | None:
        found = score_split(
            model, self.data.val, output=self.run.output, loss=model.loss
        )
        return None if found is None else found.scores

    def score_val(
        self, record: Record, restore: Callable[..., "keras.Model"]
    ) -> Predictions:
        model = restore()
        found = score_split(
            model, self.data.val, output=self.run.output, loss=model.loss
        )
        if found is None:
            raise ValueError("The model predicts NaN. Expected finite logits.")
        batches = [b for _, b in each_batch(model, self.data.test.images)]
        masks = [b["mask"].argmax(axis=-1).astype("uint8") for b in batches]
        return Predictions(
            val=_fill_in(record, "val", found),
            test_logits={"": np.concatenate([b["label"] for b in batches])},
            test_masks=np.concatenate(masks),
        )

    def score_test(
        self, record: Record, predictions: Predictions
    ) -> Predictions:
        test, masks = self.data.test, np.asarray(predictions.test_masks)
        truth = np.asarray(test.masks)
        counts = mask_scores.count_masks(
            truth, masks, self.data.num_mask_classes
        )
        found = score(
            test.labels,
            predictions.test_logits[""],
            counts,
            self.run.output,
            self.make_loss().weights,
        )
        rows = pick_examples(counts)
        return replace(
            predictions,
            test=_fill_in(record, "test", found),
            examples=MaskExamples(
                rows, test.images[rows], truth[rows], masks[rows]
            ),
            test_logits={},
            test_masks=None,
        )


class MaskResults(NamedTuple):
    """Scores of a split with masks, and what they were computed from.

    Args:
        scores: Of masks and of labels.
        probabilities: Of the labels.
        labels: Shape `(n,)`.
        counts: As of `medzoo.scores.counts.count_masks`.
    """

    scores: Scores
    probabilities: np.ndarray
    labels: np.ndarray
    counts: np.ndarray


def each_batch(
    model: "keras.Model", images: np.ndarray
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Predicts in batches of one size, so that the graph is traced once.

    Yields:
        The rows of a batch, and its logits of `mask` and `label`.
    """
    for start in range(0, len(images), AT_A_TIME):
        rows = slice(start, min(start + AT_A_TIME, len(images)))
        found = model.predict_on_batch(fill_up(images[rows], AT_A_TIME))
        yield rows, {k: v[: rows.stop - start] for k, v in found.items()}


def predict_labels(
    model: "keras.Model", images: np.ndarray, output: str
) -> np.ndarray:
    """Returns the probabilities of labels, shape `(n, num_classes)`."""
    batches = [batch["label"] for _, batch in each_batch(model, images)]
    return to_probabilities(np.concatenate(batches), output)


def score_split(
    model: "keras.Model",
    split: MaskedSplit,
    *,
    output: str,
    loss: "HeadsLoss | None" = None,
) -> MaskResults | None:
    """Predicts and scores a split.

    Args:
        model: From images to logits of `mask` and `label`.
        split: Images with masks and labels.
        output: What turns logits of labels into probabilities.
        loss: Adds the scores `loss`, `mask_loss`, the mean over batches, and
            `label_loss`.

    Returns:
        `None` if a logit is NaN or infinite.
    """
    logits, counts, losses = [], [], []
    for rows, found in each_batch(model, split.images):
        if not all(np.isfinite(values).all() for values in found.values()):
            return None
        masks, mask_logits = np.asarray(split.masks[rows]), found["mask"]
        marked = mask_logits.argmax(axis=-1)
        counts.append(
            mask_scores.count_masks(masks, marked, mask_logits.shape[-1])
        )
        logits.append(found["label"])
        if loss is not None:
            value = float(loss.mask_loss.call(masks, mask_logits))
            losses.append(len(masks) * value)
    labels = np.concatenate(logits)
    weights = (1.0, 1.0) if loss is None else loss.weights
    result = score(
        split.labels, labels, np.concatenate(counts), output, weights
    )
    if loss is not None:
        label_loss = float(loss.label_loss.call(split.labels, labels))
        mask_loss = sum(losses) / len(split)
        joined = float(loss.join(mask_loss, label_loss))
        result.scores.update(
            loss=joined, mask_loss=mask_loss, label_loss=label_loss
        )
    return result


def score(
    labels: np.ndarray,
    logits: np.ndarray,
    counts: np.ndarray,
    output: str,
    weights: tuple[float, float],
) -> MaskResults:
    """Scores masks and labels of a split, and both together.

    `joint`, by which the best weights are chosen, is the mean of Dice and macro
    F1; of one of them, if the other head has no weight in the loss or nothing
    is labelled for it.
    """
    probabilities = to_probabilities(logits, output)
    found: Scores = dict.fromkeys(list_scores("labels", "probabilities"))
    if (labels >= 0).any():
        found = scores.score(probabilities, labels, logits.shape[1])
    found |= mask_scores.score_masks(counts)
    parts = zip(("dice", "macro_f1"), weights, strict=True)
    values = [found[name] for name, weight in parts if weight]
    known = [value for value in values if value is not None]
    found["joint"] = float(np.mean(known)) if known else None
    return MaskResults(found, probabilities, labels, counts)


def _fill_in(
    record: Record, name: str, results: MaskResults
) -> SplitPredictions:
    """Fills in the scores of one split."""
    probabilities, labels = results.probabilities, results.labels
    record.scores[name] = results.scores
    if results.scores["macro_f1"] is not None:
        record.per_class_f1[name] = list_f1(probabilities, labels)
    record.per_mask_class_dice[name] = mask_scores.per_class_dice(
        results.counts
    )
    counts = results.counts.astype("int32")
    return SplitPredictions(probabilities, labels, counts)


def pick_examples(counts: np.ndarray) -> np.ndarray:
    """Picks the images whose masks are the best, the middle and the worst.

    Args:
        counts: As of `medzoo.scores.counts.count_masks`.

    Returns:
        Their rows, by falling Dice; images without any are left out.

    Example:

    >>> pick_examples(np.array([[[9, n], [0, 1]] for n in range(5)])).tolist()
    [0, 2, 4]
    """
    values = mask_scores.dice_of_images(counts)
    order = np.argsort(-values, kind="stable")[: np.sum(~np.isnan(values))]
    if len(order) <= 3:
        return order
    return order[[0, (len(order) - 1) // 2, -1]]
