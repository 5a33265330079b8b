"""Commands for trained models: predict, evaluate, export, explain."""

import csv
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medzoo.cli.scope import (
    AsJson,
    Data,
    Format,
    Name,
    PluginFiles,
    Seeds,
    Tasks,
    read,
)
from medzoo.cli.submission import evaluate_submission
from medzoo.files import defuse

if TYPE_CHECKING:
    import numpy as np

    from medzoo.data.dataset import Dataset
    from medzoo.training.export import Exported, Predict
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
    plugin: PluginFiles = None,
) -> None:
    """Predict the class of images, and their masks if the model has any."""
    from medzoo.data.images import read_images
    from medzoo.training.saved import load_saved

    saved = load_saved(model, task, plugin or ())
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
    rows = [[*map(defuse, row)] for row in rows]
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
    plugin: list[str] | None = None,
) -> None:
    """Scores a model on a split of a task."""
    from medzoo.data.splits import describe_absent
    from medzoo.scores import probabilities as scores
    from medzoo.training.objectives.masks import score_split
    from medzoo.training.saved import load_saved, load_task
    from medzoo.training.standard_file import write_standard_file

    saved = load_saved(model, task, plugin or ())
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
        for line in describe_absent(data, [split]):
            print(line)
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
    from medzoo.store import Store
    from medzoo.training.saved import read_record

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
    plugin: PluginFiles = None,
) -> None:
    """Show which parts of images speak for a class."""
    from medzoo.data.images import Images, read_images
    from medzoo.messages import unknown
    from medzoo.report.figures.explained import draw_overlays
    from medzoo.report.figures.style import render
    from medzoo.training.explain import occlude, pick_examples
    from medzoo.training.saved import load_saved, load_task

    if out.suffix not in (".png", ".svg"):
        raise ValueError(unknown("figure", out.suffix, (".png", ".svg")))
    saved = load_saved(model, task, plugin or ())
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
    mask_classes = saved.mask_classes
    header = ["image", "mask", *(f"{name}_share" for name in mask_classes)]
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
            shares = [(mask == at).mean() for at in range(len(mask_classes))]
            row = [
                defuse(name),
                defuse(str(path)),
                *(f"{share:.6f}" for share in shares),
            ]
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


def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            help="A .keras file or its folder, or a submission.csv."
        ),
    ],
    task: Annotated[
        str | None, typer.Option(help="A task; the model's own if left out.")
    ] = None,
    split: Annotated[
        Literal["train", "val", "test"],
        typer.Option(help="Which images a model is scored on."),
    ] = "test",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for medmnist's standard evaluation file."),
    ] = None,
    as_json: AsJson = False,
    data: Annotated[
        Literal["medmnist", "synthetic"],
        typer.Option(help="Where the labels for a submission are from."),
    ] = "medmnist",
    size: Annotated[
        int, typer.Option(help="Size of the images of a submission.")
    ] = 28,
    plugin: PluginFiles = None,
) -> None:
    """Score a model on a split of its task, or a submission on all of test."""
    if file.suffix == ".csv":
        evaluate_submission(file, data, size)
    else:
        evaluate_model(
            file, task, split, out=out, as_json=as_json, plugin=plugin
        )


# Images that both runtimes are compared on, and that calibrate integers.
_COMPARED, _CALIBRATED = 64, 200


def export(
    model: Model,
    to: Annotated[
        Literal["savedmodel", "tflite", "onnx"],
        typer.Option(help="The format to write."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where; beside the model if left out.")
    ] = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="8-bit integers, calibrated on train."),
    ] = False,
    task: Annotated[
        str | None, typer.Option(help="A task; the model's own if left out.")
    ] = None,
    plugin: PluginFiles = None,
) -> None:
    """Write a model for another runtime, load it there, and compare."""
    import numpy as np

    from medzoo.training.export import export as export_model
    from medzoo.training.saved import load_saved, load_task

    saved = load_saved(model, task, plugin or ())
    data = None
    if int8 or task is not None or saved.record is not None:
        _, data = load_task(saved, task)
        images = data.val.images[:_COMPARED]
    else:
        shape = (_COMPARED, *saved.input_shape)
        images = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    calibration = (
        data.train.images[:_CALIBRATED] if int8 and data is not None else None
    )
    found = export_model(
        saved, to=to, images=images, path=out, calibration=calibration
    )
    print(f"Wrote {found.path}")
    print(
        f"Largest difference of a logit: {found.difference:.2g} "
        f"(largest logit: {found.scale:.3g}; {len(images)} images)"
    )
    if int8 and data is not None:
        print(_format_loss(saved, found, data))


def _format_loss(saved: "Saved", found: "Exported", data: "Dataset") -> str:
    """Says what integers cost on val."""
    from medzoo.scores.table import format_score
    from medzoo.training.export import predict

    before = _score(saved, lambda images: predict(saved, images), data)
    after = _score(saved, found.predict, data)
    return "\n".join(
        f"On val {format_score(name)} was {before[name]:.4f} and is "
        f"{value:.4f} in integers"
        for name, value in after.items()
    )


def _score(
    saved: "Saved", predict: "Predict", data: "Dataset"
) -> dict[str, float]:
    """Scores what predicts on val: its labels, and its masks if it has any."""
    from medzoo.scores.probabilities import macro_f1
    from medzoo.training.objectives.masks import score_split
    from medzoo.training.predict import to_probabilities

    output = saved.record.run.output if saved.record else "softmax"
    val: Any = data.val
    if not saved.has_masks:
        logits: Any = predict(val.images)
        return {
            "macro_f1": macro_f1(to_probabilities(logits, output), val.labels)
        }
    model: Any = SimpleNamespace(predict_on_batch=predict)
    found = score_split(model, val, output=output)
    scores = {} if found is None else found.scores
    told = {name: scores.get(name) for name in ("dice", "macro_f1")}
    return {name: value for name, value in told.items() if value is not None}


def ensemble(
    name: Name,
    best: Annotated[
        int, typer.Option(min=1, help="How many of the best trials on val.")
    ] = 1,
    trial: Annotated[
        str | None, typer.Option(help="One trial by name, in their place.")
    ] = None,
    tasks: Tasks = None,
    data: Data = None,
    seeds: Seeds = None,
    format: Format = "md",
) -> None:
    """Score the mean of stored probabilities, without training anything."""
    from medzoo.report.ensemble import make_ensembles
    from medzoo.report.tables import FORMATS
    from medzoo.store import Store

    study = read(name, tasks, data, seeds)
    trials, table = make_ensembles(study, Store(), best=best, trial=trial)
    print(FORMATS[format](table))
    if format == "md":
        print(f"\nAll seeds of: {'; '.join(trials)} (picked on val).")
