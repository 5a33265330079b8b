"""`medzoo ensemble`: several runs of a study as one model."""

from typing import Annotated

import typer

from medzoo.cli.scope import Data, Format, Name, Seeds, Tasks, read


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
    from medzoo.report.formats import FORMATS
    from medzoo.study.store import Store

    study = read(name, tasks, data, seeds)
    trials, table = make_ensembles(study, Store(), best=best, trial=trial)
    print(FORMATS[format](table))
    if format == "md":
        print(f"\nAll seeds of: {'; '.join(trials)} (picked on val).")
