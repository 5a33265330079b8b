"""The objective of one task: the labels of its images."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.batches import batch_indices, sampled_indices
from medzoo.data.dataset import Dataset, Split
from medzoo.record import Predictions, Record, SplitPredictions
from medzoo.runs.fields import IMBALANCES
from medzoo.runs.plugins import options_of
from medzoo.runs.run import Run
from medzoo.runs.symmetries import list_flips
from medzoo.scores import probabilities as scores
from medzoo.training.adjust import (
    Adjustment,
    average_logits,
    choose_adjustment,
    list_variants,
)
from medzoo.training.objectives.base import Objective
from medzoo.training.predict import Scores, to_probabilities

if TYPE_CHECKING:
    import keras


class LabelObjective(Objective):
    """Labels of one task."""

    main_score = "macro_f1"

    @classmethod
    def select_data(cls, run: Run, data: Dataset) -> Dataset:
        return data.without_masks()

    @property
    def heads(self) -> int | tuple[int, ...]:
        return self.data.num_classes

    def graph_constants(self) -> object:
        if IMBALANCES[self.run.imbalance] == "loss":
            return self.data.class_counts
        return self.class_weights()

    def make_loss(self) -> "keras.losses.Loss":
        from medzoo.losses.classification import (
            JointLoss,
            build_imbalance_loss,
            build_loss,
        )

        run = self.run
        if IMBALANCES[run.imbalance] == "loss":
            loss = build_imbalance_loss(
                run.imbalance,
                class_counts=self.data.class_counts,
                output=run.output,
            )
        else:
            loss = build_loss(
                run.loss,
                output=run.output,
                weight=run.loss_weight,
                class_weights=self.class_weights(),
                **self._loss_options(),
            )
        joint = (
            run.mix != "none"
            or run.options.get("members", 1) != 1
            or run.options.get("views", "plain") != "plain"
        )
        return JointLoss(loss) if joint else loss

    def _loss_options(self) -> dict[str, Any]:
        """Returns the options that the loss of a plugin declares."""
        plugin = self.run.plugins.get("loss")
        return options_of(plugin, self.run.options) if plugin else {}

    def class_weights(self) -> list[float] | None:
        """Returns the shares of the classes in train, if the loss has any."""
        if self.run.loss != "weighted_soft_f1":
            return None
        counts = np.array(self.data.class_counts)
        return [float(share) for share in counts / counts.sum()]

    def batches(self, *, start: int = 0) -> Iterator[np.ndarray]:
        run, train = self.run, self.data.train
        common: dict[str, Any] = {"seed": run.seed, "start": start}
        if IMBALANCES[run.imbalance] == "sampling":
            common["sampling"] = run.imbalance
            return sampled_indices(train.labels, run.batch_size, **common)
        return batch_indices(len(train), run.batch_size, **common)

    def check_val(
        self,
        model: "keras.Model",
        predict_val: Callable[[], tuple[np.ndarray, Callable[..., Any]]],
    ) -> Scores | None:
        logits, loss = predict_val()
        if not np.isfinite(logits).all():
            return None
        return self.score(self.data.val, logits, loss)

    def score(
        self, split: Split, logits: np.ndarray, loss: Callable[..., Any]
    ) -> Scores:
        """Scores the logits of a split."""
        found = scores.score(
            to_probabilities(logits, self.run.output),
            split.labels,
            logits.shape[-1],
        )
        return found | {"loss": float(loss(split.labels, logits))}

    def score_val(
        self, record: Record, restore: Callable[..., "keras.Model"]
    ) -> Predictions:
        def predict_splits(variant: Run) -> dict[str, np.ndarray]:
            model = restore(average=bool(variant.ema))
            splits = {"val": self.data.val, "test": self.data.test}
            logits = {}
            for name, split in splits.items():
                plain = [split.images]
                views = self.views(split.images) if variant.flip_test else plain
                logits[name] = average_logits(model, views)
            return logits

        return self.score_variants(record, predict_splits)

    def score_variants(
        self,
        record: Record,
        predict_splits: Callable[[Run], dict[str, np.ndarray]],
    ) -> Predictions:
        """Scores val with all options that act after training, and without.

        Args:
            record: Its scores are filled in.
            predict_splits: Returns the logits of `val` and `test` of the run
                without one of the options.
        """
        predictions, test_logits = Predictions(), {}
        for option, variant in list_variants(self.run).items():
            logits = predict_splits(variant)
            if variant.adjust != "none":
                self.adjustment = self.choose_adjustment(logits["val"])
                logits = {n: self.adjustment.apply(logits[n]) for n in logits}
            predictions = self._keep(
                predictions, record, "val", logits["val"], without=option
            )
            test_logits[option] = logits["test"]
        if self.adjustment and self.run.adjust == "temperature":
            record.chosen |= self.name_temperatures(self.adjustment.scale)
        return replace(predictions, test_logits=test_logits)

    def score_test(
        self, record: Record, predictions: Predictions
    ) -> Predictions:
        for option, logits in predictions.test_logits.items():
            predictions = self._keep(
                predictions, record, "test", logits, without=option
            )
        return replace(predictions, test_logits={})

    def _keep(
        self,
        predictions: Predictions,
        record: Record,
        name: str,
        logits: np.ndarray,
        *,
        without: str,
    ) -> Predictions:
        """Scores a split, of the run as it is or without an option."""
        if not without:
            return self.keep(predictions, record, name, logits)
        split = getattr(self.data, name)
        found = self.score(split, logits, self.make_loss())
        record.without.setdefault(without, {})[name] = found
        return predictions

    def keep(
        self,
        predictions: Predictions,
        record: Record,
        name: str,
        logits: np.ndarray,
    ) -> Predictions:
        """Fills in the scores of a split, and adds its predictions."""
        split = getattr(self.data, name)
        probabilities = to_probabilities(logits, self.run.output)
        record.scores[name] = self.score(split, logits, self.make_loss())
        record.per_class_f1[name] = list_f1(probabilities, split.labels)
        found = SplitPredictions(probabilities, split.labels)
        return predictions.with_split(name, found)

    def views(self, images: Any) -> Iterable[Any]:
        """Returns images, and their mirror images for `flip_test`."""
        return (np.flip(images, axes) for axes in list_flips(self.run))

    def name_temperatures(self, scale: np.ndarray) -> dict[str, float]:
        """Names what logits were divided by, for a record."""
        return {"temperature": 1 / float(scale[0])}

    def choose_adjustment(self, val_logits: np.ndarray) -> Adjustment:
        """Chooses what `adjust` makes of the logits of each class."""
        run = self.run
        return choose_adjustment(run.adjust, val_logits, self.data, run.output)


def list_f1(probabilities: np.ndarray, labels: np.ndarray) -> list[float]:
    """Lists the F1 of each class, for a record."""
    found = scores.per_class_f1(probabilities, labels)
    return [float(value) for value in found]
