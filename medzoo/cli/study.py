"""The commands of `medzoo study`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from medzoo.study.spec import Study

study_app = typer.Typer(
    help="Compare choices across tasks and seeds.", no_args_is_help=True
)

Name = Annotated[
    str, typer.Argument(help="A study of studies/, or a path to a TOML file.")
]
Tasks = Annotated[
    str | None, typer.Option(help="Only these tasks, separated by commas.")
]
Data = Annotated[
    str | None, typer.Option(help="Data source: medmnist or synthetic.")
]
Seeds = Annotated[
    str | None, typer.Option(help="Only these seeds, separated by commas.")
]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="Two steps a run, to see it work.")
]
Out = Annotated[Path, typer.Option(help="Folder for tables and figures.")]


@study_app.command("list")
def list_command() -> None:
    """List the studies."""
    from medzoo.study.spec import BrokenStudy, list_studies

    for study in list_studies():
        if isinstance(study, BrokenStudy):
            print(f"{study.name:<20} broken: {study.error}")
        else:
            print(f"{study.name:<20} {study.question}")


@study_app.command()
def plan(
    name: Name,
    tasks: Tasks = None,
    data: Data = None,
    seeds: Seeds = None,
    smoke: Smoke = False,
) -> None:
    """Print what a study would run, what is done, and the time for the rest."""
    from medzoo.study.plan import make_plan
    from medzoo.study.store import Store

    study = _read(name, tasks, data, seeds)
    print(make_plan(study, Store(), smoke=smoke).text())


@study_app.command()
def run(
    name: Name,
    tasks: Tasks = None,
    data: Data = None,
    seeds: Seeds = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one a core.")
    ] = None,
    smoke: Smoke = False,
    out: Out = Path("results"),
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first failed run.")
    ] = False,
    run_timeout: Annotated[
        float | None,
        typer.Option(min=1, help="End a run after so many seconds."),
    ] = None,
) -> None:
    """Run what is missing of a study, and write its tables."""
    from medzoo.cli.screen import run_on_screen

    study = _read(name, tasks, data, seeds)
    code = run_on_screen(
        study,
        out,
        smoke=smoke,
        workers=workers,
        timeout=run_timeout,
        fail_fast=fail_fast,
        command=_command(name, tasks, data, seeds, smoke),
    )
    raise typer.Exit(code)


@study_app.command()
def status(
    name: Name,
    tasks: Tasks = None,
    data: Data = None,
    seeds: Seeds = None,
    smoke: Smoke = False,
) -> None:
    """Print how far a study is."""
    from medzoo.study.plan import make_plan
    from medzoo.study.store import Store

    study = _read(name, tasks, data, seeds)
    print(make_plan(study, Store(), smoke=smoke).status())


@study_app.command()
def report(
    name: Name,
    tasks: Tasks = None,
    data: Data = None,
    seeds: Seeds = None,
    smoke: Smoke = False,
    out: Out = Path("results"),
) -> None:
    """Rebuild the tables and figures of a study from its records alone."""
    from medzoo.report.write import write_report
    from medzoo.study.store import Store

    study = _read(name, tasks, data, seeds)
    found = write_report(
        study,
        Store(),
        out,
        command=_command(name, tasks, data, seeds, smoke),
        smoke=smoke,
    )
    print(found.markdown)
    print("\n".join(f"Wrote {path}" for path in found.paths))


def _read(
    name: str, tasks: str | None, data: str | None, seeds: str | None
) -> "Study":
    """Reads a study and applies what the flags say."""
    from medzoo.study.spec import read_study

    return read_study(name).override(
        tasks=tasks.split(",") if tasks not in (None, "all") else tasks,
        seeds=_integers("seeds", seeds) if seeds else None,
        data=data,
    )


def _integers(what: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"`{what}` must be whole numbers separated by commas. "
            f"Received: {what}={text!r}."
        ) from None


def _command(
    name: str,
    tasks: str | None,
    data: str | None,
    seeds: str | None,
    smoke: bool,
) -> str:
    """Writes the command that repeats a study, as its report shows it."""
    given = {"TASKS": tasks, "DATA": data, "SEEDS": seeds}
    given["SMOKE"] = "1" if smoke else None
    variables = [f"{key}={value}" for key, value in given.items() if value]
    return " ".join(["make", "study", f"NAME={name}", *variables])
