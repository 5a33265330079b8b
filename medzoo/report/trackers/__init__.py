"""Trackers of runs: TensorBoard, MLflow, Weights & Biases.

A tracker knows by itself which runs it has, so a study that is resumed, or that
is tracked only when it is finished, logs every run once. Nothing is imported
of one that is not named, and none can cost a run: at the first error it is
left out, with a warning.
"""

import contextlib
import importlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from medzoo.messages import tolerating
from medzoo.record import Record
from medzoo.report.results import TrialResults
from medzoo.store import Store
from medzoo.study.spec import Study
from medzoo.study.trackers import require_trackers
from medzoo.study.trials import Trial


class TrackedRun(NamedTuple):
    """One run as a tracker logs it.

    Args:
        study: Name of the study, by which runs are grouped.
        trial: Its trial, whose axis values are its tags.
        record: Finished: done, or diverged.
    """

    study: str
    trial: Trial
    record: Record

    @property
    def name(self) -> str:
        """Names the run for people."""
        run = self.record.run
        return f"{self.trial.name}, {run.task}, seed {run.seed}"

    @property
    def config(self) -> dict[str, Any]:
        """Returns the fields and options of the run."""
        return self.record.run.flatten()

    @property
    def tags(self) -> dict[str, str]:
        """Returns what to group and filter by."""
        values = {k: str(v) for k, v in self.trial.values.items()}
        about = {"study": self.study, "run_id": self.record.run_id}
        return about | {"status": self.record.status} | values

    @property
    def scores(self) -> dict[str, float]:
        """Returns the final scores, such as `test/macro_f1`."""
        return {
            f"{split}/{name}": value
            for split, found in self.record.scores.items()
            for name, value in found.items()
            if value is not None
        }

    @property
    def curves(self) -> list[tuple[int, dict[str, float]]]:
        """Returns step and values of each check on val."""
        return [
            (
                int(entry["step"] or 0),
                {
                    f"curve/{name}": value
                    for name, value in entry.items()
                    if name != "step" and value is not None
                },
            )
            for entry in self.record.history
        ]


class Tracker(Protocol):
    """What an adapter does; all of it may raise."""

    def has(self, entry: TrackedRun) -> bool:
        """Whether a run is logged already, by any process."""

    def log(self, entry: TrackedRun) -> None:
        """Logs a run: its fields, curves and scores."""

    def finish(self, report: Sequence[Path]) -> None:
        """Keeps the files of a report, in place of earlier ones."""


class Tracking:
    """Several trackers of one study; those that fail are left out.

    Args:
        names: Of `medzoo.study.trackers.TRACKERS`.
        study: What is tracked.
        store: Where its records are; a tracker's own files are there, too.
        smoke: Whether its runs are those of a smoke run.

    Raises:
        ValueError: For an unknown name, or a package that is missing.
    """

    def __init__(
        self,
        names: Iterable[str],
        study: Study,
        store: Store,
        *,
        smoke: bool = False,
    ) -> None:
        names = tuple(names)
        require_trackers(names)
        self._name = study.folder_name(smoke=smoke)
        self._store = store
        self._trackers: dict[str, Tracker] = {}
        for name in names:
            module = importlib.import_module(f"medzoo.report.trackers.{name}")
            with self._guard(name):
                folder = store.folder / name
                self._trackers[name] = module.open_tracker(self._name, folder)

    def log(self, trial: Trial | None, record: Record) -> None:
        """Logs a finished run, unless it is logged already.

        Candidates of `[tuned]` belong to no trial, and are left out.
        """
        if trial is None or record.status not in ("done", "diverged"):
            return
        entry = TrackedRun(self._name, trial, record)
        for name, tracker in list(self._trackers.items()):
            with self._guard(name):
                if not tracker.has(entry):
                    tracker.log(entry)

    def finish(
        self, results: Iterable[TrialResults], report: Sequence[Path]
    ) -> None:
        """Logs the runs that are missing, and the report if it was written."""
        for trial in results:
            for record in trial.records.values():
                self.log(trial.trial, record)
        for name, tracker in list(self._trackers.items()):
            with self._guard(name):
                if report:
                    tracker.finish(report)

    @contextlib.contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        """Leaves a tracker out that fails, and says so."""
        is_done = False
        way_out = (
            "Every record is in the store, and the next call logs what is "
            "missing."
        )
        with tolerating(f"Tracking by {name}", way_out):
            yield
            is_done = True
        if not is_done:
            self._trackers.pop(name, None)
