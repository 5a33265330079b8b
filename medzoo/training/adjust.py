"""Options that act on a trained model before it is scored."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.dataset import Dataset
from medzoo.runs.fields import DEFAULTS, list_fields
from medzoo.runs.run import Run
from medzoo.scores import probabilities as scores
from medzoo.training.predict import predict_logits, to_probabilities

if TYPE_CHECKING:
    import keras

# Multiples of the log prior, the smallest first: a tie changes least.
MULTIPLES = sorted((step / 4 for step in range(-8, 9)), key=abs)


def list_variants(run: Run) -> dict[str, Run]:
    """Lists a run without each of these options; itself, under `""`, last."""
    variants = {
        name: run.model_copy(update={name: DEFAULTS[name]})
        for name in list_fields(compared=True)
        if getattr(run, name) != DEFAULTS[name]
    }
    return variants | {"": run}


def average_logits(model: "keras.Model", views: Iterable[Any]) -> np.ndarray:
    """Averages the logits of several views of the same images.

    Args:
        views: The images and, for example, their mirror images.

    Returns:
        `float32`, shape `(n, num_classes)`.
    """
    logits = [predict_logits(model, images) for images in views]
    return sum(logits[1:], logits[0]) / np.float32(len(logits))


def choose_shift(
    val_logits: np.ndarray, data: Dataset, output: str
) -> np.ndarray:
    """Chooses what is added to the logits of each class, by val.

    `-m log(prior)` with the shares of the classes in train; `m`, one number of
    -2 to 2 in quarters, has the best macro F1 on val.

    Reference:
        [Menon et al., 2021](https://arxiv.org/abs/2007.07314).
    """
    counts = np.array(data.class_counts)
    prior = np.log(np.maximum(counts, 1) / counts.sum()).astype("float32")

    def macro_f1(multiple: float) -> float:
        shifted = to_probabilities(val_logits - multiple * prior, output)
        return scores.macro_f1(shifted, data.val.labels)

    return -np.float32(max(MULTIPLES, key=macro_f1)) * prior
