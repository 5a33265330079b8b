"""Download of the weights of pretrained backbones."""

import sys
from collections.abc import Iterable
from pathlib import Path

from medzoo.data.download import fetch
from medzoo.environment import find_mirror
from medzoo.messages import echo
from medzoo.models.backbones import (
    CHECKSUMS,
    PUBLISHER,
    find_file,
    find_weights,
    get_backbone,
    name_weights,
    require_weights,
)
from medzoo.runs.run import Run


def fetch_weights(runs: Iterable[Run]) -> None:
    """Downloads the ImageNet weights that runs need to where Keras has them.

    What is there already is checked as what is downloaded, where a checksum is
    known.

    Raises:
        FileNotFoundError: If a file is neither there nor can be downloaded.
        ValueError: If a file is another one than was published.
    """
    found = {name_weights(run.options) for run in runs}
    for backbone, weights in sorted(found):
        path = find_weights(backbone, weights)
        is_published = weights == "imagenet" and find_file(backbone) is None
        if path is not None and is_published:
            _download(backbone, path)
        require_weights(backbone, weights)


def _download(backbone: str, path: Path) -> None:
    url = f"{PUBLISHER}/{get_backbone(backbone).file}"
    if mirror := find_mirror():
        url = f"{mirror}/{path.name}"
    if not path.is_file():
        echo(f"Downloading the weights of {backbone}: {url}", file=sys.stderr)
    try:
        fetch(url, path, CHECKSUMS.get(backbone))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error} Put the weights of backbone `{backbone}` at {path}, or "
            "set the option weights = none to start from random ones."
        ) from error
