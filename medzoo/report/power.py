"""How many seeds a study takes, what no number shows, and when to stop.

A plan asks for two numbers of a study like the one at hand: the variance over
seeds of one score that neither trial nor seed explains (`residual_variance`),
and the variance of a difference over other test images.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medzoo.report.inference import (
    PRIOR_FREEDOM,
    Sureness,
    compare_pairs,
    holm,
)

POWER = 0.8
LEVEL = 0.05
# More seeds than anyone trains.
MOST_SEEDS = 100
LOOKS = (3, 5, 8, 12)
# Below this chance to be decided at the last look, a trial gets no more seeds.
FUTILE = 0.05
Outcome = Literal["better", "worse", "equal", "undecided"]


@dataclass(frozen=True)
class Plan:
    """What a study of some trials and seeds can show.

    Args:
        num_trials: `K`, the baseline among them.
        residual: `s^2`, the variance of one score that neither trial nor seed
            explains; see `residual_variance`.
        images: `V`, the variance of a difference over other test images.
    """

    num_trials: int
    residual: float
    images: float

    def power(self, difference: float, num_seeds: int) -> float:
        """Returns the chance that a true difference to the baseline is found.

        `P(t_g <= D / sqrt(2 s^2 / S + V) - t_{g, 1 - .025 / (K - 1)})`, with
        the degrees of freedom of `compare_pairs` and the first step of Holm's
        correction.

        Args:
            difference: True difference `D`.
            num_seeds: `S`, at least 2.

        Example:

        >>> round(Plan(9, 2.6e-4, 1.08e-4).power(0.05, 8), 2)
        0.8
        """
        from scipy import special

        error, freedom, quantile = self._error(num_seeds)
        if error == 0:
            return float(difference > 0)
        return float(special.stdtr(freedom, difference / error - quantile))

    def seeds_needed(self, difference: float) -> int | None:
        """Returns the smallest number of seeds that shows a difference.

        Args:
            difference: To be found in 80 % of studies.

        Returns:
            From 3 on; `None` if it takes more than 100, as for a difference
            below `smallest_visible`.

        Example:

        >>> Plan(2, 2.6e-4, 1.08e-4).seeds_needed(0.05)
        5
        """
        if difference <= self.smallest_visible:
            return None
        counts = range(3, MOST_SEEDS + 1)
        return next(
            (n for n in counts if self.power(difference, n) >= POWER), None
        )

    def detectable(self, num_seeds: int) -> float:
        """Returns the difference that so many seeds show in 80 % of studies.

        Anything smaller may stay hidden.

        Example:

        >>> round(Plan(9, 2.6e-4, 1.08e-4).detectable(8), 3)
        0.05
        """
        from scipy import special

        error, freedom, quantile = self._error(num_seeds)
        return float((quantile + special.stdtrit(freedom, POWER)) * error)

    @property
    def smallest_visible(self) -> float:
        """The difference that no number of seeds shows on these images.

        `(z + .84) sqrt(V)`, `z` the normal quantile at `1 - .025 / (K - 1)`:
        all seeds are tested on the same images. Only more images help, as of
        more tasks, or by cross-validation.

        Example:

        >>> round(Plan(9, 2.6e-4, 1.08e-4).smallest_visible, 3)
        0.037
        """
        from scipy import special

        upper = special.ndtri(self._upper)
        return float((upper + special.ndtri(POWER)) * math.sqrt(self.images))

    @property
    def _upper(self) -> float:
        return 1 - LEVEL / 2 / max(self.num_trials - 1, 1)

    def _error(self, num_seeds: int) -> tuple[float, float, float]:
        """Returns a difference's standard error, freedom, critical value."""
        from scipy import special

        degrees = num_seeds - 1
        seeds = 2 * self.residual / num_seeds
        rest = max(self.num_trials - 2, 0) * degrees
        freedom = degrees + min(PRIOR_FREEDOM, rest)
        total = seeds + self.images
        matched = freedom * total / seeds if seeds > 0 else 1e9
        quantile = float(special.stdtrit(matched, self._upper))
        return math.sqrt(total), matched, quantile


def spend_level(
    looks: Sequence[int] = LOOKS, *, level: float = LEVEL
) -> list[float]:
    """Shares the level of a study out to its looks.

    After `S` of `S_max` seeds `level (S / S_max)^1.5` is spent in all, so that
    looking often adds no false findings.

    Args:
        looks: Numbers of seeds, ascending.
        level: Chance of any false finding in the whole study.

    Example:

    >>> [round(share, 4) for share in spend_level()]
    [0.0063, 0.0072, 0.0138, 0.0228]

    Reference:
        [Lan and DeMets, 1983](https://doi.org/10.1093/biomet/70.3.659).
    """
    spent = [level * (look / looks[-1]) ** 1.5 for look in looks]
    return np.diff([0.0, *spent]).tolist()


@dataclass(frozen=True)
class Look:
    """What one look at a study has settled.

    Args:
        num_seeds: Seeds of the trials that were looked at.
        level: What it spends.
        settled: By number of the trial, of those that it settled: `better` or
            `worse` than the baseline, `equal`, or `undecided` for one that
            further seeds would not settle.
        p: Corrected p-value of every trial that was looked at.
    """

    num_seeds: int
    level: float
    settled: dict[int, Outcome]
    p: dict[int, float]


def look_at(
    values: np.ndarray,
    images: np.ndarray,
    *,
    baseline: int,
    settled: Collection[int] = (),
    decided: int = 0,
    look: int,
    looks: Sequence[int] = LOOKS,
    margin: float | None = None,
) -> Look:
    """Decides which trials of a study need no more seeds.

    A trial is settled as `equal` if its interval of twice the look's level lies
    inside the margin, as `worse` or `better` if Holm's p-value is at most that
    level, and as `undecided` if its chance to be settled at the last look is
    under 5 %. The chance is that of the last mean, given the seeds so far and
    a difference of which nothing else is known. Settled trials keep the seeds
    that they have; their spread still tells about the others'.

    Args:
        values: Scores, shape `(num_trials, num_seeds)`; NaN for the seeds that
            settled trials were not given.
        images: As `image_covariance` has it.
        baseline: Number of the trial that the others are compared to.
        settled: Numbers of the trials that earlier looks have settled.
        decided: How many of these are `better` or `worse`; as in Holm's steps,
            they leave the family.
        look: Number of this look, from 0 on.
        looks: Numbers of seeds of all looks.
        margin: Half the width of the band of equality, if there is one.

    Returns:
        All that are left are settled at the last look.

    Example:

    >>> values = 0.5 + 0.01 * np.array([[0, 1, 2], [1, 0, 2], [-30, -31, -29]])
    >>> look_at(values, np.zeros((3, 3)), baseline=0, look=0).settled
    {2: 'worse'}
    """
    level = spend_level(looks)[look]
    num_trials = len(values)
    opened = [
        trial
        for trial in range(num_trials)
        if trial != baseline and trial not in settled
    ]
    found = compare_pairs(values, images, [(k, baseline) for k in opened])
    corrected = holm(found.p.tolist(), num_trials - 1 - decided)
    ends = found.half_widths(2 * level)
    hopes = _chance_at_end(
        found, looks[-1], num_trials - 1, spend_level(looks)[-1], margin
    )
    outcomes: dict[int, Outcome] = {}
    for at, trial in enumerate(opened):
        estimate = float(found.estimate[at])
        if margin is not None and abs(estimate) + ends[at] < margin:
            outcomes[trial] = "equal"
        elif corrected[at] <= level:
            outcomes[trial] = "better" if estimate > 0 else "worse"
        elif look == len(looks) - 1 or hopes[at] < FUTILE:
            outcomes[trial] = "undecided"
    p = dict(zip(opened, corrected, strict=True))
    return Look(looks[look], level, outcomes, p)


def _chance_at_end(
    found: Sureness,
    last: int,
    family: int,
    level: float,
    margin: float | None,
) -> np.ndarray:
    """Returns the chance that the last look settles each comparison."""
    from scipy import special

    now = found.num_seeds
    if (now >= last).all():
        return np.zeros(len(found.estimate))
    variance = found.seeds * now
    # The last mean, given that of now: its seeds are a part of it.
    moves = np.sqrt(np.maximum(variance * (1 / now - 1 / last), 1e-300))
    freedom = found.freedom + last - now
    error = np.sqrt(variance / last + found.images)
    matched = (
        freedom
        * (variance / last + found.images)
        / np.maximum(variance / last, 1e-300)
    )
    bound = special.stdtrit(matched, 1 - level / 2 / family) * error
    above = special.ndtr((found.estimate - bound) / moves)
    below = special.ndtr((-found.estimate - bound) / moves)
    chance = above + below
    if margin is not None:
        room = margin - special.stdtrit(matched, 1 - level) * error
        inside = special.ndtr((room - found.estimate) / moves)
        inside = inside - special.ndtr((-room - found.estimate) / moves)
        chance = chance + np.where(room > 0, inside, 0.0)
    return chance
