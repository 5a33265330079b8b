"""Every score once: its name, its label and what it needs.

Whoever lists scores asks this table. It is read without NumPy; the formulas are
in `medzoo.scores.counts` and `medzoo.scores.probabilities`.
"""

from dataclasses import dataclass
from typing import Literal

Needs = Literal[
    "labels", "probabilities", "masks", "tasks", "loss", "kept", "own"
]


@dataclass(frozen=True)
class Score:
    """What is known of a score besides its formula.

    Args:
        label: As tables and sentences show it.
        needs: What it is computed from: `labels` and predicted classes, their
            `probabilities`, `masks`, scores of several `tasks` or heads, the
            `loss` of the run, predictions that were `kept`, by a report that
            asks for it, or an `own` function of a plugin.
        higher_is_better: Whether a larger value is the better one.
        bounds: Lowest and highest value; `None` for no bound.
        summary: Position in the summary of a study, those of masks first; 0
            for a score that it leaves out.
        use: Where it may be chosen or is shown: `study` and `search`, which
            compare by it, `report`, which shows it, and `history`, after each
            check of a run.
        content: Digest of the function of a plugin.
    """

    label: str
    needs: Needs
    higher_is_better: bool = True
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    summary: int = 0
    use: frozenset[str] = frozenset()
    content: str = ""


_HISTORY = frozenset({"history"})
_REPORT = frozenset({"report"})
_STUDY = frozenset({"study", "report"})
_ALL = frozenset({"study", "search", "history", "report"})
_SIGNED = (-1.0, 1.0)

# In the order of their columns in the table of runs.
SCORES: dict[str, Score] = {
    "accuracy": Score("accuracy", "labels", summary=3, use=_HISTORY | _REPORT),
    "macro_f1": Score("macro F1", "labels", summary=1, use=_ALL),
    "balanced_accuracy": Score(
        "balanced accuracy", "labels", summary=2, use=_STUDY
    ),
    "auc": Score("AUC", "probabilities", summary=4, use=_STUDY),
    "cross_entropy": Score(
        "cross entropy",
        "probabilities",
        False,
        (0.0, None),
        summary=6,
        use=_REPORT,
    ),
    "mcc": Score("MCC", "labels", bounds=_SIGNED, use=_STUDY),
    "macro_sensitivity": Score("macro sensitivity", "kept", use=_STUDY),
    "macro_specificity": Score("macro specificity", "kept", use=_STUDY),
    "macro_ppv": Score("macro PPV", "kept", use=_STUDY),
    "macro_npv": Score("macro NPV", "kept", use=_STUDY),
    "kappa": Score("Cohen's kappa", "kept", bounds=_SIGNED, use=_STUDY),
    "quadratic_kappa": Score(
        "quadratically weighted kappa", "kept", bounds=_SIGNED, use=_STUDY
    ),
    "average_precision": Score("average precision", "kept", use=_STUDY),
    "top_2_accuracy": Score("top-2 accuracy", "kept", use=_STUDY),
    "brier": Score("Brier score", "kept", False, (0.0, 2.0), use=_REPORT),
    "brier_reliability": Score(
        "reliability (Brier, 15 bins)", "kept", False, (0.0, 2.0), use=_REPORT
    ),
    "brier_resolution": Score(
        "resolution (Brier, 15 bins)", "kept", use=_REPORT
    ),
    "ece": Score("ECE (15 equal-width bins)", "kept", False, use=_REPORT),
    "ece_equal_mass": Score(
        "ECE (15 equal-mass bins)", "kept", False, use=_REPORT
    ),
    "ece_debiased": Score(
        "debiased ECE (15 equal-mass bins)",
        "kept",
        False,
        _SIGNED,
        use=_REPORT,
    ),
    "loss": Score("loss", "loss", False, (None, None), summary=5, use=_HISTORY),
    "dice": Score("Dice", "masks", summary=1, use=_ALL),
    "foreground_dice": Score("foreground Dice", "masks", summary=2, use=_STUDY),
    "mean_iou": Score("mean IoU", "masks", summary=3, use=_STUDY),
    "mask_precision": Score("mask precision", "masks"),
    "mask_recall": Score("mask recall", "masks"),
    "mask_f1": Score("mask F1", "masks"),
    "mask_mcc": Score("mask MCC", "masks", bounds=_SIGNED),
    "pixel_accuracy": Score("pixel accuracy", "masks"),
    "dice_per_image": Score("Dice per image", "masks", summary=4),
    "mean_iou_per_image": Score("mean IoU per image", "masks", summary=5),
    "harmonic_mean": Score("harmonic mean", "tasks", use=_HISTORY),
    # The mean of Dice and macro F1, by which a run with masks is checked.
    "joint": Score("joint", "tasks", use=_HISTORY),
}


def list_scores(*needs: Needs) -> tuple[str, ...]:
    """Lists the scores that need one of these, in the order of the table.

    Example:

    >>> list_scores("tasks")
    ('harmonic_mean', 'joint')
    """
    return tuple(name for name, s in SCORES.items() if s.needs in needs)


def list_own() -> dict[str, Score]:
    """Returns the scores of plugins."""
    return {name: s for name, s in SCORES.items() if s.needs == "own"}


def list_used(use: str) -> tuple[str, ...]:
    """Lists the scores of a use, in the order of the table.

    Example:

    >>> list_used("search")
    ('macro_f1', 'dice')
    """
    return tuple(name for name, s in SCORES.items() if use in s.use)


def list_summary(*needs: Needs) -> tuple[str, ...]:
    """Lists the scores of a study's summary, in its order.

    Example:

    >>> list_summary("masks")[:2]
    ('dice', 'foreground_dice')
    """
    chosen = [name for name in list_scores(*needs) if SCORES[name].summary]
    return tuple(sorted(chosen, key=lambda name: SCORES[name].summary))


def format_score(name: str) -> str:
    """Writes the name of a score as a sentence has it.

    Example:

    >>> format_score("macro_f1"), format_score("mean_iou")
    ('macro F1', 'mean IoU')
    """
    return SCORES[name].label if name in SCORES else name.replace("_", " ")


def format_mean(score: str, num_tasks: int) -> str:
    """Names what ranks trials: a score, of several tasks the harmonic mean.

    Example:

    >>> format_mean("macro_f1", 1), format_mean("macro_f1", 2)
    ('macro F1', 'harmonic mean')
    """
    return format_score("harmonic_mean" if num_tasks > 1 else score)
