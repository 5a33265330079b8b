"""The steps of a run, and those after which it looks at val."""

import math

import numpy as np

from medzoo.training.run import Run


def count_steps(run: Run, num_images: int) -> int:
    """Returns the steps of a run over `num_images` images of train."""
    if run.steps is not None:
        return run.steps
    batch_size = min(run.batch_size, num_images)
    return math.ceil((run.epochs or 1) * num_images / batch_size)


def check_steps(run: Run, num_images: int) -> list[int]:
    """Returns the steps after which val is looked at: once an epoch.

    A budget in `steps` is looked at 20 times even where it is less than 20
    epochs, so that early stopping and the best weights have a choice.

    Example:

    >>> run = Run(task="breastmnist", epochs=2, batch_size=128)
    >>> check_steps(run, num_images=546)
    [5, 9]
    """
    num_steps = count_steps(run, num_images)
    num_checks = run.epochs or max(
        20, math.ceil(num_steps * run.batch_size / num_images)
    )
    ends = np.linspace(0, num_steps, min(num_checks, num_steps) + 1)[1:]
    return [math.ceil(round(end, 6)) for end in ends]
