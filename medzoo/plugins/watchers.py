"""Watchers: functions of a user that see each check of a training.

They get copies and decide nothing: neither `run_id` nor any number of a run
depends on them, nor on what they raise.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType, TracebackType
from typing import NamedTuple

from medzoo.messages import unknown
from medzoo.plugins.files import Blaming, PluginError
from medzoo.plugins.register import TARGETS
from medzoo.plugins.targets import find_target
from medzoo.runs.plugins import Plugin
from medzoo.runs.run import Run


class Check(NamedTuple):
    """What a watcher is called with, after val was scored.

    Args:
        run: The run, which cannot be changed.
        run_id: Its id.
        step: Steps done.
        epoch: The same in epochs.
        loss: Loss of the last step.
        learning_rate: Of the last step.
        val: Scores of val by name, such as `macro_f1` and `loss`; empty if the
            run has diverged.
    """

    run: Run
    run_id: str
    step: int
    epoch: float
    loss: float
    learning_rate: float
    val: Mapping[str, float | None]


def find_watchers(names: Iterable[str]) -> tuple[Plugin, ...]:
    """Returns registered watchers, as jobs carry them to workers.

    Raises:
        ValueError: For a name that is none.
    """
    return tuple(_find(name) for name in dict.fromkeys(names))


def _find(name: str) -> Plugin:
    if ("watcher", name) in TARGETS:
        return TARGETS["watcher", name].plugin
    known = [name for kind, name in TARGETS if kind == "watcher"]
    if known:
        raise ValueError(unknown("watcher", name, known))
    raise ValueError(
        "No plugin registers a watcher. Expected a function below "
        "@medzoo.register_watcher in a file of `plugins`. Received: "
        f"watch={name!r}."
    )


class Watching:
    """Shows the checks of one run to watchers.

    Args:
        run: The run.
        watchers: Plugins, which are imported if needed.

    Attributes:
        warnings: A sentence for each watcher that has raised.
    """

    def __init__(self, run: Run, watchers: Sequence[Plugin]) -> None:
        self._run, self._watchers = run, watchers
        self._faults: dict[str, str] = {}

    @property
    def warnings(self) -> list[str]:
        return list(self._faults.values())

    def show(self, entry: Mapping[str, float | None]) -> None:
        """Calls each watcher with an entry of the history."""
        for plugin in self._watchers:
            what = f"Watcher `{plugin.name}` failed, which changes no result"
            with _Noting(self._faults, plugin.name), _randomness_kept():
                with Blaming(what):
                    watcher = find_target("watcher", plugin)
                with Blaming(what, target=watcher):
                    watcher(_describe(self._run, entry))


class _Noting(AbstractContextManager):
    """Keeps the first fault of a watcher, and lets none of them out."""

    def __init__(self, faults: dict[str, str], name: str) -> None:
        self._faults, self._name = faults, name

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, SystemExit):
            error = PluginError(
                f"Watcher `{self._name}` asked to exit, which ends no run."
            )
        if isinstance(error, PluginError):
            self._faults.setdefault(self._name, str(error))
        return isinstance(error, PluginError)


@contextmanager
def _randomness_kept() -> Iterator[None]:
    """Gives the global generators their state again."""
    import numpy as np  # Studies are read, and the site is built, without it.

    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _describe(run: Run, entry: Mapping[str, float | None]) -> Check:
    values = dict(entry)
    facts = {k: values.pop(k) for k in ("step", "epoch", "loss")}
    rate = values.pop("learning_rate")
    val = {name.removeprefix("val_"): v for name, v in values.items()}
    return Check(
        run=run,
        run_id=run.run_id,
        step=int(facts["step"] or 0),
        epoch=float(facts["epoch"] or 0),
        loss=float("nan" if facts["loss"] is None else facts["loss"]),
        learning_rate=float(rate or 0),
        val=MappingProxyType(val),
    )
