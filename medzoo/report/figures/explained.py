"""What the models that a study has kept look at, from what lies beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medzoo.files import replacing
from medzoo.report.figures.overlays import draw_overlays
from medzoo.report.matrix import TrialResults

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Of each task, beside the model that was asked.
EXPLAINED = "explained_*.npz"


class Explained(NamedTuple):
    """Explained images of a task.

    Args:
        trial: Name of the trial whose model was asked.
        images: `uint8`, shape `(n, height, width, channels)`.
        maps: Loss of log odds, shape `(n, height, width)`.
        captions: One an image.
    """

    trial: str
    images: np.ndarray
    maps: np.ndarray
    captions: list[str]


def path_explained(folder: Path, task: str) -> Path:
    """Returns where explained images of a task lie, beside their model."""
    return folder / EXPLAINED.replace("*", task)


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


def read_explained(
    results: Sequence[TrialResults], folder: Path
) -> list[Explained]:
    """Reads what there is of the runs of a study, one a task.

    Args:
        results: The trials, the best first.
        folder: Of the models of the study.
    """
    found: dict[str, Explained] = {}
    for trial in results:
        for (_, task), run in trial.runs.items():
            path = path_explained(folder / run.run_id, task)
            if task in found or not path.is_file():
                continue
            with np.load(path, allow_pickle=False) as arrays:
                found[task] = Explained(
                    trial.trial.name,
                    arrays["images"],
                    arrays["maps"],
                    arrays["captions"].tolist(),
                )
    return list(found.values())


def draw_explained(name: str, found: Sequence[Explained]) -> "Figure":
    """Draws a row of images for each task.

    Args:
        name: Of the study.
        found: As of `read_explained`, with something in it.
    """
    trials = ", ".join(dict.fromkeys(task.trial for task in found))
    return draw_overlays(
        [image for task in found for image in task.images],
        [each for task in found for each in task.maps],
        [caption for task in found for caption in task.captions],
        title=f"{name}: what {trials} looks at",
    )
