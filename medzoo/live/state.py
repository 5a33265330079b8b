"""How far a study is, as the strip above its page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from medzoo.execution.cores import default_workers
from medzoo.execution.running import Running, list_running
from medzoo.messages import printable
from medzoo.report.leaders import describe_leaders, read_val_scores
from medzoo.report.results import describe_cell, give_seeds
from medzoo.runs.run import Run
from medzoo.scores.table import format_score
from medzoo.store import Store
from medzoo.study.plan import StudyPlan, make_plan
from medzoo.study.spec import Study
from medzoo.study.tuning import name_runs


@dataclass(frozen=True)
class Progress:
    """What the records of a study say of how far it is.

    Args:
        plan: Runs that are done, failed and left.
        leaders: Which trials lead on val, in lines; test decides nothing here
            and is not shown.
        known: Status of each run with a record, by its id.
    """

    plan: StudyPlan
    leaders: str
    known: Mapping[str, str]

    @classmethod
    def read(
        cls, study: Study, store: Store, *, smoke: bool = False
    ) -> "Progress":
        """Reads the records of a study, or those of a smoke run of it."""
        scores = read_val_scores(study, store, smoke=smoke)
        given = give_seeds(study, store, smoke=smoke)
        plan = make_plan(given, store, smoke=smoke, known=scores.statuses)
        return cls(plan, describe_leaders(scores), scores.statuses)

    @property
    def has_ended(self) -> bool:
        """Whether each run has a record, of one that failed as well."""
        plan = self.plan
        return plan.left <= plan.failed and plan.choices >= plan.problems


@dataclass
class Watched:
    """A study that is watched.

    Args:
        study: The study.
        store: Where its records, leases and notes are.
        smoke: Whether the runs are those of a smoke run.
    """

    study: Study
    store: Store
    smoke: bool = False
    _runs: dict[str, tuple[str, Run]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = name_runs(self.study, smoke=self.smoke)
        self._runs = {run.run_id: (name, run) for run, name in named.items()}

    def list_running(self) -> list[Running]:
        """Lists the runs of the study that are executed now."""
        found = list_running(self.store.folder)
        return [each for each in found if each.run_id in self._runs]

    def stamp(self) -> list[tuple[str, int]]:
        """Returns what changes with each record of the store."""
        folders = self.store.folder.glob("??")
        return sorted((f.name, f.stat().st_mtime_ns) for f in folders)

    def describe(
        self, progress: Progress, running: list[Running]
    ) -> dict[str, Any]:
        """Words how far the study is, in plain values for JSON."""
        ended = progress.has_ended and not running
        workers = len(running) or default_workers()
        lines = progress.plan.status(workers).splitlines()
        return {
            "ended": ended,
            "lines": [f"Finished: {lines[0]}", *lines[1:]] if ended else lines,
            "running": [self._describe_run(each) for each in running],
            "memory": "" if ended else _describe_memory(running),
            "leaders": [] if ended else progress.leaders.splitlines(),
        }

    def _describe_run(self, running: Running) -> dict[str, Any]:
        name, run = self._runs[running.run_id]
        done = running.entry.get("step" if run.steps else "epoch", 0.0)
        budget, what = run.steps or run.epochs, "step" if run.steps else "epoch"
        words = [f"{what} {done:g} of {budget}"] if running.entry else ["begun"]
        words += _describe_val(running.entry, self.study.score)
        words += [_format_bytes(running.memory)] * bool(running.memory)
        return {
            "name": printable(f"{name}, {describe_cell(run)}"),
            "words": ", ".join(words),
            "share": min(1.0, done / budget) if budget else None,
            "where": str(running.worker),
        }


def _describe_val(entry: Mapping[str, float], score: str) -> list[str]:
    """Words a check: the score of the study or macro F1, and the loss."""
    names = [n for n in (score, "macro_f1") if f"val_{n}" in entry][:1]
    found = [f"{format_score(n)} on val {entry[f'val_{n}']:.3f}" for n in names]
    return found + [f"loss {entry['loss']:.3f}"] * ("loss" in entry)


def _describe_memory(running: list[Running]) -> str:
    machine = psutil.virtual_memory()
    free = (
        f"{_format_bytes(machine.available)} of "
        f"{_format_bytes(machine.total)} are free on this machine"
    )
    workers = {(r.holder.host, r.pid): r.memory for r in running if r.pid}
    if not workers:
        return f"Memory: {free}."
    used = _format_bytes(sum(workers.values()))
    plural = "s" * (len(workers) > 1)
    return f"Memory: {used} in {len(workers)} worker{plural}; {free}."


def _format_bytes(count: float) -> str:
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
