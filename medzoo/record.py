"""A record: what came out of a run; and what the run predicted."""

import contextlib
import functools
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json, to_json

from medzoo.runs.json_model import JsonModel
from medzoo.runs.run import Run
from medzoo.tasks import class_ranges

# Names of a kept model and of its record, beside each other in a folder.
MODEL, RECORD = "model.keras", "record.json"


class Parameters(BaseModel):
    """Counts of weights; `total` includes frozen ones and statistics."""

    total: int
    trainable: int


class TaskScores(BaseModel):
    """What a run of several tasks reached on one of them, as in `Record`."""

    scores: dict[str, dict[str, float | None]] = {}
    per_class_f1: dict[str, list[float]] = {}


class Record(JsonModel):
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
        chosen: What a baseline or `adjust` chose on val, such as `C` or
            `temperature`.
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
        warnings: What is to be said of the run besides, such as faults of
            watchers.
        ranges: Values of 16-bit files that became 0 and 255, by channel, as
            they were measured on train.
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
    # Not in the JSON of records without any, so that it stays what it was.
    # Made by `list`, as pydantic copies a default of most records slowly.
    warnings: list[str] = Field(default_factory=list, exclude_if=operator.not_)
    ranges: list[tuple[int, int]] = []
    classes: list[str] = []
    mask_classes: list[str] = []
    started: str = ""
    error: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, content: bytes | str, *, history: bool = True) -> Self:
        """Reads a record from its text.

        Runs that differ in their seed alone are checked once: 100,000 records
        are read in seconds.

        Args:
            content: As pydantic writes it.
            history: Whether to read the history, most of its memory, as well.

        Raises:
            ValueError: If it is none.
        """
        with contextlib.suppress(ValueError, TypeError, KeyError):
            values = from_json(content if history else _cut_history(content))
            values["run"] = _make_run(values["run"])
            if not history:
                values["history"] = []
            return cls.model_validate(values)
        # Words what is wrong, and where.
        return cls.model_validate_json(content)

    def _repr_html_(self) -> str:
        """Shows the scores by split in a notebook."""
        import html

        import pandas as pd

        run = f"{self.run.model} on {self.run.task}, seed {self.run.seed}"
        title = f"<p>{html.escape(run)}: {self.status}</p>"
        if not self.scores:
            return title
        table = pd.DataFrame(self.scores).astype("float64")
        return title + table.to_html(float_format="{:.3f}".format, na_rep="")

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


def _cut_history(content: bytes | str) -> bytes:
    """Leaves the history out of the text of a record, where it can."""
    text = content.encode() if isinstance(content, str) else content
    before, start, rest = text.partition(b',"history":[')
    _, end, after = rest.partition(b'],"best_step":')
    # What is cut in the wrong place is no JSON, and is read as it is.
    return b"".join([before, start, end, after]) if end else text


def _make_run(values: dict[str, Any]) -> Run:
    """Makes a run from values of JSON; a plugin is looked for each time."""
    seed = values["seed"]
    if type(seed) is not int or not 0 <= seed < 2**32 or values["plugins"]:
        return Run.model_validate_json(to_json(values))
    return _first_seed(to_json(values | {"seed": 0})).with_seeds([seed])[0]


@functools.lru_cache(maxsize=10_000)
def _first_seed(text: bytes) -> Run:
    return Run.model_validate_json(text)


@dataclass(frozen=True)
class SplitPredictions:
    """What a run predicted on one split, and the labels of its images.

    Args:
        probabilities: Shape `(n, num_classes)`.
        labels: Shape `(n,)`; -1 marks an unlabelled image.
        pixel_counts: Pixels of each image by mask class (row) and predicted
            one (column), of a run with masks: shape `(n, num_mask_classes,
            num_mask_classes)`.
        groups: Number of what each image is of, such as a patient, shape
            `(n,)`; -1 for an image in none. Of test alone, where groups are
            known.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    pixel_counts: np.ndarray | None = None
    groups: np.ndarray | None = None

    def check(self) -> None:
        """Checks that the arrays fit together.

        Raises:
            ValueError: If they do not.
        """
        shares, labels = map(np.asarray, (self.probabilities, self.labels))
        shape = shares.shape
        ok = (
            len(shape) == 2
            and shares.dtype.kind == "f"
            # Nor is one not a number.
            and (shares.size == 0 or 0 <= shares.min() <= shares.max() < 1.01)
            and labels.dtype.kind in "iu"
            and labels.shape == shape[:1]
            and (labels.size == 0 or labels.min() >= -1)
            and (labels.size == 0 or labels.max() < shape[1])
        )
        counts = self.pixel_counts
        if counts is not None:
            ok = ok and np.asarray(counts).dtype.kind in "iu"
            ok = ok and np.ndim(counts) == 3 and len(counts) == shape[0]
        if self.groups is not None:
            ok = ok and np.asarray(self.groups).dtype.kind in "iu"
            ok = ok and np.shape(self.groups) == shape[:1]
        if not ok:
            raise ValueError(
                "its arrays do not fit: expected probabilities (n, "
                "num_classes) from 0 to 1, and labels (n,) below num_classes, "
                "received "
                f"{shape} and {labels.dtype} {labels.shape}"
            )

    @property
    def predicted_labels(self) -> np.ndarray:
        """The most probable class of each image."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True)
class MaskExamples:
    """Test images with the best, the middle and the worst predicted masks.

    Args:
        rows: Of test, by falling Dice.
        images: `uint8`, shape `(3, height, width, channels)`.
        truth: Their masks, -1 for an unlabelled pixel.
        predicted: The predicted masks.
    """

    rows: np.ndarray
    images: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Robustness:
    """Balanced errors, 1 minus the balanced accuracy, clean and corrupted.

    Args:
        clean: Of the test images as they are, shape `()`.
        kinds: Names of the kinds of corruption, shape `(num_kinds,)`.
        errors: Of corrupted images, shape `(num_kinds, num_severities)`.
    """

    clean: np.ndarray
    kinds: np.ndarray
    errors: np.ndarray

    def check(self) -> None:
        """Checks that the arrays fit together.

        Raises:
            ValueError: If they do not.
        """
        shapes = [np.shape(a) for a in (self.clean, self.kinds, self.errors)]
        if (
            self.kinds.dtype.kind != "U"
            or {self.clean.dtype.kind, self.errors.dtype.kind} != {"f"}
            or list(map(len, shapes)) != [0, 1, 2]
            or shapes[1] != shapes[2][:1]
        ):
            raise ValueError(
                "its errors of corrupted images do not fit: expected one "
                "clean, a row for each kind and a column for each severity, "
                f"received {shapes}"
            )

    @property
    def by_kind(self) -> dict[str, float]:
        """Means over severities."""
        means = self.errors.mean(axis=1).tolist()
        return dict(zip(self.kinds.tolist(), means, strict=True))

    @property
    def mean(self) -> float:
        """Mean over kinds of the mean over severities."""
        return float(self.errors.mean())


@dataclass(frozen=True)
class Predictions:
    """What a run predicted on val and test.

    Args:
        val: Predictions on val.
        test: Those on test, as soon as its labels are read.
        by_task: Of a run of several tasks, those of each, in place of both.
        examples: Predicted masks, of a run with masks.
        corrupted: Errors on corrupted test images, where its study asks for
            them.
        test_logits: Logits of test until its labels are read, by the option
            that is left out; `""` is the run as it is.
        test_masks: Predicted masks of test until its labels are read.
    """

    val: SplitPredictions | None = None
    test: SplitPredictions | None = None
    by_task: Mapping[str, "Predictions"] = field(default_factory=dict)
    examples: MaskExamples | None = None
    corrupted: Robustness | None = None
    test_logits: Mapping[str, np.ndarray] = field(default_factory=dict)
    test_masks: np.ndarray | None = None

    def of_task(self, task: str) -> "Predictions":
        """Returns the predictions on one task of the run."""
        return self.by_task.get(task, self)

    def with_split(self, name: str, split: SplitPredictions) -> "Predictions":
        """Returns the predictions with those on `val` or `test`."""
        changes: dict[str, Any] = {name: split}
        return replace(self, **changes)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns all arrays by their path, such as `val/labels`."""
        return dict(_flatten(self))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Predictions":
        """Makes the predictions that gave these arrays.

        Raises:
            ValueError: If arrays have other names, shapes or types.

        Example:

        >>> split = SplitPredictions(np.eye(2), np.array([0, 1]))
        >>> arrays = Predictions(by_task={"a": Predictions(split)}).to_arrays()
        >>> sorted(arrays)
        ['by_task/a/val/labels', 'by_task/a/val/probabilities']
        >>> Predictions.from_arrays(arrays).of_task("a").val.labels
        array([0, 1])
        """
        tree: dict[str, Any] = {}
        for path, array in arrays.items():
            *parents, name = path.split("/")
            branch = tree
            for parent in parents:
                branch = branch.setdefault(parent, {})
                if not isinstance(branch, dict):
                    raise ValueError(f"array `{path}` is inside of another")
            branch[name] = array
        return cls._from_tree(tree)

    @classmethod
    def _from_tree(cls, tree: Mapping[str, Any]) -> "Predictions":
        parts = dict(tree)
        for name, part_class in _PARTS.items():
            if name in parts:
                parts[name] = part_class(**parts[name])
        for name in ("val", "test", "corrupted"):
            if name in parts:
                parts[name].check()
        by_task = parts.pop("by_task", {}).items()
        tasks = {task: cls._from_tree(branch) for task, branch in by_task}
        return cls(by_task=tasks, **parts)


def round_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Rounds to `float16`, and keeps which class is the most probable.

    Where rounding makes a class equal to the most probable one, it is set to
    the next smaller number, so that scores of labels stay as they are.

    Args:
        probabilities: Shape `(n, num_classes)`.

    Example:

    >>> found = round_probabilities(np.array([[0.49999, 0.50001]]))
    >>> int(found.argmax()), found.dtype.name
    (1, 'float16')
    """
    found = probabilities.astype("float16")
    top = probabilities.argmax(axis=-1)[..., None]
    highest = np.take_along_axis(found, top, axis=-1)
    is_before = np.arange(found.shape[-1]) < top
    smaller = np.nextafter(found, np.float16(0))
    return np.where(is_before & (found >= highest), smaller, found)


_PARTS: dict[str, type] = {
    "val": SplitPredictions,
    "test": SplitPredictions,
    "examples": MaskExamples,
    "corrupted": Robustness,
}


def _flatten(branch: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(branch, np.ndarray):
        yield path, branch
    elif branch is not None:
        parts = branch if isinstance(branch, Mapping) else vars(branch)
        for name, part in parts.items():
            yield from _flatten(part, f"{path}/{name}" if path else name)
