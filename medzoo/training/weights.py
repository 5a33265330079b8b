"""Weights of pretrained trunks, downloaded before anything trains."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from medzoo.data.download import fetch
from medzoo.models.backbones import (
    PUBLISHER,
    TRUNKS,
    find_weights,
    require_weights,
)
from medzoo.runs.run import Run


def fetch_weights(runs: Iterable[Run]) -> None:
    """Downloads the weights of ImageNet that runs need and Keras has not.

    They go where Keras looks for them, from where Keras publishes them, or from
    `$MEDZOO_MIRROR/<file name>`.

    Args:
        runs: Those of a study, before the first is executed.

    Raises:
        FileNotFoundError: If a file is neither there nor can be downloaded.
    """
    for trunk, weights in sorted({_named(run) for run in runs}):
        path = find_weights(trunk, weights)
        if path is None or path.is_file():
            continue
        if weights == "imagenet":
            _download(trunk, path)
        require_weights(trunk, weights)


def _named(run: Run) -> tuple[str, str]:
    """Returns the trunk of a run and its weights; `none` where it has none."""
    trunk = str(run.options.get("backbone", "none"))
    weights = "none" if trunk == "none" else run.options["weights"]
    return trunk, str(weights)


def _download(trunk: str, path: Path) -> None:
    mirror = os.environ.get("MEDZOO_MIRROR")
    url = f"{PUBLISHER}/{TRUNKS[trunk].file}"
    if mirror:
        url = f"{mirror.rstrip('/')}/{path.name}"
    print(f"Downloading the weights of {trunk}: {url}", file=sys.stderr)
    try:
        fetch(url, path, None)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error} Without these weights of trunk `{trunk}`, put the file "
            f"at {path}, or pass weights='none' to start from random ones."
        ) from error
