"""Records of a study on the grid of its trials, seeds and tasks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from medzoo.record import Record
from medzoo.report.bootstrap import NUM_REPLICATES, read_many_replicates
from medzoo.report.heads import is_trained
from medzoo.report.looks import Looks, list_looks, look_until_decided
from medzoo.report.own_scores import with_own_scores
from medzoo.report.statistics import (
    harmonic_mean_by_seed,
    harmonic_mean_over_tasks,
    mean_over_tasks,
)
from medzoo.runs.run import Run
from medzoo.store import Reader, Store
from medzoo.study.expand import PlannedRun, expand
from medzoo.study.spec import Study
from medzoo.study.trials import Trial
from medzoo.study.tuning import plan_runs
from medzoo.tasks import format_tasks

# Runs beyond which a report has no histories, rows of runs on its page, images
# nor evidence: tables and figures of trials, and `runs.csv`, are what is left.
MOST_SHOWN = 10_000


@dataclass(frozen=True)
class TrialResults:
    """The runs of one trial and the records that there are of them.

    Args:
        trial: The trial.
        seeds: Rows of its score matrices.
        tasks: Columns of its score matrices.
        runs: By seed and task; absent where tuned values are not chosen yet.
        records: By seed and task, of the runs that have one.
        tuned: Fields and options that were chosen on val for each task.
        shared: Whether one run fills the cells of all tasks. Its record then
            is in each of them as that of the task.
        in_all: Whether its costs are sums over all of its nets, as in a study
            that compares one net of all tasks with separate ones.
        score: Name of the score that the trial is judged by.
        looks: The looks at its study, if there are any.
    """

    trial: Trial
    seeds: tuple[int, ...]
    tasks: tuple[str, ...]
    runs: dict[tuple[int, str], Run] = field(default_factory=dict)
    records: dict[tuple[int, str], Record] = field(default_factory=dict)
    tuned: tuple[str, ...] = ()
    shared: bool = False
    in_all: bool = False
    score: str = "macro_f1"
    looks: Looks | None = None

    @property
    def num_given(self) -> int:
        """Number of seeds that the trial is judged by, the first ones."""
        if self.looks is None:
            return len(self.seeds)
        return self.looks.held[self.trial.name]

    @property
    def num_nets(self) -> int:
        """Number of nets for all tasks, and so of runs a seed."""
        return 1 if self.shared else len(self.tasks)

    @property
    def num_asked(self) -> int:
        """Number of runs that make the trial complete."""
        return self.num_given * self.num_nets

    @cached_property
    def done(self) -> list[Record]:
        """Records of the runs that are done: neither failed nor diverged."""
        return self._with_status("done")

    @cached_property
    def failed(self) -> list[Record]:
        """Records of the runs that failed or diverged."""
        return self._with_status("failed", "diverged")

    @property
    def has_ended(self) -> bool:
        """Whether all runs are done, failed or diverged."""
        return len(self.done) + len(self.failed) == self.num_asked

    @property
    def diverged(self) -> int:
        """Number of seeds of which a run diverged."""
        cells = self.records.items()
        return len({s for (s, _), r in cells if r.status == "diverged"})

    @cached_property
    def overlap(self) -> float:
        """Images of test by those of train and val, where seeds share them.

        Each seed of `resplit` and `folds` holds out other images of the same
        ones, so that training sets overlap; 0 for seeds that share one split.
        """
        shares = [
            r.num_images.get("test", 0)
            / max(r.num_images.get("train", 0) + r.num_images.get("val", 0), 1)
            for r in self.done
            if r.run.is_resplit
        ]
        return max(shares, default=0.0)

    @cached_property
    def kinds(self) -> list[Run]:
        """A run of each task; the others differ in their seed alone."""
        first = {task: run for (_, task), run in reversed(self.runs.items())}
        return list(reversed(first.values()))

    @property
    def has_masks(self) -> bool:
        """Whether a finished run predicts masks."""
        return any(record.mask_classes for record in self.done)

    @cached_property
    def costs(self) -> dict[str, float]:
        """Averages the costs of the runs that are done.

        Parameters and seconds of training are those of all nets of a seed if
        `in_all`. A cost that no run has is NaN.
        """
        done = self.done
        values: dict[str, list[Any]] = {
            "parameters": [r.parameters.total for r in done if r.parameters],
            "mflops": [r.flops / 1e6 for r in done if r.flops is not None],
            "train_seconds": [
                r.seconds["train"] for r in done if "train" in r.seconds
            ],
            "images_per_second": [
                r.images_per_second for r in done if r.images_per_second
            ],
        }
        nets = self.num_nets if self.in_all else 1
        summed = {"parameters": nets, "train_seconds": nets}
        return {
            name: sum(found) / len(found) * summed.get(name, 1)
            if found
            else math.nan
            for name, found in values.items()
        }

    def of_task(self, task: str) -> list[Record]:
        """Returns the records of one task, one a seed."""
        return [r for (_, name), r in self.records.items() if name == task]

    def _with_status(self, *statuses: str) -> list[Record]:
        """Lists each run once."""
        found = {r.run_id: r for r in self.records.values()}
        return [r for r in found.values() if r.status in statuses]

    def matrix(self, score: str, split: str = "test") -> np.ndarray:
        """Lays out one score of every run.

        Args:
            score: Name of the score, such as `macro_f1`.
            split: `val` or `test`.

        Returns:
            `float64`, shape `(num_seeds, num_tasks)`; NaN where a run is
            missing, failed or diverged, or has no such score, and where the
            score is not its own but of a head that no loss has trained.
        """
        rows, columns, records = self._done_cells
        values = np.full((len(self.seeds), len(self.tasks)), np.nan)
        found = [record.scores.get(split, {}).get(score) for record in records]
        # NumPy has NaN for `None`.
        values[rows, columns] = np.array(found, dtype="float64")
        values[:, [not self._shows(task, score) for task in self.tasks]] = (
            np.nan
        )
        return values

    def _shows(self, task: str, score: str) -> bool:
        run = self._recorded.get(task)
        return score == self.score or run is None or is_trained(run, score)

    @cached_property
    def _recorded(self) -> dict[str, Run]:
        """A run of each task with a record; others differ in their seed."""
        return {task: r.run for (_, task), r in self.records.items()}

    @cached_property
    def _done_cells(self) -> tuple[np.ndarray, np.ndarray, list[Record]]:
        """Rows, columns and records of the runs that are done."""
        rows = {seed: row for row, seed in enumerate(self.seeds)}
        columns = {task: column for column, task in enumerate(self.tasks)}
        done = {
            (rows[seed], columns[task]): record
            for (seed, task), record in self.records.items()
            if record.status == "done"
        }
        places = np.array([*done], dtype=int).reshape(-1, 2)
        return places[:, 0], places[:, 1], list(done.values())

    def read_replicates(
        self, store: Reader, tasks: Sequence[str] | None = None
    ) -> np.ndarray:
        """Lays out the bootstraps of its score on test like its score matrix.

        Args:
            store: Holds the predictions of its runs.
            tasks: Columns; all tasks if left out.

        Returns:
            Shape `(NUM_REPLICATES, num_seeds, num_tasks)`; NaN where a run has
            none.
        """
        return self.read_many_replicates(store, [self.score], tasks)[self.score]

    def read_many_replicates(
        self,
        store: Reader,
        scores: Sequence[str],
        tasks: Sequence[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Lays out the bootstraps of several scores, as `read_replicates`."""
        tasks = self.tasks if tasks is None else tasks
        # One behind the other as they are read, and last of all by replicate:
        # numbers that are far from each other in memory take long to write.
        shape = (len(self.seeds), len(tasks), NUM_REPLICATES)
        matrices = {score: np.full(shape, np.nan) for score in scores}
        for column, task in enumerate(tasks):
            shown = [name for name in scores if self._shows(task, name)]
            for row, seed in enumerate(self.seeds):
                record = self.records.get((seed, task))
                if record is None:
                    continue
                found = read_many_replicates(store, record, shown, task)
                for score, drawn in found.items():
                    matrices[score][row, column] = drawn
        return {
            score: np.ascontiguousarray(np.moveaxis(matrix, -1, 0))
            for score, matrix in matrices.items()
        }

    def find_lost(self) -> np.ndarray:
        """Says which seeds have a run that ended without a score."""
        lost = {
            seed
            for (seed, _), record in self.records.items()
            if record.status in ("failed", "diverged")
            or (record.status == "done" and not self._has_score(record))
        }
        return np.array([seed in lost for seed in self.seeds])

    def _has_score(self, record: Record) -> bool:
        return record.scores.get("test", {}).get(self.score) is not None

    def judged_by(self, looks: Looks) -> "TrialResults":
        """Returns the trial with the seeds that looks have judged it by."""
        seeds = self.seeds[: max(looks.held.values())]
        own = self.seeds[: looks.held[self.trial.name]]
        return replace(
            self,
            seeds=seeds,
            runs={k: v for k, v in self.runs.items() if k[0] in own},
            records={k: v for k, v in self.records.items() if k[0] in own},
            looks=looks,
        )


def describe_cell(run: Run) -> str:
    """Words the task and seed of a run."""
    return f"{format_tasks(run.task)}, seed {run.seed}"


def read_results(
    study: Study, store: Store, *, smoke: bool = False
) -> list[TrialResults]:
    """Reads the records of a study, in the order of its trials.

    Of a study until decided they are those of the last look at it, so that the
    results do not depend on where it was interrupted.

    Args:
        study: The question and its trials.
        store: Where the records are.
        smoke: Whether to read those of a smoke run.
    """
    results = read_every_seed(study, store, smoke=smoke)
    if smoke or not study.is_looked_at:
        return results
    looks = _look(study, results, store)
    return [trial.judged_by(looks) for trial in results]


def give_seeds(study: Study, store: Store, *, smoke: bool = False) -> Study:
    """Returns a study with the seeds that looks have given its trials so far.

    A study that is not run until decided is returned as it is.
    """
    if smoke or not study.is_looked_at:
        return study
    study = replace(study, given={})
    results = read_every_seed(study, store, smoke=smoke)
    return replace(study, given=_look(study, results, store).given)


def _look(study: Study, results: list[TrialResults], store: Store) -> Looks:
    """Looks at the records of a study, as often as there are seeds for it."""
    matrices = np.stack([trial.matrix(trial.score) for trial in results])
    replicates = np.stack([t.read_replicates(store) for t in results], axis=1)
    return look_until_decided(
        [trial.trial.name for trial in results],
        harmonic_mean_by_seed(matrices),
        harmonic_mean_by_seed(replicates),
        lost=np.stack([trial.find_lost() for trial in results]),
        baseline=study.baseline.name if study.baseline else None,
        looks=list_looks(study.max_seeds),
        margin=study.equal_within,
        overlap=max(trial.overlap for trial in results),
    )


def read_every_seed(
    study: Study, store: Store, *, smoke: bool = False
) -> list[TrialResults]:
    """Reads records as `read_results`, of a study until decided all of them."""
    planned = plan_runs(study, store, smoke=smoke)
    runs = {item.run.run_id: item.run for item in planned}
    is_large = len(runs) > MOST_SHOWN
    records = _read_records(runs, store, history=not is_large)
    records = with_own_scores(records, store, study.asked_scores)
    return gather(
        planned,
        records,
        cells=expand(study, smoke=smoke),
        tuned=study.tuned.values if study.tuned else (),
        score=study.score,
    )


def _read_records(
    runs: Mapping[str, Run], store: Store, *, history: bool
) -> dict[str, Record]:
    """Reads the records that there are of runs, each with the run given.

    The same data may have been read by another path, which says nothing here
    and may be of another machine.
    """
    found = {}
    for run_id, run in runs.items():
        record = store.read(run_id, history=history)
        if record is not None:
            record.run = run
            # Nothing asks for it, and it takes 2 kB of each record.
            record.model_fields_set.clear()
            found[run_id] = record
    return found


def gather(
    planned: Iterable[PlannedRun],
    records: Mapping[str, Record],
    *,
    cells: Iterable[PlannedRun] | None = None,
    tuned: Iterable[str] = (),
    score: str = "macro_f1",
) -> list[TrialResults]:
    """Sorts records into the trials that they belong to.

    Args:
        planned: Every run of a study beside its trial.
        records: By `run_id`; those of other studies are left aside.
        cells: The same before values were tuned, so that trials, seeds and
            tasks without a choice have their empty cells.
        tuned: Fields and options that were chosen on val.
        score: Name of the score that trials are judged by.

    Returns:
        One entry a trial, in the order of the study.
    """
    planned = list(planned)
    cells = planned if cells is None else list(cells)
    seeds = tuple(dict.fromkeys(item.run.seed for item in cells))
    tasks = tuple(dict.fromkeys(t for _, run in cells for t in run.tasks))
    in_all = any(len(item.run.tasks) > 1 for item in cells)
    first = {item.trial.name: item for item in reversed(cells)}
    trials = {
        name: TrialResults(
            first[name].trial,
            seeds,
            tasks,
            tuned=tuple(tuned),
            shared=len(first[name].run.tasks) > 1,
            in_all=in_all,
            score=score,
        )
        for name in dict.fromkeys(item.trial.name for item in cells)
    }
    for trial, run in planned:
        found = trials[trial.name]
        for task in run.tasks:
            found.runs[run.seed, task] = run
            if run.run_id in records:
                record = records[run.run_id].of_task(task)
                found.records[run.seed, task] = record
    return list(trials.values())


def rank(results: Iterable[TrialResults]) -> list[TrialResults]:
    """Puts the best trial first: by harmonic mean, then by mean.

    Test decides when all runs have ended, and val until then.

    Trials of which a run diverged come after those that have all their runs,
    the fewer seeds diverged the earlier; those with missing or failed runs
    after them. Equal ones keep the order of the study.
    """
    results = list(results)
    split = "test" if all(trial.has_ended for trial in results) else "val"
    return sorted(results, key=lambda trial: _badness(trial, split))


def _badness(trial: TrialResults, split: str) -> list[float]:
    scores = trial.matrix(trial.score, split)[: trial.num_given]
    harmonic_mean = harmonic_mean_over_tasks(scores).mean
    mean = mean_over_tasks(scores).mean
    worst = math.inf if math.isnan(mean) else -mean
    if not math.isnan(harmonic_mean):
        return [0, -harmonic_mean, worst]
    lost = trial.diverged
    return [1, lost, worst] if lost and trial.has_ended else [2, 0, worst]
