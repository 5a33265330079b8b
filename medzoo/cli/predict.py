"""The command `medzoo predict`: a table of classes, or a folder of masks."""

import csv
import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medzoo.cli.scope import Model, PluginFiles, Resize, SkipBad
from medzoo.messages import echo

if TYPE_CHECKING:
    import numpy as np

    from medzoo.data.custom.images import Picture, Reader
    from medzoo.training.saved import Saved

# Images that are held at a time: a multiple of what is predicted at once.
_BATCH = 1024


def predict(
    model: Model,
    images: Annotated[
        list[str],
        typer.Argument(
            help="Image files, folders, npz archives, or CSV files with the "
            "columns of the training."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="CSV to write; printed if left out. A folder, for masks."
        ),
    ] = None,
    resize: Resize = None,
    skip_bad: SkipBad = False,
    task: Annotated[
        str | None,
        typer.Option(help="Which task, of a net of several."),
    ] = None,
    plugin: PluginFiles = None,
) -> None:
    """Predict the class of images, and their masks if the model has any.

    Files are read as those of the training were: turned, resized, made grey.
    """
    from medzoo.files import defuse, require_output
    from medzoo.training.saved import load_saved

    if out is not None and not out.is_dir():
        require_output(out)
    saved = load_saved(model, task, plugin or ())
    if saved.task != task:
        raise ValueError(
            f"`{saved.path}` is of one task, and is not asked for one. "
            f"Received: task={task}."
        )
    reader = saved.reader(resize)
    if saved.has_masks:
        _predict_masks(saved, reader, images, out, skip_bad=skip_bad)
        return
    if out is not None:
        require_output(out)
    rows = [*_predict_rows(saved, reader.read(images))]
    told = reader.require_good(skip_bad=skip_bad)
    _print_notes(saved.note, told)
    header = ["image", "predicted", *saved.classes]
    if out is None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows(map(defuse, row) for row in [header, *rows])
        return
    _write_table(out, header, rows)
    echo(f"Wrote {out}: {len(rows)} images", file=sys.stderr)


def _predict_rows(
    saved: "Saved", pictures: "Iterable[Picture]"
) -> Iterator[list[str]]:
    import numpy as np

    left = iter(pictures)
    while batch := [*itertools.islice(left, _BATCH)]:
        found = saved.predict(np.stack([each.values for each in batch]))
        for picture, row in zip(batch, found, strict=True):
            predicted = saved.classes[row.argmax()]
            yield [picture.name, predicted, *map(format_probability, row)]


def format_probability(value: "float | np.floating") -> str:
    """Writes a probability so that reading it gives the same `float32`.

    Example:

    >>> format_probability(1 / 3), format_probability(1e-12)
    ('0.333333333', '1e-12')
    """
    return f"{value:.9g}"


def _print_notes(*notes: str) -> None:
    for note in filter(None, notes):
        echo(note, file=sys.stderr)


def _write_table(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    from medzoo.files import write_csv, writing

    with writing(path):
        write_csv(path, header, rows)


def _predict_masks(
    saved: "Saved",
    reader: "Reader",
    images: Sequence[str],
    out: Path | None,
    *,
    skip_bad: bool,
) -> None:
    """Writes `masks/*.png`, whose values are classes, and `labels.csv`.

    Raises:
        FileNotFoundError: If there is no image, or no folder to write to.
        ValueError: If images cannot be used.
    """
    from medzoo.files import filling, require_output, writing
    from medzoo.training.saved_masks import predict_image

    if out is None or out.suffix:
        raise ValueError(
            "This model predicts masks, a file an image. Expected --out FOLDER "
            f"for them and for labels.csv. Received: out={out and str(out)}."
        )
    require_output(out, folder=True)
    mask_classes = saved.mask_classes
    header = ["image", "mask", *(f"{name}_share" for name in mask_classes)]
    header += ["predicted", *saved.classes]
    taken: set[str] = set()
    rows = []
    tiled = 0
    with writing(out), filling(out) as folder:
        (folder / "masks").mkdir()
        for picture in reader.read(images):
            mask, labels = predict_image(saved, picture.values, picture.shape)
            tiled += labels is None
            path = Path("masks", _name(picture.name, taken))
            _write_mask(folder / path, mask)
            shares = [(mask == at).mean() for at in range(len(mask_classes))]
            row = [picture.name, str(path), *map(format_probability, shares)]
            if labels is not None:
                row += [saved.classes[labels.argmax()]]
                row += [format_probability(value) for value in labels]
            rows.append(row)
        told = reader.require_good(skip_bad=skip_bad)
        _write_table(folder / "labels.csv", header, rows)
    _print_notes(told)
    echo(f"Wrote {out}: {len(taken)} masks and labels.csv", file=sys.stderr)
    if tiled:
        height, width, _ = saved.input_shape
        echo(
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


def _write_mask(path: Path, mask: "np.ndarray") -> None:
    """Writes classes as values, with colours that tell them apart."""
    from PIL import Image

    from medzoo.report.figures.style import COLOURS

    image = Image.fromarray(mask)
    image.putpalette([*_flatten(("#000000", *COLOURS))])
    image.save(path)


def _flatten(colours: Iterable[str]) -> Iterable[int]:
    for colour in colours:
        yield from bytes.fromhex(colour[1:])
