"""Cores and GPUs of this machine, and how many workers they are for."""

import functools
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence

from medzoo.environment import name_backend
from medzoo.execution.limits import find_quota

# Prints the devices that a backend computes on.
_LIST_DEVICES = """
import keras
print(*keras.distribution.list_devices())
"""


def default_workers(
    workers_per_gpu: int = 1, gpus: Sequence[str] | None = None
) -> int:
    """Returns one worker a core, or `workers_per_gpu` a GPU if there is any.

    On a CPU each run uses one thread on every machine, since results depend on
    the number of threads.

    Args:
        workers_per_gpu: Workers that share a GPU.
        gpus: The GPUs; those that are listed if `None`.
    """
    gpus = list_gpus() if gpus is None else gpus
    return len(gpus) * workers_per_gpu or count_cores()


def list_gpus() -> list[str]:
    """Lists the GPUs of this machine as `CUDA_VISIBLE_DEVICES` names them.

    If that variable is set, it is used as it is; the backend is not imported.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [gpu for gpu in given.split(",") if gpu not in ("", "-1")]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.split()


def usable_gpus(*, stands_in: bool = False) -> list[str]:
    """Lists the GPUs, but none where the backend of Keras computes on none.

    TensorFlow for CPUs, for one, on a machine with a GPU: its runs would share
    the cores as if they were on GPUs, and have other numbers. The backend is
    asked only where there are GPUs, as its import takes seconds.

    Args:
        stands_in: Whether something stands in for training, which needs no
            backend and takes any GPU.
    """
    gpus = list_gpus()
    if not gpus or stands_in or _finds_gpus(name_backend(), tuple(gpus)):
        return gpus
    return []


@functools.cache
def _finds_gpus(backend: str, gpus: tuple[str, ...]) -> bool:
    """Asks a process of its own, as devices are opened by the question."""
    quiet = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _LIST_DEVICES],
            capture_output=True,
            encoding="utf-8",
            env=os.environ | quiet,
            timeout=120,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return True  # Its runs will say what is wrong.
    devices = done.stdout.split()
    if not devices or not devices[-1].startswith("cpu:"):
        return True
    warnings.warn(
        f"The backend {backend} finds no GPU, though {len(gpus)} are listed. "
        "Runs are executed on the CPU, with one thread each.",
        stacklevel=3,
    )
    return False


def count_cores() -> int:
    """Returns how many cores this process may use.

    A container has a quota of time besides: of more workers each would be
    slower.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return min(cores, find_quota() or cores)
