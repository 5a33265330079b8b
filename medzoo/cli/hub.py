"""The commands of `medzoo hub`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from medzoo.cli.help import App
from medzoo.cli.scope import Model, PluginFiles, refuse_flags
from medzoo.messages import echo

hub_app = App(help="Publish models.")


@hub_app.callback()
def about() -> None:
    """Publish models."""


@hub_app.command(
    examples=[
        "medzoo hub push trained --to repository",
        "medzoo hub push trained --repo user/name --private",
    ]
)
def push(
    model: Model,
    to: Annotated[
        Path | None, typer.Option(help="Folder of the repository to write.")
    ] = None,
    repo: Annotated[
        str | None,
        typer.Option(help="Repository of Hugging Face to push it to."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new one private.")
    ] = False,
    license: Annotated[
        str,
        typer.Option(
            help="Its licence, such as cc-by-4.0; that of the data, or other, "
            "if left out."
        ),
    ] = "",
    plugin: PluginFiles = None,
) -> None:
    """Write a model as a repository of Hugging Face, and push it.

    That has the card with metadata, the model, its record without folders of
    this machine, and how images become its input.
    """
    from medzoo.files import require_output
    from medzoo.record import Predictions
    from medzoo.report.hub import push_repository, require_hub, write_repository
    from medzoo.store import Store
    from medzoo.training.saved import load_saved, read_record

    if to is None and repo is None:
        raise ValueError(
            "A repository is written to a folder, pushed, or both. Expected "
            "`--to FOLDER` or `--repo user/name`. Received: neither."
        )
    if repo is None:
        refuse_flags("without `--repo`", private=private)
    hub = require_hub() if repo else None
    if to is not None:
        require_output(to, folder=True)
    path, record = read_record(model)
    first = record.run.tasks[0] if len(record.run.tasks) > 1 else None
    saved = load_saved(path, first, plugin or ())
    predictions = Store().read_predictions(record.run_id) or Predictions()
    with tempfile.TemporaryDirectory() as made:
        folder = to or Path(made)
        for written in write_repository(
            saved,
            record,
            folder,
            predictions,
            repository=repo or "",
            licence=license,
        ):
            if to is not None:
                echo(f"Wrote {written}")
        if repo is not None:
            address = push_repository(hub, folder, repo, private=private)
            echo(f"Pushed to {address}")
