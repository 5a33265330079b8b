"""The commands of `medzoo study`."""

import contextlib
import gc
import glob
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medzoo.cli.help import App
from medzoo.cli.scope import (
    Address,
    AsJson,
    ExecutorName,
    Force,
    LogFile,
    MaxHours,
    Out,
    Quiet,
    Retries,
    RunTimeout,
    Scope,
    Verbose,
    Workers,
    refuse_flags,
    split_list,
    with_scope,
)
from medzoo.messages import echo

if TYPE_CHECKING:
    from medzoo.study.spec import Study


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Leaves cycles alone: looking for them takes a third of the time that
    100,000 records take, and a command ends soon."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


study_app = App(help="Compare choices across tasks and seeds.")


@study_app.command(
    "list",
    examples=[
        "medzoo study list",
        "medzoo study list --json",
    ],
)
def list_command(as_json: AsJson = False) -> None:
    """List the shipped studies, and those of ./studies with their paths."""
    from medzoo.study.spec import BrokenStudy, list_studies

    if as_json:
        echo(json.dumps([study.facts() for study in list_studies()]))
        return
    for study in list_studies():
        about = (
            f"broken: {study.error}"
            if isinstance(study, BrokenStudy)
            else study.question
        )
        own = "" if study.path.is_absolute() else f" ({study.path})"
        echo(f"{study.name:<20} {about}{own}")


@study_app.command(
    examples=[
        "medzoo study init optimizers",
        "medzoo study init mine --data folder:cells",
    ],
)
def init(
    name: Annotated[
        str, typer.Argument(help="A shipped study, or a new name.")
    ],
    data: Annotated[
        str | None,
        typer.Option(help="Custom data that a new study is written for."),
    ] = None,
) -> None:
    """Copy a shipped study into ./studies, or write one for custom data."""
    from medzoo.study.init import init_study

    path = init_study(name, data)
    echo(f"Wrote {path}. Change it, then: medzoo study plan {name}")


@study_app.command(examples=["medzoo study schema"])
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    from medzoo.study.schema import format_schema

    echo(format_schema(), end="")


@study_app.command(
    examples=[
        "medzoo study plan quickstart",
        "medzoo study plan optimizers --tasks breastmnist --time",
    ],
)
@_without_collector()
@with_scope
def plan(
    scope: Scope,
    time: Annotated[
        bool, typer.Option("--time", help="Measure a few steps of each kind.")
    ] = False,
    detect: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=1, help="Find the seeds that show this difference."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a study would run, what is done, and the time for the rest."""
    from medzoo.execution.cores import default_workers
    from medzoo.report.results import give_seeds
    from medzoo.store import Store
    from medzoo.study.plan import make_plan
    from medzoo.study.trackers import require_trackers

    if as_json:
        refuse_flags("with `--json`", time=time)
    study = scope.read()
    require_trackers(study.track)
    store = Store()
    found = make_plan(
        give_seeds(study, store, smoke=scope.smoke), store, smoke=scope.smoke
    )
    facts = found.facts()
    workers = default_workers()
    shown = found.text(workers)
    if detect is not None:
        from medzoo.report.detect import detect as find_seeds

        wanted = find_seeds(study, store, detect)
        facts["detect"] = wanted.facts()
        shown += f"\n{wanted.text(workers)}"
    echo(json.dumps(facts) if as_json else shown)
    if time:
        _print_costs(study, scope.smoke)


@study_app.command(
    examples=[
        "medzoo study run quickstart",
        "medzoo study run optimizers --tasks breastmnist --seeds 0,1",
        "medzoo study run studies/mine.toml --data folder:cells --workers 2",
    ],
)
@with_scope
def run(
    scope: Scope,
    out: Out = Path("results"),
    workers: Workers = None,
    workers_per_gpu: Annotated[
        int,
        typer.Option(
            min=1, envvar="WORKERS_PER_GPU", help="Processes that share a GPU."
        ),
    ] = 1,
    executor: ExecutorName = "local",
    address: Address = None,
    shard: Annotated[
        str | None, typer.Option(help="Only part i of n of the runs: i/n.")
    ] = None,
    retries: Retries = 1,
    run_timeout: RunTimeout = None,
    max_hours: MaxHours = None,
    stack: Annotated[
        str,
        typer.Option(help="Like runs as one program on JAX: auto, off or N."),
    ] = "auto",
    track: Annotated[
        str | None,
        typer.Option(help="tensorboard, mlflow, wandb; with commas between."),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first failed run.")
    ] = False,
    keep: Annotated[
        Literal["none", "best", "all"] | None,
        typer.Option(help="Trained models to keep, of the best trial or all."),
    ] = None,
    force: Force = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Run what is missing of a study, and write its tables."""
    from medzoo.cli.console import CommandConsole
    from medzoo.cli.screen import run_on_screen
    from medzoo.execution.options import ExecutionOptions
    from medzoo.execution.shard import Shard
    from medzoo.files import require_output

    require_output(out, folder=True)
    console = CommandConsole(quiet=quiet, log_file=log_file)
    study = scope.read()
    if executor == "ray":
        kept = keep not in (None, "none")
        refuse_flags("on a Ray cluster", workers=workers, keep=kept)
    if study.corruptions:
        stacked = stack not in ("auto", "off")
        refuse_flags("where corrupted images are scored", stack=stacked)
    means = ExecutionOptions(
        workers=workers,
        workers_per_gpu=workers_per_gpu,
        executor=executor,
        address=address,
        shard=Shard.parse(shard) if shard else None,
        retries=retries,
        timeout=run_timeout,
        hours=max_hours,
        fail_fast=fail_fast,
        stack=stack,
        keep=keep or study.keep,
    )
    code = run_on_screen(
        study,
        out,
        smoke=scope.smoke,
        means=means,
        track=study.track if track is None else split_list(track),
        command=scope.format_command(),
        force=force,
        verbose=verbose,
        console=console,
    )
    raise typer.Exit(code)


@study_app.command(examples=["medzoo study status quickstart"])
@_without_collector()
@with_scope
def status(
    scope: Scope,
    as_json: AsJson = False,
) -> None:
    """Print how far a study is, and which trials lead on val."""
    from medzoo.execution.cores import default_workers
    from medzoo.live.state import Progress
    from medzoo.report.results import give_seeds
    from medzoo.store import Store
    from medzoo.study.plan import make_plan

    study = scope.read()
    store = Store()
    if as_json:
        given = give_seeds(study, store, smoke=scope.smoke)
        echo(json.dumps(make_plan(given, store, smoke=scope.smoke).facts()))
        return
    found = Progress.read(study, store, smoke=scope.smoke)
    echo(f"{study.name}: {found.plan.status(default_workers())}")
    echo(found.leaders, end="\n" * bool(found.leaders))


@study_app.command(
    examples=[
        "medzoo study watch quickstart",
        "medzoo study watch optimizers --port 9000 --no-browser",
    ],
)
@with_scope
def watch(
    scope: Scope,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Of the page; any free one with 0."
        ),
    ] = 8420,
    no_browser: Annotated[
        bool,
        typer.Option("--no-browser", help="Print the address, and no more."),
    ] = False,
) -> None:
    """Show a study in the browser while it runs in another terminal.

    Its page is served to this machine alone, and renewed as records arrive.
    Scores of test are on it once all runs have ended.
    """
    from medzoo.cli.browser import show_address
    from medzoo.live.state import Watched
    from medzoo.live.watch import watch as serve
    from medzoo.store import Store

    study = scope.read()
    try:
        serve(
            Watched(study, Store(), scope.smoke),
            command=scope.format_command(),
            port=port,
            on_open=lambda address: show_address(
                study.name, address, open_it=not no_browser
            ),
            on_end=lambda line: echo(line, flush=True),
        )
    except KeyboardInterrupt:
        echo("No longer watched. Runs go on elsewhere.", file=sys.stderr)
        raise typer.Exit(130) from None


@study_app.command(
    examples=[
        "medzoo study report quickstart",
        "medzoo study report quickstart --format latex",
        "medzoo study report quickstart --methods --checklist claim",
    ],
)
@_without_collector()
@with_scope
def report(
    scope: Scope,
    name: Annotated[
        str | None,
        typer.Argument(help="A shipped study, one of ./studies, or a path."),
    ] = None,
    out: Out = Path("results"),
    scores: Annotated[
        str | None,
        typer.Option(help="Further scores to show; with commas between."),
    ] = None,
    operating_point: Annotated[
        str | None,
        typer.Option(
            help="What thresholds of classes reach on val: sensitivity>=0.95."
        ),
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures",
            help="Show images of your own data that trials fail at, with the "
            "names of their files, and those of masks, on the page, in figures "
            "and in the evidence.",
        ),
    ] = False,
    large_evidence: Annotated[
        bool,
        typer.Option(
            "--evidence",
            help="Write evidence.zip of more than 10,000 runs too, which takes "
            "minutes.",
        ),
    ] = False,
    format: Annotated[
        Literal["csv", "md", "latex", "html"] | None,
        typer.Option(help="Print the table in this format, and nothing else."),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A folder of results, in place of a study: rebuild "
            "it from its evidence.zip.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show what the kept models look at."),
    ] = False,
    methods: Annotated[
        bool,
        typer.Option(
            "--methods",
            help="Write methods.md, methods.tex, tables.tex, references.bib "
            "and paper.tex beside the tables.",
        ),
    ] = False,
    checklist: Annotated[
        Literal["claim", "tripod-ai"] | None,
        typer.Option(help="Answer a checklist of reporting by the records."),
    ] = None,
    columns: Annotated[
        str,
        typer.Option(
            help="Columns of the LaTeX table: paper, or names with commas."
        ),
    ] = "paper",
    style: Annotated[
        Literal["screen", "paper"],
        typer.Option(
            help="paper: figures as PDF files too, without titles, for one "
            "column and for two."
        ),
    ] = "screen",
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Rebuild the tables and figures of a study from its records alone."""
    from medzoo.cli.console import CommandConsole
    from medzoo.cli.screen import show_page, show_report
    from medzoo.report.evidence_file import read_evidence
    from medzoo.report.kept_models import explain_study
    from medzoo.report.latex import make_tables
    from medzoo.report.manuscript import write_manuscript
    from medzoo.report.study_tables import make_short_summary
    from medzoo.report.tables import FORMATS
    from medzoo.report.write import write_evidence_report, write_report
    from medzoo.store import Store

    shown: dict[str, Any] = {
        "scores": None if scores is None else split_list(scores),
        "operating_point": operating_point,
    }
    if from_ is not None and not any([*vars(scope).values(), explain]):
        refuse_flags("with `--from`", pictures=pictures)
        evidence = read_evidence(from_, **shown)
        written = write_evidence_report(evidence, out, force=force)
    elif from_ is not None or name is None:
        raise ValueError(
            "A report is made of a study or of its evidence. Expected the NAME "
            "of a study, or `--from` with a folder of results and no flag that "
            f"changes the study. Received: name={name}, from={from_}."
        )
    else:
        study = scope.read().show(**shown)
        if explain:
            explain_study(study, Store(), smoke=scope.smoke)
        written = write_report(
            study,
            Store(),
            out,
            command=scope.format_command(),
            smoke=scope.smoke,
            force=force,
            pictures=pictures,
            large_evidence=large_evidence,
        )
        _point_to_looks(study, out)
    if written.evidence.records and not written.unwritten:
        write_manuscript(
            written.evidence,
            out / written.evidence.title,
            methods=methods,
            checklist=checklist,
            columns=columns,
            figures=style == "paper",
        )
    if format == "latex" and written.evidence.records:
        echo(make_tables(written.evidence, columns), end="")
    elif format is not None:
        short = make_short_summary(written.evidence)
        echo(FORMATS[format](written.summary if format == "csv" else short))
    elif written.evidence.records:
        console = CommandConsole()
        show_report(written, console, verbose=verbose)
        show_page(written, console)
    if written.unwritten:
        echo(written.unwritten, file=sys.stderr)
        raise typer.Exit(3)


@study_app.command(
    examples=["medzoo study merge runs_of_node_1 runs_of_node_2"]
)
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Stores to read.")],
) -> None:
    """Join stores of records into the one of MEDZOO_RUNS (else ./runs)."""
    from medzoo.store import Store
    from medzoo.study.merge import merge_stores

    store = Store()
    echo(f"Merged into {store.folder}: {merge_stores(folders, store)}")


def _point_to_looks(study: "Study", out: Path) -> None:
    """Says where a study was run until decided, if this is not its report."""
    title = study.folder_name(smoke=False)
    start = f"{title}{'+' if '@' in title else '@'}until-decided"
    for folder in sorted(out.glob(f"{glob.escape(start)}*/")):
        echo(
            f"{folder} is the report of this study until decided: add "
            "`--until decided`.",
            file=sys.stderr,
        )


def _print_costs(study: "Study", smoke: bool) -> None:
    """Measures each kind of run and prints hours and megabytes by trial."""
    from medzoo.conduct import require_data
    from medzoo.execution.cores import default_workers
    from medzoo.study.measured_costs import format_costs, measure_kinds
    from medzoo.study.tuning import plan_all

    planned = plan_all(study, smoke=smoke)
    require_data(study, [item.run for item in planned])
    workers = default_workers()
    paces = measure_kinds((item.run for item in planned), workers=workers)
    echo(f"\nMeasured, with {workers} workers:")
    echo(format_costs(planned, paces, workers=workers))
