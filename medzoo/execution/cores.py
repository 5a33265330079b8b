"""Cores and GPUs of this machine, and how many workers they are for."""

import os
import subprocess

from medzoo.execution.limits import find_quota


def default_workers(workers_per_gpu: int = 1) -> int:
    """Returns one worker a core, or `workers_per_gpu` a GPU if there is any.

    On a CPU each run uses one thread on every machine, since results depend on
    the number of threads.
    """
    return len(list_gpus()) * workers_per_gpu or count_cores()


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


def count_cores() -> int:
    """Returns how many cores this process may use.

    A container has a quota of time besides: of more workers each would be
    slower.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return min(cores, find_quota() or cores)
