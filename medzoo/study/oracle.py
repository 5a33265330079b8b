"""What KerasTuner sees of a search: its space, its oracle and its tuner."""

import contextlib
import importlib.util
import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from medzoo.study.candidates import Candidate, Tried, judge, make_candidate
from medzoo.study.job import Job
from medzoo.study.search_file import Search
from medzoo.study.space import Dimension, Space, clean
from medzoo.study.store import Store

if TYPE_CHECKING:
    import keras_tuner

# Rungs of Hyperband for a run whose budget is not in epochs.
EPOCHS = 20
# Hyperband lets one of so many candidates go on.
FACTOR = 3


def require_tuner() -> None:
    """Makes sure of KerasTuner, and of TensorBoard, which it cannot do without.

    Raises:
        ValueError: Naming what is missing, and how to install it.
    """
    for name in ("keras_tuner", "tensorboard"):
        if importlib.util.find_spec(name) is None:
            raise ValueError(
                f"A search needs the package `{name}`, which is not installed. "
                "Run `pip install 'medzoo[search]'`, or use tuner = 'grid'."
            )


def is_distributed() -> bool:
    """Says whether this process shares a search with others."""
    return "KERASTUNER_ORACLE_IP" in os.environ


def is_worker() -> bool:
    """Says whether this process works for the chief of another one."""
    name = os.environ.get("KERASTUNER_TUNER_ID", "chief")
    return is_distributed() and "chief" not in name


def declare(space: Space, hp: "keras_tuner.HyperParameters") -> None:
    """Declares a space to KerasTuner, its scales and conditions included."""
    for name, dimension in space.items():
        with contextlib.ExitStack() as conditions:
            for parent, values in dimension.when.items():
                conditions.enter_context(hp.conditional_scope(parent, values))
            _declare_one(name, dimension, hp)


def _declare_one(
    name: str, dimension: Dimension, hp: "keras_tuner.HyperParameters"
) -> None:
    if dimension.values is None:
        kind = hp.Int if dimension.is_whole else hp.Float
        kind(
            name,
            dimension.low,
            dimension.high,
            step=dimension.step,
            sampling="log" if dimension.log else "linear",
        )
        return
    values: list[Any] = list(dimension.values)
    if any(isinstance(value, float) for value in values):
        values = [float(value) for value in values]
    if len(values) == 1:
        hp.Fixed(name, values[0])
    elif isinstance(values[0], bool):
        hp.Boolean(name)
    else:
        hp.Choice(name, values)


def candidate_of(search: Search, values: Mapping[str, Any]) -> Candidate:
    """Makes the candidate that KerasTuner's values stand for."""
    epochs = values.get("tuner/epochs")  # Hyperband's
    share = 1.0 if epochs is None else epochs / _max_epochs(search)
    return make_candidate(search, clean(search.document.space, values), share)


def make_oracle(search: Search) -> "keras_tuner.Oracle":
    """Makes the oracle of a search.

    KerasTuner takes the seed 0 for none, so it is given the next one. It would
    end a search at the third failure in a row; here they stay visible and the
    others go on.
    """
    import keras_tuner

    about = search.document
    hp = keras_tuner.HyperParameters()
    declare(about.space, hp)
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(search.objective, "max"),
        "hyperparameters": hp,
        "allow_new_entries": False,
        "seed": about.tuner_seed + 1,
        "max_consecutive_failed_trials": None,
    }
    if about.tuner == "hyperband":
        oracle = keras_tuner.oracles.HyperbandOracle(
            max_epochs=_max_epochs(search),
            factor=FACTOR,
            hyperband_iterations=0,  # Until the budget is spent.
            **options,
        )
        oracle.max_trials = about.trials
        return oracle
    if about.tuner == "random":
        return keras_tuner.oracles.RandomSearchOracle(
            max_trials=about.trials, **options
        )
    return keras_tuner.oracles.BayesianOptimizationOracle(
        max_trials=about.trials,
        num_initial_points=len(about.space) + 2,
        **options,
    )


def make_tuner(
    search: Search,
    store: Store,
    *,
    execute: Callable[[list[Job]], None],
    on_tried: Callable[[Tried], None],
    folder: str,
) -> Any:
    """Makes the tuner of a search, alone or in a distributed one.

    Args:
        search: What to look for.
        store: Where the records are.
        execute: Executes jobs and writes their records.
        on_tried: Called with each candidate when it is finished.
        folder: Where KerasTuner may write; none of it is read again.
    """
    import keras_tuner

    errors = keras_tuner.errors
    budget = _read_hours(search)

    class RunTuner(keras_tuner.engine.base_tuner.BaseTuner):
        """Tries candidates as runs of the store."""

        mine: list[Tried]

        def pre_create_trial(self) -> None:
            seconds = {each.run_ids: each.seconds for each in self.mine}
            if sum(seconds.values()) >= budget:
                self.oracle.max_trials = len(self.oracle.trials)

        def run_trial(self, trial: Any, **_: Any) -> dict[str, float]:
            candidate = candidate_of(search, trial.hyperparameters.values)
            try:
                execute(candidate.jobs(store))
                tried = _judge_trial(search, store, trial)
            except (OSError, ValueError) as error:
                raise errors.FatalRuntimeError(str(error)) from error
            self.mine.append(tried)
            on_tried(tried)
            if tried.score is None:
                raise errors.FailedTrialError(tried.error)
            return {search.objective: tried.score}

        def read_tried(self) -> list[Tried]:
            """Lists all that was tried, by whichever process."""
            trials = getattr(self.oracle, "trials", None)
            if trials is None:  # A worker asks its chief.
                return self.mine
            return [_judge_trial(search, store, t) for t in trials.values()]

    tuner = RunTuner(
        make_oracle(search),
        directory=folder,
        project_name=search.name,
        overwrite=True,
    )
    tuner.mine = []
    return tuner


def _read_hours(search: Search) -> float:
    """Returns the budget in seconds, infinite if it is in trials alone."""
    hours = search.document.hours
    if hours is not None and is_distributed():
        raise ValueError(
            "A distributed search counts `trials`, since nobody sees all the "
            f"hours. Received: hours={hours}."
        )
    return math.inf if hours is None else 3600 * hours


def _judge_trial(search: Search, store: Store, trial: Any) -> Tried:
    candidate = candidate_of(search, trial.hyperparameters.values)
    return judge(int(trial.trial_id) + 1, candidate, store)


def _max_epochs(search: Search) -> int:
    return int(search.document.fixed.get("epochs", EPOCHS))
