"""The commands `medzoo submit` and `medzoo evaluate`."""

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medzoo.messages import echo

if TYPE_CHECKING:
    from medzoo.record import Record
    from medzoo.store import Store


def submit(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Runs by their run_id (its first digits will do), or a study: "
            "then its best trial and seed by the harmonic mean on val."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write.")],
    order: Annotated[
        str,
        typer.Option(help="medmnist, alphabetical, or tasks with commas."),
    ] = "medmnist",
    data: Annotated[
        Literal["medmnist", "synthetic"],
        typer.Option(help="Data of the runs; synthetic ones are for a trial."),
    ] = "medmnist",
) -> None:
    """Write the competition's file from stored predictions."""
    from medzoo.files import require_output
    from medzoo.report.submission import (
        collect_labels,
        put_in_order,
        write_submission,
    )
    from medzoo.store import Store
    from medzoo.tasks import NAMES

    require_output(out)
    store = Store()
    records = _find_records(runs, store)
    labels = put_in_order(collect_labels(records, store, data), order)
    rows = write_submission(labels, out)
    echo(f"Wrote {out}: {rows} rows of {len(labels)} tasks.", file=sys.stderr)
    missing = [name for name in NAMES if name not in labels]
    if missing:
        echo(
            f"The competition wants all 11 tasks. Missing: "
            f"{', '.join(missing)}.",
            file=sys.stderr,
        )


def evaluate_submission(file: Path, data: str, size: int) -> None:
    """Scores a submission: macro F1 of each task, and the harmonic mean."""
    from medzoo.data.folders import find_missing
    from medzoo.data.official import download_command, require_files
    from medzoo.data.sources import load
    from medzoo.report.submission import read_submission, score_submission
    from medzoo.tasks import get_task

    @functools.cache
    def read_labels(task: str):  # type: ignore[no-untyped-def]
        return load(task, data, size).test.labels

    def count_images(task: str) -> int:
        if data == "medmnist":
            return get_task(task).num_images["test"]
        return len(read_labels(task))

    submitted = read_submission(file, count_images)
    missing = []
    if data == "medmnist":
        missing = [task for task in submitted if find_missing([task], size)]
    found = {k: v for k, v in submitted.items() if k not in missing}
    if not found:
        require_files(missing, size, download=False)
    scores, mean = score_submission(
        found, {task: read_labels(task) for task in found}
    )
    echo(f"{'task':<16}{'images':>7}{'macro F1':>10}")
    for task, value in scores.items():
        echo(f"{task:<16}{len(found[task]):>7}{value:>10.4f}")
    total = sum(map(len, found.values()))
    echo(f"{'harmonic mean':<16}{total:>7}{mean:>10.4f}")
    if missing:
        echo(
            f"Not scored, as their files are missing: {', '.join(missing)}. "
            f"Run `{download_command(missing, size)}` for them.",
            file=sys.stderr,
        )
    if len(scores) < 11:
        echo(f"Of {len(scores)} of the 11 tasks.", file=sys.stderr)


def _find_records(names: list[str], store: "Store") -> "list[Record]":
    """Finds runs by their ids, or those of one study that are best on val."""
    names = [_name_run(name) for name in names]
    ids = list(store.run_ids())
    found = [[i for i in ids if i.startswith(name)] for name in names]
    if len(names) == 1 and not found[0]:
        return _choose(names[0], store)
    for name, matches in zip(names, found, strict=True):
        if len(matches) != 1:
            raise ValueError(
                f"`{name}` is the run_id of {len(matches)} runs in "
                f"{store.folder}. Expected one. Received: {' '.join(names)}."
            )
    read = store.read_many(run_id for (run_id,) in found)
    return list(read.values())


def _name_run(name: str) -> str:
    """Returns the run_id of a model; any other name as it is."""
    path = Path(name)
    if path.suffix != ".keras" and not (path / "record.json").is_file():
        return name
    from medzoo.training.saved import read_record

    return read_record(path)[1].run_id


def _choose(name: str, store: "Store") -> "list[Record]":
    from medzoo.report.results import read_results
    from medzoo.report.submission import choose_on_val
    from medzoo.study.spec import read_study

    choice = choose_on_val(read_results(read_study(name), store))
    echo(f"Best on val: {choice.trial}, seed {choice.seed}.", file=sys.stderr)
    return choice.records
