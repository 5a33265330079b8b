"""From the axes of a study file to its trials."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from pydantic import ValidationError

from medzoo.messages import not_listed
from medzoo.models.options import Value
from medzoo.runs.rules import predicts_masks
from medzoo.runs.run import Run
from medzoo.scores.table import SCORES
from medzoo.study.document import Document, join_tables, list_wrong_keys
from medzoo.study.source import KeyPath, Source, find_faults, format_key


@dataclass(frozen=True)
class Trial:
    """One choice of axis values.

    Args:
        name: The name that the file gives it; else its word of the only axis,
            such as `adam`, or its axes with their values, such as `alpha=0.5`
            or `model=mlp, width=64`.
        values: Its value of every axis of the study, as its runs have it: a
            `width` that the file leaves out is the model's default. An axis
            that its model does not have is absent.
    """

    name: str
    values: dict[str, Value] = field(hash=False)


class Trials(NamedTuple):
    """The trials of a study, what differs, what does not, and the baseline."""

    trials: tuple[Trial, ...]
    axis_names: tuple[str, ...]
    fixed: dict[str, Value]
    baseline: Trial | None


def make_trials(source: Source, document: Document) -> Trials:
    """Makes the trials: those of each grid in turn, then explicit ones.

    Raises:
        ValueError: For a key that the runs of a trial do not have, a wrong
            value, trials that do not differ, or a baseline that is not one.
    """
    _require_few(source, document)
    drafts = _list_drafts(document)
    runs = [draft.make_run(source, document) for draft in drafts]
    for tuned in document.tuned.candidates() if document.tuned else []:
        for draft in drafts:
            draft.make_run(source, document, tuned)
    names = dict.fromkeys(key for draft in drafts for key in draft.values)
    flat = [run.flatten() for run in runs]
    found = {name: [values.get(name) for values in flat] for name in names}
    same = {name: v[0] for name, v in found.items() if len(set(v)) == 1}
    axis_names = tuple(name for name in names if name not in same)
    trials = tuple(
        _make_trial(draft, run, axis_names)
        for draft, run in zip(drafts, runs, strict=True)
    )
    _require_differences(source, drafts, runs, trials)
    _require_masks(source, document.score, runs)
    baseline = _find_baseline(source, document.baseline, trials)
    fixed = document.fixed | same
    return Trials(trials, axis_names, fixed, baseline)


@dataclass(frozen=True)
class _Draft:
    """A trial as the file has it.

    Args:
        path: Its table in the file.
        values: Its keys, but for fixed ones and its name.
        name: The name that the file gives it, if any.
    """

    path: KeyPath
    values: dict[str, Value]
    name: str = ""

    def make_run(
        self,
        source: Source,
        document: Document,
        tuned: Mapping[str, Value] = MappingProxyType({}),
    ) -> Run:
        """Makes the trial's run on the first task, which checks every value.

        Raises:
            ValueError: For a key that the run does not have, or a wrong value.
        """
        tables = {
            ("fixed",): document.fixed,
            ("tuned",): tuned,
            self.path: self.values,
        }
        if faults := list_wrong_keys(tables):
            raise source.fault(*faults)
        values, paths = join_tables(tables)
        try:
            return Run(**document.first_cell(), **values)
        except ValidationError as error:
            faults = find_faults(error, paths, self.path)
            raise source.fault(*faults) from None


# More are a slip of a file: nobody reads the table.
MOST_TRIALS = 100_000


def _require_few(source: Source, document: Document) -> None:
    grids = (map(len, grid.values()) for grid in document.axes)
    count = sum(math.prod(lengths) for lengths in grids) + len(document.trials)
    lists = document.tuned.values.values() if document.tuned else ()
    for key, number in (
        ("axes", count),
        ("tuned", count * math.prod(map(len, lists))),
    ):
        if number > MOST_TRIALS:
            sentence = (
                f"`{key}` makes {number:,} trials or candidates. Expected at "
                f"most {MOST_TRIALS:,}. Split the study, or vary fewer keys."
            )
            raise source.fault(((key,), sentence))


def _list_drafts(document: Document) -> list[_Draft]:
    grids = [
        _Draft(("axes", index), dict(zip(grid, values, strict=True)))
        for index, grid in enumerate(document.axes)
        for values in itertools.product(*grid.values())
    ]
    explicit = [
        _Draft(
            ("trials", index),
            {key: value for key, value in table.items() if key != "name"},
            str(table.get("name", "")),
        )
        for index, table in enumerate(document.trials)
    ]
    return grids + explicit


def _make_trial(draft: _Draft, run: Run, axis_names: tuple[str, ...]) -> Trial:
    flat = run.flatten()
    values = {k: flat[k] for k in axis_names if flat.get(k) is not None}
    if len(axis_names) == 1 and isinstance(values.get(axis_names[0]), str):
        name = str(values[axis_names[0]])
    else:
        shown = values or draft.values
        name = ", ".join(f"{key}={value}" for key, value in shown.items())
    return Trial(draft.name or name or "default", values)


def _require_differences(
    source: Source,
    drafts: list[_Draft],
    runs: list[Run],
    trials: tuple[Trial, ...],
) -> None:
    """Refuses two trials that train alike, or that are called alike."""
    called: set[str] = set()
    names: dict[Run, str] = {}
    for draft, run, trial in zip(drafts, runs, trials, strict=True):
        if run in names:
            sentence = f"`{trial.name}` is the same trial as `{names[run]}`."
        elif trial.name in called:
            sentence = f"Two trials are called `{trial.name}`."
        else:
            called.add(trial.name)
            names[run] = trial.name
            continue
        raise source.fault(
            (draft.path, f"{sentence} Expected trials that differ.")
        )


def _require_masks(source: Source, score: str, runs: list[Run]) -> None:
    """Refuses a score of masks for a trial that predicts none."""
    for run in runs:
        if sentence := describe_no_masks(score, run):
            raise source.fault((("score",), sentence))


def describe_no_masks(score: str, run: Run) -> str:
    """Says that a score needs masks that a run does not predict; else empty."""
    if SCORES[score].needs != "masks" or predicts_masks(run):
        return ""
    return (
        f"`score` of {score} needs a model that predicts masks, such as "
        "`unet`. Expected it, or score = 'macro_f1'. "
        f"Received: model={run.model!r}."
    )


def _find_baseline(
    source: Source,
    wanted: dict[str, Value],
    trials: tuple[Trial, ...],
) -> Trial | None:
    """Finds the one trial that has the wanted values, or the wanted name."""
    if not wanted:
        return None
    known = dict.fromkeys(key for trial in trials for key in trial.values)
    unknown: list[KeyPath] = [
        ("baseline", key) for key in wanted if key not in {"name", *known}
    ]
    if unknown:
        what = "an axis of this study"
        faults = [(p, not_listed(format_key(p), what, known)) for p in unknown]
        raise source.fault(*faults)
    found = [
        trial
        for trial in trials
        if wanted.items() <= {"name": trial.name, **trial.values}.items()
    ]
    if len(found) != 1:
        sentence = (
            f"`baseline` picks {len(found)} of the {len(trials)} trials. "
            f"Expected exactly one of: {'; '.join(t.name for t in trials)}. "
            f"Received: baseline={wanted!r}."
        )
        raise source.fault((("baseline",), sentence))
    return found[0]
