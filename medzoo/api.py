"""All of it from a notebook: `run`, `run_study`, `run_search` and `load`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medzoo.study.candidates import Tried
from medzoo.study.job import Job
from medzoo.study.store import Store
from medzoo.training.load import load_saved
from medzoo.training.record import Record
from medzoo.training.saved import MODEL, RECORD, Saved, save_model

if TYPE_CHECKING:
    import keras
    import pandas as pd


def run(
    task: str | None = None, *, out: str | Path | None = None, **values: Any
) -> Record:
    """Trains and scores one run in this process, or finds it in the store.

    Args:
        task: Name of the task.
        out: Folder for the model, its record and its card; a run whose model is
            not there is trained again, with the same numbers.
        **values: Fields of `Run`, options of its model beside them, or
            `recipe="best"` to start from.

    Returns:
        Its record; the `status` is `failed` where an error ended it.

    Raises:
        ValueError: For an unknown field or a wrong value.

    Example:

        record = medzoo.run("breastmnist", model="mlp", dropout=0.3, seed=1)
        record.scores["test"]["macro_f1"]
    """
    from medzoo.report.card import write_card
    from medzoo.study.run_file import read_run
    from medzoo.study.worker import run_one
    from medzoo.training.execute import require_data

    wanted = read_run(task=task, **values)
    store = Store()
    folder = None if out is None else Path(out)
    record = store.read(wanted.run_id)
    done = store.has_done(wanted.run_id)
    if record is not None and done and _holds(folder, record):
        return record
    require_data(wanted)

    def keep(model: "keras.Model") -> None:
        if folder is not None:
            save_model(model, folder / MODEL)

    record, predictions = run_one(Job(wanted), store, on_model=keep)
    store.write(record, predictions)
    if folder is not None and record.scores:
        (folder / RECORD).write_text(record.model_dump_json(indent=2))
        write_card(record, folder / "model.md", predictions)
    return record


def run_study(
    name: str | Path,
    *,
    tasks: Iterable[str] | None = None,
    seeds: Iterable[int] | None = None,
    data: str | None = None,
    smoke: bool = False,
    workers: int | None = None,
    out: str | Path = "results",
) -> "pd.DataFrame":
    """Runs what is missing of a study in worker processes.

    Args:
        name: A study of `studies/`, or a path to a TOML file.
        tasks: Only these tasks.
        seeds: Only these seeds.
        data: Data source in place of the file's.
        smoke: Only two steps a run.
        workers: Processes; one a core if `None`.
        out: Folder of all reports, which are written as by the command.

    Returns:
        The table `summary`: a row a trial, the best first.
    """
    import pandas as pd

    from medzoo.cli.screen import run_on_screen
    from medzoo.study.means import Means
    from medzoo.study.spec import read_study

    study = read_study(name).override(tasks=tasks, seeds=seeds, data=data)
    run_on_screen(
        study,
        Path(out),
        command=f"medzoo.run_study({str(name)!r}, ...)",
        smoke=smoke,
        means=Means(workers=workers, keep=study.keep),
        track=study.track,
    )
    folder = study.folder_name(smoke=smoke)
    return pd.read_csv(Path(out) / folder / "summary.csv")


def run_search(name: str | Path, *, workers: int = 1) -> list[Tried]:
    """Looks for good values in worker processes, from where it was left.

    Args:
        name: A search of `searches/`, or a path to a TOML file.
        workers: Processes, of one thread each. Bayesian search and Hyperband
            propose other candidates with another number.

    Returns:
        Its candidates in order.
    """
    from medzoo.study.local import LocalExecutor
    from medzoo.study.search import run_search
    from medzoo.study.search_file import read_search

    search = read_search(name)
    with LocalExecutor(workers) as executor:
        return run_search(search, Store(), executor=executor, workers=workers)


def load(path: str | Path, *, task: str | None = None) -> Saved:
    """Loads a model that was kept by `run` or `medzoo train`, safely.

    Args:
        path: A `.keras` file, or the folder of one.
        task: Which task is wanted of a net of several.

    Example:

        model = medzoo.load("trained")
        model.predict(images)  # uint8 in, probabilities out
    """
    return load_saved(path, task)


def _holds(folder: Path | None, record: Record) -> bool:
    """Says whether a folder has the model of a run, if it should."""
    if folder is None:
        return True
    try:
        text = (folder / RECORD).read_text()
    except FileNotFoundError:
        return False
    return record.run_id in text and (folder / MODEL).is_file()
