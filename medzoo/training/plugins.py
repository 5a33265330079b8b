"""Plugins imported where models are built and loaded, with a quiet Keras."""

import sys
from collections.abc import Iterable
from pathlib import Path

from medzoo.plugins.ahead import may_import_keras, refuse_faults
from medzoo.plugins.files import load_plugins
from medzoo.plugins.targets import install_all
from medzoo.training.backend import import_keras, limit_threads


def import_plugins(
    names: Iterable[str | Path], beside: Path | None = None
) -> list[tuple[str, str]]:
    """Imports plugins, and Keras before them where they need it.

    Arguments, results and errors are those of `load_plugins`.
    """
    texts = [str(name) for name in names]
    if any(may_import_keras(text, beside) for text in texts):
        if "keras" not in sys.modules:
            refuse_faults(texts, beside)  # At once, and Keras takes seconds.
        limit_threads()  # As training in this process wants it.
        import_keras()
    return load_plugins(texts, beside)


def install_plugins(names: Iterable[str | Path]) -> None:
    """Imports plugins whose layers a saved model has."""
    install_all(import_plugins(names))
