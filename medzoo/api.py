"""All of it from a notebook: `run`, `run_study`, `run_search` and `load`."""

import functools
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from medzoo.data.custom.from_python import Dataset
from medzoo.data.kept import forget
from medzoo.execution.job import Job
from medzoo.files import require_output
from medzoo.plugins.register import (  # noqa: F401 - offered as medzoo's own
    register_activation,
    register_augmentation,
    register_backbone,
    register_loss,
    register_model,
    register_optimizer,
    register_schedule,
    register_score,
    register_watcher,
)
from medzoo.record import Predictions, Record
from medzoo.runs.sources import find_custom
from medzoo.runs.values import RunValues
from medzoo.search.candidates import Tried
from medzoo.store import Store
from medzoo.training.saved import (
    MODEL,
    Saved,
    describe_other_model,
    holds_model,
    lacks_model,
    load_saved,
    save_record,
)

if TYPE_CHECKING:
    from medzoo.conduct import StudyResult


def run(
    task: str | None = None,
    *,
    out: str | Path | None = None,
    watch: Iterable[Any] = (),
    **values: Unpack[RunValues],
) -> Record:
    """Trains and scores one run, or finds it in the store.

    It trains with one thread, as in a study, so that the same run has the same
    numbers everywhere: in this process, or in a worker process where the
    backend has computed with more threads before.

    Args:
        task: Name of the task.
        out: Folder for the model, its record and its card; a run whose model is
            not there is trained again, with the same numbers. A run that leaves
            no model leaves that of an earlier one alone, with a warning.
        watch: Functions as `register_watcher` takes them, which see each check
            of the training; not called for a run that is in the store.
        **values: Fields of `Run`, options of its model beside them, or
            `recipe="best"` to start from. `medzoo fields` and `medzoo models`
            list them. `model`, `loss`, `optimizer`, `activation`,
            `augmentation` and `schedule` may be functions as `register_model`
            and its like take them, the loss and the optimizer objects of Keras,
            and `data` a `Dataset`.

    Returns:
        Its record; the `status` is `failed` where an error ended it.

    Raises:
        ValueError: For an unknown field or a wrong value.

    Example:

        record = medzoo.run("breastmnist", model="mlp", dropout=0.3, seed=1)
        record.scores["test"]["macro_f1"]
        medzoo.run("breastmnist", optimizer=keras.optimizers.Lion(3e-4))
    """
    from medzoo.execution.one_thread import run_with_one_thread
    from medzoo.plugins.objects import name_object, name_objects
    from medzoo.plugins.watchers import find_watchers
    from medzoo.study.run_file import read_run
    from medzoo.training.check import check_plugins
    from medzoo.training.execute import require_data

    forget()
    wanted = read_run(task=task, **name_objects(_name_data(values)))
    store = Store()
    folder = None if out is None else Path(out)
    found = store.read(wanted.run_id) if store.has_done(wanted.run_id) else None
    if found is not None and (folder is None or not lacks_model(folder, found)):
        if folder is not None and not holds_model(folder, found.run_id):
            _keep(found, store.read_predictions(found.run_id), folder)
        return found
    if folder is not None:
        require_output(folder, folder=True)
    store.require_room()
    require_data(wanted)
    check_plugins([wanted])

    model = "" if folder is None else str(folder / MODEL)
    watchers = find_watchers([name_object("watcher", each) for each in watch])
    job = Job(wanted, model=model, watchers=watchers)
    record, predictions = run_with_one_thread(job, store)
    for sentence in record.warnings:
        warnings.warn(sentence, stacklevel=2)
    store.write(record, predictions)
    if folder is not None:
        _keep(record, predictions, folder)
    return record


def _keep(
    record: Record, predictions: Predictions | None, folder: Path
) -> None:
    """Writes record and card, but not beside the model of another run."""
    from medzoo.report.card import write_card

    if other := describe_other_model(folder, record):
        warnings.warn(other, stacklevel=3)
    elif record.scores:
        save_record(record, folder)
        write_card(record, folder / "model.md", predictions)


def run_study(
    name: str | Path = "study",
    *,
    axes: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
    trials: Iterable[Mapping[str, Any]] | None = None,
    fixed: Mapping[str, Any] | None = None,
    tasks: Iterable[str] | None = None,
    seeds: Iterable[int] | None = None,
    data: "str | Dataset | None" = None,
    until: str | None = None,
    max_seeds: int | None = None,
    max_hours: float | None = None,
    smoke: bool = False,
    workers: int | None = None,
    out: str | Path = "results",
    force: bool = False,
    progress: bool = True,
    watch: Iterable[Any] = (),
    **keys: Any,
) -> "StudyResult":
    """Runs what is missing of a study in worker processes.

    Args:
        name: A shipped study, one of `./studies`, or a path to a TOML file;
            with `axes` or `trials` the name of a new one.
        axes: Lists of values by field, as in a study file; functions and
            objects of Keras may stand in the place of names.
        trials: Further trials, each with its values.
        fixed: Values that all trials share.
        tasks: Only these tasks.
        seeds: Only these seeds.
        data: Data source in place of the file's, or a `Dataset`.
        until: `seeds`, or `decided`: seeds are added to the trials that are not
            told apart, at looks after 3, 5, 8 and 12 seeds.
        max_seeds: Most seeds of a trial until decided.
        max_hours: Hours after which no run is started; the same call goes on.
        smoke: Only two steps a run.
        workers: Processes; one a core if `None`.
        out: Folder of all reports, which are written as by the command.
        force: Whether to replace a report that has more results; without, a
            warning says that it was left as it is.
        progress: Whether to draw a bar, if there is a terminal for it.
        watch: Watchers beside those of the file, as for `run`.
        **keys: With `axes` or `trials`, further keys of a study file, such as
            `question` and `score`.

    Returns:
        Its `table` of trials, the best first, its `verdict`, the `paths` of its
        report, and how many runs are done and failed.

    Raises:
        ValueError: For an unknown study, or a wrong value.
        FileNotFoundError: If data are missing.
        RuntimeError: If no run succeeded.
        KeyboardInterrupt: After Ctrl-C; the same call goes on later.
    """
    from medzoo.conduct import Conduct
    from medzoo.console import PlainConsole
    from medzoo.execution.options import ExecutionOptions
    from medzoo.plugins.objects import name_object
    from medzoo.progress import ProgressBar, find_leader
    from medzoo.study.spec import make_study, read_study

    forget()
    require_output(Path(out), folder=True)
    scope = _name_data({"data": data, "tasks": tasks, "seeds": seeds})
    scope |= {"until": until, "max_seeds": max_seeds}
    size = scope.pop("size", None)
    if axes is None and trials is None:
        study = read_study(name).override(**scope)
    else:
        tables = _name_tables(axes, trials, fixed or {}, size)
        study = make_study(str(name), {**keys, **scope, **tables})
    names = [name_object("watcher", each) for each in watch]
    study = replace(study, watch=tuple(dict.fromkeys([*study.watch, *names])))
    means = ExecutionOptions(workers=workers, hours=max_hours, keep=study.keep)
    store = Store()
    conduct = Conduct(study, store, means=means, smoke=smoke, track=study.track)
    look = functools.partial(find_leader, study, store, smoke=smoke)
    with ProgressBar(
        PlainConsole(stderr=True, quiet=not progress), look
    ) as bar:
        conduct.execute(bar)
    command = f"medzoo.run_study({str(name)!r}, ...)"
    result = conduct.conclude(Path(out), command=command, force=force)
    if not result.runs_done:
        raise RuntimeError(_format_failure(study.name, result))
    for sentence in (result.report.unwritten, result.describe_unscored()):
        if sentence:
            warnings.warn(sentence, stacklevel=2)
    return result


def run_search(name: str | Path, *, workers: int = 1) -> list[Tried]:
    """Looks for good values in worker processes, from where it was left.

    Args:
        name: A shipped search, one of `./searches`, or a path to a TOML
            file.
        workers: Processes, of one thread each. Bayesian search and Hyperband
            propose other candidates with another number.

    Returns:
        Its candidates in order.
    """
    from medzoo.execution.local import LocalExecutor
    from medzoo.search.search import run_search
    from medzoo.search.search_file import read_search

    forget()
    search = read_search(name)
    with LocalExecutor(workers) as executor:
        return run_search(search, Store(), executor=executor, workers=workers)


def load(
    path: str | Path,
    *,
    task: str | None = None,
    plugins: Iterable[str | Path] = (),
) -> Saved:
    """Loads a model that was kept by `run` or `medzoo train`, safely.

    Args:
        path: A `.keras` file, or the folder of one.
        task: Which task is wanted of a net of several.
        plugins: Files or modules of layers that it has from outside of medzoo;
            they are run.

    Example:

        model = medzoo.load("trained")
        model.predict(images)  # uint8 in, probabilities out
    """
    forget()
    return load_saved(path, task, plugins)


def _name_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """Writes an address in the place of a `Dataset`, with its size, or path.

    Raises:
        TypeError: For anything else.
        FileNotFoundError: If nothing is at the path.
    """
    data = values.get("data")
    if isinstance(data, Path):
        return {**values, "data": str(find_custom(str(data)))}
    if data is None or isinstance(data, str):
        return dict(values)
    if not isinstance(data, Dataset):
        raise TypeError(
            "`data` must be an address, such as folder:cells, or a `Dataset`. "
            f"Received: {type(data).__name__}. medzoo.Dataset.from_arrays("
            "images, labels) makes one of arrays."
        )
    options = {"data_options": data.options} if data.options else {}
    return {**values, "data": data.address, "size": data.size, **options}


def _name_tables(
    axes: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None,
    trials: Iterable[Mapping[str, Any]] | None,
    fixed: Mapping[str, Any],
    size: int | None,
) -> dict[str, Any]:
    """Registers what is no name in the tables of a study."""
    from medzoo.plugins.objects import name_objects

    grids = [axes] if isinstance(axes, Mapping) else list(axes or ())
    sized = {"size": size} if size else {}
    return {
        "axes": [name_objects(grid) for grid in grids],
        "trials": [name_objects(trial) for trial in trials or ()],
        "fixed": {**sized, **name_objects(fixed)},
    }


def _format_failure(name: str, result: "StudyResult") -> str:
    """Words that no run of a study succeeded, with the error of one."""
    records = result.report.evidence.records
    error = next((r.error for r in records if r.error is not None), None)
    reason = (
        f"The first error is {error['type']}: {error['message']}"
        if error
        else "All of them diverged."
    )
    page = next((p for p in result.paths if p.name == "failed.md"), None)
    way_out = page or f"`medzoo study status {name}`"
    return (
        f"No run of study `{name}` succeeded; {result.runs_failed} failed. "
        f"{reason} See {way_out}."
    )
