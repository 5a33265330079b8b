"""The state of a study: runs that are done, runs that are left, time left."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from medzoo.models.backbones import name_weights, require_weights
from medzoo.runs.run import Run
from medzoo.runs.sources import find_fingerprint
from medzoo.store import Store
from medzoo.study.audits import find_leaks
from medzoo.study.corrupted import describe_unscored, list_awaited
from medzoo.study.costs import MIN_STEPS, Estimates, read_some
from medzoo.study.expand import expand, is_shared
from medzoo.study.spec import Study
from medzoo.study.tuning import choose, make_tuning_problems, plan_all

# Nothing of such a run is left to be trained.
_TRAINED = ("done", "diverged", "trained")


@dataclass(frozen=True)
class StudyPlan:
    """How far a study is.

    Args:
        study: The study.
        num_seeds: Seeds that are run; 1 in a smoke run.
        num_runs: Trials times tasks times seeds; until decided, those of the
            seeds that are given so far.
        num_most: Runs of all seeds that may be given.
        done: Runs that are done.
        diverged: Runs that are finished, though with a loss that is not finite.
        failed: Runs that an error ended; they are left to be tried again.
        seconds_left: Estimate for what is left, one run after another.
        sources: What the estimate is made from, and for how many runs each.
        seconds_corrupted: Those of `seconds_left` for corrupted images.
        num_candidates: Runs that `[tuned]` compares.
        num_at_most: All runs that are trained, winners and candidates.
        problems: Choices to be made: trials times tasks.
        choices: Choices that are made.
        notes: What is to be said about custom data.
    """

    study: Study
    num_seeds: int
    num_runs: int
    num_most: int
    done: int
    diverged: int
    failed: int
    seconds_left: float
    sources: dict[str, int]
    num_candidates: int = 0
    num_at_most: int = 0
    problems: int = 0
    choices: int = 0
    seconds_corrupted: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        """Runs that are still to be executed, failed ones among them."""
        return self.num_runs - self.done - self.diverged

    def facts(self) -> dict[str, object]:
        """Returns the numbers of the plan, for JSON."""
        return {
            "study": self.study.name,
            "question": self.study.question,
            "data": self.study.data,
            "tasks": list(self.study.tasks),
            "trials": [trial.name for trial in self.study.trials],
            "num_seeds": self.num_seeds,
            "num_runs": self.num_runs,
            "num_most": self.num_most,
            "done": self.done,
            "diverged": self.diverged,
            "failed": self.failed,
            "left": self.left,
            "seconds_left": self.seconds_left,
            "num_candidates": self.num_candidates,
        }

    def text(self, workers: int = 1) -> str:
        """Words the plan in a few lines, with the time that workers need."""
        trials, tasks = len(self.study.trials), len(self.study.tasks)
        notes = "".join(f"{note}\n" for note in self.notes)
        return (
            f"{self.study.name}: {self.study.question}\n"
            f"{_count(trials, 'trial')} x {_count(tasks, 'task')} x "
            f"{self._seeds()}{self._sharing()} = {self._runs()} on "
            f"{self.study.data} data\n"
            f"{notes}"
            f"{self._tuning()}{self.status(workers)}"
        )

    def _seeds(self) -> str:
        if self.num_most == self.num_runs:
            return _count(self.num_seeds, "seed")
        return f"up to {len(self.study.all_seeds)} seeds"

    def _runs(self) -> str:
        most = "at most " * (self.num_most > self.num_runs)
        return f"{most}{_count(self.num_most, 'run')}"

    def _sharing(self) -> str:
        shared = [is_shared(self.study, trial) for trial in self.study.trials]
        if not any(shared):
            return ""
        which = "" if all(shared) else f" of {_count(sum(shared), 'trial')}"
        return f", one run for all tasks{which}"

    def _tuning(self) -> str:
        tuned = self.study.tuned
        if tuned is None:
            return ""
        pruned = f" (pruned by {tuned.prune})" if tuned.prune else ""
        return (
            f"Tuned on val: {', '.join(tuned.values)}; "
            f"{_count(self.num_candidates, 'candidate run')}{pruned}, with "
            f"those of the winners at most {_count(self.num_at_most, 'run')}\n"
        )

    def status(self, workers: int = 1) -> str:
        """Words how far the study is, in a line or two."""
        counts = (
            f"{self.done} done, {self.failed} failed, "
            f"{self.diverged} diverged, {self.left} left"
        )
        if self.problems:
            made = f"{self.choices} of {_count(self.problems, 'choice')} made"
            counts = f"{made}, {counts}"
        if self.num_most > self.num_runs:
            counts += f" of the first {_count(self.num_seeds, 'seed')}"
        if not self.left and not self.seconds_left:
            return counts
        sources = "; ".join(
            f"{_count(count, 'run')} from {source}"
            for source, count in self.sources.items()
        )
        if len(self.sources) == 1:
            sources = f"from {next(iter(self.sources))}"
        if self.seconds_corrupted:
            duration = format_duration(self.seconds_corrupted / workers)
            sources += f"{', ' * bool(sources)}{duration} for corrupted images"
        return (
            f"{counts}\nEstimated time left with {_count(workers, 'worker')}: "
            f"{'at most ' * (self.choices < self.problems)}"
            f"{format_duration(self.seconds_left / workers)} ({sources})"
        )


def make_plan(
    study: Study,
    store: Store,
    *,
    smoke: bool = False,
    known: Mapping[str, str] = MappingProxyType({}),
) -> StudyPlan:
    """Compares a study with the store, without running or importing a backend.

    Args:
        study: The study; until decided, with the seeds that are given so far.
        store: Records of this study and others.
        smoke: See `expand`.
        known: Status of runs whose records are read already.

    Raises:
        FileNotFoundError: If custom data, or own weights, are not there.
        ValueError: If they cannot be used.
    """
    cells = expand(study, smoke=smoke)
    choices = choose(study, store, smoke=smoke)
    final = [item.run for item in expand(study, smoke=smoke, choices=choices)]
    planned = plan_all(study, smoke=smoke, choices=choices)
    runs = {item.run.run_id: item.run for item in planned}
    status = {i: known.get(i) or store.status(i) for i in runs}
    counts = Counter(status[run.run_id] for run in final)
    left = [
        run for run_id, run in runs.items() if status[run_id] not in _TRAINED
    ]
    _require_weights(left)
    done = [run_id for run_id in runs if status[run_id] in _TRAINED]
    awaited = list_awaited(study, final, store, smoke=smoke)
    records = read_some(store, done) if left or awaited else []
    estimates = Estimates(records, least_steps=2 if smoke else MIN_STEPS)
    expected = [estimates.of(run) for run in left]
    corruptions = sum(map(estimates.of_corruptions, awaited))
    return StudyPlan(
        study=study,
        num_seeds=len({item.run.seed for item in cells}),
        num_runs=len(cells),
        num_most=len(expand(replace(study, given={}), smoke=smoke)),
        done=counts["done"],
        diverged=counts["diverged"],
        failed=counts["failed"],
        seconds_left=sum(seconds for seconds, _ in expected) + corruptions,
        seconds_corrupted=corruptions,
        sources=dict(Counter(source for _, source in expected)),
        **_count_tuning(study, smoke),
        choices=len(choices),
        notes=(
            *_list_notes(store, [item.run for item in cells]),
            *filter(
                None, [describe_unscored(study, final, store, smoke=smoke)]
            ),
        ),
    )


def _require_weights(runs: Iterable[Run]) -> None:
    """Looks for files of weights that no download would bring."""
    for backbone, weights in {name_weights(run.options) for run in runs}:
        if weights != "imagenet":
            require_weights(backbone, weights)


def _list_notes(store: Store, runs: Iterable[Run]) -> tuple[str, ...]:
    """Lists what is to be said about data before anything is trained."""
    found: list[str] = []
    fingerprints: list[str] = []
    for run in {(run.task, run.size): run for run in runs}.values():
        own, notes = find_fingerprint(run.data, run.size, run.data_options)
        found += notes
        if not run.data_options.get("drop_leaks"):
            fingerprints.append(own or f"{run.data}:{run.task}")
    return tuple(dict.fromkeys(found + find_leaks(store, fingerprints)))


def _count_tuning(study: Study, smoke: bool) -> dict[str, int]:
    if study.tuned is None:
        return {}
    problems = make_tuning_problems(study, smoke=smoke)
    candidates = {r for c in problems for runs in c.runs for r in runs}
    everything = {item.run.run_id for item in plan_all(study, smoke=smoke)}
    return {
        "num_candidates": len(candidates),
        "num_at_most": len(everything),
        "problems": len(problems),
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def format_duration(seconds: float) -> str:
    """Rounds to what an estimate is good for.

    >>> [format_duration(hours * 3600) for hours in (0.005, 0.2, 2.5, 77.9)]
    ['under 1 min', '12 min', '2 h 30 min', '78 h']
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under 1 min"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 600:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{round(minutes / 60)} h"
