"""Commands for trained models: evaluate, card, explain, ensemble."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from medzoo.cli.scope import (
    AsJson,
    Data,
    Format,
    Model,
    ModelData,
    Name,
    PluginFiles,
    Resize,
    Scope,
    Seeds,
    SkipBad,
    Tasks,
    refuse_flags,
)
from medzoo.cli.submission import evaluate_submission
from medzoo.data.custom.address import ANY_FORM
from medzoo.messages import echo


def evaluate_model(
    model: Path,
    task: str | None,
    split: str,
    *,
    data: str | None,
    skip_bad: bool,
    resize: bool,
    out: Path | None,
    as_json: bool,
    corruptions: bool = False,
    plugin: list[str] | None = None,
) -> None:
    """Scores a model on a split of a task."""
    from medzoo.cli.robustness import format_robustness, write_robustness
    from medzoo.data.splits import describe_absent
    from medzoo.files import require_output
    from medzoo.scores import probabilities as scores
    from medzoo.training.objectives.masks import score_split
    from medzoo.training.robustness import score_corrupted
    from medzoo.training.saved import describe_change, load_saved, load_task
    from medzoo.training.standard_file import write_standard_file

    if out is not None:
        require_output(out, folder=True)
    saved = load_saved(model, task, plugin or ())
    run, loaded = load_task(
        saved, task, data=data, skip_bad=skip_bad, resize=resize
    )
    for note in filter(None, (saved.note, describe_change(saved, run, loaded))):
        echo(note, file=sys.stderr)
    images = getattr(loaded, split)
    probabilities = saved.predict(images.images)
    found = scores.score(probabilities, images.labels, loaded.num_classes)
    if saved.has_masks:
        output = run.output
        masks = score_split(saved.model, images, output=output)
        found = found if masks is None else masks.scores
    robust = None
    if corruptions:
        robust = score_corrupted(saved.predict, loaded, images)
    if as_json:
        shown = {"task": run.task, "split": split, "scores": found}
        if robust is not None:
            shown["balanced_errors"] = {
                "clean": float(robust.clean),
                **dict(zip(robust.kinds, robust.errors.tolist(), strict=True)),
            }
        echo(json.dumps(shown))
    else:
        echo(f"{run.task}, {split}, {len(images)} images")
        for name, value in found.items():
            echo(f"{name:<18}{'' if value is None else f'{value:.4f}'}")
        for line in describe_absent(loaded, [split]):
            echo(line)
        if robust is not None:
            echo(format_robustness(robust))
    if out is not None and robust is not None:
        echo(f"Wrote {write_robustness(robust, out)}", file=sys.stderr)
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
        echo(f"Wrote {path}", file=sys.stderr)


def card(
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; beside the model if left out."),
    ] = None,
) -> None:
    """Write the model card of a model from the record beside it."""
    from medzoo.files import require_output
    from medzoo.report.card import write_card
    from medzoo.store import Store
    from medzoo.training.saved import read_record

    path, record = read_record(model)
    out = out or path.with_suffix(".md")
    require_output(out)
    write_card(record, out, Store().read_predictions(record.run_id))
    echo(f"Wrote {out}", file=sys.stderr)


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
    resize: Resize = None,
    skip_bad: SkipBad = False,
    data: ModelData = None,
    out: Annotated[
        Path, typer.Option(help="Figure to write, .png or .svg.")
    ] = Path("explain.png"),
    plugin: PluginFiles = None,
) -> None:
    """Show which parts of images speak for a class."""
    import numpy as np

    from medzoo.files import replacing, require_output, writing
    from medzoo.messages import unknown
    from medzoo.report.figures.explained import draw_overlays
    from medzoo.report.figures.style import render
    from medzoo.training.explain import occlude, pick_examples
    from medzoo.training.saved import load_saved, load_task

    if out.suffix not in (".png", ".svg"):
        raise ValueError(unknown("figure", out.suffix, (".png", ".svg")))
    require_output(out)
    saved = load_saved(model, task, plugin or ())
    if label is not None and label not in saved.classes:
        raise ValueError(unknown("class", label, saved.classes))
    if images:
        refuse_flags("where images are given", data=data)
        reader = saved.reader(True if saved.has_masks else resize)
        pictures = list(reader.read(images))
        if told := reader.require_good(skip_bad=skip_bad):
            echo(told, file=sys.stderr)
        names = [picture.name for picture in pictures]
        values = np.stack([picture.values for picture in pictures])
    else:
        run, loaded = load_task(
            saved, task, data=data, skip_bad=skip_bad, resize=bool(resize)
        )
        val = loaded.val
        picked = pick_examples(saved.predict(val.images), val.labels)
        names = [f"{run.task}, {loaded.classes[val.labels[i]]}" for i in picked]
        values = val.images[picked]
    probabilities = saved.predict(values)
    classes = probabilities.argmax(axis=1)
    captions = [
        f"{Path(name).name}: {saved.classes[row.argmax()]} {row.max():.2f}"
        for name, row in zip(names, probabilities, strict=True)
    ]
    if label is not None:
        classes[:] = saved.classes.index(label)
    maps = occlude(saved.predict, values, classes)
    title = f"What speaks for {label or 'the predicted class'}"
    figure = draw_overlays(values, maps, captions, title=title)
    with writing(out), replacing(out) as part:
        part.write_bytes(render(figure, out.suffix[1:]))
    echo(f"Wrote {out}: {len(maps)} images", file=sys.stderr)


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
        typer.Option(
            help="Folder for medmnist's standard evaluation file, and for "
            "corruptions.csv."
        ),
    ] = None,
    corruptions: Annotated[
        bool,
        typer.Option(
            "--corruptions",
            help="Also score it on corrupted images: noise, blur, light and "
            "the like, at five severities, by the kinds of MedMNIST-C.",
        ),
    ] = False,
    as_json: AsJson = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="Where the data of the model are now, or other ones: "
            f"{ANY_FORM}. For a submission, where "
            "its labels are from: medmnist or synthetic."
        ),
    ] = None,
    skip_bad: SkipBad = False,
    resize: Annotated[
        bool,
        typer.Option(
            "--resize",
            help="Resize arrays of another size; files always are.",
        ),
    ] = False,
    size: Annotated[
        int, typer.Option(help="Size of the images of a submission.")
    ] = 28,
    plugin: PluginFiles = None,
) -> None:
    """Score a model on a split of its task, or a submission on all of test."""
    if file.suffix == ".csv":
        refuse_flags(
            "for a submission",
            task=task,
            split=split != "test",
            out=out,
            corruptions=corruptions,
            json=as_json,
            skip_bad=skip_bad,
            resize=resize,
            plugin=plugin,
        )
        evaluate_submission(file, data or "medmnist", size)
        return
    refuse_flags("for a model, which has a size,", size=size != 28)
    evaluate_model(
        file,
        task,
        split,
        data=data,
        skip_bad=skip_bad,
        resize=resize,
        out=out,
        as_json=as_json,
        corruptions=corruptions,
        plugin=plugin,
    )


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

    if trial is not None:
        refuse_flags("with `--trial`", best=best != 1)
    study = Scope(name, tasks, data, seeds).read()
    trials, table = make_ensembles(study, Store(), best=best, trial=trial)
    echo(FORMATS[format](table))
    if format == "md":
        how = "" if trial else " (picked on val)"
        echo(f"\nAveraged: {'; '.join(trials)}{how}.")
