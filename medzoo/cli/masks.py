"""`medzoo predict` for a model with masks: a file an image, and a table."""

import csv
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from medzoo.training.saved import Saved


def predict_masks(
    saved: "Saved", images: Sequence[str], out: Path | None, *, resize: bool
) -> None:
    """Writes `masks/*.png`, whose values are classes, and `labels.csv`.

    Raises:
        FileNotFoundError: If there is no image.
        ValueError: If there is no folder to write to, or an image is damaged.
    """
    from medzoo.data.images import each_image
    from medzoo.training.saved_masks import predict_image

    if out is None or out.suffix:
        raise ValueError(
            "This model predicts masks, a file an image. Expected --out FOLDER "
            f"for them and for labels.csv. Received: out={out and str(out)}."
        )
    segments = saved.segments
    header = ["image", "mask", *(f"{name}_share" for name in segments)]
    header += ["predicted", *saved.classes]
    (out / "masks").mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    tiled = 0
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for name, image in each_image(images, saved.input_shape[-1]):
            mask, labels = predict_image(saved, image, resize=resize)
            tiled += labels is None
            path = Path("masks", _name(name, taken))
            _write(out / path, mask)
            shares = [(mask == at).mean() for at in range(len(segments))]
            row = [name, path, *(f"{share:.6f}" for share in shares)]
            if labels is not None:
                row += [saved.classes[labels.argmax()]]
                row += [f"{value:.6f}" for value in labels]
            writer.writerow(row)
    print(f"Wrote {out}: {len(taken)} masks and labels.csv", file=sys.stderr)
    if tiled:
        height, width, _ = saved.input_shape
        print(
            f"{tiled} images are of another size than {width} x {height}: they "
            "were predicted by tiles at their own scale, and have no label. If "
            "the images of the training were resized, pass --resize.",
            file=sys.stderr,
        )


def _name(name: str, taken: set[str]) -> str:
    """Names the mask of an image: as the image, and no other mask."""
    stem = re.sub(r"[^\w.() -]", "_", os.path.splitext(Path(name).name)[0])
    found, number = f"{stem}.png", 1
    while found in taken:
        number += 1
        found = f"{stem}_{number}.png"
    taken.add(found)
    return found


def _write(path: Path, mask: "np.ndarray") -> None:
    """Writes classes as values, with colours that tell them apart."""
    from PIL import Image

    from medzoo.report.figures.style import COLOURS

    image = Image.fromarray(mask)
    image.putpalette([*_flatten(("#000000", *COLOURS))])
    image.save(path)


def _flatten(colours: Iterable[str]) -> Iterable[int]:
    for colour in colours:
        yield from bytes.fromhex(colour[1:])
