"""The books of the runs of a stack: each has its own, as if it were alone."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.training.fit import Trainer
from medzoo.training.optimizers import set_rates
from medzoo.training.programs import Values, list_groups

if TYPE_CHECKING:
    import keras


class Stretch:
    """What all runs of a stack have after the same steps.

    Args:
        step: Steps done.
        losses: Loss of the last step, one a run.
        values: Of all variables, with a first axis of runs.
        look: As `look_at_val` returns it, with a first axis of runs.
    """

    def __init__(
        self, step: int, losses: Any, values: Values, look: tuple
    ) -> None:
        import jax

        self.step = step
        self._values = values
        self._averages, *scores = look
        found = jax.device_get((losses, *scores))
        self.losses, self.logits, self.val_losses = found

    @functools.cached_property
    def values(self) -> Values:
        """The values, in the memory of the host."""
        import jax

        return jax.device_get(self._values)

    @functools.cached_property
    def averages(self) -> Values:
        """The values with which val was predicted, as `values`."""
        import jax

        trainable = jax.device_get(self._averages)
        return (trainable, *self.values[1:]) if trainable else self.values


class Member(Trainer):
    """The books of one run of a stack; its steps are those of the stack.

    Attributes:
        place: Its index in the stack.
    """

    place = 0
    _seen: Stretch
    _in_average = False

    def dials(self) -> np.ndarray:
        """Returns what `set_dials` takes of the run."""
        values = (self.run.weight_decay or 0.0, self.run.loss_weight)
        return np.array(values, "float32")

    def conclude(self, seen: Stretch) -> None:
        """Goes on to the end of a stretch."""
        self._seen, self.step = seen, seen.step
        optimizer = self.model.optimizer
        set_rates(optimizer, self.run, self.step - 1, self.num_steps)
        self._conclude(float(seen.losses[self.place]))

    def spend(
        self, steps: int, first_step: float, train: float, check: float
    ) -> None:
        """Notes the share that this run has in the seconds of a stretch."""
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
        seen = self._seen
        values = seen.averages if self._in_average else seen.values
        return self._pick(values, self.model.weights)

    def _values(self) -> dict[str, list[np.ndarray]]:
        return {
            group: self._pick(self._seen.values, variables)
            for group, variables in self._variables().items()
        }

    def _predict_val(self) -> tuple[np.ndarray, Callable[..., Any]]:
        seen, place = self._seen, self.place
        return seen.logits[place], lambda *_: seen.val_losses[place]

    def _pick(
        self, values: Values, variables: "list[keras.Variable]"
    ) -> list[np.ndarray]:
        """Returns what some variables hold in this run."""
        groups = zip(list_groups(self.model), values, strict=True)
        found = {
            id(variable): value
            for group, mine in groups
            for variable, value in zip(group, mine, strict=True)
        }
        return [np.array(found[id(v)][self.place]) for v in variables]
