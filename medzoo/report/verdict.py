"""What a study has shown, in one to three sentences made from its numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medzoo.messages import format_score
from medzoo.report.comparisons import Difference

if TYPE_CHECKING:
    from medzoo.report.summary import TrialStatistics

_WORDS = (
    "no", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
# How many trials a sentence names before it counts the others.
_MOST_NAMES = 3


def tied_with_best(trials: Mapping[str, "TrialStatistics"]) -> set[str]:
    """Names the best trial and those that cannot be told from it."""
    return {name for name, trial in trials.items() if trial.tied_with_best}


def write_verdict(
    trials: Mapping[str, "TrialStatistics"],
    best: str | None,
    *,
    num_seeds: int,
    num_tasks: int,
    score: str = "macro_f1",
) -> str:
    """Writes which trial is best, which might be as well, and which is not.

    A trial is called worse if its interval against the best and the corrected
    test agree that it is; the p-value shown is the corrected one.

    Args:
        trials: The statistics by name.
        best: Name of the best trial, if there is one.
        num_seeds: Seeds of each trial.
        num_tasks: Tasks of the study.
        score: Name of the score that trials are judged by.
    """
    if best is None:
        return "No trial has all its runs, so none is called best."
    rivals = {n: t.to_best for n, t in trials.items() if t.to_best is not None}
    # The nearest to the best first.
    rivals = dict(sorted(rivals.items(), key=lambda item: -item[1].estimate))
    what = "harmonic mean" if num_tasks > 1 else format_score(score)
    value, interval = _describe(trials[best])
    high = f"{what} of {value}{f' ({interval})' if interval else ''}"
    design = f"{_count(num_tasks, 'task')} and {_count(num_seeds, 'seed')}"
    tied = [name for name in rivals if name in tied_with_best(trials)]
    sentences = [
        _undecided(best, high, rivals, design)
        or _all_tied(best, high, tied, rivals)
        or _decided(
            f"{best} is best ({what} {value}, {interval})", rivals, tied
        )
    ]
    if num_seeds == 1 and interval:
        sentences.append(
            "With one seed, intervals cover other test images but not another "
            "training."
        )
    absent = [name for name, t in trials.items() if t.harmonic_mean is None]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        sentences.append(
            f"{_list(absent)} {verb} not ranked, as runs are missing or failed."
        )
    return " ".join(sentences)


def _undecided(
    best: str, high: str, rivals: Mapping[str, Difference], design: str
) -> str | None:
    """Writes why nothing can be said, `None` if something can."""
    if not rivals:
        return f"{best} reaches a {high}; no other trial can be compared."
    if any(rival.p is None for rival in rivals.values()):
        return (
            f"{best} has the highest {high}, but how sure that is cannot be "
            "said: there are no predictions to compute intervals from, or a "
            "score is 0."
        )
    smallest = next(iter(rivals.values())).smallest_p
    num_trials = len(rivals) + 1
    corrected = min(1.0, smallest * num_trials * len(rivals) / 2)
    if corrected <= 0.05:
        return None
    many = f" ({_p(corrected)} corrected for the pairs of {num_trials} trials)"
    return (
        f"{best} has the highest {high}, but {design} cannot decide this; "
        f"smallest reachable {_p(smallest)}{many if num_trials > 2 else ''}."
    )


def _all_tied(
    best: str, high: str, tied: Sequence[str], rivals: Mapping[str, Difference]
) -> str | None:
    """Writes that no trial is worse, `None` if one is."""
    if len(tied) < len(rivals):
        return None
    return (
        f"{best} has the highest {high}, but {_list(tied)} cannot be told "
        "from it."
    )


def _decided(
    start: str, rivals: Mapping[str, Difference], tied: Sequence[str]
) -> str:
    """Writes which trials cannot be told from the best, and which can."""
    parts = [start]
    if tied:
        parts.append(f"{_list(tied)} cannot be told from it")
    worse = {name: r for name, r in rivals.items() if name not in tied}
    if len(worse) <= _MOST_NAMES:
        parts += [f"{n} is worse by {_loss(r)}" for n, r in worse.items()]
    else:
        losses = [_score(-rival.estimate) for rival in worse.values()]
        largest = max(rival.p_holm or 0 for rival in worse.values())
        parts.append(
            f"{len(worse)} others are worse by {losses[0]} to {losses[-1]} "
            f"({_p(largest)} at most)"
        )
    return "; ".join(parts) + "."


def _describe(trial: "TrialStatistics") -> tuple[str, str]:
    """Writes `0.61` and `95 % 0.58 to 0.64`, empty where unknown."""
    found = trial.harmonic_mean
    if found is None:
        return "", ""
    if found.low is None or found.high is None:
        return _score(found.mean), ""
    interval = f"95 % {_score(found.low)} to {_score(found.high)}"
    return _score(found.mean), interval


def _loss(rival: Difference) -> str:
    """Writes `0.08 (0.05 to 0.11, p = 0.004)`, small losses more exactly."""
    values = [-rival.estimate, -(rival.high or 0.0), -(rival.low or 0.0)]
    digits = 2 if min(values) >= 0.01 else 3
    loss, low, high = (f"{value:.{digits}f}" for value in values)
    return f"{loss} ({low} to {high}, {_p(rival.p_holm or 0.0)})"


def _score(value: float) -> str:
    return f"{value:.2f}"


def _p(p: float) -> str:
    """Writes a p-value.

    Example:

    >>> _p(1 / 32), _p(0.25), _p(0.00001)
    ('p = 0.031', 'p = 0.25', 'p < 0.001')
    """
    if p < 0.001:
        return "p < 0.001"
    return f"p = {f'{p:.3f}'.rstrip('0').rstrip('.')}"


def _count(number: int, noun: str) -> str:
    word = _WORDS[number] if number < len(_WORDS) else str(number)
    return f"{word} {noun}{'' if number == 1 else 's'}"


def _list(names: Sequence[str]) -> str:
    """Writes names as a sentence has them, the first few of many.

    Example:

    >>> _list(["nadam", "adam"])
    'nadam and adam'
    >>> _list(["a", "b", "c", "d", "e"])
    'a, b and 3 others'
    """
    if len(names) > _MOST_NAMES:
        kept = names[: _MOST_NAMES - 1]
        names = [*kept, f"{len(names) - len(kept)} others"]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
