"""Keras, imported without the messages of its backend.

They would cover the progress of a search.
"""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Lets native code print to nowhere."""
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


# A library of linear algebra starts its threads when it is loaded.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
with _silence():
    import keras  # noqa: F401

    import medzoo.execution.worker
    import medzoo.training.build  # noqa: F401
