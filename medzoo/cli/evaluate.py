"""`medzoo evaluate`: the scores of a model, or of a submission."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from medzoo.cli.model import evaluate_model
from medzoo.cli.scope import AsJson
from medzoo.cli.submission import evaluate_submission


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
) -> None:
    """Score a model on a split of its task, or a submission on all of test."""
    if file.suffix == ".csv":
        evaluate_submission(file, data, size)
    else:
        evaluate_model(file, task, split, out=out, as_json=as_json)
