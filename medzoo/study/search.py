"""Search through KerasTuner, of which nothing but its proposals is kept.

Each candidate is one or more runs of the ordinary store. A search that was
killed goes on by being asked again from its seed: the oracle proposes the same
candidates as before, and those whose runs are in the store cost nothing. So no
file of KerasTuner's is ever read, and what its own reload gets wrong (a grid
with holes, trials of another space) cannot happen.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from medzoo.study.begun import require_unchanged
from medzoo.study.candidates import Tried, judge, make_candidate
from medzoo.study.finished import read_finished, write_finished
from medzoo.study.job import Job
from medzoo.study.oracle import (
    candidate_of,
    declare,
    is_distributed,
    is_worker,
    make_tuner,
    require_tuner,
)
from medzoo.study.search_file import Search
from medzoo.study.space import list_grid
from medzoo.study.store import Store
from medzoo.study.worker import run_one

if TYPE_CHECKING:
    import keras
    import keras_tuner

# Candidates of a grid that are executed at once: none waits for another.
GRID_ROUND = 16


def run_search(
    search: Search,
    store: Store,
    *,
    execute: Callable[[list[Job]], None] | None = None,
    on_tried: Callable[[Tried], None] = lambda tried: None,
) -> list[Tried]:
    """Looks for the best candidate, from where an earlier call was ended.

    With KerasTuner's environment variables (`KERASTUNER_TUNER_ID`,
    `KERASTUNER_ORACLE_IP`, `KERASTUNER_ORACLE_PORT`) this process is the chief
    or one of the workers of a distributed search; they share one store.

    Args:
        search: What to look for, and by which tuner.
        store: Where the records are, those of earlier searches among them.
        execute: Executes jobs and writes their records; in this process if
            left out.
        on_tried: Called with each candidate when it is finished.

    Returns:
        What was tried, in order, failed candidates among them; of a worker of a
        distributed search what it has tried itself.

    Raises:
        ValueError: If another search of this name was begun in the store, and
            without KerasTuner, unless the tuner is `grid`.
    """
    require_unchanged(search, store)
    execute = execute or _execute_here(store)
    if search.document.tuner == "grid":
        return _run_grid(search, store, execute, on_tried)
    finished = None if is_distributed() else read_finished(search, store)
    if finished is not None:
        for each in finished:
            on_tried(each)
        return finished
    require_tuner()
    import keras_tuner

    with tempfile.TemporaryDirectory(prefix="medzoo-search-") as folder:
        tuner = make_tuner(
            search, store, execute=execute, on_tried=on_tried, folder=folder
        )
        try:
            with _quiet_forecasts():
                tuner.search(verbose=0)
        except keras_tuner.errors.FatalError as error:
            raise error.__cause__ or error from None
        tried = tuner.read_tried()
    if not is_worker():
        write_finished(search, store, tried)
    return tried


def build_hypermodel(
    search: Search, store: Store | None = None
) -> "keras_tuner.HyperModel":
    """Builds a `HyperModel` for a tuner of one's own.

    Its trials are runs of the store, so that a tuner that is started again
    repeats none of them. The objective is `search.objective`, such as
    `val_macro_f1`; callbacks are told it once a candidate that was trained.

    Args:
        search: Gives the space, the tasks and the seeds.
        store: Where the records go; `MEDZOO_RUNS` if left out.

    Raises:
        ValueError: Without KerasTuner or TensorBoard; its own tuners fail at
            every trial without the latter.

    Example:

        search = read_search("skip_cnn")
        tuner = keras_tuner.RandomSearch(
            build_hypermodel(search),
            objective=keras_tuner.Objective(search.objective, "max"),
        )
        tuner.search()
    """
    require_tuner()
    import keras_tuner

    records = Store() if store is None else store
    execute = _execute_here(records)

    class RunHyperModel(keras_tuner.HyperModel):
        """Candidates of a search, as KerasTuner's own tuners take them."""

        def build(self, hp: "keras_tuner.HyperParameters") -> "keras.Model":
            """Builds the model of the first task."""
            from medzoo.training.execute import load_data
            from medzoo.training.prepare import prepare_model

            declare(search.document.space, hp)
            candidate = candidate_of(search, hp.values)
            run = next(iter(candidate.runs.values()))[0]
            return prepare_model(run, load_data(run))

        def fit(
            self,
            hp: "keras_tuner.HyperParameters",
            model: "keras.Model",
            callbacks: "tuple[keras.callbacks.Callback, ...]" = (),
            **_: Any,
        ) -> dict[str, float]:
            """Trains every run of a candidate; returns the objective."""
            candidate = candidate_of(search, hp.values)
            jobs = candidate.jobs(records)
            execute(jobs)
            tried = judge(0, candidate, records)
            if tried.score is None:
                raise keras_tuner.errors.FailedTrialError(tried.error)
            found = {search.objective: tried.score}
            if jobs:
                _tell(callbacks, model, found)
            return found

    return RunHyperModel(name=search.name)


@contextlib.contextmanager
def _quiet_forecasts() -> Iterator[None]:
    """Spares people what the Gaussian process says of its own bounds."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _tell(
    callbacks: "tuple[keras.callbacks.Callback, ...]",
    model: "keras.Model",
    logs: dict[str, float],
) -> None:
    import keras

    told = keras.callbacks.CallbackList(list(callbacks), model=model)
    told.on_train_begin()
    told.on_epoch_begin(0)
    told.on_epoch_end(0, logs)
    told.on_train_end(logs)


def _run_grid(
    search: Search,
    store: Store,
    execute: Callable[[list[Job]], None],
    on_tried: Callable[[Tried], None],
) -> list[Tried]:
    """Tries every choice by our own runner: KerasTuner's grid leaves some out.

    The budget in `hours` is looked at before each round.
    """
    about = search.document
    choices = list_grid(about.space)[: about.trials]
    tried: list[Tried] = []
    for start in range(0, len(choices), GRID_ROUND):
        spent = sum(each.seconds for each in tried)
        if about.hours is not None and spent >= 3600 * about.hours:
            break
        candidates = [
            make_candidate(search, values)
            for values in choices[start : start + GRID_ROUND]
        ]
        jobs = [job for each in candidates for job in each.jobs(store)]
        execute(list(dict.fromkeys(jobs)))
        for candidate in candidates:
            tried.append(judge(len(tried) + 1, candidate, store))
            on_tried(tried[-1])
    return tried


def _execute_here(store: Store) -> Callable[[list[Job]], None]:
    """Executes jobs one after the other, in this process."""

    def execute(jobs: list[Job]) -> None:
        for job in jobs:
            store.write(*run_one(job, store))

    return execute
