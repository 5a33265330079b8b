"""From a study to its runs."""

from typing import NamedTuple

from medzoo.study.spec import Study
from medzoo.study.trials import Trial, run_values
from medzoo.training.run import Run

SMOKE_STEPS = 2
SMOKE_IMAGES = 64


class Planned(NamedTuple):
    """A run beside the trial that asks for it."""

    trial: Trial
    run: Run


def expand(study: Study, *, smoke: bool = False) -> tuple[Planned, ...]:
    """Lists every run of a study, in the order in which they are executed.

    Seeds change last, so that a third of the way through three seeds the table
    is complete for one; trials change first, so that those of a task, which are
    compared, finish together and share its images.

    Args:
        study: What to expand.
        smoke: Only shows that all of it works: two steps over 64 images, and
            the first seed alone. Trials that differ in their budget are then
            the same run.

    Example:

    >>> from medzoo.study.spec import read_study
    >>> study = read_study("quickstart").override(tasks=["breastmnist"])
    >>> [(trial.name, run.seed) for trial, run in expand(study)][:4]
    [('sgd', 0), ('adam', 0), ('adamw', 0), ('sgd', 1)]
    """
    return tuple(
        Planned(trial, _make_run(study, trial, task, seed, smoke))
        for seed in (study.seeds[:1] if smoke else study.seeds)
        for task in study.tasks
        for trial in study.trials
    )


def _make_run(
    study: Study, trial: Trial, task: str, seed: int, smoke: bool
) -> Run:
    values = run_values(study.fixed | trial.values)
    if smoke:
        values |= {"steps": SMOKE_STEPS, "max_images": SMOKE_IMAGES}
        values.pop("epochs", None)
    return Run(task=task, data=study.data, seed=seed, **values)
