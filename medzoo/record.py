"""A record: what came out of a run."""

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from medzoo.runs.run import Run
from medzoo.tasks import class_ranges


class Parameters(BaseModel):
    """Counts of weights; `total` includes frozen ones and statistics."""

    total: int
    trainable: int


class TaskScores(BaseModel):
    """What a run of several tasks reached on one of them, as in `Record`."""

    scores: dict[str, dict[str, float | None]] = {}
    per_class_f1: dict[str, list[float]] = {}


class Record(BaseModel):
    """The stored result of one run.

    Args:
        run: The run itself.
        run_id: Its id, as a key for people and files.
        status: `done`; `diverged` if the loss became NaN or infinite; `failed`
            if an error ended it; `trained` if all but the labels of test was
            read; `pruned` if it was stopped on the way. The last two are
            candidates of `[tuned]`, and neither done nor failed.
        scores: By split (`val`, `test`), then by score (`macro_f1`, ...). Of a
            run of several tasks, the means over them, and `harmonic_mean`.
        without: Scores by split as if one option of the run that acts after
            training (`ema`, `flip_test`, `adjust`) were off, by that option.
        per_class_f1: By split, one value a class.
        per_mask_class_dice: By split, the pooled Dice of each class of pixels,
        of
            a run with masks; `None` for one that is nowhere.
        by_task: Scores by task, of a run of several tasks.
        history: One entry a check on val: `step`, `epoch`, `loss`, `val_loss`,
            `val_macro_f1`, `val_accuracy`, `learning_rate`; of several tasks
            also `val_harmonic_mean` and `val_macro_f1/<task>`, with masks
            `val_dice` and `val_joint`.
        best_step: Step whose weights were evaluated.
        parameters: Total and trainable weights.
        flops: Operations of one image, forward, those of a frozen backbone
            included (`medzoo.models.flops`).
        width: Width that the model was built with.
        chosen: What a baseline chose on val, such as `C`.
        seconds: By part: `build`, `first_step`, `train`, `evaluate`, `total`.
        images_per_second: Of training, after the first step.
        stack: Runs that were trained together, this one among them; `seconds`
            are its share of theirs.
        peak_memory_mb: Largest resident memory of the process so far.
        num_images: By split.
        device: What it ran on, such as `cpu`.
        versions: By package.
        data_fingerprint: Identifies the images, labels and splits used.
        notes: What tables have to say about the data.
        classes: Names of the classes.
        mask_classes: Names of the classes of pixels, of a run with masks.
        started: Time of the start, ISO 8601, UTC.
        error: For a failed run: `{"type", "message", "traceback"}`.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    run: Run
    run_id: str
    status: Literal["done", "diverged", "failed", "trained", "pruned"]
    scores: dict[str, dict[str, float | None]] = {}
    without: dict[str, dict[str, dict[str, float | None]]] = {}
    per_class_f1: dict[str, list[float]] = {}
    per_mask_class_dice: dict[str, list[float | None]] = {}
    by_task: dict[str, TaskScores] = {}
    history: list[dict[str, float | None]] = []
    best_step: int | None = None
    parameters: Parameters | None = None
    flops: int | None = None
    width: int | None = None
    chosen: dict[str, float] = {}
    seconds: dict[str, float] = {}
    images_per_second: float | None = None
    stack: int = 1
    peak_memory_mb: float | None = None
    num_images: dict[str, int] = {}
    device: str = ""
    versions: dict[str, str] = {}
    data_fingerprint: str = ""
    notes: list[str] = []
    classes: list[str] = []
    mask_classes: list[str] = []
    started: str = ""
    error: dict[str, Any] | None = None

    def of_task(self, task: str) -> "Record":
        """Returns the record as that of one of its tasks.

        Scores, classes and the macro F1 of the history are those of the task.
        All else, such as parameters and seconds, is that of the whole run.
        """
        if len(self.run.tasks) == 1:
            return self
        classes = class_ranges(self.run.task)[task]
        mine = self.by_task.get(task, TaskScores())
        history = [
            entry | {"val_macro_f1": entry.get(f"val_macro_f1/{task}")}
            for entry in self.history
        ]
        return self.model_copy(
            update={
                "scores": mine.scores,
                "per_class_f1": mine.per_class_f1,
                "history": history,
                "classes": self.classes[classes.start : classes.stop],
            }
        )


def predictions_of(
    predictions: dict[str, np.ndarray], task: str
) -> dict[str, np.ndarray]:
    """Picks what a run predicted on one task: `val`, `test_labels`, ...

    Args:
        predictions: Of a run of this task alone, or of several.
        task: Name of the task.

    Example:

    >>> names = ("test/breastmnist", "test/retinamnist")
    >>> stored = dict(zip(names, (np.ones(1), np.ones(2))))
    >>> predictions_of(stored, "retinamnist")
    {'test': array([1., 1.])}
    """
    ending = f"/{task}"
    mine = {
        name.removesuffix(ending): values
        for name, values in predictions.items()
        if name.endswith(ending)
    }
    return mine or {k: v for k, v in predictions.items() if "/" not in k}
