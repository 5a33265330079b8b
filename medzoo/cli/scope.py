"""What a command runs over: the arguments that many commands share."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medzoo.data.custom.address import ANY_FORM
from medzoo.files import in_checkout

if TYPE_CHECKING:
    from medzoo.study.spec import Study

Name = Annotated[
    str, typer.Argument(help="A shipped study, one of ./studies, or a path.")
]
Tasks = Annotated[
    str | None, typer.Option(help="Only these tasks, separated by commas.")
]
Data = Annotated[
    str | None,
    typer.Option(help=f"medmnist, synthetic, {ANY_FORM}."),
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out files that are bad."),
]
Model = Annotated[
    Path, typer.Argument(help="A .keras file, or the folder of one.")
]
Resize = Annotated[
    bool | None,
    typer.Option(
        "--resize/--no-resize",
        help="Resize images as for the training. Left out: if the model is of "
        "own files, which were.",
    ),
]
ModelData = Annotated[
    str | None,
    typer.Option(
        help=f"Where the data of the model are now, or other ones: {ANY_FORM}."
    ),
]
DropLeaks = Annotated[
    bool,
    typer.Option(
        "--drop-leaks", help="Train without images that leak into val or test."
    ),
]
Attributes = Annotated[
    str | None,
    typer.Option(
        help="Columns of scores by subgroup, such as sex,age or "
        "sex,age=40/60 with edges of bins."
    ),
]
Seeds = Annotated[
    str | None, typer.Option(help="Only these seeds, separated by commas.")
]
Until = Annotated[
    Literal["seeds", "decided"] | None,
    typer.Option(help="Run the seeds, or add some until it is decided."),
]
MaxSeeds = Annotated[
    int | None,
    typer.Option(min=3, help="Most seeds a trial until decided; 12."),
]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="Two steps a run, to see it work.")
]
Format = Annotated[
    Literal["csv", "md", "latex", "html"],
    typer.Option(help="Format of the table that is printed."),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace a report that has more results than this one."
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="List the files written.")
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print the result, and no progress."),
]
LogFile = Annotated[
    Path | None,
    typer.Option(help="Add all that is printed to this file, quiet or not."),
]
Out = Annotated[Path, typer.Option(help="Folder for tables and figures.")]

Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; one a core.")
]
ExecutorName = Annotated[
    Literal["local", "ray"],
    typer.Option("--executor", help="This machine, or a Ray cluster."),
]
Address = Annotated[
    str | None, typer.Option(help="Of the Ray cluster, such as auto.")
]
Retries = Annotated[
    int, typer.Option(min=0, help="Further tries of a run that fails.")
]
RunTimeout = Annotated[
    float | None,
    typer.Option(min=1, help="End a run after so many seconds."),
]
MaxHours = Annotated[
    float | None,
    typer.Option(min=0, help="Start no run after so many hours."),
]
PluginFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="File or module of own models, losses and more, which is run; "
        "may be repeated.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


def read(
    name: str,
    tasks: str | None,
    data: str | None,
    seeds: str | None,
    data_options: Mapping[str, Any] | None = None,
    until: str | None = None,
    max_seeds: int | None = None,
) -> "Study":
    """Reads a study and applies what the flags say."""
    from medzoo.study.spec import read_study

    return read_study(name).override(
        tasks=tasks.split(",") if tasks not in (None, "all") else tasks,
        seeds=_integers("seeds", seeds) if seeds else None,
        data=data,
        data_options=data_options,
        until=until,
        max_seeds=max_seeds,
    )


def data_flags(
    skip_bad: bool, drop_leaks: bool, attributes: str | None = None
) -> dict[str, Any]:
    """Returns the data options that flags ask for, and no others."""
    flags = {
        "skip_bad": skip_bad,
        "drop_leaks": drop_leaks,
        "attributes": attributes and attributes.split(","),
    }
    return {name: asked for name, asked in flags.items() if asked}


def _integers(what: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"`{what}` must be whole numbers separated by commas. "
            f"Received: {what}={text!r}."
        ) from None


def format_command(
    name: str,
    tasks: str | None,
    data: str | None,
    seeds: str | None,
    smoke: bool,
    options: Mapping[str, Any],
    until: str | None = None,
    max_seeds: int | None = None,
) -> str:
    """Writes the command that repeats a study, as its report shows it.

    That is of make in a checkout, and of `medzoo` where there is none, or
    where a value has characters to be quoted.
    """
    changed = {"tasks": tasks, "data": data, "seeds": seeds}
    given = {key: value for key, value in changed.items() if value}
    columns = ",".join(options.get("attributes", ()))
    listed = [
        f"--{option.replace('_', '-')}"
        + f" {shlex.quote(columns)}" * (option == "attributes")
        for option in options
    ]
    listed += [f"--until {until}"] if until else []
    listed += [f"--max-seeds {max_seeds}"] if max_seeds else []
    flags = " ".join(listed)
    # Neither make nor the shell below it keeps such characters as they are.
    texts = (name, columns, *given.values())
    odd = any(re.search(r"[^\w.,:/@+-]", text) for text in texts)
    if odd or not in_checkout():
        words = [f"--{key} {shlex.quote(v)}" for key, v in given.items()]
        words += ["--smoke"] * smoke + [flags] * bool(flags)
        return " ".join(["medzoo study run", shlex.quote(name), *words])
    words = [f"{key.upper()}={value}" for key, value in given.items()]
    words += ["SMOKE=1"] * smoke + [f'ARGS="{flags}"'] * bool(flags)
    return " ".join([f"make study NAME={name}", *words])
