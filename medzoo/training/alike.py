"""Which runs are one computation on other numbers, and may train together."""

import functools

from medzoo.models import get_entry
from medzoo.training.choices import IMBALANCES
from medzoo.training.mask_checks import predicts_masks
from medzoo.training.run import Run

# Fields in which the runs of a stack may differ: they decide values, not the
# graph, nor how many steps there are between two looks at val.
_MAY_DIFFER = {
    "seed",
    "learning_rate",
    "weight_decay",
    "loss_weight",
    "schedule",
    "warmup",
    "patience",
    "keep",
    "flip_test",
    "adjust",
}


@functools.lru_cache(maxsize=100_000)
def stack_key(run: Run) -> str | None:
    """Names what may train together; `None` for a run that trains alone.

    Example:

    >>> runs = [
    ...     Run(task="breastmnist", optimizer="adamw", weight_decay=decay)
    ...     for decay in (0.0, 0.1)
    ... ]
    >>> stack_key(runs[0]) == stack_key(runs[1])
    True
    >>> stack_key(Run(task="breastmnist", model="knn")) is None
    True
    """
    drawn = run.max_images is not None or run.resplit
    weighs = run.loss == "weighted_soft_f1"
    weighs |= IMBALANCES[run.imbalance] == "loss"
    if (
        get_entry(run.model).baseline
        or len(run.tasks) > 1
        or predicts_masks(run)
        or (drawn and weighs)  # The loss of each seed has other constants.
    ):
        return None
    return run.model_dump_json(exclude=_MAY_DIFFER)
