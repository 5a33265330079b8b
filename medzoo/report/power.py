"""How many seeds a study takes, and what no number of them shows.

A plan asks for two numbers of a study like the one at hand: the variance over
seeds of one score that neither trial nor seed explains (`residual_variance`),
and the variance of a difference over other test images.
"""

import math
from dataclasses import dataclass

import numpy as np

from medzoo.report.inference import (
    FEW_FREEDOM,
    PRIOR_FREEDOM,
    find_unsteady,
    normal_range,
    residual_variance,
)

POWER = 0.8
LEVEL = 0.05
# More seeds than anyone trains.
MOST_SEEDS = 100


@dataclass(frozen=True)
class Plan:
    """What a study of some trials and seeds can show.

    Args:
        num_trials: `K`, the baseline among them.
        residual: `s^2`, the variance of one score that neither trial nor seed
            explains; see `residual_variance`.
        images: `V`, the variance of a difference over other test images.
        overlap: As of `medzoo.report.inference.compare_pairs`.
        all_pairs: Whether p-values are corrected for all pairs of trials, as
            where no trial is the baseline; else for those with one.
    """

    num_trials: int
    residual: float
    images: float
    overlap: float = 0.0
    all_pairs: bool = False

    def power(self, difference: float, num_seeds: int) -> float:
        """Returns the chance that a true difference to the baseline is found.

        `P(t_g <= D / sqrt(2 s^2 / S + V) - t_{g, 1 - .025 / (K - 1)})`, with
        the degrees of freedom of `compare_pairs` and the first step of Holm's
        correction. For all pairs the level is that of the studentised range,
        `Phi(q_K / sqrt(2))`.

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

        `(z + .84) sqrt(V)`, `z` the normal quantile at the level of `power`:
        all seeds are tested on the same images. Only more images help, as of
        more tasks, or by cross-validation.

        Example:

        >>> round(Plan(9, 2.6e-4, 1.08e-4).smallest_visible, 3)
        0.037
        """
        from scipy import special

        upper = special.ndtri(self._upper)
        stays = self.images + 2 * self.residual * self.overlap
        return float((upper + special.ndtri(POWER)) * math.sqrt(stays))

    @property
    def _upper(self) -> float:
        from scipy import special

        if self.all_pairs and self.num_trials > 2:
            reached = normal_range(self.num_trials) / math.sqrt(2)
            return float(special.ndtr(reached))
        return 1 - LEVEL / 2 / max(self.num_trials - 1, 1)

    def _error(self, num_seeds: int) -> tuple[float, float, float]:
        """Returns a difference's standard error, freedom, critical value."""
        from scipy import special

        degrees = num_seeds - 1
        seeds = 2 * self.residual * (1 / num_seeds + self.overlap)
        rest = max(self.num_trials - 2, 0) * degrees
        freedom = degrees + min(PRIOR_FREEDOM, rest)
        total = seeds + self.images
        matched = freedom * total / seeds if seeds > 0 else 1e9
        quantile = float(special.stdtrit(matched, self._upper))
        error = math.sqrt(total)
        if freedom <= FEW_FREEDOM and error:
            # As of `Sureness.half_widths`.
            alone = float(special.stdtrit(freedom, self._upper))
            quantile = max(quantile, alone * math.sqrt(seeds) / error)
        return error, matched, quantile


def plan_by_spread(
    values: np.ndarray,
    images: np.ndarray,
    *,
    num_trials: int,
    reference: int | None = None,
    overlap: float = 0.0,
    all_pairs: bool = False,
) -> Plan | None:
    """Plans by the spread of trials at hand.

    Those that spread over three times as far as the others are left out, and
    `V` is the median of the pairs: one trial that fails now and then does not
    say what the comparison of two others takes.

    Args:
        values: Scores, shape `(n, num_seeds)`, NaN where there is none.
        images: Covariance of the trials over test images, shape `(n, n)`.
        num_trials: How many the study has.
        reference: Place of the trial that others are compared with; all pairs
            count without.
        overlap: As of `compare_pairs`.
        all_pairs: As of `Plan`.

    Returns:
        `None` if the variance over images of no pair is known.

    Example:

    >>> values = np.array([[0.5, 0.52], [0.53, 0.51]])
    >>> plan_by_spread(values, 1e-4 * np.eye(2), num_trials=2).images
    0.0002
    """
    first, second = np.triu_indices(len(values), 1)
    steady = ~find_unsteady(values)
    used = np.ones(len(first), bool)
    if reference is not None:
        steady[reference] = True
        used = (first == reference) | (second == reference)
    used &= steady[first] & steady[second]
    own = np.diag(images)
    pairs = own[first] + own[second] - 2 * images[first, second]
    pairs = pairs[used & ~np.isnan(pairs)]
    if not len(pairs):
        return None
    variance = max(float(np.median(pairs)), 0.0)
    residual = residual_variance(values[steady])
    return Plan(num_trials, residual, variance, overlap, all_pairs)
