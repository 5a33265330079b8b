"""The commands for finished models: predict, card, explain, and evaluate."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from medzoo.training.saved import Saved

Model = Annotated[
    Path, typer.Argument(help="A .keras file, or the folder of one.")
]


def predict(
    model: Model,
    images: Annotated[
        list[str], typer.Argument(help="Image files, folders, npz archives.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="CSV to write; printed if left out. A folder, for masks."
        ),
    ] = None,
    resize: Annotated[
        bool,
        typer.Option("--resize", help="Resize images as for the training."),
    ] = False,
    task: Annotated[
        str | None,
        typer.Option(help="Which task, of a net of several."),
    ] = None,
) -> None:
    """Predict the class of images, and their masks if the model has any."""
    from medzoo.cli.masks import predict_masks
    from medzoo.data.images import read_images
    from medzoo.training.load import load_saved

    saved = load_saved(model, task)
    if saved.task != task:
        raise ValueError(
            f"`{saved.path}` is of one task, and is not asked for one. "
            f"Received: task={task}."
        )
    if saved.has_masks:
        predict_masks(saved, images, out, resize=resize)
        return
    how = saved.resize if resize else None
    found = read_images(images, saved.input_shape, how)
    probabilities = saved.predict(found.images)
    _tell(saved)
    rows = [
        [name, saved.classes[row.argmax()], *(f"{p:.6f}" for p in row)]
        for name, row in zip(found.names, probabilities, strict=True)
    ]
    header = ["image", "predicted", *saved.classes]
    if out is None:
        csv.writer(sys.stdout, lineterminator="\n").writerows([header, *rows])
        return
    with open(out, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    print(f"Wrote {out}: {len(rows)} images", file=sys.stderr)


def evaluate_model(
    model: Path,
    task: str | None,
    split: str,
    *,
    out: Path | None,
    as_json: bool,
) -> None:
    """Scores a model on a split of a task."""
    from medzoo import scores
    from medzoo.training.load import load_saved, load_task
    from medzoo.training.segmentation import score_split
    from medzoo.training.standard_file import write_standard_file

    saved = load_saved(model, task)
    _tell(saved)
    run, data = load_task(saved, task)
    images = getattr(data, split)
    probabilities = saved.predict(images.images)
    found = scores.score(probabilities, images.labels, data.num_classes)
    if saved.has_masks:
        output = run.output
        masks = score_split(saved.model, images, output=output)
        found = found if masks is None else masks.scores
    if as_json:
        print(json.dumps({"task": run.task, "split": split, "scores": found}))
    else:
        print(f"{run.task}, {split}, {len(images)} images")
        for name, value in found.items():
            print(f"{name:<18}{'' if value is None else f'{value:.4f}'}")
    if out is not None:
        path = write_standard_file(
            out,
            probabilities,
            images.labels,
            task=run.task,
            size=run.size,
            split=split,
            run=saved.record.run_id if saved.record else saved.path.stem,
        )
        print(f"Wrote {path}", file=sys.stderr)


def card(
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; beside the model if left out."),
    ] = None,
) -> None:
    """Write the model card of a model from the record beside it."""
    from medzoo.report.card import write_card
    from medzoo.study.store import Store
    from medzoo.training.load import read_record

    path, record = read_record(model)
    out = out or path.with_suffix(".md")
    write_card(record, out, Store().read_predictions(record.run_id))
    print(f"Wrote {out}", file=sys.stderr)


def explain(
    model: Model,
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Images; right and wrong ones of val if left out."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="A task; the model's own if left out.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--class", help="A class; the predicted if left out."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Figure to write, .png or .svg.")
    ] = Path("explain.png"),
) -> None:
    """Show which parts of images speak for a class."""
    from medzoo.data.images import Images, read_images
    from medzoo.report.figures.overlays import draw_overlays
    from medzoo.report.figures.style import render
    from medzoo.training.explain import occlude, pick_examples
    from medzoo.training.load import load_saved, load_task
    from medzoo.wording import unknown

    if out.suffix not in (".png", ".svg"):
        raise ValueError(unknown("figure", out.suffix, (".png", ".svg")))
    saved = load_saved(model, task)
    if label is not None and label not in saved.classes:
        raise ValueError(unknown("class", label, saved.classes))
    if images:
        found = read_images(images, saved.input_shape)
    else:
        run, data = load_task(saved, task)
        val = data.val
        picked = pick_examples(saved.predict(val.images), val.labels)
        names = [f"{run.task}, {data.classes[val.labels[i]]}" for i in picked]
        found = Images(names, val.images[picked])
    probabilities = saved.predict(found.images)
    classes = probabilities.argmax(axis=1)
    captions = [
        f"{Path(name).name}: {saved.classes[row.argmax()]} {row.max():.2f}"
        for name, row in zip(found.names, probabilities, strict=True)
    ]
    if label is not None:
        classes[:] = saved.classes.index(label)
    maps = occlude(saved.predict, found.images, classes)
    title = f"What speaks for {label or 'the predicted class'}"
    figure = draw_overlays(found.images, maps, captions, title=title)
    out.write_bytes(render(figure, out.suffix[1:]))
    print(f"Wrote {out}: {len(maps)} images", file=sys.stderr)


def _tell(saved: "Saved") -> None:
    if saved.note:
        print(saved.note, file=sys.stderr)
