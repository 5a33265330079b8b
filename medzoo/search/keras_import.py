"""Import of Keras without the messages of its backend."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Discards the output of native code."""
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


# BLAS libraries start their threads when they are loaded.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
with _silence():
    import keras  # noqa: F401

    import medzoo.execution.worker
    import medzoo.training.build  # noqa: F401
