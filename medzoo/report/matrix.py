"""Records of a study on the grid of its trials, seeds and tasks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from medzoo.study.expand import Planned
from medzoo.study.trials import Trial
from medzoo.training.record import Record
from medzoo.training.run import Run


@dataclass(frozen=True)
class TrialResults:
    """The runs of one trial and the records that there are of them.

    Args:
        trial: The trial.
        seeds: Rows of its score matrices.
        tasks: Columns of its score matrices.
        runs: By seed and task.
        records: By seed and task, of the runs that have one.
    """

    trial: Trial
    seeds: tuple[int, ...]
    tasks: tuple[str, ...]
    runs: dict[tuple[int, str], Run] = field(default_factory=dict)
    records: dict[tuple[int, str], Record] = field(default_factory=dict)

    @property
    def done(self) -> list[Record]:
        """Records of the runs that are done: neither failed nor diverged."""
        return [r for r in self.records.values() if r.status == "done"]

    @property
    def failed(self) -> list[Record]:
        """Records of the runs that failed or diverged."""
        return [r for r in self.records.values() if r.status != "done"]

    def matrix(self, score: str, split: str = "test") -> np.ndarray:
        """Lays out one score of every run.

        Args:
            score: Name of the score, such as `macro_f1`.
            split: `val` or `test`.

        Returns:
            `float64`, shape `(num_seeds, num_tasks)`; NaN where a run is
            missing, failed or diverged, or has no such score.
        """
        values = np.full((len(self.seeds), len(self.tasks)), np.nan)
        for row, seed in enumerate(self.seeds):
            for column, task in enumerate(self.tasks):
                record = self.records.get((seed, task))
                if record is not None and record.status == "done":
                    value = record.scores.get(split, {}).get(score)
                    values[row, column] = np.nan if value is None else value
        return values


def gather(
    planned: Iterable[Planned], records: Mapping[str, Record]
) -> list[TrialResults]:
    """Sorts records into the trials that asked for their runs.

    Args:
        planned: Every run of a study beside its trial.
        records: By `run_id`; those of other studies are left aside.

    Returns:
        One entry a trial, in the order of the study.
    """
    planned = list(planned)
    seeds = tuple(dict.fromkeys(item.run.seed for item in planned))
    tasks = tuple(dict.fromkeys(item.run.task for item in planned))
    trials: dict[str, TrialResults] = {}
    for trial, run in ((item.trial, item.run) for item in planned):
        found = trials.setdefault(trial.name, TrialResults(trial, seeds, tasks))
        found.runs[run.seed, run.task] = run
        if run.run_id in records:
            found.records[run.seed, run.task] = records[run.run_id]
    return list(trials.values())
