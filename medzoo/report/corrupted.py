"""Balanced errors of trials on corrupted test images, of all seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medzoo.record import Robustness
from medzoo.report.results import TrialResults
from medzoo.store import Reader


class Corrupted(NamedTuple):
    """What a trial makes of corrupted test images of a task.

    Args:
        trial: Its name.
        task: Name of the task.
        seeds: Those whose runs were scored on corrupted images.
        num_done: Runs that are done.
        clean: Balanced errors on clean images, shape `(num_seeds,)`.
        kinds: Names of the kinds of corruption.
        errors: Shape `(num_seeds, num_kinds, num_severities)`.
        overlap: As of `medzoo.report.inference.compare_pairs`.
    """

    trial: str
    task: str
    seeds: tuple[int, ...]
    num_done: int
    clean: np.ndarray
    kinds: tuple[str, ...]
    errors: np.ndarray
    overlap: float = 0.0


def find_corrupted(
    results: Sequence[TrialResults], store: Reader
) -> list[Corrupted]:
    """Reads the errors of all trials, task by task; none without a seed.

    Kinds are those that all runs of a task share, so that what was scored by
    other versions of the table of corruptions is never averaged.
    """
    found = []
    for task in results[0].tasks:
        read = [_read(trial, task, store) for trial in results]
        runs = [each for trial in read for each in trial.values()]
        kinds = list(runs[0].kinds) if runs else []
        for run in runs:
            kinds = [kind for kind in kinds if kind in run.kinds]
        for trial, by_seed in zip(results, read, strict=True):
            if by_seed and kinds:
                found.append(_join(trial, task, by_seed, kinds))
    return found


def average_kinds(errors: np.ndarray, base: np.ndarray) -> float | None:
    """Averages the ratios of two errors over kinds, as MedMNIST-C does.

    Args:
        errors: Of a trial, by kind.
        base: Of the baseline.

    Returns:
        `None` if the baseline has no error in a kind, or makes fewer there
        than on clean images.

    Example:

    >>> average_kinds(np.array([0.2, 0.3]), np.array([0.4, 0.4]))
    0.625
    """
    if not len(base) or (base <= 0).any():
        return None
    return float((errors / base).mean())


def relate(
    each: Corrupted, baseline: Corrupted | None
) -> tuple[float | None, float | None]:
    """Relates the errors of a trial to those of the baseline.

    Of the seeds that both have: by kind, the mean error over severities by that
    of the baseline; and its rise over the error on clean images by the rise of
    the baseline. Both are means over kinds.

    Reference:
        [Di Salvo et al., 2024](https://arxiv.org/abs/2406.17536): balanced
        error (BE) and relative balanced error (rBE).
    """
    common = set(each.seeds) & set(baseline.seeds if baseline else ())
    if baseline is None or not common or each.kinds != baseline.kinds:
        return None, None
    errors, clean = _average(each, common)
    base, base_clean = _average(baseline, common)
    return (
        average_kinds(errors, base),
        average_kinds(errors - clean, base - base_clean),
    )


def _average(each: Corrupted, seeds: set[int]) -> tuple[np.ndarray, float]:
    """Averages over seeds: the error by kind, and on clean images."""
    at = [seed in seeds for seed in each.seeds]
    return each.errors[at].mean(axis=(0, 2)), float(each.clean[at].mean())


def _read(
    trial: TrialResults, task: str, store: Reader
) -> dict[int, Robustness]:
    found = {}
    for seed in trial.seeds[: trial.num_given]:
        record = trial.records.get((seed, task))
        if record is not None and record.status == "done":
            robust = store.read_task(record.run_id, task).corrupted
            if robust is not None:
                found[seed] = robust
    return found


def _join(
    trial: TrialResults,
    task: str,
    by_seed: dict[int, Robustness],
    kinds: list[str],
) -> Corrupted:
    errors = [
        robust.errors[[list(robust.kinds).index(kind) for kind in kinds]]
        for robust in by_seed.values()
    ]
    records = (trial.records.get((seed, task)) for seed in trial.seeds)
    return Corrupted(
        trial.trial.name,
        task,
        tuple(by_seed),
        sum(
            record is not None and record.status == "done" for record in records
        ),
        np.array([robust.clean for robust in by_seed.values()]),
        tuple(map(str, kinds)),
        np.stack(errors),
        trial.overlap,
    )
