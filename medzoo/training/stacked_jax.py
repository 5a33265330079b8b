"""Stacked training on JAX: runs with equal graphs train as one program.

A small network leaves an accelerator almost idle. Runs that differ in seed,
learning rate or schedule do the same computation on other numbers: their
variables get one more axis, over which `jax.vmap` does every step. Each run has
a trainer of its own for its history and best weights, so that its record is the
one that it would have alone, up to the rounding of sums.

Two places import this module: `medzoo.execution.options`, to
find runs that train together, and `medzoo.execution.worker`, to train them.
"""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from medzoo.data.dataset import Dataset, Split
from medzoo.environment import name_backend
from medzoo.record import Predictions, Record
from medzoo.runs.fields import IMBALANCES, list_fields
from medzoo.runs.rules import predicts_masks
from medzoo.runs.run import Run
from medzoo.training.build import MAX_TRACED
from medzoo.training.execute import Session, add_seconds, load_data
from medzoo.training.features import load_features
from medzoo.training.optimizers import set_rates
from medzoo.training.resident_jax import (
    Programs,
    StepInputs,
    Values,
    fits_on_device,
    in_batches,
    list_groups,
    make_step_inputs,
    predict_batches,
    read_values,
    train_steps,
)
from medzoo.training.trainer import State, Trainer

if TYPE_CHECKING:
    import keras

# Largest stack of `auto`.
LARGEST = 32
# Fields in which the runs of a stack may differ: they decide values, not the
# graph, nor how many steps there are between two checks on val.
_MAY_DIFFER = set(list_fields("constants", "course", "evaluation"))

# Which runs train together.


def choose_size(asked: str, num_jobs: int, places: int) -> int:
    """Returns how many runs may train together, 1 for each alone.

    Args:
        asked: `auto`, `off`, or a number of runs.
        num_jobs: Jobs to be executed.
        places: Workers on GPUs; `auto` shares the jobs evenly among them.

    Raises:
        ValueError: If `asked` is none of these, or is a number without the JAX
            backend.

    Example:

    >>> choose_size("off", num_jobs=100, places=1)
    1
    """
    backend = name_backend()
    if asked == "off":
        return 1
    if asked == "auto":
        on_gpus = backend == "jax" and places > 0
        return min(LARGEST, math.ceil(num_jobs / places)) if on_gpus else 1
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(
            "`stack` must be `auto`, `off`, or a number of runs. Received: "
            f"stack={asked!r}."
        )
    if backend != "jax":
        raise ValueError(
            "Runs are stacked by JAX alone. Expected KERAS_BACKEND=jax. "
            f"Received: KERAS_BACKEND={backend}, stack={asked!r}."
        )
    return int(asked)


@functools.lru_cache(maxsize=100_000)
def stack_key(run: Run) -> str | None:
    """Returns a key equal for runs that may train together; `None` for others.

    Example:

    >>> runs = [
    ...     Run(task="breastmnist", optimizer="adamw", weight_decay=decay)
    ...     for decay in (0.0, 0.1)
    ... ]
    >>> stack_key(runs[0]) == stack_key(runs[1])
    True
    >>> stack_key(Run(task="breastmnist", model="knn")) is None
    True
    """
    drawn = run.max_images is not None or run.is_resplit
    weighs = run.loss == "weighted_soft_f1"
    weighs |= IMBALANCES[run.imbalance] == "loss"
    if (
        run.entry.baseline
        or len(run.tasks) > 1
        or predicts_masks(run)
        or run.batch_statistics != "running"
        or (drawn and weighs)  # The loss of each seed has other constants.
    ):
        return None
    return run.model_dump_json(exclude=_MAY_DIFFER)


# From runs to their records.


def execute_stack(
    runs: Sequence[Run],
    *,
    until: float | None = None,
    read_test: bool = True,
    states: Sequence[State | None] | None = None,
    on_stop: Callable[[str, State], None] = lambda run_id, state: None,
) -> list[tuple[Record, Predictions]]:
    """Trains runs as one program, and scores each.

    Args:
        runs: With equal keys by `stack_key`.
        states: State of each run that was stopped earlier, else `None`.
        on_stop: Called with the `run_id` and the state of each training that
            is stopped.

    Returns:
        What `execute` returns for each run, up to the rounding of sums.

    Raises:
        ValueError: If the runs differ in graph, steps or number of images, or
            their images do not fit on the device.
    """
    sessions, starts = open_sessions(runs, states=states or [None] * len(runs))
    started = time.perf_counter()
    stack = Stack([cast(Member, each.trainer) for each in sessions], starts)
    stack.train(sessions[0].steps_until(until))
    share = (time.perf_counter() - started) / len(runs)
    found = []
    for session in sessions:
        session.note_training(share)
        predictions = session.score(read_test=read_test)
        if session.record.status == "pruned":
            on_stop(session.record.run_id, session.state())
        found.append((session.record, predictions))
    return found


def open_sessions(
    runs: Sequence[Run],
    *,
    states: Sequence[State | None],
    load: Callable[[Run], Dataset] = load_data,
) -> tuple[list[Session], list[Values]]:
    """Prepares runs on one model, one after the other.

    Returns:
        A session for each run, whose trainer is a `Member`, and the values of
        all variables at its start.
    """
    sessions, starts = [], []
    # Decay is part of a graph where it is not 0, and a decay of 0 is none.
    decay = max(run.weight_decay or 0.0 for run in runs)
    common = {"weight_decay": decay, "loss_weight": runs[0].loss_weight}
    for run, state in zip(runs, states, strict=True):
        started = time.perf_counter()
        data = load_features(run, load)
        loaded = time.perf_counter() - started
        graph = run.model_copy(update=common)
        session = Session(run, data, trainer=Member, state=state, graph=graph)
        session.record.stack = len(runs)
        add_seconds(session.record, load=loaded, total=loaded)
        sessions.append(session)
        starts.append(read_values(session.trainer.model))
    return sessions, starts


# Training.


class Stack:
    """Runs on one model that are trained together.

    A run that ends early is trained on with the others, but no longer checked.

    Args:
        members: The trainers of the runs.
        starts: The values of all variables at the start of each run.

    Raises:
        ValueError: If the runs differ in graph, steps or number of images, or
            their images do not fit on the device.
    """

    def __init__(
        self, members: Sequence["Member"], starts: Sequence[Values]
    ) -> None:
        import jax

        _check_alike(members)
        self._members = members
        self._step = members[0].step
        self._programs = stacked_programs_of(members[0].model)
        self._values = jax.tree.map(lambda *v: jax.numpy.stack(v), *starts)
        self._constants = np.stack([member.constants() for member in members])
        for index, member in enumerate(members):
            member.index = index
        # Runs that see the same images share one copy of them.
        names = [_name_images(member) for member in members]
        data = {
            name: member.data
            for name, member in zip(names, members, strict=True)
        }
        sources = np.array([[*data].index(name) for name in names])
        self._train = jax.device_put(
            _join(each.train for each in data.values())
        )
        self._val = jax.device_put(
            (
                sources,
                np.stack([in_batches(d.val.images) for d in data.values()]),
                np.stack([d.val.labels for d in data.values()]),
            )
        )
        self._batches = [
            _make_batches(member, first=source * len(member.data.train))
            for member, source in zip(members, sources, strict=True)
        ]

    def train(self, until: int | None = None) -> None:
        """Trains up to the first check at or after step `until`."""
        while not all(member.finished for member in self._members):
            if until is not None and self._step >= until:
                return
            checks = self._members[0].checks
            self._train_to(min(step for step in checks if step > self._step))

    def _train_to(self, check: int) -> None:
        """Trains up to a check, and scores val for each member."""
        import jax

        steps = range(self._step, check)
        each = [
            make_step_inputs(member, steps, batches)
            for member, batches in zip(
                self._members, self._batches, strict=True
            )
        ]
        inputs = jax.tree.map(lambda *arrays: np.stack(arrays), *each)
        times = [time.perf_counter()]
        train_on = (*self._train, inputs, self._constants)
        check_on = (*self._val, self._constants)
        train = self._programs.compile("train", (self._values, *train_on))
        predict = self._programs.compile("check", (self._values, *check_on))
        times.append(time.perf_counter())
        self._values, losses = train(self._values, *train_on)
        jax.block_until_ready(losses)
        times.append(time.perf_counter())
        found = predict(self._values, *check_on)
        checked = StackCheck(check, losses, self._values, found)
        times.append(time.perf_counter())
        shares = np.diff(times) / len(self._members)
        for member in self._members:
            if not member.finished:
                member.spend(len(steps), *map(float, shares))
                member.conclude(checked)
        self._step = check


class StackCheck:
    """Values and predictions of all runs of a stack at one check on val.

    Args:
        step: Steps done.
        losses: Loss of the last step of each run.
        values: Those of all variables, with a first axis of runs.
        found: As of `predict_val`, with a first axis of runs.
    """

    def __init__(
        self, step: int, losses: Any, values: Values, found: tuple
    ) -> None:
        import jax

        self.step = step
        self._values = values
        self._averages, *scores = found
        self.losses, self.logits, self.val_losses = jax.device_get(
            (losses, *scores)
        )

    @functools.cached_property
    def values(self) -> Values:
        """The values on the host."""
        import jax

        return jax.device_get(self._values)

    @functools.cached_property
    def averages(self) -> Values:
        """The values with averaged weights, if there are any."""
        import jax

        trainable = jax.device_get(self._averages)
        return (trainable, *self.values[1:]) if trainable else self.values


class Member(Trainer):
    """The trainer of one run of a stack, whose steps the `Stack` does.

    Attributes:
        index: Of the run in the stack.
    """

    index = 0
    _checked: StackCheck
    _in_average = False

    def constants(self) -> np.ndarray:
        """Returns the values of the run for `replace_constants`."""
        values = (self.run.weight_decay or 0.0, self.run.loss_weight)
        return np.array(values, "float32")

    def conclude(self, checked: StackCheck) -> None:
        """Adds a check to the history, and chooses the best weights."""
        self._checked, self.step = checked, checked.step
        optimizer = self.model.optimizer
        set_rates(optimizer, self.run, self.step - 1, self.num_steps)
        self._conclude(float(checked.losses[self.index]))

    def spend(
        self, steps: int, first_step: float, train: float, check: float
    ) -> None:
        """Adds the run's share of the seconds of some steps and a check."""
        shares = {"first_step": first_step, "train": train, "check": check}
        for part, value in shares.items():
            self.seconds[part] += value
        self._steps_timed += steps

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        self._in_average = True
        yield
        self._in_average = False

    def _weights(self) -> list[np.ndarray]:
        checked = self._checked
        values = checked.averages if self._in_average else checked.values
        return self._pick(values, self.model.weights)

    def _values(self) -> dict[str, list[np.ndarray]]:
        return {
            group: self._pick(self._checked.values, variables)
            for group, variables in self._variables().items()
        }

    def _predict_val(self) -> tuple[np.ndarray, Callable[..., Any]]:
        checked, index = self._checked, self.index
        return checked.logits[index], lambda *_: checked.val_losses[index]

    def _pick(
        self, values: Values, variables: "list[keras.Variable]"
    ) -> list[np.ndarray]:
        """Returns the values of some variables in this run."""
        groups = zip(list_groups(self.model), values, strict=True)
        found = {
            id(variable): value
            for group, mine in groups
            for variable, value in zip(group, mine, strict=True)
        }
        return [np.array(found[id(v)][self.index]) for v in variables]


def _check_alike(members: Sequence[Member]) -> None:
    kinds = {
        (id(m.model), m.step, *m.checks, len(m.data.train), len(m.data.val))
        for m in members
    }
    if len(kinds) > 1:
        raise ValueError(
            "Runs of a stack must have one graph, equal steps and equally many "
            f"images. Received: {len(kinds)} kinds of {len(members)} runs."
        )
    run = members[0].run
    if not fits_on_device(members[0].data):
        raise ValueError(
            "The images of a stack must fit into half of the memory of its "
            f"device. Received: {run.task}, size {run.size}."
        )


def _name_images(member: Member) -> tuple:
    """Returns a key of the images of a run, which `max_images` draws."""
    drawn = member.run.max_images is not None
    return member.data.fingerprint, member.run.seed if drawn else None


def _join(splits: Iterator[Split]) -> tuple[np.ndarray, np.ndarray]:
    """Joins the images and the labels of splits."""
    images, labels = zip(*((s.images, s.labels) for s in splits), strict=True)
    if len(images) == 1:
        return images[0], labels[0]
    return np.concatenate(images), np.concatenate(labels)


def _make_batches(member: Member, *, first: int) -> Iterator[np.ndarray]:
    """Yields batches of a run as indices of the images of all runs."""
    for indices in member.objective.batches(start=member.step):
        yield indices + first


# Programs.


@functools.lru_cache(maxsize=MAX_TRACED)
def stacked_programs_of(model: "keras.Model") -> Programs:
    """Makes the programs of a stack of runs on one compiled model.

    - `train` takes the values of all runs, common images and labels, and the
      step inputs and the constants of each run; it returns values and losses.
    - `check` is `predict_val` for the values, splits and constants of all runs.
    """
    import jax

    def train(
        values: Values,
        images: Any,
        labels: Any,
        inputs: StepInputs,
        constants: Any,
    ) -> tuple[Values, Any]:
        with replace_constants(model, constants):
            return train_steps(model, values, images, labels, inputs)

    check = functools.partial(predict_val, model)
    return Programs(
        {
            "train": jax.vmap(train, in_axes=(0, None, None, 0, 0)),
            "check": jax.vmap(check, in_axes=(0, 0, None, None, 0)),
        }
    )


def predict_val(
    model: "keras.Model",
    values: Values,
    split: Any,
    images: Any,
    labels: Any,
    constants: Any,
) -> tuple[list[Any], Any, Any]:
    """Predicts one of several val splits, and computes its loss.

    Args:
        model: Compiled, from images to logits.
        values: Those of its variables.
        split: Index of the split.
        images: `uint8`, shape `(splits, batches, batch, height, width,
            channels)`.
        labels: `int32`, shape `(splits, n)`.
        constants: As for `replace_constants`.

    Returns:
        The averages of the weights, if the optimizer keeps any; the logits,
        shape `(n, num_classes)`; and the loss.
    """
    if len(images) == 1:
        split = 0  # One copy for all runs of a stack.
    averages = average_weights(model, values)
    used = (averages or values[0], *values[1:])
    logits = predict_batches(model, used, images[split])[: labels.shape[1]]
    with replace_constants(model, constants):
        return averages, logits, model.loss(labels[split], logits)


@contextlib.contextmanager
def replace_constants(model: "keras.Model", constants: Any) -> Iterator[None]:
    """Replaces the weight decay and the loss weight of a graph by others."""
    optimizer, loss = model.optimizer, model.loss
    # A loss of several members holds that of one.
    options = loss.options if hasattr(loss, "options") else loss.loss.options
    decay, kept = optimizer.weight_decay, dict(options)
    if decay is not None:
        optimizer.weight_decay = constants[0]
    if "weight" in options:
        options["weight"] = constants[1]
    try:
        yield
    finally:
        optimizer.weight_decay = decay
        options |= kept


def average_weights(model: "keras.Model", values: Values) -> list[Any]:
    """Returns the optimizer's averages of the weights, if it has any."""
    import keras

    if not model.optimizer.use_ema:
        return []
    mapping = [
        pair
        for group, mine in zip(list_groups(model), values, strict=True)
        for pair in zip(group, mine, strict=True)
    ]
    weights = model.trainable_variables
    with keras.StatelessScope(state_mapping=mapping) as scope:
        model.optimizer.finalize_variable_values(weights)
    return [scope.get_current_value(variable) for variable in weights]
