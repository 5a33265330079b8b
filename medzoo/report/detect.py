"""What a planned study can show: from its records, else from typical values."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medzoo.report.power import MOST_SEEDS, Plan, plan_by_spread
from medzoo.report.results import TrialResults, read_results
from medzoo.report.statistics import (
    covariance_of_images,
    harmonic_mean_by_seed,
)
from medzoo.scores.table import format_score
from medzoo.store import Store
from medzoo.study.plan import format_duration, make_plan
from medzoo.study.spec import Study


@dataclass(frozen=True)
class Detection:
    """What it takes to find a difference.

    Args:
        difference: To be found in 80 % of studies.
        num_seeds: Seeds that it takes; `None` if no number of them does.
        floor: The difference that no number of seeds finds.
        seconds: Estimate of the runs that are left, one after another.
        num_runs: Runs that are left.
        source: What all of it is estimated from.
        score: Name of the score.
    """

    difference: float
    num_seeds: int | None
    floor: float
    seconds: float
    num_runs: int
    source: str
    score: str

    def facts(self) -> dict[str, object]:
        """Returns the numbers, for JSON."""
        return {
            "difference": self.difference,
            "num_seeds": self.num_seeds,
            "floor": self.floor,
            "seconds_left": self.seconds,
            "runs_left": self.num_runs,
            "source": self.source,
        }

    def text(self, workers: int = 1) -> str:
        """Words them in a few lines, for so many workers."""
        what = f"a difference of {self.difference:g} in {self.score}"
        floor = (
            f"No number of seeds finds less than {self.floor:.3f}, as all are "
            "tested on the same images."
        )
        if self.num_seeds is None:
            more = f"More than {MOST_SEEDS} seeds are needed to find {what}."
            none = f"Nothing finds {what}."
            told = (
                f"{none if self.difference <= self.floor else more} {floor} "
                "The way out is more test images: further tasks, or folds of "
                "your own data."
            )
        else:
            time = format_duration(self.seconds / workers)
            shared = f"{workers} worker{'s' * (workers > 1)}"
            told = (
                f"{self.num_seeds} seeds find {what}, in 80 % of such studies: "
                f"{self.num_runs} runs are left, {time} with {shared}. "
                f"{floor}"
            )
        return f"{told}\nEstimated from {self.source}."


def detect(study: Study, store: Store, difference: float) -> Detection:
    """Finds the seeds that a study takes to show a difference.

    Args:
        study: The study.
        store: Its records are used if two trials have two seeds in common.
        difference: Between a trial and the baseline, more than 0.

    Raises:
        ValueError: If there are neither records nor typical values.
    """
    plan, source = _plan(study, store)
    needed = plan.seeds_needed(difference)
    seconds, num_runs = 0.0, 0
    if needed is not None:
        grown = replace(study, until="decided", max_seeds=needed, given={})
        left = make_plan(study.with_seeds(grown.all_seeds), store)
        seconds, num_runs = left.seconds_left, left.left
    return Detection(
        difference,
        needed,
        plan.smallest_visible,
        seconds,
        num_runs,
        source,
        _name_score(study),
    )


def _name_score(study: Study) -> str:
    score = format_score(study.score)
    return f"the harmonic mean of {score}" if len(study.tasks) > 1 else score


def _plan(study: Study, store: Store) -> tuple[Plan, str]:
    results = read_results(study, store)
    found = plan_by_records(results, store, all_pairs=study.baseline is None)
    if found is not None:
        done = sum(len(trial.done) for trial in results)
        return found, f"the {done} records of this study"
    return plan_by_typical(study), (
        f"typical values of {', '.join(study.tasks)} (small networks on the "
        "official split, in the committed studies)"
    )


def plan_by_records(
    results: Sequence[TrialResults], store: Store, *, all_pairs: bool = False
) -> Plan | None:
    """Plans by the spread of the runs that there are.

    Args:
        results: All trials of a study.
        store: Where their predictions are.
        all_pairs: As of `Plan`.

    Returns:
        `None` unless two trials have two seeds in common and predictions.
    """
    score = results[0].score
    values = harmonic_mean_by_seed(np.stack([t.matrix(score) for t in results]))
    known = ~np.isnan(values)
    rows = known.sum(axis=1) >= 2
    if rows.sum() < 2 or (known[rows].sum(axis=0) >= 2).sum() < 2:
        return None
    replicates = harmonic_mean_by_seed(
        np.stack([t.read_replicates(store) for t in results], axis=1)
    )
    images = covariance_of_images(replicates[:, rows], known[rows])
    return plan_by_spread(
        values[rows],
        images,
        num_trials=len(results),
        overlap=max(trial.overlap for trial in results),
        all_pairs=all_pairs,
    )


def plan_by_typical(study: Study) -> Plan:
    """Plans by values of like studies, which come with the package.

    Over several tasks, errors of the harmonic mean `H` of scores `x` follow
    from `dH / dx = H^2 / (T x^2)`.

    Raises:
        ValueError: If there are none for a task or score.
    """
    text = Path(__file__).with_name("typical.toml").read_text(encoding="utf-8")
    known = tomllib.loads(text).get(study.score, {})
    if study.data != "medmnist":
        known = {}
    if unknown := [task for task in study.tasks if task not in known]:
        raise ValueError(
            f"No records of `{study.name}`, and no typical values of "
            f"{format_score(study.score)} on {', '.join(unknown)}. Expected "
            "two trials with two seeds in common. Run the study with "
            "`--seeds 0,1` first."
        )
    values = [known[task] for task in study.tasks]
    means = np.array([value["mean"] for value in values])
    slopes = harmonic_mean_by_seed(means) ** 2 / (len(means) * means**2)
    seeds, images = (
        float(((slopes * [value[key] for value in values]) ** 2).sum())
        for key in ("seeds", "images")
    )
    return Plan(
        len(study.trials),
        seeds,
        images,
        all_pairs=study.baseline is None,
    )
