"""Facts of the machine and the software, for records."""

import importlib.metadata
import json
import os
import platform
import resource
import sys

from medzoo.environment import find_folder


def peak_memory_mb() -> float:
    """Returns the largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def name_backend() -> str:
    """Returns the backend of Keras without importing it.

    `KERAS_BACKEND` names it, else `keras.json` in `KERAS_HOME` or `~/.keras`.
    """
    named = os.environ.get("KERAS_BACKEND")
    file = find_folder("KERAS_HOME", "~/.keras") / "keras.json"
    if named or not file.is_file():
        return named or "tensorflow"
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # Keras goes on without a broken file as well.
        settings = {}
    return settings.get("backend", "tensorflow")


def list_versions() -> dict[str, str]:
    """Returns the versions that a result may depend on."""
    import keras

    backend = keras.backend.backend()
    names = ["medzoo", "keras", backend, "numpy"]
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }
