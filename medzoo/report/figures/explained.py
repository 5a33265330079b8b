"""Images with the parts that kept models rely on."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medzoo.files import replacing, safe_name
from medzoo.report.figures.style import (
    add_image,
    add_titles,
    make_figure,
    shorten,
)
from medzoo.report.results import TrialResults
from medzoo.store import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Explained(NamedTuple):
    """Explained images of a task.

    Args:
        trial: Name of the trial whose model it is.
        images: `uint8`, shape `(n, height, width, channels)`.
        maps: Loss of log odds, shape `(n, height, width)`.
        captions: One an image.
    """

    trial: str
    images: np.ndarray
    maps: np.ndarray
    captions: list[str]


def path_explained(folder: Path, task: str) -> Path:
    """Returns the path of the explained images of a task."""
    return folder / _name(task)


def write_explained(
    path: Path,
    *,
    images: np.ndarray,
    maps: np.ndarray,
    captions: Sequence[str],
) -> None:
    """Writes explained images."""
    with replacing(path) as part, open(part, "xb") as file:
        np.savez_compressed(
            file, images=images, maps=maps, captions=list(captions)
        )


def _name(task: str) -> str:
    return f"explained_{safe_name(task)}.npz"


def find_explained(
    results: Sequence[TrialResults], store: Reader, folder: str
) -> list[tuple[str, str, bytes]]:
    """Reads the files that there are of the runs of a study, one a task.

    Args:
        results: The trials, the best first.
        store: Where the models are.
        folder: The path of theirs inside the store.

    Returns:
        The trial, the path inside the store, and the content of each.
    """
    found: dict[str, tuple[str, str, bytes]] = {}
    for trial in results:
        for (_, task), run in trial.runs.items():
            name = f"{folder}/{run.run_id}/{_name(task)}"
            if task not in found and (content := store.read_file(name)):
                found[task] = trial.trial.name, name, content
    return list(found.values())


def read_explained(
    results: Sequence[TrialResults], store: Reader, folder: str
) -> list[Explained]:
    """Reads the explained images of a study; as of `find_explained`."""
    found = []
    for trial, _, content in find_explained(results, store, folder):
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found.append(
                Explained(
                    trial,
                    arrays["images"],
                    arrays["maps"],
                    arrays["captions"].tolist(),
                )
            )
    return found


def draw_explained(name: str, found: Sequence[Explained]) -> "Figure":
    """Draws a row of images for each task.

    Args:
        found: As of `read_explained`, with something in it.
    """
    trials = ", ".join(dict.fromkeys(task.trial for task in found))
    return draw_overlays(
        [image for task in found for image in task.images],
        [each for task in found for each in task.maps],
        [caption for task in found for caption in task.captions],
        title=f"{name}: images explained by {trials}",
    )


_SIDE, _GAP, _COLUMNS = 1.35, 0.12, 3


def draw_overlays(
    images: Sequence[np.ndarray] | np.ndarray,
    maps: Sequence[np.ndarray] | np.ndarray,
    captions: Sequence[str],
    *,
    title: str,
) -> "Figure":
    """Draws each image beside itself with its map laid over it.

    Args:
        images: `uint8`, each of shape `(height, width, channels)`.
        maps: Loss of log odds, each of shape `(height, width)`.
        captions: One an image.
        title: Above all.
    """
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    width = max(5.0, columns * (2 * _SIDE + 3 * _GAP) + 0.3)
    height = 0.75 + rows * (_SIDE + 0.4) + 0.1
    figure = make_figure(width, height)
    note = (
        "red: hiding it costs log odds of the class; blue: hiding it adds to "
        "them; each image has its own scale"
    )
    add_titles(figure, title, note)
    for index, (image, found) in enumerate(zip(images, maps, strict=True)):
        row, column = divmod(index, columns)
        left = 0.2 + column * (2 * _SIDE + 3 * _GAP)
        top = 0.95 + row * (_SIDE + 0.4)
        limit = max(float(np.abs(found).max()), 1e-6)
        plain = add_image(figure, image, left, top, _SIDE)
        text = shorten(captions[index], 46)
        plain.set_title(text, size=7, loc="left", pad=3)
        under = add_image(figure, image, left + _SIDE + _GAP / 2, top, _SIDE)
        under.imshow(found, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.55)
    return figure
