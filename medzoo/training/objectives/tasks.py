"""The objective of several tasks, and their net answering for each task."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.batches import mixed_batch_indices
from medzoo.data.dataset import Dataset, Split
from medzoo.data.multi_task import MultiTaskDataset, MultiTaskImages
from medzoo.messages import unknown
from medzoo.record import Predictions, Record, SplitPredictions, TaskScores
from medzoo.runs.run import Run
from medzoo.runs.symmetries import list_flips
from medzoo.scores import probabilities as scores
from medzoo.tasks import class_ranges
from medzoo.training.adjust import Adjustment, choose_adjustment
from medzoo.training.objectives.labels import LabelObjective, list_f1
from medzoo.training.predict import Scores, predict_logits, to_probabilities

if TYPE_CHECKING:
    import keras

    from medzoo.losses.multitask import TaskLoss
    from medzoo.losses.multitask import TaskWeighting as Weighting


class TasksObjective(LabelObjective):
    """Labels of several tasks, each with a head of its own."""

    main_score = "harmonic_mean"
    data: MultiTaskDataset

    @classmethod
    def select_data(cls, run: Run, data: Any) -> Dataset:
        return data.with_tasks() if run.options.get("film") else data

    @property
    def heads(self) -> tuple[int, ...]:
        return self.data.heads

    def graph_constants(self) -> object:
        return super().graph_constants(), self._task_weights()

    def make_loss(self) -> "TaskLoss":
        from medzoo.losses.multitask import TaskLoss

        return TaskLoss(
            self.run.loss,
            self.data.heads,
            task_weights=self._task_weights(),
            output=self.run.output,
            weight=self.run.loss_weight,
            class_weights=self.class_weights(),
        )

    def _task_weights(self) -> tuple[int, ...] | None:
        """Returns the weights of tasks that are constants of the loss."""
        by_size = weighting_of(self.run) == "size"
        return self.data.sizes if by_size else None

    def prepare(self, model: "keras.Model") -> "keras.Model":
        from medzoo.losses.multitask import SmoothedHarmonicMean, TaskModel

        name, num_tasks = weighting_of(self.run), len(self.data.heads)
        if self.run.loss == "soft_harmonic_mean":
            return TaskModel(model, SmoothedHarmonicMean(self.data.num_classes))
        weighting = make_weighting(self.run, num_tasks, len(self.data.train))
        if weighting is not None:
            return TaskModel(model, weighting)
        if name in ("gradnorm", "pcgrad"):
            return _with_task_gradients(name, model, num_tasks)
        return model

    def batches(self, *, start: int = 0) -> Iterator[np.ndarray]:
        return mixed_batch_indices(
            self.data.sizes,
            self.run.batch_size,
            alpha=float(self.run.options["alpha"]),
            seed=self.run.seed,
            start=start,
        )

    def score(
        self, split: Split, logits: np.ndarray, loss: Callable[..., Any]
    ) -> Scores:
        by_task = {
            task: scores.score(probabilities, labels, probabilities.shape[1])
            for task, probabilities, labels in self._by_task(split, logits)
        }
        found = average(by_task)
        for task, mine in by_task.items():
            found[f"macro_f1/{task}"] = mine["macro_f1"]
        return found | {"loss": float(loss(split.labels, logits))}

    def keep(
        self,
        predictions: Predictions,
        record: Record,
        name: str,
        logits: np.ndarray,
    ) -> Predictions:
        split, loss = getattr(self.data, name), self.make_loss()
        losses, _ = loss.by_task(split.labels, logits)
        by_task = dict(predictions.by_task)
        for (task, probabilities, labels), value in zip(
            self._by_task(split, logits), losses, strict=True
        ):
            mine = record.by_task.setdefault(task, TaskScores())
            found = scores.score(probabilities, labels, probabilities.shape[1])
            mine.scores[name] = found | {"loss": float(value)}
            mine.per_class_f1[name] = list_f1(probabilities, labels)
            before = by_task.get(task, Predictions())
            by_task[task] = before.with_split(
                name, SplitPredictions(probabilities, labels)
            )
        record.scores[name] = average(
            {task: mine.scores[name] for task, mine in record.by_task.items()}
        ) | {"loss": float(loss(split.labels, logits))}
        return replace(predictions, by_task=by_task)

    def _by_task(
        self, split: Any, logits: np.ndarray
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yields each task with its probabilities and labels."""
        for task, part, mine in split.by_task(logits):
            yield task, to_probabilities(mine, self.run.output), part.labels

    def views(self, images: MultiTaskImages) -> Iterable[MultiTaskImages]:
        """Returns images, and mirror images as the classes of each task allow.

        A task of fewer views than another one has each of its own more than
        once, and equally often.
        """
        flips = [list_flips(self.run, task) for task in self.run.tasks]
        return (
            images.flip([views[index % len(views)] for views in flips])
            for index in range(max(map(len, flips)))
        )

    def name_temperatures(self, scale: np.ndarray) -> dict[str, float]:
        return {
            f"temperature/{task}": 1 / float(scale[classes.start])
            for task, classes in class_ranges(self.run.task).items()
        }

    def choose_adjustment(self, val_logits: np.ndarray) -> Adjustment:
        run = self.run
        parts = zip(
            self.data.val.by_task(val_logits), self.data.parts, strict=True
        )
        return Adjustment.join(
            choose_adjustment(run.adjust, mine, part, run.output)
            for (_, _, mine), part in parts
        )


def average(by_task: dict[str, Scores]) -> Scores:
    """Averages each score over the tasks, and adds the harmonic mean.

    A score that a task does not have is `None`; `harmonic_mean` is that of the
    macro F1.

    Example:

    >>> average({"a": {"macro_f1": 0.5}, "b": {"macro_f1": 1.0}})
    {'macro_f1': 0.75, 'harmonic_mean': 0.6666666666666666}
    """
    values = list(by_task.values())
    means: Scores = {}
    for name in values[0]:
        known = [mine[name] for mine in values]
        numbers = [value for value in known if value is not None]
        complete = len(numbers) == len(known)
        means[name] = float(np.mean(numbers)) if complete else None
    means["harmonic_mean"] = scores.harmonic_mean(
        mine["macro_f1"] for mine in values
    )
    return means


def weighting_of(run: Run) -> str:
    """Returns the name by which a run weighs its tasks."""
    return str(run.options["task_weighting"])


def make_weighting(
    run: Run, num_tasks: int, num_images: int
) -> "Weighting | None":
    """Makes the weighting of tasks that is learnt from their losses, if any."""
    from medzoo.losses.multitask import DynamicWeightAverage, Uncertainty

    if weighting_of(run) == "uncertainty":
        return Uncertainty(num_tasks)
    if weighting_of(run) == "dwa":
        period = math.ceil(num_images / run.batch_size)
        return DynamicWeightAverage(num_tasks, period=period)
    return None


def _with_task_gradients(
    name: str, model: "keras.Model", num_tasks: int
) -> "keras.Model":
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"`{name}` needs the gradient of each task, which Keras takes from "
            "its backend. Expected KERAS_BACKEND=tensorflow. Received: "
            f"{keras.backend.backend()}. Use task_weighting='uncertainty' or "
            "'dwa', which run on every backend."
        )
    from medzoo.training.task_gradients_tensorflow import GradNorm, PCGrad

    return {"gradnorm": GradNorm, "pcgrad": PCGrad}[name](model, num_tasks)


class MultiTaskNet:
    """A trained net of several tasks, applied to one of them at a time.

    Args:
        model: From images, of 3 channels if any task has, to the logits of all
            tasks.
        tasks: The tasks of its run: names joined by `+`, or `all`.
        output: What turns logits into probabilities: `softmax` or `sigmoid`.

    Example:

    >>> from medzoo.models.registry import build_model
    >>> model = build_model(
    ...     "multi_head", (5, 2), input_shape=(28, 28, 3), width=4
    ... )
    >>> net = MultiTaskNet(model, "retinamnist+breastmnist")
    >>> grey = np.zeros((1, 28, 28, 1), "uint8")
    >>> net.predict(grey, task="breastmnist").shape
    (1, 2)
    """

    def __init__(
        self, model: "keras.Model", tasks: str, *, output: str = "softmax"
    ) -> None:
        self.model = model
        self.classes = class_ranges(tasks)
        self.output = output

    def predict(self, images: np.ndarray, *, task: str) -> np.ndarray:
        """Returns the probabilities of a task's classes.

        Raises:
            ValueError: For a task that the net does not have.
        """
        logits = predict_logits(self.of_task(task, images.shape[-1]), images)
        return to_probabilities(logits, self.output)

    def of_task(self, task: str, channels: int = 3) -> "keras.Model":
        """Returns the net of one task, from its images to its logits.

        Args:
            task: One of the net's tasks.
            channels: Of the images: 1 or 3.
        """
        from medzoo.models.multi_head import take_head

        if task not in self.classes:
            raise ValueError(unknown("task", task, self.classes))
        index = list(self.classes).index(task)
        classes = self.classes[task]
        return take_head(self.model, index, classes, channels=channels)

    def with_names(self) -> "keras.Model":
        """Returns the net with an output a task, by its name, for export."""
        from medzoo.models.multi_head import name_heads

        return name_heads(self.model, self.classes)
