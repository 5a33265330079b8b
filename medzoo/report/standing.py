"""Which trials lead while a study still runs: by val, on shared runs."""

from collections.abc import Sequence

import numpy as np

from medzoo.report.results import TrialResults
from medzoo.report.statistics import harmonic_mean_by_seed
from medzoo.scores.table import format_score


def describe_standing(results: Sequence[TrialResults]) -> str:
    """Ranks the trials on the tasks and seeds that all begun ones have done.

    Val decides the order, since test belongs to the finished study.

    Args:
        results: The trials of a study.

    Returns:
        A line and the leading trials below it, or nothing where no task and
        seed is done by two trials or more.
    """
    begun = [trial for trial in results if trial.done]
    if len(begun) < 2:
        return ""
    told = format_score(begun[0].score)
    told = f"{told[0].upper()}{told[1:]}"
    if len(begun[0].tasks) > 1:
        told = f"Harmonic mean of {format_score(begun[0].score)}"
    scores = np.stack([trial.matrix(trial.score, "val") for trial in begun])
    shared = ~np.isnan(scores).any(axis=0)
    if not shared.any():
        return ""
    means = _average(scores, shared)
    order = np.argsort(-means, kind="stable")[:10]
    width = max(len(begun[index].trial.name) for index in order)
    lines = [
        f"{told} on val so far, where all {len(begun)} "
        f"begun trials are done ({shared.sum()} of {shared.size} tasks and "
        "seeds):"
    ]
    lines += [
        f"{place:>3}. {begun[index].trial.name:<{width}}  {means[index]:.3f}"
        for place, index in enumerate(order, start=1)
    ]
    return "\n".join(lines)


def _average(scores: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Averages as the report does: harmonically over tasks, then over seeds.

    Of a seed the tasks count that all trials share.
    """
    by_seed = [
        harmonic_mean_by_seed(scores[:, seed, tasks])
        for seed, tasks in enumerate(shared)
        if tasks.any()
    ]
    return np.mean(by_seed, axis=0)
