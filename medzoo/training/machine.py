"""Facts of the machine and the software, for records."""

import importlib.metadata
import platform
import resource
import sys


def peak_memory_mb() -> float:
    """Returns the largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def list_versions() -> dict[str, str]:
    """Returns the versions that a result may depend on."""
    import keras

    backend = keras.backend.backend()
    names = ["medzoo", "keras", backend, "numpy"]
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }
