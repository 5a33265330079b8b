"""Curves as a page holds them: a few bytes a point."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from medzoo.report.curves import Curve, TrialCurves

# Of all curves of a page together, and of those that have a band.
_MOST_BYTES, _MOST_BANDED = 250_000, 120_000
# A number from 0 to 1 is a whole one up to this; the next says unknown.
_SCALE = 65_534


def pack_curves(found: Sequence[TrialCurves]) -> list[dict[str, Any]]:
    """Packs curves of trials for the scripts of a page, the first trials first.

    Later trials are without bands, and the last are left out, where the page
    would become too large.
    """
    packed: list[dict[str, Any]] = []
    size = 0
    for each in found:
        banded = size < _MOST_BANDED
        made = {
            "trial": each.trial,
            "task": each.task,
            "x": _pack(each.calibration.x),
            "shares": _pack(each.shares),
            "calibration": _pack_curve(each.calibration, banded),
            "roc": [_pack_curve(curve, banded) for curve in each.roc],
            "precision": [
                _pack_curve(curve, banded) for curve in each.precision_recall
            ],
        }
        size += len(str(made))
        if size > _MOST_BYTES:
            break
        packed.append(made)
    return packed


def _pack_curve(curve: Curve, banded: bool) -> dict[str, str]:
    ends = {"low": curve.low, "high": curve.high}
    kept = ends if banded and not np.isnan(curve.low).all() else {}
    return {key: _pack(v) for key, v in ({"y": curve.y} | kept).items()}


def _pack(values: np.ndarray) -> str:
    """Writes numbers from 0 to 1, and NaN, as base64 of 16 bits each.

    Example:

    >>> _pack(np.array([0.0, 1.0, np.nan]))
    'AAD+////'
    """
    whole = np.where(np.isnan(values), _SCALE + 1, np.round(values * _SCALE))
    return base64.b64encode(whole.astype("<u2").tobytes()).decode()
