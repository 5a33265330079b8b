"""Trials of two studies on the same test images, pair by pair."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from medzoo.record import Record
from medzoo.report.comparisons import TrialScores
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import EVIDENCE, read_evidence
from medzoo.report.looks import Looks
from medzoo.report.results import TrialResults
from medzoo.report.summary import StudyStatistics, summarise_scores
from medzoo.report.tables import Table
from medzoo.store import Reader, Store
from medzoo.study.spec import read_study


def is_evidence(name: str) -> bool:
    """Says whether that is an evidence file or a folder, no name of a study."""
    path = Path(name)
    is_bare = len(path.parts) == 1 and not (path / EVIDENCE).is_file()
    return path.suffix == ".zip" or (path.is_dir() and not is_bare)


def open_evidence(name: str) -> Evidence:
    """Reads a study from a folder of results, its evidence file, or the store.

    Args:
        name: A path to the folder or the file, else the name of a study.
    """
    if is_evidence(name):
        return read_evidence(Path(name))
    return Evidence.read(read_study(name), Store())


def compare_studies(
    one: Evidence, other: Evidence, *, names: tuple[str, str] | None = None
) -> Table:
    """Compares each trial of a study with each of another.

    They are paired by the seeds, tasks and test images that both have. A trial
    whose runs both studies share is compared as one of the first alone.
    P-values are corrected over all pairs of all of these trials. Of more than
    200 of them, the best 40 of the first study are compared with the second's.

    Args:
        one: The first study.
        other: The second.
        names: Of both, as they stand before trials; their titles if left out.

    Returns:
        A row a pair, the largest difference first.

    Raises:
        ValueError: If they are unfinished, smoke runs, or of another score,
            share no task or seed, were tested on other images, or the second
            has no run of its own.
    """
    concluded = one.is_concluded and other.is_concluded
    if not concluded or one.study.score != other.study.score:
        raise ValueError(
            "Only finished studies that are judged by the same score can be "
            f"compared. Received: {_word(one)} and {_word(other)}."
        )
    own, theirs = one.results[0], other.results[0]
    seeds = tuple(seed for seed in own.seeds if seed in theirs.seeds)
    tasks = tuple(task for task in own.tasks if task in theirs.tasks)
    if not seeds or not tasks:
        raise ValueError(
            "The studies share no task, or no seed. Expected some of both. "
            f"Received: {_word(one)} and {_word(other)}."
        )
    first = _restrict(one, seeds, tasks)
    second = _restrict(other, seeds, tasks)
    for task in tasks:
        _require_same_images(task, (one, first), (other, second))
    known = {_ids(trial) for trial in first}
    second = [trial for trial in second if _ids(trial) not in known]
    if not second:
        raise ValueError(
            "All runs of the second study are runs of the first. Expected "
            f"others to compare. Received: {_word(one)} and {_word(other)}."
        )
    before = names or (one.title, other.title)
    scores = [_score(before[0], trial, one.store) for trial in first]
    mine = len(scores)
    scores += [_score(before[1], trial, other.store) for trial in second]
    statistics = summarise_scores(
        scores,
        tasks,
        score=one.study.score,
        equal_within=one.study.equal_within,
        overlap=max(trial.overlap for trial in (*first, *second)),
    )
    ours = {trial.name for trial in scores[:mine]}
    return _make_table(statistics, ours)


def _word(evidence: Evidence) -> str:
    study = evidence.study
    return (
        f"{evidence.title} ({study.score}; tasks {', '.join(study.tasks)}; "
        f"seeds {', '.join(map(str, study.seeds))}; {evidence.num_done} of "
        f"{evidence.num_runs} runs)"
    )


def _restrict(
    evidence: Evidence, seeds: tuple[int, ...], tasks: tuple[str, ...]
) -> list[TrialResults]:
    """Keeps some seeds and tasks of each trial."""
    cells = {(seed, task) for seed in seeds for task in tasks}
    return [
        replace(
            trial,
            seeds=seeds,
            tasks=tasks,
            runs={k: v for k, v in trial.runs.items() if k in cells},
            records={k: v for k, v in trial.records.items() if k in cells},
            looks=_give(trial, seeds),
        )
        for trial in evidence.results
    ]


def _give(trial: TrialResults, seeds: tuple[int, ...]) -> Looks | None:
    """Keeps of which seeds a trial is judged that was settled early."""
    if trial.looks is None:
        return None
    given = set(trial.seeds[: trial.num_given]) & set(seeds)
    return Looks((), given={trial.trial.name: len(given)})


def _require_same_images(
    task: str, *studies: tuple[Evidence, list[TrialResults]]
) -> None:
    """Compares content and labels of the test images of all runs of a seed."""
    first: dict[int, tuple[str, np.ndarray]] = {}
    titles = " and ".join(evidence.title for evidence, _ in studies)
    for evidence, results in studies:
        for seed, found, theirs in _list_images(task, evidence.store, results):
            content, labels = first.setdefault(seed, (found, theirs))
            if content != found or not np.array_equal(labels, theirs):
                raise ValueError(
                    f"{titles} were tested on other images of `{task}`, seed "
                    f"{seed}. Expected the same, as trials are compared image "
                    f"by image. Received: {content} ({len(labels)} images) and "
                    f"{found} ({len(theirs)} images)."
                )


def _list_images(
    task: str, store: Reader, results: Iterable[TrialResults]
) -> Iterator[tuple[int, str, np.ndarray]]:
    """Yields seed, content and labels of the test split of each run."""
    for trial in results:
        for (seed, name), record in trial.records.items():
            test = store.read_task(record.run_id, task).test
            if name == task and test is not None:
                yield seed, _identify(record, task), test.labels


def _identify(record: Record, task: str) -> str:
    """Names the images of a task, whatever their size, and their split."""
    parts = record.data_fingerprint.split("+")
    tasks = record.run.tasks
    part = parts[tasks.index(task)] if len(parts) == len(tasks) else parts[0]
    content, _, split = part.partition(", ")
    name = "-".join(content.split(":")[:2])
    return ", ".join(filter(None, (name, split)))


def _ids(trial: TrialResults) -> tuple[str, ...]:
    cells = sorted(trial.runs.items())
    return tuple(run.run_id for _, run in cells)


def _score(study: str, trial: TrialResults, store: Reader) -> TrialScores:
    return TrialScores(
        f"{study}: {trial.trial.name}",
        trial.matrix(trial.score),
        trial.read_replicates(store),
        trial.diverged,
        trial.num_given,
    )


def _make_table(statistics: StudyStatistics, ours: set[str]) -> Table:
    pairs = [
        (name, found)
        for name in statistics.trials
        if name in ours
        for other, found in statistics.trials[name].to_others.items()
        if other not in ours
    ]
    pairs.sort(key=lambda pair: -abs(pair[1].estimate))
    return Table(
        ("trial", "minus", "difference", "p", "verdict"),
        [[name, d.other, d, d.p_corrected, d.verdict] for name, d in pairs],
    )
