"""Trials side by side: how far apart, how sure, and what follows."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Protocol

import numpy as np

from medzoo.report.inference import (
    Sureness,
    compare_pairs,
    holm,
    normal_range,
    p_of_all_pairs,
)
from medzoo.report.looks import Looks, Verdict
from medzoo.report.power import LEVEL, Plan, plan_by_spread
from medzoo.report.statistics import (
    Bounds,
    covariance_of_images,
    harmonic_mean_by_seed,
)

# With fewer tasks, average ranks say next to nothing.
FEWEST_TASKS = 5
# Trials beyond which pairs are only those with one of the first of them.
MOST_PAIRED, NUM_PAIRED = 200, 40
_NUM_PERMUTATIONS = 9_999


class StoredReplicates(Protocol):
    """Bootstraps that are read from a store, those of one task at a time."""

    def __getitem__(self, key: tuple[EllipsisType, int]) -> np.ndarray: ...


@dataclass(frozen=True)
class TrialScores:
    """One score of one trial on test.

    Args:
        name: Of the trial.
        matrix: Shape `(num_seeds, num_tasks)`; NaN for a missing run.
        replicates: Its bootstraps over test images, shape
            `(num_replicates, num_seeds, num_tasks)`; NaN where there is none.
            What reads them when it is asked for one task serves as well:
            those of 100,000 runs do not fit into memory.
        diverged: Seeds of which a run diverged.
        num_given: Seeds that it is given, the first ones; all if `None`. The
            rows of the others are NaN.
    """

    name: str
    matrix: np.ndarray
    replicates: "np.ndarray | StoredReplicates"
    diverged: int = 0
    num_given: int | None = None

    @property
    def given(self) -> np.ndarray:
        """Scores of the seeds that it is given."""
        return self.matrix[: self.num_given]

    @property
    def complete(self) -> bool:
        """Says whether every run of these seeds has a score."""
        return not np.isnan(self.given).any()


@dataclass(frozen=True)
class Difference:
    """The harmonic mean of one trial minus that of another.

    Args:
        other: Name of the trial that is subtracted.
        estimate: The difference.
        low: Lower end of its 95 % interval, which covers other seeds and test
            images; `None` if predictions are missing.
        high: Upper end.
        p: Of the same statistic as the interval: it ends at 0 at the
            confidence `1 - p`. `None` without predictions, or with one seed.
        p_corrected: The same, corrected for the number of comparisons.
        simultaneous: Ends of the interval that holds for all comparisons to
            one trial at once, where there are such.
        verdict: `better` or `worse` if the corrected p-value is 0.05 at most,
            or what a look has spent of that,
            `equal` if the 95 % interval lies inside the margin of the study,
            else `undecided`.
        probability_of_improvement: See the function of that name.
    """

    other: str
    estimate: float
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    simultaneous: tuple[float, float] | None
    verdict: Verdict
    probability_of_improvement: float


class Comparisons:
    """All comparisons of the trials of a study that have every run.

    Everything is about `H[k, s]`, the harmonic mean over the tasks of trial `k`
    with seed `s`, and its bootstrap over test images, for which the harmonic
    mean is taken inside each replicate.

    Args:
        trials: The trials; all of them complete.
        replicates: Their bootstraps of `H`, shape `(num_replicates, num_trials,
            num_seeds)`; computed from the trials if left out.
        margin: Half the width of the band of equality, if there is one.
        overlap: As of `medzoo.report.inference.compare_pairs`.
        looks: The looks at the study; what they have compared is as they
            found it.
        bounds: Of the score; a difference is at most as large as they are
            apart.
    """

    def __init__(
        self,
        trials: Sequence[TrialScores],
        replicates: np.ndarray | None = None,
        *,
        margin: float | None = None,
        overlap: float = 0.0,
        looks: Looks | None = None,
        bounds: Bounds = (0.0, 1.0),
    ):
        self.trials = {trial.name: trial for trial in trials}
        self.names = list(self.trials)
        self.margin = margin
        self.overlap = overlap
        self.looks = looks
        self.bounds = bounds
        self.values = np.array(
            [harmonic_mean_by_seed(trial.matrix) for trial in trials]
        )
        if replicates is None:
            found = [np.asarray(trial.replicates) for trial in trials]
            replicates = harmonic_mean_by_seed(np.stack(found, axis=1))
        self.images = covariance_of_images(replicates, ~np.isnan(self.values))

    def to(self, other: str) -> dict[str, Difference]:
        """Compares all other trials to one, with Holm's correction."""
        pairs = [(name, other) for name in self.names if name != other]
        if not pairs:
            return {}
        found = self._compare(pairs)
        known = ~np.isnan(found.p)
        corrected = np.full(len(pairs), np.nan)
        corrected[known] = holm(found.p[known].tolist())
        levels = np.array([self._find_level(*pair) for pair in pairs])
        wide = found.half_widths(levels / len(pairs))
        made = self._make(pairs, found, corrected, wide)
        return {name: d for (name, _), d in zip(pairs, made, strict=True)}

    def of_all_pairs(self) -> dict[str, dict[str, Difference]]:
        """Compares all pairs, corrected for trials picked by their scores.

        Of more than 200 trials only the pairs with one of the first 40, or with
        one that a look has compared the others to, are returned, as nobody
        reads a million of them; they are corrected for all.

        Returns:
            By the trial, then by the one that is subtracted.
        """
        found: dict[str, dict[str, Difference]] = {n: {} for n in self.names}
        shown = {*self.names}
        if len(shown) > MOST_PAIRED:
            looks = self.looks.done if self.looks else []
            shown = {*self.names[:NUM_PAIRED], *(x.reference for x in looks)}
        pairs = [
            (a, b)
            for a in self.names
            for b in self.names
            if a != b and (a in shown or b in shown)
        ]
        if not pairs:
            return found
        corrected = np.full(self.images.shape, np.nan)
        sure = np.flatnonzero(~np.isnan(np.diag(self.images)))
        corrected[np.ix_(sure, sure)] = p_of_all_pairs(
            self.values[sure],
            self.images[np.ix_(sure, sure)],
            overlap=self.overlap,
        )
        by_pair = corrected[*self._find_places(pairs).T]
        made = self._make(pairs, self._compare(pairs), by_pair)
        for (name, other), difference in zip(pairs, made, strict=True):
            found[name][other] = difference
        return found

    def plan(self, reference: str, *, all_pairs: bool) -> Plan | None:
        """Plans a study whose trials are compared with one of these.

        Args:
            reference: Name of that trial.
            all_pairs: As of `Plan`.
        """
        return plan_by_spread(
            self.values,
            self.images,
            num_trials=len(self.names),
            reference=self.names.index(reference),
            overlap=self.overlap,
            all_pairs=all_pairs,
        )

    def _compare(self, pairs: Sequence[tuple[str, str]]) -> Sureness:
        places = self._find_places(pairs)
        return compare_pairs(
            self.values, self.images, places, overlap=self.overlap
        )

    def _find_places(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        at = {name: place for place, name in enumerate(self.names)}
        return np.array([(at[name], at[other]) for name, other in pairs])

    def _make(
        self,
        pairs: Sequence[tuple[str, str]],
        found: Sureness,
        corrected: np.ndarray,
        wide: np.ndarray | None = None,
    ) -> list[Difference]:
        ends = self._cut(found.estimate, found.half_widths())
        both = (
            [None] * len(pairs)
            if wide is None
            else self._cut(found.estimate, wide)
        )
        lows = [None if e is None else e[0] for e in ends]
        highs = [None if e is None else e[1] for e in ends]
        matrices = {name: trial.given for name, trial in self.trials.items()}
        p = found.p
        made = [
            Difference(
                other=other,
                estimate=float(found.estimate[at]),
                low=lows[at],
                high=highs[at],
                p=_known(p[at]),
                p_corrected=_known(corrected[at]),
                simultaneous=both[at],
                verdict=self._judge(
                    found.estimate[at],
                    ends[at],
                    corrected[at],
                    self._find_level(name, other),
                ),
                probability_of_improvement=probability_of_improvement(
                    matrices[name], matrices[other]
                ),
            )
            for at, (name, other) in enumerate(pairs)
        ]
        if self.looks is None:
            return made
        return [
            self._settle(name, difference, self.looks)
            for (name, _), difference in zip(pairs, made, strict=True)
        ]

    def _settle(
        self, name: str, difference: Difference, looks: Looks
    ) -> Difference:
        """Puts what looks have found in place of what it is now."""
        other = difference.other
        found = [
            (look.num_seeds, trial, look)
            for trial, reference in ((name, other), (other, name))
            if (look := looks.find_last(trial)) and look.reference == reference
        ]
        if not found:
            return difference
        _, trial, look = max(found, key=lambda item: item[0])
        verdict = looks.verdict(trial)
        return dataclasses.replace(
            difference,
            p_corrected=_known(look.p[trial]),
            verdict=verdict if trial == name else _turn(verdict),
        )

    def _cut(
        self, estimates: np.ndarray, halves: np.ndarray
    ) -> list[tuple[float, float] | None]:
        """Returns the ends of intervals, cut at the largest difference."""
        low, high = self.bounds
        most = math.inf if low is None or high is None else high - low
        lows = np.maximum(estimates - halves, -most).tolist()
        highs = np.minimum(estimates + halves, most).tolist()
        ends = zip(lows, highs, strict=True)
        return [None if math.isnan(low) else (low, high) for low, high in ends]

    def _find_level(self, name: str, other: str) -> float:
        """Finds the level at which a pair is compared."""
        if self.looks is None or not self.looks.done:
            return LEVEL
        look = self.looks.find_last(name)
        if look is None or look.reference != other:
            return self.looks.level
        return look.level

    def _judge(
        self,
        estimate: float,
        ends: tuple[float, float] | None,
        corrected: float,
        level: float,
    ) -> Verdict:
        if ends is None or np.isnan(corrected):
            return "undecided"
        if self.margin is not None and max(-ends[0], ends[1]) < self.margin:
            return "equal"
        if corrected <= level:
            return "better" if estimate > 0 else "worse"
        return "undecided"


def _turn(verdict: Verdict) -> Verdict:
    """Says of the second trial of a pair what was said of the first."""
    turned: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
    return turned.get(verdict, verdict)


def _known(value: float) -> float | None:
    """Returns a p-value to six digits, as the last ones vary by processor."""
    return None if np.isnan(value) else float(f"{value:.6g}")


def probability_of_improvement(trial: np.ndarray, other: np.ndarray) -> float:
    """Returns the chance that a run of one trial beats a run of another.

    For a task it is the share of all pairs of seeds, not only equal ones, in
    which the first has the higher score, a tie counting half (the U of Mann and
    Whitney by the number of pairs); then the mean over tasks.

    Args:
        trial: Scores, shape `(num_seeds, num_tasks)`, none missing.
        other: The same of the other trial.

    Example:

    >>> probability_of_improvement(np.array([[0.5], [0.7]]), np.array([[0.5]]))
    0.75

    Reference:
        [Agarwal et al., 2021](https://arxiv.org/abs/2108.13264).
    """
    both = zip(trial.T, np.sort(other, axis=0).T, strict=True)
    # Above less below; whole numbers, so that their order is none.
    total = sum(
        int(column.searchsorted(mine, "left").sum())
        + int(column.searchsorted(mine, "right").sum())
        - mine.size * column.size
        for mine, column in both
    )
    return (1 + total / (len(trial) * other.size)) / 2


# Every pattern of signs of up to 17 runs is tried, beyond that as many at
# random.
_NUM_PATTERNS = 2**16


@dataclass(frozen=True)
class Friedman:
    """Average ranks over tasks, and which of them can be told apart.

    Args:
        average_ranks: By trial, 1 is best; the best first.
        num_tasks: How many tasks are averaged.
        p: Of Friedman's test that all trials are equally good.
        smallest_p: What that test could reach at best.
    """

    average_ranks: dict[str, float]
    num_tasks: int
    p: float
    smallest_p: float

    @functools.cached_property
    def critical_difference(self) -> float:
        """Average ranks that are nearer than this cannot be told apart.

        It is `q sqrt(k (k + 1) / (6 N))` for k trials, N tasks and `q` the 95 %
        point of the studentised range by the square root of 2.
        """
        num_trials = len(self.average_ranks)
        return normal_range(num_trials) * math.sqrt(
            num_trials * (num_trials + 1) / (12 * self.num_tasks)
        )

    @functools.cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Largest sets of trials that are so near, in the order of ranks."""
        return _group(self.average_ranks, self.critical_difference)


def friedman(scores: dict[str, np.ndarray]) -> Friedman | None:
    """Tests whether trials differ over tasks, and which.

    The tasks count as a sample of tasks like them, which the other statistics
    here do not ask for. Every task orders the trials, a tie shares its ranks.
    The statistic is the sum of squared rank sums, which orders outcomes as
    Friedman's does; its p-value is the share of 9,999 shuffles of the ranks
    inside the tasks that reach it, so it holds for few tasks.

    Args:
        scores: Mean over seeds by task of each trial, shape `(num_tasks,)`.

    Returns:
        `None` where average ranks cannot tell any two trials apart: for fewer
        than five tasks, and where the critical difference is as large as ranks
        can differ.

    Example:

    >>> rows = np.tile([[0.9], [0.7], [0.5]], 5)
    >>> friedman(dict(zip("abc", rows, strict=True))).average_ranks
    {'a': 1.0, 'b': 2.0, 'c': 3.0}

    Reference:
        [Demsar, 2006](https://www.jmlr.org/papers/v7/demsar06a.html).
    """
    if len(scores) < 3 or len(next(iter(scores.values()))) < FEWEST_TASKS:
        return None
    table = np.stack(list(scores.values()), axis=1)
    ranks = _rank(table)
    num_tasks, num_trials = ranks.shape
    means = dict(zip(scores, ranks.mean(axis=0).tolist(), strict=True))
    means = dict(sorted(means.items(), key=lambda item: item[1]))
    log_orders = (num_tasks - 1) * math.lgamma(num_trials + 1)
    smallest = max(math.exp(-log_orders), 1 / (_NUM_PERMUTATIONS + 1))
    found = Friedman(
        average_ranks=means,
        num_tasks=num_tasks,
        p=max(_shuffle(ranks), smallest),
        smallest_p=smallest,
    )
    return found if found.critical_difference < num_trials - 1 else None


def _rank(table: np.ndarray) -> np.ndarray:
    """Ranks each row, the largest first; equal values share their mean rank."""
    better = (table[:, None, :] > table[:, :, None]).sum(axis=2)
    equal = (table[:, None, :] == table[:, :, None]).sum(axis=2)
    return better + (equal + 1) / 2


def _shuffle(ranks: np.ndarray) -> float:
    """Returns the p-value of rank sums, shape `(num_tasks, num_trials)`."""
    random = np.random.default_rng(0)
    sums = np.zeros((_NUM_PERMUTATIONS, ranks.shape[1]))
    # In a fixed order, whatever that of the tasks and trials is.
    for row in sorted(np.sort(ranks, axis=1).tolist()):
        sums += random.permuted(np.tile(row, (len(sums), 1)), axis=1)
    observed = (ranks.sum(axis=0) ** 2).sum()
    reached = ((sums**2).sum(axis=1) >= observed - 1e-9).sum()
    return float((reached + 1) / (len(sums) + 1))


def _group(
    means: dict[str, float], distance: float
) -> tuple[tuple[str, ...], ...]:
    """Finds the largest runs of neighbours nearer than `distance`."""
    names, values = list(means), np.array(list(means.values()))
    groups: list[tuple[str, ...]] = []
    end = 0
    for start, value in enumerate(values):
        stop = int(np.searchsorted(values, value + distance, side="left"))
        if stop > max(end, start + 1):
            groups.append(tuple(names[start:stop]))
        end = max(end, stop)
    return tuple(groups)
