"""Stacked trials on JAX: runs with equal graphs train as one program.

A small network leaves an accelerator almost idle. Runs of a study that differ
in what is no part of the graph (seed, learning rate, schedule) are the same
computation on other numbers: their variables get one more axis, over which
`jax.vmap` does every step for all of them. Each run keeps books of its own, so
that its record is the one that it would have alone.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np

from medzoo.data.split import Dataset, Split
from medzoo.training.execute import load_data
from medzoo.training.features import load_features
from medzoo.training.fit import State
from medzoo.training.inputs import make_batches
from medzoo.training.members import Member, Stretch
from medzoo.training.programs import Values, read_values
from medzoo.training.record import Record
from medzoo.training.resident import (
    can_reside,
    in_batches,
    plan_stretch,
    put_on_device,
)
from medzoo.training.run import Run
from medzoo.training.scoring import Predictions
from medzoo.training.session import Session, add_seconds
from medzoo.training.stack_programs import stacked_programs_of


def execute_stack(
    runs: Sequence[Run],
    *,
    until: float | None = None,
    read_test: bool = True,
    states: Sequence[State | None] | None = None,
) -> list[tuple[Record, Predictions, State | None]]:
    """Trains runs as one program, and scores each.

    Args:
        runs: With equal keys by `medzoo.training.alike.stack_key`.
        until: As for `medzoo.training.execute.execute`.
        read_test: As for `medzoo.training.execute.execute`.
        states: Where each run stopped earlier, `None` for one that did not.

    Returns:
        Of each run what `execute` would return, to within the rounding of sums,
        and the state of a training that was stopped.

    Raises:
        ValueError: If the runs are not alike after all, or do not fit on the
            device.
    """
    sessions, starts = open_sessions(runs, states=states or [None] * len(runs))
    started = time.perf_counter()
    stack = Stack([cast(Member, each.trainer) for each in sessions], starts)
    stack.train(sessions[0].steps_until(until))
    share = (time.perf_counter() - started) / len(runs)
    return [_close(session, share, read_test) for session in sessions]


def open_sessions(
    runs: Sequence[Run],
    *,
    states: Sequence[State | None],
    load: Callable[[Run], Dataset] = load_data,
) -> tuple[list[Session], list[Values]]:
    """Prepares runs on one model, one after the other.

    Args:
        runs: As for `execute_stack`.
        states: As for `execute_stack`.
        load: Loads the images of a run.

    Returns:
        A session a run, whose trainer is a `Member`, and the values of all
        variables at its start; those of the model are the last run's.
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


def _close(
    session: Session, seconds: float, read_test: bool
) -> tuple[Record, Predictions, State | None]:
    """Writes the record of a run that was trained in a stack."""
    session.note_training(seconds)
    predictions = session.score(read_test=read_test)
    stopped = session.record.status == "pruned"
    return session.record, predictions, session.state() if stopped else None


class Stack:
    """Runs on one model that are trained together.

    A run that ends early goes on with the others, and nobody looks.

    Args:
        members: The books of the runs.
        starts: The values of all variables at the start of each run.

    Raises:
        ValueError: If the runs differ in graph, steps or numbers of images, or
            do not fit on the device.
    """

    def __init__(
        self, members: Sequence[Member], starts: Sequence[Values]
    ) -> None:
        import jax

        _check_alike(members)
        self._members = members
        self._step = members[0].step
        self._programs = stacked_programs_of(members[0].model)
        self._values = jax.tree.map(lambda *v: jax.numpy.stack(v), *starts)
        self._dials = np.stack([member.dials() for member in members])
        for place, member in enumerate(members):
            member.place = place
        # Runs that see the same images share one copy of them.
        names = [_name_images(member) for member in members]
        data = {
            name: member.data
            for name, member in zip(names, members, strict=True)
        }
        sources = np.array([[*data].index(name) for name in names])
        self._train = put_on_device(_join(each.train for each in data.values()))
        self._val = put_on_device(
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
            self._advance(min(step for step in checks if step > self._step))

    def _advance(self, check: int) -> None:
        """Trains up to a check, and shows each run what it has then."""
        import jax

        steps = range(self._step, check)
        plans = [
            plan_stretch(member, steps, batches)
            for member, batches in zip(
                self._members, self._batches, strict=True
            )
        ]
        plan = jax.tree.map(lambda *each: np.stack(each), *plans)
        times = [time.perf_counter()]
        inputs = (*self._train, plan, self._dials)
        shown = (*self._val, self._dials)
        train = self._programs.compile("train", (self._values, *inputs))
        look = self._programs.compile("look", (self._values, *shown))
        times.append(time.perf_counter())
        self._values, losses = train(self._values, *inputs)
        jax.block_until_ready(losses)
        times.append(time.perf_counter())
        found = look(self._values, *shown)
        seen = Stretch(check, losses, self._values, found)
        times.append(time.perf_counter())
        shares = np.diff(times) / len(self._members)
        for member in self._members:
            if not member.finished:
                member.spend(len(steps), *map(float, shares))
                member.conclude(seen)
        self._step = check


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
    if not can_reside(members[0].data):
        raise ValueError(
            "The images of a stack must fit into half of the memory of its "
            f"device. Received: {run.task}, size {run.size}."
        )


def _name_images(member: Member) -> tuple:
    """Names the images of a run; the seed draws those of `max_images`."""
    drawn = member.run.max_images is not None
    return member.data.fingerprint, member.run.seed if drawn else None


def _join(splits: Iterator[Split]) -> tuple[np.ndarray, np.ndarray]:
    """Joins the images and the labels of splits."""
    images, labels = zip(*((s.images, s.labels) for s in splits), strict=True)
    if len(images) == 1:
        return images[0], labels[0]
    return np.concatenate(images), np.concatenate(labels)


def _make_batches(member: Member, *, first: int) -> Iterator[np.ndarray]:
    """Yields a run's batches, as indices of the images of all runs."""
    for indices in make_batches(member.run, member.data, start=member.step):
        yield indices + first
