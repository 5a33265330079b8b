"""The interface of an objective: what a run minimises, and how it is scored."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from medzoo.data.dataset import Dataset
from medzoo.plugins.targets import install
from medzoo.record import Predictions, Record
from medzoo.runs.run import Run
from medzoo.training.adjust import Adjustment
from medzoo.training.predict import Scores

if TYPE_CHECKING:
    import keras


class Objective(ABC):
    """What a run minimises on its data, and how it is scored.

    All that training and evaluation do differently for labels of one task, for
    several tasks and for masks is here.

    Args:
        data: Its dataset, as of `select_data`.

    Attributes:
        main_score: Score on val that chooses weights and candidates.
        adjustment: What `adjust` makes of the logits of the run, as soon as it
            is scored; `None` without it.
    """

    main_score: ClassVar[str]
    adjustment: Adjustment | None = None

    def __init__(self, run: Run, data: Dataset) -> None:
        self.run = run
        self.data = data
        install(run)

    @classmethod
    @abstractmethod
    def select_data(cls, run: Run, data: Dataset) -> Dataset:
        """Returns the part of a dataset that the model of a run takes."""

    @classmethod
    def rank(cls, entry: Scores) -> tuple[float, float]:
        """Ranks an entry of the history: by score, then by lower loss."""
        score = entry[f"val_{cls.main_score}"]
        return score or 0.0, -(entry["val_loss"] or 0.0)

    # Of the model.

    @property
    @abstractmethod
    def heads(self) -> int | tuple[int, ...]:
        """Number of classes; of several tasks, that of each."""

    @property
    def model_options(self) -> dict[str, Any]:
        """Options of the model's builder that the data decide."""
        return {}

    @abstractmethod
    def graph_constants(self) -> object:
        """Returns what the traced graph takes from the data, but shapes."""

    @abstractmethod
    def make_loss(self) -> "keras.losses.Loss":
        """Makes the loss that the model is compiled with."""

    def prepare(self, model: "keras.Model") -> "keras.Model":
        """Returns the model with the train step of the run, not compiled."""
        return model

    # Of the training.

    @abstractmethod
    def batches(self, *, start: int = 0) -> Iterator[np.ndarray]:
        """Yields the image indices of each batch, from step `start` on."""

    @abstractmethod
    def check_val(
        self,
        model: "keras.Model",
        predict_val: Callable[[], tuple[np.ndarray, Callable[..., Any]]],
    ) -> Scores | None:
        """Scores val during training; `None` if a logit is not finite.

        Args:
            model: Compiled.
            predict_val: Returns the logits of val, and what gives their loss
                from labels and logits.
        """

    # Of the evaluation.

    @abstractmethod
    def score_val(
        self, record: Record, restore: Callable[..., "keras.Model"]
    ) -> Predictions:
        """Scores val, and predicts test without its labels.

        Args:
            record: Its scores are filled in.
            restore: Returns the model with its best weights; with
                `average=False`, with those before averaging.
        """

    @abstractmethod
    def score_test(
        self, record: Record, predictions: Predictions
    ) -> Predictions:
        """Reads the labels of test, for the first time, and scores it.

        Args:
            record: Its scores are filled in.
            predictions: As of `score_val`.
        """
