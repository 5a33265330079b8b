"""What a report is made from: a study, its records and their statistics."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from medzoo.record import Record
from medzoo.report.asked_scores import AskedScore, estimate_asked
from medzoo.report.candidates import Candidate, read_candidates
from medzoo.report.confusions import Confusion, count_confusions
from medzoo.report.corrupted import Corrupted, find_corrupted
from medzoo.report.curves import TrialCurves, find_curves
from medzoo.report.drawn_runs import DrawnRun, list_drawn
from medzoo.report.gallery import Gallery, find_galleries
from medzoo.report.leaks import LeakScore, find_leak_scores
from medzoo.report.results import (
    MOST_SHOWN,
    TrialResults,
    rank,
    read_results,
)
from medzoo.report.subgroups import Breakdown, find_subgroups
from medzoo.report.summary import StudyStatistics, summarise
from medzoo.report.verdict import write_verdict
from medzoo.store import Reader, Store
from medzoo.study.audits import find_leaks
from medzoo.study.spec import Study

SYNTHETIC = (
    "Synthetic data: drawn by a program to try things out, not medical images. "
    "The scores say nothing about medical tasks."
)
SMOKE = (
    "Smoke run: a tiny budget to see that everything works. The scores mean "
    "nothing."
)


@dataclass(frozen=True)
class Evidence:
    """A study, what came of its runs, and what may be concluded.

    Args:
        study: The question and its trials.
        store: Where records and predictions are.
        results: The trials, the best first.
        statistics: Of the trials.
        smoke: Whether the runs are those of a smoke run.
        command: The command that runs the study, as the pages show it.
        candidates: Of its tuned values.
        kept_subgroups: Scores by subgroup as an evidence file has them, which
            has no attributes of images; `None` if the store has these.
        has_test: Whether the scores of test were read; see `read_without_test`.
    """

    study: Study
    store: Reader
    results: list[TrialResults]
    statistics: StudyStatistics
    smoke: bool = False
    command: str = ""
    candidates: Sequence[Candidate] = ()
    kept_subgroups: list[Breakdown] | None = None
    has_test: bool = True

    @classmethod
    def of(
        cls,
        study: Study,
        store: Reader,
        results: Iterable[TrialResults],
        **rest: Any,
    ) -> "Evidence":
        """Ranks the trials and computes their statistics.

        Args:
            **rest: Further arguments of the class.
        """
        ranked = rank(results)
        baseline = study.baseline.name if study.baseline else None
        statistics = summarise(
            ranked, store, baseline, equal_within=study.equal_within
        )
        return cls(study, store, ranked, statistics, **rest)

    @classmethod
    def read(
        cls,
        study: Study,
        store: Store,
        *,
        smoke: bool = False,
        command: str = "",
    ) -> "Evidence":
        """Reads the records of a study."""
        results = read_results(study, store, smoke=smoke)
        return cls.of(
            study,
            store,
            results,
            smoke=smoke,
            command=command,
            candidates=read_candidates(study, store, smoke=smoke),
        )

    @property
    def title(self) -> str:
        """Names the study, and what flags have changed of it."""
        return self.study.folder_name(smoke=self.smoke)

    @property
    def verdict(self) -> str:
        """What may be concluded: nothing of a smoke run, or on the way."""
        done = f"{self.num_done} of {self.num_runs} runs are done"
        if self.smoke:
            return f"A smoke run: {done}."
        if not self.is_concluded:
            return (
                f"Nothing is concluded before all runs have ended: {done}. "
                "Until then trials are in the order of their scores on val."
            )
        return write_verdict(self.statistics)

    @property
    def is_concluded(self) -> bool:
        """Says whether all runs have ended, of a study that is no smoke run."""
        return self.has_test and not self.smoke and not self.num_missing

    @property
    def best(self) -> TrialResults:
        """The first trial."""
        return self.results[0]

    @cached_property
    def records(self) -> list[Record]:
        """The records of all cells, trial by trial."""
        return [r for trial in self.results for r in trial.records.values()]

    @cached_property
    def is_large(self) -> bool:
        """Whether there are too many runs to show each of them."""
        return sum(len(trial.runs) for trial in self.results) > MOST_SHOWN

    @cached_property
    def num_runs(self) -> int:
        """Number of runs that make the study complete."""
        return sum(trial.num_asked for trial in self.results)

    @cached_property
    def num_done(self) -> int:
        """Number of runs that have scores."""
        return sum(len(trial.done) for trial in self.results)

    @cached_property
    def num_failed(self) -> int:
        """Number of runs that failed or diverged."""
        return sum(len(trial.failed) for trial in self.results)

    @property
    def num_missing(self) -> int:
        """Number of runs without a record."""
        return self.num_runs - self.num_done - self.num_failed

    @cached_property
    def asked(self) -> dict[str, dict[str, AskedScore]]:
        """Scores that the study asks for beside its own, then by trial."""
        return estimate_asked(self.study.scores, self.results, self.store)

    @property
    def asks_for_more(self) -> bool:
        """Whether its study asks for more than the usual tables."""
        return bool(self.study.scores or self.study.operating_point)

    @cached_property
    def has_groups(self) -> bool:
        """Whether test images are of groups, such as patients."""
        done = [r for r in self.records if r.status == "done"]
        if not done:
            return False
        record = done[0]
        test = self.store.read_task(record.run_id, record.run.tasks[0]).test
        return test is not None and test.groups is not None

    @cached_property
    def confusions(self) -> list[Confusion]:
        """Confusions of all trials by task; of many runs, of the first one."""
        shown = self.results[:1] if self.is_large else self.results
        return count_confusions(shown, self.store)

    @cached_property
    def drawn(self) -> dict[str, list[DrawnRun]]:
        """Runs whose predictions were kept, by task."""
        return {
            task: [*list_drawn(self.results, task, self.store)]
            for task in self.results[0].tasks
        }

    @cached_property
    def curves(self) -> list[TrialCurves]:
        """Curves of all trials, with bands if the study asks for scores; none
        of many runs that nobody asks for."""
        if self.is_large and not self.asks_for_more:
            return []
        return find_curves(
            self.results, self.drawn, with_bands=self.asks_for_more
        )

    @cached_property
    def corrupted(self) -> list[Corrupted]:
        """Errors on corrupted images, if its study asks for them."""
        if not self.study.corruptions:
            return []
        return find_corrupted(self.results, self.store)

    @cached_property
    def leak_scores(self) -> dict[str, dict[str, LeakScore]]:
        """Scores with and without the test images that leak, by trial, then
        by task; empty where no audit has found any."""
        return {} if self.smoke else find_leak_scores(self.results, self.store)

    @cached_property
    def subgroups(self) -> list[Breakdown]:
        """Scores by the attributes that the study asks for."""
        if self.smoke:
            return []
        if self.kept_subgroups is not None:
            return self.kept_subgroups
        return find_subgroups(self.study, self.results, self.store)

    @cached_property
    def galleries(self) -> list[Gallery]:
        """Images that trials fail at; none of made-up ones."""
        if self.smoke or self.is_large or self.study.data == "synthetic":
            return []
        return find_galleries(self.results, self.store)

    @cached_property
    def warnings(self) -> list[str]:
        """Sentences that belong above every number."""
        changes = self.study.list_changes(smoke=False)
        words = ", ".join(f"{key} {value}" for key, value in changes.items())
        scope = (
            f"Changed by flags: {words}. The study as its file says has a "
            f"report of its own, {self.study.name}."
        )
        found = [r.data_fingerprint for r in self.records]
        return [
            *[SYNTHETIC] * (self.study.data == "synthetic"),
            *[SMOKE] * self.smoke,
            *[scope] * bool(changes),
            *find_leaks(self.store, found),
            *dict.fromkeys(w for r in self.records for w in r.warnings),
        ]

    @cached_property
    def notes(self) -> str:
        """Notes of all records on their data, each once, as a paragraph."""
        several = len({record.run.task for record in self.records}) > 1
        notes = dict.fromkeys(
            f"{record.run.task}: {note}" if several else note
            for record in self.records
            for note in record.notes
        )
        return f"About the data: {' '.join(notes)}" if notes else ""
