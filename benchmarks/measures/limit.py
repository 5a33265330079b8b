"""The limit of a machine: what large products of it reach."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def measure_limit(turns: int) -> dict[str, float]:
    """Measures what the machine can do.

    Returns:
        FLOP/s of a `matrix` product and of a `convolution`, the fastest of so
        many turns.
    """
    from keras import ops, random

    from medzoo.training.build import name_device

    device = name_device()
    side, channels = (2048, 64) if device == "cpu" else (8192, 256)
    matrix = random.normal((side, side), seed=0)
    images = random.normal((64, 56, 56, channels), seed=0)
    kernel = random.normal((3, 3, channels, channels), seed=0)
    works: dict[str, tuple[Callable[[], Any], int]] = {
        "matrix": (lambda: ops.matmul(matrix, matrix), 2 * side**3),
        "convolution": (
            lambda: ops.conv(images, kernel, padding="same"),
            2 * 9 * channels**2 * 64 * 56 * 56,
        ),
    }
    found = {}
    for name, (work, flops) in works.items():
        seconds = [_time(work) for _ in range(1 + turns)]
        found[name] = flops / min(seconds[1:])
    return found


def _time(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    np.asarray(work()[..., :1, :1])  # Waits until it is there.
    return time.perf_counter() - started
