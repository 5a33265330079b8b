"""The command line: one function a command; each imports what it needs."""

import contextlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from medzoo.cli.doctor import doctor
from medzoo.cli.export import export
from medzoo.cli.help import App, format_examples
from medzoo.cli.hub import hub_app
from medzoo.cli.look import audit, explore
from medzoo.cli.models import card, ensemble, evaluate, explain
from medzoo.cli.predict import predict
from medzoo.cli.scope import Format, Scope, Seeds, Tasks
from medzoo.cli.search import search_app
from medzoo.cli.study import study_app
from medzoo.cli.submission import submit
from medzoo.cli.train import train
from medzoo.environment import check_environment
from medzoo.messages import echo, printable

if TYPE_CHECKING:
    from medzoo.report.evidence import Evidence

# What may lie on a disk, or befall a machine. Whatever else ends a command is a
# fault of the program, and has its traceback.
_FAULTS = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    MemoryError,
    RecursionError,
)

# As of a program that a closed pipe ends: 128 + SIGPIPE.
_UNREAD = 141

app = App(
    help="A Keras model zoo and honest comparison studies on MedMNIST 2D.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=format_examples(
        [
            "medzoo study run quickstart",
            "medzoo train --task breastmnist --recipe best",
        ]
    ),
)
app.add_typer(study_app, name="study")
app.add_typer(search_app, name="search")
app.add_typer(hub_app, name="hub")
# Commands of other modules, with examples of each.
COMMANDS: dict[Callable[..., None], list[str]] = {
    train: [
        "medzoo train --task breastmnist --recipe best --out trained",
        "medzoo train --task bloodmnist --optimizer adamw --set dropout=0.1",
        "medzoo train run.toml --seed 1",
    ],
    explore: [
        "medzoo explore breastmnist",
        "medzoo explore folder:cells --size 64",
    ],
    audit: ["medzoo audit breastmnist", "medzoo audit folder:cells"],
    predict: [
        "medzoo predict trained scan.png",
        "medzoo predict trained scans --out predictions.csv",
    ],
    evaluate: [
        "medzoo evaluate trained --split val",
        "medzoo evaluate submission.csv",
    ],
    card: ["medzoo card trained"],
    explain: ["medzoo explain trained", "medzoo explain trained scan.png"],
    ensemble: ["medzoo ensemble quickstart --best 2"],
    export: [
        "medzoo export trained --to onnx",
        "medzoo export trained --to tflite --int8",
    ],
    submit: ["medzoo submit quickstart --out submission.csv"],
    doctor: ["medzoo doctor"],
}
for command, examples in COMMANDS.items():
    app.command(examples=examples)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        import medzoo

        echo(f"medzoo {medzoo.__version__}")
        raise typer.Exit()


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    """A Keras model zoo and honest comparison studies on MedMNIST 2D."""


@app.command(examples=["medzoo tasks"])
def tasks() -> None:
    """List the 11 tasks, and the files of each that are on disk."""
    from medzoo.data.folders import data_folder
    from medzoo.tasks import SIZES, TASKS

    folder = data_folder()
    echo(
        f"{'task':<15}{'kind':<20}{'classes':>7}{'channels':>9}"
        f"{'train':>8}{'val':>7}{'test':>7}  {'licence':<13}sizes on disk"
    )
    for task in TASKS.values():
        found = [
            str(size)
            for size in SIZES
            if (folder / task.file_name(size)).exists()
        ]
        train, val, test = (
            task.num_images[s] for s in ("train", "val", "test")
        )
        echo(
            f"{task.name:<15}{task.kind:<20}{task.num_classes:>7}"
            f"{task.channels:>9}{train:>8}{val:>7}{test:>7}  "
            f"{task.licence:<13}{', '.join(found) or '-'}"
        )
    echo(f"\nFiles are looked for in {folder} (set MEDZOO_DATA to change it).")


@app.command(examples=["medzoo models"])
def models(
    backbones: Annotated[
        bool,
        typer.Option("--backbones", help="List the pretrained networks."),
    ] = False,
) -> None:
    """List the zoo, or the pretrained networks that models may stand on."""
    from medzoo.models.registry import MODELS

    if backbones:
        _list_backbones()
        return
    echo(f"{'model':<20}{'width':>6}{'parameters':>12}  about")
    for name, entry in MODELS.items():
        size = f"{entry.width or '':>6}{entry.parameters:>12,}"
        echo(f"{name:<20}{size}  {entry.about}")
        for key, option in entry.options.items():
            echo(f"    {key} = {option.default!r}: {option.description}")
            if option.choices:
                echo(f"        one of: {', '.join(option.choices)}")
    echo("\nParameters at the default width, 28x28x3 images, 9 classes.")


def _list_backbones() -> None:
    from medzoo.models.backbones import BACKBONES, find_weights

    echo(f"{'backbone':<22}{'network':<20}{'least side':>10}  weights")
    for name, entry in BACKBONES.items():
        path = find_weights(name, "imagenet")
        there = path is not None and path.is_file()
        echo(
            f"{name:<22}{entry.application:<20}{entry.minimum:>10}  "
            f"{'on disk' if there else '-'}"
        )
    echo(
        "\nImageNet weights of keras.applications, by the licences of their "
        "authors.\nAlso keras:FILE@LAYER, a network that Keras saved, and "
        "hub:PRESET of keras-hub."
    )


@app.command(examples=["medzoo fields"])
def fields() -> None:
    """List the fields of a run, with choices and defaults."""
    from medzoo.runs.fields import DEFAULTS, FIELDS

    for name, about in FIELDS.items():
        if about.place == "none":
            continue
        default = DEFAULTS.get(name)
        given = "" if default in (None, {}) else f" = {default!r}"
        echo(f"{name}{given}: {about.description}")
        if about.choices:
            echo(f"    one of: {', '.join(about.choices)}")
    echo("\n`medzoo models` lists the options of each model beside them.")


@app.command(
    examples=["medzoo download breastmnist", "medzoo download --size 64"]
)
def download(
    names: Annotated[
        list[str] | None, typer.Argument(help="Tasks; all if left out.")
    ] = None,
    size: Annotated[int, typer.Option(help="28, 64, 128 or 224.")] = 28,
) -> None:
    """Download and verify the official files."""
    from medzoo.cli.scope import split_list
    from medzoo.data.download import download_tasks
    from medzoo.tasks import NAMES

    given = [name for text in names or [] for name in split_list(text)]
    download_tasks(given or NAMES, size)


@app.command(
    examples=[
        "medzoo compare optimizers",
        "medzoo compare results/best",
        "medzoo compare results/optimizers results/losses",
    ]
)
def compare(
    name: Annotated[
        str,
        typer.Argument(
            help="A study, its folder of results, or its evidence.zip."
        ),
    ],
    other: Annotated[
        str | None,
        typer.Argument(
            help="Another study on the same test images, its folder of "
            "results, or its evidence.zip."
        ),
    ] = None,
    tasks: Tasks = None,
    seeds: Seeds = None,
    format: Format = "md",
) -> None:
    """Set a study beside published figures, or two beside each other."""
    from medzoo.report.evidence_file import read_evidence
    from medzoo.report.pairwise import (
        compare_studies,
        is_evidence,
        open_evidence,
    )
    from medzoo.report.published import SCORES, set_beside
    from medzoo.report.tables import FORMATS
    from medzoo.scores.table import list_scores

    further = [n for n in SCORES if n in list_scores("kept")]
    if (tasks or seeds) and (other is not None or is_evidence(name)):
        raise ValueError(
            "Two studies, and a folder of results, are compared on what they "
            "have. Expected no `--tasks` and no `--seeds`. Received: "
            f"tasks={tasks}, seeds={seeds}."
        )
    if other is None and is_evidence(name):
        table = set_beside(read_evidence(Path(name), scores=further))
    elif other is None:
        table = set_beside(_read_official(name, tasks, seeds, further))
    else:
        studies = open_evidence(name), open_evidence(other)
        names = (name, other) if studies[0].title == studies[1].title else None
        table = compare_studies(*studies, names=names)
    echo(FORMATS[format](table).rstrip("\n"))


def _read_official(
    name: str, tasks: str | None, seeds: str | None, scores: list[str]
) -> "Evidence":
    """Reads the records of a study on the official data; exit 3 without any."""
    from medzoo.report.evidence import Evidence
    from medzoo.report.write import format_no_records
    from medzoo.store import Store

    study, store = Scope(name, tasks, "medmnist", seeds).read(), Store()
    evidence = Evidence.read(study.show(scores=scores), store)
    if not evidence.records:
        asked = Scope(name, tasks, None, seeds)
        if asked.read().data != study.data:
            asked = Scope(name, tasks, study.data, seeds)
        command = asked.format_command()
        echo(format_no_records(command, store, evidence.title), file=sys.stderr)
        raise typer.Exit(3)
    return evidence


def _format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    return f"Warning: {printable(message)}\n"


def _terminate(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def _use_utf_8() -> None:
    """Prints UTF-8 to files and pipes, and to a terminal what it can show.

    Names of files that are not UTF-8 keep their bytes.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.isatty() or os.environ.get("PYTHONIOENCODING"):
            stream.reconfigure(errors="backslashreplace")
        else:
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _is_read(ended: SystemExit) -> bool:
    """Says whether all output had a reader; `head`, for one, leaves early."""
    if sys.stdout is None:
        return True
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Or the interpreter would try once more, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return not isinstance(ended.__context__, BrokenPipeError)


def main() -> None:
    """Runs the command line; wrong input ends it with one sentence."""
    signal.signal(signal.SIGTERM, _terminate)
    _use_utf_8()
    warnings.formatwarning = _format_warning
    is_debugging = False
    try:
        is_debugging = check_environment()
        app()
    except SystemExit as ended:
        if not _is_read(ended):
            sys.exit(_UNREAD)
        raise
    except _FAULTS as error:
        if is_debugging:
            raise
        # What cannot be told, as the stream is full or closed, is no success.
        with contextlib.suppress(OSError):
            echo(f"Error: {_describe(error)}", file=sys.stderr)
        sys.exit(2)


def _describe(error: BaseException) -> str:
    """Words what no other place has worded: faults of the machine."""
    if isinstance(error, MemoryError):
        return (
            " ".join(f"There is not enough memory. {error}".split())
            + " Expected data that fit into it. Use fewer workers, smaller "
            "images or fewer of them."
        )
    if isinstance(error, RecursionError):
        return (
            "A file is nested too deeply. Expected tables and lists of a few "
            "levels."
        )
    if isinstance(error, EOFError):
        return f"A file ends too early: {error}. Expected all of it."
    if isinstance(error, OSError) and error.strerror:
        path = f"`{error.filename}`: " if error.filename is not None else ""
        return (
            f"{path}{error.strerror}. Expected a file or folder that can be "
            "read and written."
        )
    if isinstance(error, UnicodeError):
        return f"A name or text is not UTF-8, as it has to be here: {error}."
    if (faults := getattr(error, "errors", None)) is not None:  # Of pydantic.
        causes = [(one.get("ctx", {}).get("error"), one) for one in faults()]
        return " ".join(str(cause or one["msg"]) for cause, one in causes)
    return str(error) or type(error).__name__


if __name__ == "__main__":
    main()
