"""Heads of a net that no loss has trained: scores of them say nothing."""

from collections.abc import Mapping
from typing import TypeVar

from medzoo.runs.run import Run
from medzoo.scores.table import SCORES

_Value = TypeVar("_Value")
_OF_LABELS = frozenset({"labels", "probabilities", "kept", "own"})
_OF_MASKS = frozenset({"masks"})
_TRAINED: frozenset[str] = frozenset()


def _list_untrained(run: Run) -> frozenset[str]:
    """Lists what scores of heads without a weight in the loss need."""
    if run.options.get("label_weight", 1) == 0:
        return _OF_LABELS
    return _OF_MASKS if run.options.get("mask_weight", 1) == 0 else _TRAINED


def is_trained(run: Run, score: str) -> bool:
    """Says whether the head that a score is of has a weight in the loss.

    Example:

    >>> run = Run(task="shapes", data="synthetic", model="unet", label_weight=0)
    >>> is_trained(run, "dice"), is_trained(run, "macro_f1")
    (True, False)
    """
    return SCORES[score].needs not in _list_untrained(run)


def keep_trained(
    run: Run, scores: Mapping[str, _Value], own: str
) -> Mapping[str, _Value]:
    """Returns scores without those of heads that no loss has trained.

    The score that its study is judged by, `own`, is kept.
    """
    untrained = _list_untrained(run)
    if not untrained:
        return scores
    return {
        name: value
        for name, value in scores.items()
        if name == own
        or name not in SCORES
        or SCORES[name].needs not in untrained
    }
