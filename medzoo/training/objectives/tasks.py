"""What runs of several tasks have of their own: loss, scores, predictions."""

import math
from typing import TYPE_CHECKING

import numpy as np

from medzoo.data.dataset import Dataset, MaskedDataset
from medzoo.data.mixed import MixedDataset, MixedSplit
from medzoo.messages import unknown
from medzoo.record import Record, TaskScores
from medzoo.runs.run import Run
from medzoo.scores import probabilities as scores
from medzoo.tasks import class_ranges
from medzoo.training.predict import (
    average,
    predict_logits,
    score_each,
    to_probabilities,
)

if TYPE_CHECKING:
    import keras

    from medzoo.losses.multitask import TaskLoss


class MultiTaskNet:
    """A trained net of several tasks, asked task by task.

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

        Args:
            images: `uint8`, shape `(n, height, width, channels)`.
            task: Which of the net's tasks they are of.

        Raises:
            ValueError: For a task that the net does not have.
        """
        logits = predict_logits(self.of_task(task, images.shape[-1]), images)
        return to_probabilities(logits, self.output)

    def of_task(self, task: str, channels: int = 3) -> "keras.Model":
        """Returns the net of one task, from its images to its logits.

        Args:
            task: Which of the net's tasks.
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


def task_weights(run: Run, data: Dataset) -> tuple[int, ...] | None:
    """Returns the weights of tasks that are constants of the loss."""
    if isinstance(data, MixedDataset) and _weighting(run) == "size":
        return data.sizes
    return None


def make_task_loss(
    run: Run, data: MixedDataset, class_weights: list[float] | None
) -> "TaskLoss":
    """Makes the loss of a run of several tasks."""
    from medzoo.losses.multitask import TaskLoss

    return TaskLoss(
        run.loss,
        data.heads,
        task_weights=task_weights(run, data),
        output=run.output,
        weight=run.loss_weight,
        class_weights=class_weights,
    )


def weigh_tasks(run: Run, data: Dataset, model: "keras.Model") -> "keras.Model":
    """Gives a net of several heads the train step that its run asks for.

    Raises:
        ValueError: For `gradnorm` or `pcgrad` on another backend than
            TensorFlow.
    """
    masked = isinstance(data, MaskedDataset)
    if not (masked or isinstance(data, MixedDataset)):
        return model
    from medzoo.losses import weighting as task_weighting

    # A mask and a label.
    num_tasks = len(data.heads) if isinstance(data, MixedDataset) else 2
    name = _weighting(run)
    objective: task_weighting.Objective
    if run.loss == "soft_harmonic_mean":
        objective = task_weighting.SmoothedHarmonicMean(data.num_classes)
    elif name == "uncertainty":
        objective = task_weighting.Uncertainty(num_tasks)
    elif name == "dwa":
        period = math.ceil(len(data.train) / run.batch_size)
        objective = task_weighting.DynamicWeightAverage(
            num_tasks, period=period
        )
    elif masked:
        from medzoo.losses.weighting import FixedWeights

        objective = FixedWeights()
    elif name in ("gradnorm", "pcgrad"):
        return _with_task_gradients(name, model, num_tasks)
    else:
        return model
    return task_weighting.TaskModel(model, objective)


def _weighting(run: Run) -> str:
    return str(run.options["task_weighting"])


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


def net_of(model: "keras.Model") -> "keras.Model":
    """Returns a model without what only its train step has."""
    import keras

    net = keras.Model(model.input, model.output)
    return model if type(model) is type(net) else net


def score_tasks(
    record: Record,
    name: str,
    split: MixedSplit,
    logits: np.ndarray,
    *,
    loss: "TaskLoss",
) -> dict[str, np.ndarray]:
    """Fills in the scores of one split: of each task, and their means.

    Returns:
        Probabilities and labels of each task, as `test/breastmnist` and
        `test_labels/breastmnist`.
    """
    predictions = {}
    found = score_each(split, logits, record.run.output)
    losses, _ = loss.by_task(split.labels, logits)
    for (task, (values, probabilities)), value in zip(
        found.items(), losses, strict=True
    ):
        values["loss"] = float(value)
        labels = split.parts[task].labels
        mine = record.by_task.setdefault(task, TaskScores())
        mine.scores[name] = values
        mine.per_class_f1[name] = [
            float(value) for value in scores.per_class_f1(probabilities, labels)
        ]
        predictions[f"{name}/{task}"] = probabilities
        predictions[f"{name}_labels/{task}"] = labels
    record.scores[name] = average({task: v for task, (v, _) in found.items()})
    record.scores[name]["loss"] = float(loss(split.labels, logits))
    return predictions
