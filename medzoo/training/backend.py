"""The Keras backend of this process: one thread, and a quiet import."""

import contextlib
import gc
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder

from medzoo.environment import is_debugging, name_backend

# Variables that set the number of threads of a backend.
THREADS = {"tensorflow": "TF_NUM_INTRAOP_THREADS", "jax": "NPROC"}


def set_threads(threads: int) -> None:
    """Sets the threads of a backend that has not computed anything yet.

    On a GPU, memory is allocated as needed, so that several workers fit on one
    device (`TF_FORCE_GPU_ALLOW_GROWTH`, `XLA_PYTHON_CLIENT_PREALLOCATE`).
    """
    prefer_onednn()
    os.environ.update(
        OMP_NUM_THREADS=str(threads),
        TF_NUM_INTRAOP_THREADS=str(threads),
        TF_NUM_INTEROP_THREADS="1",
        NPROC=str(threads),  # How JAX on a CPU counts the cores.
        TF_FORCE_GPU_ALLOW_GROWTH="true",
        XLA_PYTHON_CLIENT_PREALLOCATE="false",
    )


def prefer_onednn() -> None:
    """Has TensorFlow use oneDNN on Linux on x86, unless it is told not to.

    By itself it does so with AVX-512 alone; with AVX2 convolutions take half
    the time as well. TensorFlow reads the variable when it is imported.
    """
    if sys.platform == "linux" and platform.machine() == "x86_64":
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _lacks_onednn() -> bool:
    """Says whether TensorFlow was imported before it was told to use oneDNN."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "1":
        return False
    port = importlib.import_module("tensorflow.python.util._pywrap_util_port")
    return not port.IsMklEnabled()


def limit_threads() -> bool:
    """Limits the backend in this process to one thread.

    Returns:
        Whether it is limited, and computes as a worker does: `False` if it has,
        or may have, computed with more threads before, and if TensorFlow was
        imported without oneDNN.
    """
    backend = name_backend()
    if os.environ.get(THREADS[backend]) == "1":
        return True  # Already limited.
    if backend in sys.modules:
        if backend != "tensorflow":
            return False
        prefer_onednn()
        if _lacks_onednn():
            return False
        threading = importlib.import_module("tensorflow").config.threading
        try:
            threading.set_intra_op_parallelism_threads(1)
            threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:  # It has opened its devices.
            return False
    set_threads(1)
    return True


# Parts of Keras that bring scikit-learn, SciPy and Matplotlib along, a quarter
# of the time of its import, and that training does not need.
_DEFERRED = {"keras.src.visualization"} | {
    f"{package}.{name}"
    for package in ("keras", "keras._tf_keras.keras")
    for name in ("visualization", "wrappers")
}


class _Deferring:
    """Finds parts of Keras that are imported when they are first used."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in _DEFERRED else None
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def import_keras() -> None:
    """Imports Keras without the messages of its backend.

    `MEDZOO_DEBUG=1` shows them. BLAS libraries start their threads when they
    are loaded, so their number is set here, unless it is set already.
    """
    if "keras" in sys.modules:
        return
    prefer_onednn()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with contextlib.ExitStack() as stack:
        if not is_debugging():
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            stack.enter_context(_discard_stderr())
        stack.enter_context(_importing_fast())
        importlib.import_module("keras")


@contextlib.contextmanager
def _importing_fast() -> Iterator[None]:
    """Defers what is not needed, and collects no garbage, of which is none."""
    collects = gc.isenabled()
    gc.disable()
    sys.meta_path.insert(0, _Deferring)
    try:
        yield
    finally:
        sys.meta_path.remove(_Deferring)
        gc.freeze()  # Modules are not searched for garbage, nor at the end.
        if collects:
            gc.enable()


@contextlib.contextmanager
def _discard_stderr() -> Iterator[None]:
    """Discards what native code writes to standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
