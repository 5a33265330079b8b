"""`medzoo train`: one run, with its progress."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medzoo.cli.scope import AsJson, Data, LogFile, PluginFiles, Quiet
from medzoo.messages import echo
from medzoo.scores.table import format_score

if TYPE_CHECKING:
    import keras
    from rich.progress import Progress

    from medzoo.cli.console import CommandConsole
    from medzoo.execution.job import Job
    from medzoo.record import Record
    from medzoo.runs.run import Run
    from medzoo.store import Store
    from medzoo.training.trainer import Entry


def train(
    file: Annotated[
        Path | None,
        typer.Argument(help="TOML or JSON file with fields of a run."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="A task; `medzoo tasks` lists them.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model; `medzoo models` lists them.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A recipe to start from, such as best.")
    ] = None,
    data: Data = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of weights, order and dropout.")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="An optimizer; adam if left out.")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak learning rate; the optimizer's if left out."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over train; 20 if left out.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any field of a run, or option of its model, such as "
            "dropout=0.1; may be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for model.keras, its record and its card."),
    ] = None,
    plugin: PluginFiles = None,
    watch: Annotated[
        list[str] | None,
        typer.Option(
            help="A watcher of a plugin, which sees each check of the "
            "training; may be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Train one run and score it; one that is finished is not trained again.

    A value that is not given is the file's, else the recipe's, else the
    default; `medzoo fields` lists all fields with their choices and defaults.
    """
    from medzoo.cli.console import CommandConsole
    from medzoo.files import require_output
    from medzoo.store import Store
    from medzoo.study.run_file import read_job
    from medzoo.training.plugins import import_plugins

    import_plugins(plugin or ())
    flags = {
        "task": task,
        "model": model,
        "data": data,
        "seed": seed,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "epochs": epochs,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    console = CommandConsole(quiet=quiet, log_file=log_file)
    if out is not None:
        require_output(out, folder=True)
    given = _add_values(given, values or [])
    job = read_job(file, recipe=recipe, watch=watch or [], **given)
    run, store = job.run, Store()
    record = _find(run, store, out, console)
    if record is None:
        store.require_room()
        record = _train(job, store, out, console)
    if out is not None:
        _keep_record(record, store, out, console)
    text = _as_json(record) if as_json else _as_text(record)
    console.result(text, soft_wrap=True)
    for sentence in record.warnings:
        console.note(sentence)
    if record.error is not None:
        console.note(f"{record.error['type']}: {record.error['message']}")
    raise typer.Exit(0 if record.status == "done" else 1)


def _add_values(given: dict[str, Any], values: list[str]) -> dict[str, Any]:
    """Adds the values of `--set`, written as in TOML; strings need no quotes.

    Raises:
        ValueError: For a value without a key, and for a key that is given
            twice.
    """
    found = dict(given)
    for text in values:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ValueError(
                "`--set` needs a key and a value, such as --set dropout=0.1. "
                f"Received: --set {text}."
            )
        if key in found:
            raise ValueError(
                f"`{key}` is given twice. Expected one value. Received: "
                f"{key}={found[key]} and {text}."
            )
        found[key] = _parse_value(value.strip())
    return found


def _parse_value(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _find(
    run: "Run", store: "Store", out: Path | None, console: "CommandConsole"
) -> "Record | None":
    """Finds the record of a finished run, and its weights where wanted."""
    from medzoo.training.saved import lacks_model

    record = store.read(run.run_id) if store.has_done(run.run_id) else None
    if record is None:
        return None
    if out is not None and lacks_model(out, record):
        console.print(
            f"Run {run.run_id} is finished, but its weights are not in {out}. "
            "It is trained once more, with the same numbers."
        )
        return None
    console.print(f"Run {run.run_id} is finished already.")
    return record


def _keep_record(
    record: "Record", store: "Store", out: Path, console: "CommandConsole"
) -> None:
    """Writes record and card, but not beside the model of another run."""
    from medzoo.record import MODEL
    from medzoo.report.card import write_card
    from medzoo.training.saved import describe_other_model, save_record

    if other := describe_other_model(out, record):
        console.note(other, soft_wrap=True)
        return
    save_record(record, out)
    if record.scores:
        predictions = store.read_predictions(record.run_id)
        write_card(record, out / "model.md", predictions)
    if record.status == "done" and not (out / MODEL).is_file():
        console.note(f"`{record.run.model}` is no model that Keras can keep.")


def _train(
    job: "Job", store: "Store", out: Path | None, console: "CommandConsole"
) -> "Record":
    """Trains a run in this process, as a worker of a study would.

    Raises:
        typer.Exit: After a signal, once the state of the training is kept.
    """
    from medzoo.execution.worker import run_one
    from medzoo.record import MODEL
    from medzoo.training.backend import import_keras, set_threads
    from medzoo.training.check import check_plugins
    from medzoo.training.execute import require_data
    from medzoo.training.saved import save_model

    run = job.run
    require_data(run)
    check_plugins([run])
    set_threads(1)
    import_keras()

    def keep_model(model: "keras.Model") -> None:
        if out is not None:
            save_model(model, out / MODEL)

    with (
        _interrupts(can_stop=not run.entry.baseline) as interrupts,
        _open_bar(run, console) as progress,
    ):
        console.print(f"Run {run.run_id}: {run.model} on {run.task}.")
        bar = progress.tasks[0].id

        def on_check(entry: "Entry") -> bool:
            done = entry["step"] if run.steps else entry["epoch"]
            progress.update(bar, completed=done, description=_describe(entry))
            return bool(interrupts)

        record, predictions = run_one(
            job, store, on_check=on_check, on_model=keep_model
        )
    store.write(record, predictions)
    if record.status == "pruned":
        console.note(
            f"Stopped at step {record.history[-1]['step']:.0f}; all of it is "
            "kept. Run the same command again to go on."
        )
        raise typer.Exit(128 + interrupts[0])
    return record


def _open_bar(run: "Run", console: "CommandConsole") -> "Progress":
    """Opens a bar of the budget; of a baseline, which has none, it pulses."""
    from rich import progress as bars

    columns: list[bars.ProgressColumn] = [
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
    ]
    fitted = run.entry.baseline
    if not fitted:
        columns += [bars.TaskProgressColumn()]
    columns += [bars.TimeElapsedColumn()]
    if not fitted:
        columns += [bars.TextColumn("left"), bars.TimeRemainingColumn()]
    progress = bars.Progress(
        *columns, console=console, disable=not console.is_terminal
    )
    progress.add_task(
        "features and fit" if fitted else "",
        total=None if fitted else run.steps or run.epochs,
    )
    return progress


@contextlib.contextmanager
def _interrupts(*, can_stop: bool) -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM; a second one ends the command at once.

    Args:
        can_stop: Whether the run has looks at val to stop at; without, the
            first signal ends the command.
    """
    found: list[int] = []

    def note(number: int, frame: object) -> None:
        if found:
            sys.exit(128 + number)
        found.append(number)
        echo("Stopping at the next look at val ...", file=sys.stderr)

    numbers = (signal.SIGINT, signal.SIGTERM) if can_stop else ()
    earlier = {number: signal.signal(number, note) for number in numbers}
    try:
        yield found
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _describe(entry: "Entry") -> str:
    parts = [f"loss {entry['loss']:.3f}"]
    for name in ("dice", "macro_f1"):
        found = entry.get(f"val_{name}")
        if found is not None:
            parts.append(f"val {format_score(name)} {found:.3f}")
    return ", ".join(parts)


def _as_json(record: "Record") -> str:
    fields = {"run_id", "run", "status", "scores", "without", "best_step"}
    return record.model_dump_json(include=fields)


def _as_text(record: "Record") -> str:
    shown = ["macro_f1", "accuracy", "auc"]
    if record.mask_classes:
        shown = ["dice", "mean_iou", *shown]
    lines = [
        f"{'split':<7}" + "".join(f"{format_score(name):>10}" for name in shown)
    ]
    for split, found in record.scores.items():
        values = (found[name] for name in shown)
        texts = ("-" if value is None else f"{value:.3f}" for value in values)
        lines.append(f"{split:<7}" + "".join(f"{text:>10}" for text in texts))
    for option, without in record.without.items():
        others = [f"{without[s]['macro_f1']:.3f} on {s}" for s in without]
        lines.append(f"Without `{option}` the macro F1 is {', '.join(others)}.")
    lines += record.notes
    return "\n".join(lines) if record.scores else f"The run {record.status}."
