"""Kinds of objective: labels of one task, several tasks, masks with labels."""

from medzoo.data.dataset import Dataset
from medzoo.runs.rules import predicts_masks
from medzoo.runs.run import Run
from medzoo.training.objectives.base import Objective
from medzoo.training.objectives.labels import LabelObjective
from medzoo.training.objectives.masks import MaskObjective
from medzoo.training.objectives.tasks import TasksObjective


def objective_class(run: Run) -> type[LabelObjective]:
    """Returns the kind of objective of a run."""
    if predicts_masks(run):
        return MaskObjective
    return TasksObjective if len(run.tasks) > 1 else LabelObjective


def make_objective(run: Run, data: Dataset) -> Objective:
    """Makes the objective of a run on its data."""
    return objective_class(run)(run, data)
