"""Probable label faults: images that every good run gets wrong."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from medzoo.report.evidence import Evidence
from medzoo.report.gallery import Shot, pool_predictions
from medzoo.report.images import find_images, fingerprint_of
from medzoo.report.results import TrialResults
from medzoo.report.tables import Table


@dataclass(frozen=True)
class LabelFault:
    """A test image that every run gets wrong.

    Args:
        name: Of its file; its place among the test images if it has none.
        shot: Label, prediction and mean probability.
        pixels: `uint8`, shape `(height, width, channels)`.
    """

    name: str
    shot: Shot
    pixels: np.ndarray


@dataclass(frozen=True)
class LabelFaults:
    """The probable label faults of one task.

    Args:
        study: Title of the study.
        trials: Names of the good trials: the best, and those tied with it.
        num_runs: Runs of them.
        num_images: Images that they have tested.
        found: The faults, the most confident first.
    """

    study: str
    trials: list[str]
    num_runs: int
    num_images: int
    found: list[LabelFault]

    def line(self) -> str:
        """Words how many there are."""
        return (
            f"{len(self.found)} of {self.num_images} test images are wrong in "
            f"all of {self.num_runs} runs of {self.study} "
            f"({', '.join(self.trials)}): probable label faults."
        )

    def table(self) -> Table:
        """Makes `label_faults.csv`."""
        return Table(
            ("image", "place", "label", "prediction", "probability", "runs"),
            [
                [
                    fault.name,
                    fault.shot.place,
                    fault.shot.label,
                    fault.shot.prediction,
                    round(fault.shot.probability, 6),
                    fault.shot.seeds,
                ]
                for fault in self.found
            ],
        )


def find_label_faults(
    evidence: Evidence, task: str, fingerprint: str
) -> LabelFaults:
    """Finds the test images that every seed of every good trial gets wrong.

    Args:
        evidence: The study.
        task: Name of the task.
        fingerprint: Of the data that are audited.

    Raises:
        ValueError: If the study has no finished run on these data.
    """
    good = [
        (trial, records)
        for trial in _choose_good(evidence)
        if (records := _list_done(trial, task, fingerprint))
    ]
    records = [record for _, found in good for record in found]
    pooled = pool_predictions(records, task, evidence.store)
    if pooled is None:
        raise ValueError(
            f"`{evidence.title}` has no predictions on these images of "
            f"`{task}`. Expected a study whose runs have ended, of the data "
            f"and the size that are audited. Received: {fingerprint}."
        )
    confidence = pooled.probabilities.max(axis=1)
    is_wrong = (pooled.wrong == pooled.seeds) & (pooled.labels >= 0)
    rows = np.flatnonzero(is_wrong)
    rows = rows[np.argsort(-confidence[rows], kind="stable")]
    by_data: dict[str, Any] = {fingerprint_of(r, task): r for r in records}
    tested = {
        key: find_images(evidence.study, record, task)
        for key, record in by_data.items()
    }
    found = []
    for row in rows.tolist():
        shot = pooled.make_shot(row)
        if (images := tested[shot.fingerprint]) is None:
            continue
        name = images.name(shot.place) or str(shot.place)
        found.append(LabelFault(name, shot, images.images([shot.place])[0]))
    names = [trial.trial.name for trial, _ in good]
    num_images = len(pooled.labels)
    return LabelFaults(evidence.title, names, len(records), num_images, found)


def _choose_good(evidence: Evidence) -> list[TrialResults]:
    """Returns the best trial, and those that are not found to be worse."""
    statistics = evidence.statistics
    names = {statistics.best, *statistics.tied}
    found = [t for t in evidence.results if t.trial.name in names]
    return found or [t for t in evidence.results if t.done][:1]


def _list_done(trial: TrialResults, task: str, fingerprint: str) -> list:
    """Lists the finished runs on the images that are audited."""
    return [
        record
        for record in trial.of_task(task)
        if record.status == "done"
        and not record.run.resplit
        and fingerprint_of(record, task).partition(",")[0] == fingerprint
    ]
