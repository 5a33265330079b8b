"""A study from its file to its report: plan, execution, tables, kept models."""

import html
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from medzoo.execution.job import Job
from medzoo.execution.options import ExecutionOptions
from medzoo.execution.runner import Executor, execute_jobs
from medzoo.messages import tolerating
from medzoo.plugins.watchers import find_watchers
from medzoo.record import Record
from medzoo.report.kept_models import keep_models
from medzoo.report.results import give_seeds
from medzoo.report.study_tables import make_short_summary
from medzoo.report.tables import make_frame, to_html
from medzoo.report.trackers import Tracking
from medzoo.report.write import Report, write_report
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.corrupted import list_scorable, with_corruptions
from medzoo.study.expand import expand
from medzoo.study.kept_models import find_folder, with_models
from medzoo.study.plan import StudyPlan, make_plan
from medzoo.study.spec import Study
from medzoo.study.tuning import list_units, name_runs, next_jobs, plan_runs

if TYPE_CHECKING:
    import pandas as pd

# How an execution ends: with a record of every run, without time for the rest,
# or at the first failed run.
End = Literal["complete", "late", "failed"]


@dataclass(frozen=True, repr=False)
class StudyResult:
    """The outcome of a study, shown as its table and its verdict.

    Args:
        report: What was written about it.
        candidates_failed: Runs of candidates of `[tuned]` that failed.
        kept: Which trained models are kept, in a sentence; may be empty.
        unscored: Errors of runs that are done, but whose kept models could not
            be scored on corrupted images.
    """

    report: Report
    candidates_failed: int = 0
    kept: str = ""
    unscored: tuple[str, ...] = ()

    @property
    def table(self) -> "pd.DataFrame":
        """The table `summary`: a row a trial, the best first."""
        return make_frame(self.report.summary).infer_objects()

    @property
    def verdict(self) -> str:
        """What may be concluded, in one to three sentences."""
        return self.report.evidence.verdict

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the report; none if nothing was written."""
        return self.report.paths

    @property
    def runs_done(self) -> int:
        """Runs with scores."""
        return self.report.evidence.num_done

    @property
    def runs_failed(self) -> int:
        """Runs that failed or diverged."""
        return self.report.evidence.num_failed

    def describe_unscored(self) -> str:
        """Words how many runs could not be scored; empty if none."""
        if not self.unscored:
            return ""
        return (
            f"{len(self.unscored)} runs are done, but could not be scored on "
            f"corrupted images (the first error: {self.unscored[0]})."
        )

    def __repr__(self) -> str:
        return f"{self.report.markdown}\n\n{self.verdict}"

    def _repr_html_(self) -> str:
        table = to_html(make_short_summary(self.report.evidence))
        return f"{table}<p>{html.escape(self.verdict)}</p>"


class Watch:
    """Looks on while a study is executed; this one does nothing.

    What its methods raise becomes a warning, and ends nothing.
    """

    def begin(self, num_units: int, num_jobs: int) -> None:
        """Is called once.

        Args:
            num_units: Runs of the study, or choices where values are tuned,
                that are executed here: those of the shard.
            num_jobs: Runs of the first round that have no record.
        """

    def start_round(self, what: str, total: int) -> None:
        """Is called at the start of each round, with all runs so far."""

    def finish_run(self, name: str, record: Record) -> None:
        """Is called with each record, and the name of its trial."""

    def retry_run(self, name: str, record: Record) -> None:
        """Is called with the failed record of a run that is tried again."""

    def wait_for(self, where: str) -> None:
        """Is called when other processes execute what is left: these."""


class Conduct:
    """Executes what is missing of a study, and reports it.

    Args:
        study: What is asked.
        store: Where the records are.
        means: How it is executed.
        smoke: Whether each run has two steps only.
        track: Names of trackers.

    Raises:
        ValueError: For an unknown tracker, or one whose package is missing.
    """

    def __init__(
        self,
        study: Study,
        store: Store,
        *,
        means: ExecutionOptions,
        smoke: bool = False,
        track: Iterable[str] = (),
    ) -> None:
        self._study, self._store, self._means = study, store, means
        self._smoke = smoke
        self._tracking = Tracking(track, study, store, smoke=smoke)
        self._units = set(means.choose(list_units(study, smoke=smoke)))
        self._names = name_runs(study, smoke=smoke)
        self._trials = {i.run: i.trial for i in expand(study, smoke=smoke)}
        self._tried: list[Job] = []
        self._unscored: dict[str, str] = {}
        self._watchers = find_watchers(study.watch)
        keeps = means.keep != "none" and means.executor == "local"
        self._models = find_folder(study, store, smoke=smoke) if keeps else None

    def plan(self) -> StudyPlan:
        """Counts what would be run, and what is done."""
        return make_plan(self._give_seeds(), self._store, smoke=self._smoke)

    def execute(self, watch: Watch) -> End:
        """Executes round after round: candidates of `[tuned]`, then the rest.

        Until decided, a round is what the trials lack for the next look.

        Returns:
            How it ended.

        Raises:
            FileNotFoundError: If data are missing, or the store cannot be
                written.
            KeyboardInterrupt: After Ctrl-C; what is finished is in the store.
        """
        jobs = self._next_round()
        _show(watch.begin, len(self._units), len(jobs))
        if not jobs:
            return "complete"
        self._store.require_room()
        try:
            with self._means.open_executor(len(jobs)) as executor:
                while jobs:
                    what = self._name_round(jobs)
                    _show(watch.start_round, what, len(self._tried))
                    if not self._execute_round(jobs, executor, watch):
                        return "late"
                    jobs = self._next_round()
        except _RunFailed:
            return "failed"
        return "complete"

    def conclude(
        self, out: Path, *, command: str, force: bool = False
    ) -> StudyResult:
        """Writes the report, tells the trackers, and sorts the kept models.

        Args:
            out: Folder of all reports.
            command: The command that runs the study, as the pages show it.
            force: Whether the report replaces one with more results.
        """
        report = write_report(
            self._study,
            self._store,
            out,
            command=command,
            smoke=self._smoke,
            force=force,
        )
        results = report.evidence.results
        self._tracking.finish(results, report.paths)
        kept = ""
        if self._models:
            kept = keep_models(
                results,
                self._store,
                self._models,
                keep=self._means.keep,
                runs=self._names,
            )
        return StudyResult(
            report,
            self._count_failed_candidates(),
            kept,
            tuple(self._unscored.values()),
        )

    def _next_round(self) -> list[Job]:
        """Lists what is executed at once, before candidates can be cut."""
        jobs = next_jobs(
            self._give_seeds(),
            self._store,
            smoke=self._smoke,
            units=self._units,
            tried=self._tried,
        )
        require_data(self._study, [job.run for job in jobs])
        self._tried += jobs
        jobs = [job._replace(watchers=self._watchers) for job in jobs]
        jobs = with_models(jobs, self._models) if self._models else jobs
        jobs = with_corruptions(self._study, jobs)
        return jobs or self._list_scorable()

    def _list_scorable(self) -> list[Job]:
        """Lists runs whose kept models are to be scored on corrupted images."""
        if not self._study.corruptions:
            return []
        study, tried = self._give_seeds(), {job.run for job in self._tried}
        planned = plan_runs(study, self._store, smoke=self._smoke)
        runs = [item.run for item in planned]
        if study.tuned is None:
            runs = [run for run in runs if run in self._units]
        jobs = list_scorable(
            study, runs, self._store, smoke=self._smoke, tried=tried
        )
        self._tried += jobs
        return jobs

    def _give_seeds(self) -> Study:
        return give_seeds(self._study, self._store, smoke=self._smoke)

    def _name_round(self, jobs: list[Job]) -> str:
        if not jobs[0].read_test:
            return "tuning"
        if not self._study.is_looked_at or self._smoke:
            return ""
        seeds = self._study.all_seeds
        most = max(seeds.index(job.run.seed) for job in jobs) + 1
        return f"up to {most} seeds"

    def _execute_round(
        self, jobs: list[Job], executor: Executor, watch: Watch
    ) -> bool:
        """Executes one round; `False` if there was not enough time."""
        means = self._means

        def on_record(record: Record) -> None:
            self._tracking.log(self._trials.get(record.run), record)
            _show(watch.finish_run, self._names[record.run], record)
            self._note_unscored(record)
            if means.fail_fast and record.status == "failed":
                raise _RunFailed

        def on_retry(record: Record) -> None:
            _show(watch.retry_run, self._names[record.run], record)

        return execute_jobs(
            jobs,
            self._store,
            executor=executor,
            retries=means.retries,
            deadline=means.deadline,
            # The models of runs that train together are not at hand.
            group=None
            if self._study.corruptions
            else means.find_group(len(jobs)),
            on_record=on_record,
            on_retry=on_retry,
            on_wait=lambda where: _show(watch.wait_for, where),
        )

    def _note_unscored(self, record: Record) -> None:
        """Notes that a run failed whose earlier record stays, as it is done."""
        if record.error and self._store.has_done(record.run_id):
            found = record.error
            self._unscored[record.run_id] = (
                f"{found['type']}: {found['message']}"
            )

    def _count_failed_candidates(self) -> int:
        """Counts candidates that failed in these rounds."""
        ids = {job.run.run_id for job in self._tried if not job.read_test}
        return sum(self._store.status(run_id) == "failed" for run_id in ids)


def _show(show: Callable[..., None], *about: object) -> None:
    with tolerating("The display of runs"):
        show(*about)


class _RunFailed(Exception):  # noqa: N818 - not an error
    """Ends an execution at its first failed run."""


def require_data(study: Study, runs: list[Run]) -> None:
    """Verifies what runs need before anything trains: plugins and files."""
    from medzoo.training.check import check_plugins
    from medzoo.training.weights import fetch_weights

    check_plugins(runs)
    fetch_weights(runs)
    if study.data == "medmnist":
        from medzoo.data.official import require_files

        for size in sorted({run.size for run in runs}):
            asked = [run for run in runs if run.size == size]
            names = {name for run in asked for name in run.tasks}
            require_files([task for task in study.tasks if task in names], size)
