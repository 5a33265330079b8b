"""Proposals of candidates by the oracles of KerasTuner.

KerasTuner writes and reads no files here, since its own resume loses trials of
a grid and accepts trials of another space. Its grid also leaves choices out, so
grids are listed by `medzoo.search.space`.
"""

import contextlib
import importlib.util
import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from medzoo.search.candidates import Candidate, make_candidate
from medzoo.search.proposals import Values
from medzoo.search.search_file import Search
from medzoo.search.space import Dimension, Space, clean, list_grid
from medzoo.training.backend import import_keras

if TYPE_CHECKING:
    import keras_tuner

# Rungs of Hyperband for a run whose budget is not in epochs.
EPOCHS = 20
# Hyperband lets one of so many candidates go on.
FACTOR = 3


class Proposer(Protocol):
    """Proposes rounds of candidates."""

    def ask(self, count: int | None) -> list[Values]:
        """Proposes `count` candidates, all if `None`; none at the end."""

    def tell(self, scores: Sequence[float | None]) -> None:
        """Reports the scores of the last round; `None` for a failed one."""


def make_proposer(search: Search, known: Sequence[Values] = ()) -> Proposer:
    """Makes the proposer of a search.

    Args:
        search: Gives the tuner, the space and the number of trials.
        known: Earlier proposals, in order; the Gaussian process replays them
            instead of computing them again.

    Raises:
        ValueError: Without KerasTuner, unless the tuner is `grid`.
    """
    if search.document.tuner == "grid":
        return _Grid(search)
    return _Tuner(search, known)


class _Grid:
    """Proposes each choice once."""

    def __init__(self, search: Search) -> None:
        about = search.document
        self._left = iter(list_grid(about.space)[: about.trials])

    def ask(self, count: int | None) -> list[Values]:
        return list(itertools.islice(self._left, count))

    def tell(self, scores: Sequence[float | None]) -> None:
        pass


class _Tuner:
    """Proposes through an oracle of KerasTuner."""

    def __init__(self, search: Search, known: Sequence[Values]) -> None:
        self._oracle = _make_oracle(search, known)
        self._objective = search.objective
        self._trials: list[Any] = []

    def ask(self, count: int | None) -> list[Values]:
        self._trials = []
        with _quiet_forecasts():
            for place in itertools.islice(itertools.count(), count):
                trial = self._oracle.create_trial(f"worker{place}")
                if trial.status != "RUNNING":
                    break
                self._trials.append(trial)
        return [dict(each.hyperparameters.values) for each in self._trials]

    def tell(self, scores: Sequence[float | None]) -> None:
        for trial, score in zip(self._trials, scores, strict=True):
            trial.status = "FAILED" if score is None else "COMPLETED"
            if score is not None:
                metrics = {self._objective: score}
                self._oracle.update_trial(trial.trial_id, metrics)
            self._oracle.end_trial(trial)


def require_tuner() -> None:
    """Checks that KerasTuner is installed, and TensorBoard, which it needs.

    Raises:
        ValueError: With the missing package and how to install it.
    """
    for name in ("keras_tuner", "tensorboard"):
        if importlib.util.find_spec(name) is None:
            raise ValueError(
                f"A search needs the package `{name}`, which is not installed. "
                "Run `pip install 'medzoo[search]'`, or use tuner = 'grid'."
            )
    import_keras()


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


def candidate_of(search: Search, number: int, values: Values) -> Candidate:
    """Makes the candidate of proposed values."""
    epochs = values.get("tuner/epochs")  # Hyperband's
    share = 1.0 if epochs is None else epochs / _max_epochs(search)
    chosen = clean(search.document.space, values)
    return make_candidate(search, number, chosen, share)


def _make_oracle(
    search: Search, known: Sequence[Values]
) -> "keras_tuner.Oracle":
    """Makes the oracle of a search.

    KerasTuner reads the seed 0 as "no seed", so 1 is added. Its end of a search
    at the third failure in a row is switched off.
    """
    require_tuner()
    from keras_tuner import HyperParameters, Objective, oracles

    about = search.document
    hp = HyperParameters()
    declare(about.space, hp)
    options: dict[str, Any] = {
        "objective": Objective(search.objective, "max"),
        "hyperparameters": hp,
        "allow_new_entries": False,
        "seed": about.tuner_seed + 1,
        "max_consecutive_failed_trials": None,
    }
    if about.tuner == "hyperband":
        oracle = _keep_nothing(oracles.HyperbandOracle)(
            max_epochs=_max_epochs(search),
            factor=FACTOR,
            hyperband_iterations=0,  # Until the budget is spent.
            **options,
        )
    elif about.tuner == "random":
        oracle = _keep_nothing(oracles.RandomSearchOracle)(**options)
    else:
        kind = _replay(oracles.BayesianOptimizationOracle, known)
        oracle = _keep_nothing(kind)(
            num_initial_points=len(about.space) + 2, **options
        )
    oracle.max_trials = about.trials
    oracle.verbose = 0
    return oracle


def _keep_nothing(kind: type) -> Any:
    """Derives an oracle that writes no files."""

    class Oracle(kind):
        def save(self, *_: Any) -> None:
            pass

        def _save_trial(self, trial: Any) -> None:
            pass

    return Oracle


def _replay(kind: type, known: Sequence[Values]) -> type:
    """Derives a Bayesian oracle that replays its first proposals.

    The random state of each later proposal follows from the seed and its
    number, so that a resumed search makes the same proposals.
    """

    class Oracle(kind):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            number = int(trial_id)
            if number < len(known):
                return {"status": "RUNNING", "values": dict(known[number])}
            state = np.random.RandomState([self.seed, number])
            self._seed_state = int(state.randint(2**31))
            self._random_state = state
            found: dict[str, Any] = super().populate_space(trial_id)
            return found

    return Oracle


def _max_epochs(search: Search) -> int:
    return int(search.document.fixed.get("epochs", EPOCHS))


@contextlib.contextmanager
def _quiet_forecasts() -> Iterator[None]:
    """Hides convergence warnings of the Gaussian process."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
