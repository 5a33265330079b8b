"""Discriminative learning rates: a trunk moves less than the head on it."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from medzoo.training.run import Run

if TYPE_CHECKING:
    import keras


def has_trunk_rate(run: Run) -> bool:
    """Says whether the trunk of a run has a learning rate of its own."""
    return run.head_first > 0 or run.trunk_rate != 1


def trunk_rate_at(run: Run, step: int, num_steps: int) -> float:
    """Returns what multiplies the learning rate of the trunk at one step.

    Example:

    >>> run = Run(
    ...     task="breastmnist",
    ...     model="transfer",
    ...     options={"freeze": "bn"},
    ...     head_first=0.5,
    ...     trunk_rate=0.1,
    ... )
    >>> [trunk_rate_at(run, step, 4) for step in range(4)]
    [0.0, 0.0, 0.1, 0.1]
    """
    return 0.0 if step < round(run.head_first * num_steps) else run.trunk_rate


def with_trunk_rate(
    optimizer: type["keras.Optimizer"],
) -> type["keras.Optimizer"]:
    """Makes an optimizer whose steps are scaled for some of its variables.

    Gradients are left as they are: scaled ones change nothing for Adam and its
    kin. Variables of the trunk are not decayed.

    Args:
        optimizer: A class of `keras.optimizers`.

    Returns:
        A class that also takes `trunk`, the indices of the trunk's variables,
        and has the variable `trunk_rate`, 1 at first.
    """

    class Discriminative(optimizer):
        def __init__(self, trunk: Collection[int], **options: Any) -> None:
            super().__init__(**options)
            self.trunk = frozenset(trunk)

        def build(self, variables: "list[keras.Variable]") -> None:
            if not self.built:
                super().build(variables)
                decayed = [variables[index] for index in self.trunk]
                self.exclude_from_weight_decay(var_list=decayed)
                self.trunk_rate = self.add_variable(
                    (), initializer="ones", name="trunk_rate"
                )

        def update_step(
            self, gradient: Any, variable: Any, learning_rate: Any
        ) -> None:
            if self._get_variable_index(variable) in self.trunk:
                learning_rate = learning_rate * self.trunk_rate
            super().update_step(gradient, variable, learning_rate)

    return Discriminative
