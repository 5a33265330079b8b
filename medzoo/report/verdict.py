"""What a study has shown, in a few sentences made from its numbers."""

import math
from collections.abc import Mapping, Sequence

from medzoo.report.comparisons import Difference
from medzoo.report.summary import StudyStatistics
from medzoo.scores.table import format_mean

_WORDS = (
    "no", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
# How many trials a sentence names before it counts the others.
_MOST_NAMES = 3
# Differences that a reader may want to see, and seeds that may be had.
_TARGETS = (0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)
_MOST_SEEDS = 30


def write_verdict(statistics: StudyStatistics) -> str:
    """Writes which trials are worse or better, equal or undecided.

    They are compared with the baseline, or with the highest trial if there is
    no baseline. Trials are called worse or better by the corrected p-value,
    which is shown: the chance of such a difference between equal trials.
    Of what stays undecided it is said how large a difference may hide, how many
    seeds would show it, and what no number of seeds shows.

    Args:
        statistics: Of the study.
    """
    if statistics.best is None or statistics.reference is None:
        sentences = ["No trial has all its runs, so none is called highest."]
    elif len(statistics.complete) == 1:
        told = _describe(statistics, statistics.best)
        sentences = [
            f"{statistics.best} is the only trial that can be ranked ({told})."
        ]
    else:
        sentences = _compare(statistics, statistics.reference)
    return " ".join([*sentences, *_warn(statistics)])


def describe_looks(statistics: StudyStatistics) -> str:
    """Says how often a study was looked at, and by which rules."""
    looks = statistics.looks
    if looks is None:
        return ""
    numbers = _join([str(number) for number in looks.planned])
    return (
        f"Looks after {numbers} seeds share one level of 5 %. A trial is "
        "settled as better or worse if p after correction is the level spent "
        "at most, and as undecided if further seeds would hardly settle it; "
        "it gets no more seeds."
    )


def describe_verdicts(statistics: StudyStatistics) -> str:
    """Says what the words of the column `verdict` mean."""
    if statistics.reference is None:
        return ""
    equal = ""
    level = "0.05"
    if statistics.looks is not None:
        level = "the level spent by its last look"
    if statistics.equal_within is not None:
        equal = f", equal if its interval is within {statistics.equal_within:g}"
    return (
        f"Verdict: against {statistics.reference}, better or worse if p after "
        f"correction is {level} at most{equal}, else undecided."
    )


def _compare(statistics: StudyStatistics, reference: str) -> list[str]:
    """Writes what all other trials are to one, the highest trial included."""
    found = {
        name: difference
        for name in statistics.complete
        if (difference := statistics.to_reference(name)) is not None
    }
    # The largest difference first.
    found = dict(sorted(found.items(), key=lambda kv: -abs(kv[1].estimate)))
    highest = _format_highest(statistics)
    if all(difference.p is None for difference in found.values()):
        return [highest, _format_unknown(statistics)]
    # Several, if the highest was another one at each look.
    others = dict.fromkeys([reference, *(d.other for d in found.values())])
    decided: list[str] = []
    rest: list[str] = []
    for other in others:
        of_other = {n: d for n, d in found.items() if d.other == other}
        told, left = _compare_to(statistics, of_other, other)
        decided, rest = decided + told, rest + left
    # Without anything decided, a reader looks for the highest first.
    return [*decided, *rest, highest] if decided else [highest, *rest]


def _compare_to(
    statistics: StudyStatistics, found: Mapping[str, Difference], reference: str
) -> tuple[list[str], list[str]]:
    """Writes what is decided of trials beside one, and what is not."""
    sides = {
        verdict: {n: d for n, d in found.items() if d.verdict == verdict}
        for verdict in ("worse", "better", "equal", "undecided")
    }
    decided = [
        _format_sides(verdict, sides[verdict], reference)
        for verdict in ("worse", "better")
        if sides[verdict]
    ]
    if sides["equal"]:
        names = list(sides["equal"])
        verb = "is" if len(names) == 1 else "are"
        decided.append(
            f"{_list(names)} {verb} practically equal to {reference} (within "
            f"{statistics.equal_within:g})."
        )
    return decided, _format_undecided(
        statistics, list(sides["undecided"]), reference
    )


def _format_sides(
    verdict: str, found: Mapping[str, Difference], reference: str
) -> str:
    """Writes which trials are better, or worse, and by how much."""
    if len(found) <= _MOST_NAMES:
        parts = [f"by {_loss(d)}" for d in found.values()]
        told = [
            f"{name} is {verdict} than {reference} {part}"
            if at == 0
            else f"{name} {part}"
            for at, (name, part) in enumerate(zip(found, parts, strict=True))
        ]
        return f"{_join(told)}."
    sizes = [f"{abs(d.estimate):.2f}" for d in found.values()]
    largest = max(d.p_corrected or 0 for d in found.values())
    return (
        f"{_list(list(found))} are {verdict} than {reference} by {sizes[-1]} "
        f"to {sizes[0]} ({format_p(largest)} at most)."
    )


def _format_undecided(
    statistics: StudyStatistics, names: Sequence[str], reference: str
) -> list[str]:
    """Writes what cannot be told, and what it would take."""
    if not names:
        return []
    if len(names) == len(statistics.complete) - 1 > 1:
        what = f"No other trial can be told from {reference}"
    elif len(names) > _MOST_NAMES:
        what = (
            f"The other {_number(len(names))} cannot be told from {reference}"
        )
    else:
        what = f"{_list(names)} cannot be told from {reference}"
    if statistics.num_seeds == 1:
        return [
            f"{what} with one seed: intervals cover other test images but not "
            "another training. Three seeds are the least."
        ]
    counts = [statistics.trials[name].num_seeds for name in names]
    told = f"{what} with {_span(counts)} seeds"
    hints = _format_plan(statistics, min(counts))
    return [f"{told}: {hints}." if hints else f"{told}."]


def _span(counts: Sequence[int]) -> str:
    """Writes `3`, or `3 to 12`."""
    return " to ".join(map(str, dict.fromkeys((min(counts), max(counts)))))


def _format_plan(statistics: StudyStatistics, num_seeds: int) -> str:
    """Writes what may hide, which seeds would show it, and what none shows."""
    plan = statistics.plan
    if plan is None:
        return ""
    hidden = plan.detectable(num_seeds)
    looks = statistics.looks
    ended = looks is not None and not looks.missing
    most = max(looks.planned) if looks and ended else num_seeds
    if hidden < 0.001:
        return ""
    # Those that spread too far to be planned for are named behind.
    among = " among steady trials" * bool(statistics.unsteady)
    parts = [f"a difference under {_up(hidden)} would stay hidden{among}"]
    floor = plan.smallest_visible
    for target in _TARGETS:
        needed = plan.seeds_needed(target)
        if target >= 0.9 * hidden or needed is None:
            continue
        if most < needed <= _MOST_SEEDS:
            parts.append(f"{needed} seeds would show {target:g}")
            break
    text = "; ".join(parts)
    if floor < 0.01:
        return text
    tests = "this test set"
    if statistics.num_tasks > 1:
        tests = f"these {_number(statistics.num_tasks)} test sets"
    shown = math.floor(floor * 100) / 100
    joint = ", and" if len(parts) > 1 else ";"
    return f"{text}{joint} on {tests} nothing shows {shown:.2f}"


def _format_highest(statistics: StudyStatistics) -> str:
    """Writes which trial is highest, and which are tied with it."""
    best = str(statistics.best)
    told = f"{best} is highest ({_describe(statistics, best)})"
    tied = statistics.tied
    # Those that come next first.
    means = {n: t.harmonic_mean for n, t in statistics.trials.items()}
    tied.sort(key=lambda name: -getattr(means[name], "mean", 0.0))
    return f"{told}, tied with {_list(tied)}." if tied else f"{told}."


def _format_unknown(statistics: StudyStatistics) -> str:
    if statistics.num_seeds == 1:
        return (
            "With one seed no trial can be told from another: intervals cover "
            "other test images but not another training. Three seeds are the "
            "least."
        )
    return (
        "How sure that is cannot be said: there are no predictions to compute "
        "intervals from."
    )


def _warn(statistics: StudyStatistics) -> list[str]:
    """Writes of runs that diverged or are missing, and of unsteady trials."""
    sentences = []
    absent = []
    for name, trial in statistics.trials.items():
        if trial.diverged:
            seeds = f"{trial.diverged} of {trial.num_seeds} seeds"
            sentences.append(
                f"{name} diverged with {seeds}, so it is ranked last."
            )
        elif trial.harmonic_mean is None:
            absent.append(name)
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        sentences.append(
            f"{_list(absent)} {verb} not ranked, as runs are missing or failed."
        )
    looks = statistics.looks
    if looks is not None and looks.missing:
        sentences.append(
            f"The look at {looks.given[looks.missing[0]]} seeds waits for runs "
            f"of {_list(looks.missing)}."
        )
    if unsteady := statistics.unsteady:
        sentences.append(
            f"The seeds of {_list(unsteady)} spread over three times as far as "
            "those of the other trials: further ones may fail."
        )
    return sentences


def _describe(statistics: StudyStatistics, name: str) -> str:
    """Writes `harmonic mean 0.61, 95 % 0.58 to 0.64`."""
    what = format_mean(statistics.score, statistics.num_tasks)
    found = statistics.trials[name].harmonic_mean
    if found is None:
        return what
    told = f"{what} {found.mean:.2f}"
    if found.low is None or found.high is None:
        return told
    return f"{told}, 95 % {found.low:.2f} to {found.high:.2f}"


def _loss(difference: Difference) -> str:
    """Writes `0.08 (0.05 to 0.11, p = 0.004)`, small losses more exactly."""
    ends = abs(difference.low or 0.0), abs(difference.high or 0.0)
    values = [abs(difference.estimate), min(ends), max(ends)]
    digits = 2 if min(values) >= 0.01 else 3
    size, low, high = (f"{value:.{digits}f}" for value in values)
    return (
        f"{size} ({low} to {high}, {format_p(difference.p_corrected or 0.0)})"
    )


def _up(value: float) -> str:
    """Rounds up to two digits after the point, small values to three."""
    digits = 2 if value >= 0.01 else 3
    return f"{math.ceil(value * 10**digits - 1e-9) / 10**digits:.{digits}f}"


def format_p(p: float) -> str:
    """Writes a p-value.

    Example:

    >>> format_p(1 / 32), format_p(0.25), format_p(0.00001)
    ('p = 0.031', 'p = 0.25', 'p < 0.001')
    """
    if p < 0.001:
        return "p < 0.001"
    return f"p = {f'{p:.3f}'.rstrip('0').rstrip('.')}"


def _number(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)


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
    return _join(names)


def _join(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
