"""What a command runs over: the arguments that many commands share."""

import functools
import inspect
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Scope:
    """Which study a command is about, and what its flags change of it."""

    name: Name
    tasks: Tasks = None
    data: Data = None
    seeds: Seeds = None
    until: Until = None
    max_seeds: MaxSeeds = None
    smoke: Smoke = False
    skip_bad: SkipBad = False
    drop_leaks: DropLeaks = False
    attributes: Attributes = None

    @property
    def data_options(self) -> dict[str, Any]:
        """The options of data that are asked for, and no others."""
        flags = {
            "skip_bad": self.skip_bad,
            "drop_leaks": self.drop_leaks,
            "attributes": self.attributes and split_list(self.attributes),
        }
        return {name: asked for name, asked in flags.items() if asked}

    def read(self) -> "Study":
        """Reads the study, and applies what the flags say."""
        from medzoo.study.spec import read_study

        tasks = self.tasks
        return read_study(self.name).override(
            tasks=tasks if tasks in (None, "all") else split_list(tasks),
            seeds=None
            if self.seeds is None
            else _integers("seeds", self.seeds),
            data=self.data,
            data_options=self.data_options,
            until=self.until,
            max_seeds=self.max_seeds,
        )

    def format_command(self) -> str:
        """Writes the command that repeats the study, as its report shows it.

        That is of make where the current folder is the checkout, and of
        `medzoo` elsewhere, or where a value has characters to be quoted.
        """
        changed = {"tasks": self.tasks, "data": self.data, "seeds": self.seeds}
        given = {key: value for key, value in changed.items() if value}
        flags = self._format_flags()
        texts = (self.name, self.attributes or "", *given.values())
        if not suits_make(*texts):
            words = [f"--{key} {shlex.quote(v)}" for key, v in given.items()]
            words += ["--smoke"] * self.smoke + [flags] * bool(flags)
            return " ".join(
                ["medzoo study run", shlex.quote(self.name), *words]
            )
        words = [f"{key.upper()}={value}" for key, value in given.items()]
        words += ["SMOKE=1"] * self.smoke + [f'ARGS="{flags}"'] * bool(flags)
        return " ".join([f"make study NAME={self.name}", *words])

    def _format_flags(self) -> str:
        """Writes those flags for which make has no variable."""
        words = ["--skip-bad"] * self.skip_bad
        words += ["--drop-leaks"] * self.drop_leaks
        if self.attributes:
            words.append(f"--attributes {shlex.quote(self.attributes)}")
        if self.until:
            words.append(f"--until {self.until}")
        if self.max_seeds:
            words.append(f"--max-seeds {self.max_seeds}")
        return " ".join(words)


def with_scope(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the fields of `Scope` as its first parameters.

    Args:
        command: Takes them as one `scope`; of a field that it declares as well,
            its own declaration is the one that counts.
    """
    own = dict(inspect.signature(command).parameters)
    del own["scope"]
    fields = inspect.signature(Scope).parameters
    shown = [own.get(name, field) for name, field in fields.items()]
    shown += [own[name] for name in own if name not in fields]

    @functools.wraps(command)
    def call(**given: Any) -> None:
        scope = Scope(**{name: given[name] for name in fields})
        rest = {name: value for name, value in given.items() if name in own}
        command(scope=scope, **rest)

    call.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return call


def refuse_flags(why: str, **given: object) -> None:
    """Refuses flags that would be ignored.

    Args:
        why: Where they have no use.
        **given: Flags by name; those that are left out are `None` or false.

    Raises:
        ValueError: If any is given.

    Example:

    >>> refuse_flags("without `--repo`", private=True)
    Traceback (most recent call last):
    ValueError: Without `--repo` there is no use for `--private`. Leave it out.
    """
    names = [f"`--{k.replace('_', '-')}`" for k, v in given.items() if v]
    if names:
        raise ValueError(
            f"{why[0].upper()}{why[1:]} there is no use for "
            f"{', '.join(names)}. Leave {'them' if names[1:] else 'it'} out."
        )


def split_list(text: str) -> list[str]:
    """Splits what commas separate, with blanks beside them or without.

    Example:

    >>> split_list("sex, age=40/60")
    ['sex', 'age=40/60']
    """
    return [part.strip() for part in text.split(",")]


def _integers(what: str, text: str) -> list[int]:
    try:
        return [int(part) for part in split_list(text)]
    except ValueError:
        raise ValueError(
            f"`{what}` must be whole numbers separated by commas, such as "
            f"0,1,2. Received: {what}={text!r}."
        ) from None


def suits_make(*texts: str) -> bool:
    """Says whether make is here, and keeps values as they are.

    Neither make nor the shell below it does so with characters to be quoted.
    """
    is_odd = any(re.search(r"[^\w.,:/@+-]", text) for text in texts)
    return in_checkout() and not is_odd
