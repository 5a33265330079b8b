"""Scores of plugins, computed from predictions."""

import math
from typing import Any

import numpy as np

from medzoo.plugins.files import Blaming, blame
from medzoo.plugins.register import TARGETS


def list_own_scores() -> list[str]:
    """Lists the names of registered scores."""
    return [name for kind, name in TARGETS if kind == "score"]


def compute_own(
    name: str, probabilities: np.ndarray, labels: np.ndarray
) -> float | None:
    """Computes a registered score.

    Args:
        name: Its name.
        probabilities: Shape `(n, num_classes)`.
        labels: Shape `(n,)`; images with -1 are left out.

    Raises:
        PluginError: If it raises, or returns no number.
    """
    kept = labels >= 0
    target: Any = TARGETS["score", name].target
    with Blaming(f"Score `{name}` cannot be computed", target=target):
        value = target(np.asarray(probabilities[kept], "float64"), labels[kept])
        if value is None:
            return None
        if np.ndim(value) or not np.isreal(value):
            raise blame(
                target,
                f"score `{name}` must return one number or None. Received: "
                f"{type(value).__name__} of shape {np.shape(value)}.",
            )
        number = float(value)
    return number if math.isfinite(number) else None
