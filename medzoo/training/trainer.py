"""The training loop: steps, checks on val, best weights, early stopping."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.dataset import Dataset
from medzoo.runs.run import Run
from medzoo.scores.table import list_used
from medzoo.training.batch_statistics import BatchStatistics
from medzoo.training.inputs import make_batch
from medzoo.training.objectives import make_objective
from medzoo.training.optimizers import change_rates
from medzoo.training.predict import predict_logits

if TYPE_CHECKING:
    import keras


Entry = dict[str, float | None]
State = dict[str, np.ndarray]

# Scores in the history; those of single tasks are `macro_f1/<task>`.
_WATCHED = list_used("history")
# State of a trainer besides the values of variables.
_PROGRESS = (
    "step",
    "history",
    "best_step",
    "diverged",
    "finished",
    "_best_rank",
    "_checks_without_gain",
)


class Trainer:
    """Trains a compiled model on one dataset.

    It can stop after any check and be resumed from its `state` with the same
    numbers: the order of images and the learning rate depend on the step alone,
    and the seeds of dropout and augmentation are variables of the model.

    Args:
        model: Compiled with the loss and the optimizer of the run.
        data: Only `train` and `val` are read.
        run: Budget, batch size, schedule and seed.

    Attributes:
        step: Steps done.
        checks: Steps after which val is scored.
        history: One entry a check.
        best_step: Step of the weights to evaluate.
        diverged: Whether the loss became NaN or infinite.
        finished: Whether the budget is spent or the run ended early.
        seconds: `first_step` (with tracing), `train` and `check`.
    """

    def __init__(self, model: "keras.Model", data: Dataset, run: Run) -> None:
        self.model = model
        self.data = data
        self.run = run
        self.objective = make_objective(run, data)
        self.step = 0
        self.history: list[Entry] = []
        self.best_step = 0
        self.diverged = False
        self.finished = False
        self.seconds = {"first_step": 0.0, "train": 0.0, "check": 0.0}
        self.num_steps = count_steps(run, len(data.train))
        self.checks = check_steps(run, len(data.train))
        self._best_rank: tuple[float, ...] = (-math.inf, -math.inf)
        self._best_weights = model.get_weights()
        self._best_own_weights = model.get_weights() if run.ema else []
        self._checks_without_gain = 0
        self._steps_timed = 0
        self._traced = False
        self._statistics = (
            BatchStatistics(model, data, run)
            if run.batch_statistics == "renewed"
            else None
        )

    def train(
        self,
        until: int | None = None,
        on_check: Callable[[Entry], bool | None] | None = None,
    ) -> None:
        """Trains up to the first check at or after step `until`.

        Args:
            until: A step of the training; the last if `None`.
            on_check: Called with each new entry of the history; stops there if
                it returns true.
        """
        batches = self.objective.batches(start=self.step)
        for check in [step for step in self.checks if step > self.step]:
            if self.finished or (until is not None and self.step >= until):
                return
            entry = self._conclude(self._train_to(check, batches))
            if on_check is not None and on_check(entry):
                until = self.step

    def restore_best(self, *, average: bool = True) -> "keras.Model":
        """Returns the model with its best weights, averaged if the run is."""
        own = self.run.ema and not average
        self.model.set_weights(
            self._best_own_weights if own else self._best_weights
        )
        return self.model

    def state(self) -> State:
        """Copies all that the rest of the training depends on."""
        groups = self._values()
        groups["best"] = self._best_weights
        groups["own"] = self._best_own_weights
        arrays = {
            f"{group}_{index}": np.array(value)
            for group, values in groups.items()
            for index, value in enumerate(values)
        }
        progress = {name: getattr(self, name) for name in _PROGRESS}
        return arrays | {"progress": np.array(json.dumps(progress))}

    def resume(self, state: State) -> None:
        """Goes on from the state of a trainer of the same run."""
        for group, variables in self._variables().items():
            for index, variable in enumerate(variables):
                variable.assign(state[f"{group}_{index}"])
        for group, weights in (
            ("best", self._best_weights),
            ("own", self._best_own_weights),
        ):
            weights[:] = [state[f"{group}_{i}"] for i in range(len(weights))]
        vars(self).update(json.loads(str(state["progress"])))
        self._best_rank = tuple(self._best_rank)

    def images_per_second(self) -> float | None:
        """Returns the speed of training after the first step."""
        batch_size = min(self.run.batch_size, len(self.data.train))
        seconds = self.seconds["train"]
        return self._steps_timed * batch_size / seconds if seconds else None

    def _variables(self) -> "dict[str, list[keras.Variable]]":
        return {
            "model": self.model.variables,
            "optimizer": self.model.optimizer.variables,
        }

    def _values(self) -> dict[str, list[np.ndarray]]:
        """Returns the values of all variables."""
        return {
            group: [variable.numpy() for variable in variables]
            for group, variables in self._variables().items()
        }

    def _weights(self) -> list[np.ndarray]:
        """Returns the weights: the average of them inside of `_averaged`."""
        return self.model.get_weights()

    def _averaged(self) -> AbstractContextManager[None]:
        return averaged(self.model)

    @contextlib.contextmanager
    def _renewed(self) -> Iterator[None]:
        """Gives the model statistics that fit its weights, if the run does."""
        if self._statistics is None:
            yield
            return
        started = time.perf_counter()
        with self._statistics.renewed():
            self.seconds["check"] += time.perf_counter() - started
            yield

    def _train_to(self, check: int, batches: Iterator[np.ndarray]) -> float:
        """Does the steps up to a check and returns the loss of the last one."""
        while self.step < check:
            loss = self._train_step(next(batches))
        return loss

    def _train_step(self, indices: np.ndarray) -> float:
        """Does one step and returns its loss."""
        started = time.perf_counter()
        optimizer = self.model.optimizer
        change_rates(optimizer, self.run, self.step, self.num_steps)
        batch = make_batch(self.run, self.data.train, indices, step=self.step)
        loss = self.model.train_on_batch(*batch)
        self._note_steps(1, time.perf_counter() - started)
        return float(loss)

    def _note_steps(self, count: int, seconds: float) -> None:
        """Counts steps and their seconds; the first one also traces."""
        self.seconds["train" if self._traced else "first_step"] += seconds
        self._steps_timed += count * self._traced
        self._traced = True
        self.step += count

    def _conclude(self, loss: float) -> Entry:
        """Scores val, keeps the best weights, and may end the run."""
        with self._averaged(), self._renewed():
            entry = self._check(loss)
            self.history.append(entry)
            self.finished = self.diverged or self.step >= self.num_steps
            self._choose(entry)
        if self.run.ema and self.best_step == self.step:
            with self._renewed():
                self._best_own_weights = self._weights()
        return entry

    def _predict_val(self) -> tuple[np.ndarray, Callable[..., Any]]:
        """Returns the logits of val, and the loss function."""
        return (
            predict_logits(self.model, self.data.val.images),
            self.model.loss,
        )

    def _check(self, loss: float) -> Entry:
        """Scores val."""
        started = time.perf_counter()
        rate = float(self.model.optimizer.learning_rate)
        images = min(self.run.batch_size, len(self.data.train)) * self.step
        entry: Entry = {
            "step": self.step,
            "epoch": images / len(self.data.train),
            "learning_rate": rate,
            "loss": loss,
        }
        scores = None
        if math.isfinite(loss):
            scores = self.objective.check_val(self.model, self._predict_val)
        self.diverged = scores is None
        for name, value in (scores or {}).items():
            if name.split("/")[0] in _WATCHED:
                entry[f"val_{name}"] = value
        self.seconds["check"] += time.perf_counter() - started
        return entry

    def _choose(self, entry: Entry) -> None:
        """Keeps the best weights, and ends a run that gains nothing more."""
        if self.diverged:
            return
        rank = self.objective.rank(entry)
        gained = rank > self._best_rank
        if gained:
            self._best_rank = rank
        if gained or self.run.keep == "last":
            self.best_step = self.step
            self._best_weights = self._weights()
        self._checks_without_gain = (
            0 if gained else self._checks_without_gain + 1
        )
        if self.run.patience is not None:
            self.finished |= self._checks_without_gain >= self.run.patience


@contextlib.contextmanager
def averaged(model: "keras.Model") -> Iterator[None]:
    """Gives a model the average of its weights inside the context.

    The average is kept by Keras's optimizers (`use_ema`), if at all. Statistics
    of normalisation are averages already and stay as they are.

    Reference:
        [Polyak and Juditsky, 1992](https://doi.org/10.1137/0330046).
    """
    if not model.optimizer.use_ema:
        yield
        return
    from keras import ops

    variables = model.trainable_variables
    own = [variable.numpy() for variable in variables]
    model.optimizer.finalize_variable_values(variables)
    for variable in variables:
        # JAX would hold one array for both, and a prediction gives it away.
        variable.assign(ops.copy(variable))
    try:
        yield
    finally:
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)


def count_steps(run: Run, num_images: int) -> int:
    """Returns the number of steps of a run."""
    if run.steps is not None:
        return run.steps
    batch_size = min(run.batch_size, num_images)
    return math.ceil((run.epochs or 1) * num_images / batch_size)


def check_steps(run: Run, num_images: int) -> list[int]:
    """Returns the steps after which val is scored: once an epoch.

    A budget in `steps` has 20 checks even where it is less than 20 epochs, so
    that early stopping and the best weights have a choice.

    Example:

    >>> run = Run(task="breastmnist", epochs=2, batch_size=128)
    >>> check_steps(run, num_images=546)
    [5, 9]
    """
    num_steps = count_steps(run, num_images)
    num_checks = run.epochs or max(
        20, math.ceil(num_steps * run.batch_size / num_images)
    )
    ends = np.linspace(0, num_steps, min(num_checks, num_steps) + 1)[1:]
    return [math.ceil(round(end, 6)) for end in ends]
