"""What may be done with a trained model before it is scored, and undone."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.dataset import Dataset
from medzoo.data.mixed import MixedDataset, MixedImages
from medzoo.runs.fields import DEFAULTS, list_fields
from medzoo.runs.run import Run
from medzoo.runs.symmetries import list_flips
from medzoo.scores import probabilities as scores
from medzoo.training.build import class_counts
from medzoo.training.predict import predict_logits, to_probabilities
from medzoo.training.trainer import Trainer

if TYPE_CHECKING:
    import keras

# Multiples of the log prior, the smallest first: a tie changes least.
MULTIPLES = sorted((step / 4 for step in range(-8, 9)), key=abs)
Logits = dict[str, np.ndarray]
# Axes of an array of images, or of the images of each task.
Axes = tuple[int, ...] | tuple[tuple[int, ...], ...]


def predict(run: Run, trainer: Trainer, data: Dataset) -> dict[str, Logits]:
    """Predicts val and test with all options of a run, and without each.

    Args:
        run: Whose options are taken.
        trainer: Has trained; its model is left with the weights to keep.
        data: Only images, and the labels of val, are read.

    Returns:
        As `predict_variants`.
    """

    def predict_splits(variant: Run) -> Logits:
        trainer.restore_best(average=bool(variant.ema))
        flips = list_views(run) if variant.flip_test else ((),)
        return {
            split: predict_views(
                trainer.model, getattr(data, split).images, flips
            )
            for split in ("val", "test")
        }

    return predict_variants(run, predict_splits, data)


def predict_variants(
    run: Run, predict_splits: Callable[[Run], Logits], data: Dataset
) -> dict[str, Logits]:
    """Predicts with all options of a run, and without each.

    Args:
        run: Whose options are taken.
        predict_splits: Returns the logits of `val` and `test` of a run with
            other options.
        data: Only the labels of train and val are read.

    Returns:
        Logits of `val` and `test` by the option that is left out; `""` is the
        run as it is, and the last.
    """
    variants = {
        name: run.model_copy(update={name: DEFAULTS[name]})
        for name in list_fields(compared=True)
        if getattr(run, name) != DEFAULTS[name]
    }
    found: dict[str, Logits] = {}
    for name, variant in (*variants.items(), ("", run)):
        logits = predict_splits(variant)
        shift = choose_shift(variant, logits["val"], data)
        found[name] = {split: logits[split] + shift for split in logits}
    return found


def list_views(run: Run) -> tuple[Axes, ...]:
    """Lists the axes to flip for each view; of several tasks, those of each.

    A task of fewer views than another one has each of its own more than once,
    and equally often.
    """
    flips = [list_flips(task) for task in run.tasks]
    if len(flips) == 1:
        return flips[0]
    count = max(map(len, flips))
    return tuple(
        tuple(views[index % len(views)] for views in flips)
        for index in range(count)
    )


def predict_views(
    model: "keras.Model",
    images: np.ndarray,
    flips: tuple[Axes, ...] = ((),),
) -> np.ndarray:
    """Averages the logits of an image and of its mirror images.

    Args:
        model: A model from images to logits.
        images: `uint8`, shape `(n, height, width, channels)`.
        flips: Axes of `images` to flip, once a view.

    Returns:
        `float32` logits, shape `(n, num_classes)`.
    """
    views = [predict_logits(model, _flip(images, axes)) for axes in flips]
    return sum(views[1:], views[0]) / np.float32(len(views))


def choose_shift(run: Run, logits: np.ndarray, data: Dataset) -> np.ndarray:
    """Returns what is added to the logits of each class: 0 without `adjust`.

    `-m log(prior)` with the shares of the classes in train; `m`, one number of
    -2 to 2 in quarters, has the best macro F1 on val. Each of several tasks has
    its own.

    Reference:
        [Menon et al., 2021](https://arxiv.org/abs/2007.07314).
    """
    if run.adjust == "none":
        return np.zeros(logits.shape[-1], "float32")
    if isinstance(data, MixedDataset):
        parts = zip(data.val.by_task(logits), data.parts, strict=True)
        return np.concatenate(
            [choose_shift(run, mine, part) for (_, _, mine), part in parts]
        )
    counts = np.array(class_counts(data))
    prior = np.log(np.maximum(counts, 1) / counts.sum()).astype("float32")

    def macro_f1(multiple: float) -> float:
        shifted = to_probabilities(logits - multiple * prior, run.output)
        return scores.macro_f1(shifted, data.val.labels)

    return -np.float32(max(MULTIPLES, key=macro_f1)) * prior


def _flip(images: Any, axes: Any) -> Any:
    if isinstance(images, MixedImages):
        return images.flip(axes) if axes else images
    return np.flip(images, axes)
