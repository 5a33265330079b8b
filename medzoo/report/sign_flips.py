"""A permutation test of two trials, paired by task and seed."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

# Every pattern of signs of up to 17 runs is tried, beyond that as many at
# random.
_NUM_PATTERNS = 2**16


class SignFlips(NamedTuple):
    """The p-value of a test, and the smallest that its runs could reach."""

    p: float
    smallest_p: float


def sign_flip_test(
    differences: np.ndarray, image_variance: np.ndarray
) -> SignFlips:
    """Tests whether two trials are equally good.

    If they are, either could have given either score of a pair, so each
    difference might as well have the other sign. The two-sided p-value is the
    share of all patterns of signs whose sum is at least as far from 0 as the
    observed one; the first sign is held, as turning all of them changes
    nothing. All patterns are tried for up to 17 pairs, else 65,536 of a fixed
    random seed with the observed one among them.

    That alone would take luck with the test images for skill, as all seeds of a
    task share it. So the flipped sums get a normal error with the variance that
    flipping the seeds one by one has averaged away, `image_variance
    (1 - 1 / num_seeds)`, and the larger of both p-values counts. In simulation
    5 % of equal pairs at most get a p-value of 0.05 or less, whatever the share
    of the images; with few runs or a large share it is nearer to 1 %.

    Args:
        differences: Of two trials, by seed and task, times the weights of the
            tasks, shape `(num_seeds, num_tasks)`.
        image_variance: Of the differences, by task, as
            `shared_image_variance` has it, shape `(num_tasks,)`.

    Example:

    >>> sign_flip_test(np.full((3, 2), 0.1), np.zeros(2))
    SignFlips(p=0.03125, smallest_p=0.03125)

    Reference:
        [Fisher, 1935](https://doi.org/10.1093/oso/9780198522294.002.0003);
        [Phipson and Smyth, 2010](https://doi.org/10.2202/1544-6115.1585).
    """
    num_seeds = len(differences)
    # Sorted, so that random patterns do not depend on the order of the rows.
    values = np.sort(differences, axis=None) / num_seeds
    signs = _patterns(len(values))
    observed = abs(values.sum()) - 1e-9 * np.abs(values).sum()
    sums = np.abs(signs @ values)
    p = (sums >= observed).mean()
    error = np.sqrt(image_variance.sum() * (1 - 1 / num_seeds))
    if error > 0:
        above = special.ndtr((sums - observed) / error)
        below = special.ndtr((-sums - observed) / error)
        p = max(p, (above + below).mean())
    return SignFlips(float(min(p, 1)), 1 / len(signs))


@lru_cache(maxsize=2)
def _patterns(num_pairs: int) -> np.ndarray:
    """Returns rows of signs, the first row and the first column all 1."""
    free = num_pairs - 1
    if 2**free <= _NUM_PATTERNS:
        bits = np.arange(2**free)[:, None] >> np.arange(free) & 1
    else:
        bits = np.random.default_rng(0).integers(2, size=(_NUM_PATTERNS, free))
        bits[0] = 0
    return np.pad(1.0 - 2.0 * bits, ((0, 0), (1, 0)), constant_values=1.0)
