"""Failures to look at: test images that a trial gets wrong, or is unsure of."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from medzoo.record import Record, round_probabilities
from medzoo.report.heads import is_trained
from medzoo.report.images import (
    Picture,
    fingerprint_of,
    keep_pictures,
    name_pictures,
    read_pictures,
)
from medzoo.report.results import TrialResults
from medzoo.runs.sources import is_custom
from medzoo.store import Reader
from medzoo.study.spec import Study

# Images of a class, a kind and a task, of the first trial and of the others.
_OF_FIRST, _OF_OTHERS = 3, 1
# Of all classes and tasks, and at least those of one task.
_MOST_OF_FIRST, _MOST_OF_OTHERS = (24, 4), (5, 2)
# On a page, and bytes of all pictures.
_MOST_SHOTS, _MOST_PICTURES, _MOST_BYTES = 560, 150, 140_000


class Shot(NamedTuple):
    """An image of a gallery.

    Args:
        fingerprint: Of the data.
        place: Among the test images.
        label: Name of its class.
        prediction: Name of the class that is the most probable.
        probability: Of the prediction.
        wrong: How many of the seeds predict another class than the label.
        seeds: How many have predicted it.
    """

    fingerprint: str
    place: int
    label: str
    prediction: str
    probability: float
    wrong: int
    seeds: int


@dataclass(frozen=True)
class Gallery:
    """What a trial fails at on one task, by class.

    Args:
        trial: Name of the trial.
        task: Name of the task.
        wrong: Images that it gets wrong, the most confident first.
        unsure: Images that it gets right, the least confident first.
    """

    trial: str
    task: str
    wrong: list[Shot]
    unsure: list[Shot]

    @property
    def shots(self) -> list[Shot]:
        """All images."""
        return [*self.wrong, *self.unsure]


def find_galleries(
    results: Sequence[TrialResults], store: Reader
) -> list[Gallery]:
    """Finds what the trials fail at, the best trial first.

    Probabilities are means over the seeds. Later trials are left out where
    a page would become too large.
    """
    found: list[Gallery] = []
    num = 0
    for at, trial in enumerate(results):
        for task in trial.tasks:
            gallery = _make_gallery(trial, task, store, is_first=not at)
            num += 0 if gallery is None else len(gallery.shots)
            if num > _MOST_SHOTS:
                return found
            if gallery is not None:
                found.append(gallery)
    return found


def keep_gallery(
    study: Study,
    results: Iterable[TrialResults],
    galleries: Iterable[Gallery],
    store: Reader,
    *,
    pictures: bool,
) -> None:
    """Keeps the pictures of all galleries, of the data that are at hand.

    Args:
        study: Says where the data are.
        results: The trials.
        galleries: What they fail at.
        store: Keeps the pictures.
        pictures: Whether pictures and names of files of custom data are shown;
            if not, those that were kept before go. Official images always are.
    """
    known = {
        fingerprint_of(record, task): (record, task)
        for trial in results
        for (_, task), record in trial.records.items()
        if record.status == "done"
    }
    if is_custom(study.data) and not pictures:
        for name in map(name_pictures, known):
            if store.read_file(name):
                store.cache_file(name, b"")
        return
    for fingerprint, places in list_pictured(galleries).items():
        keep_pictures(study, *known[fingerprint], places, store)


def list_pictured(galleries: Iterable[Gallery]) -> dict[str, list[int]]:
    """Lists the images that are shown, by data: so many that a page bears."""
    shots = [shot for gallery in galleries for shot in gallery.shots]
    keys = dict.fromkeys((shot.fingerprint, shot.place) for shot in shots)
    found: dict[str, list[int]] = {}
    for fingerprint, place in list(keys)[:_MOST_PICTURES]:
        found.setdefault(fingerprint, []).append(place)
    return found


def read_shown(
    galleries: Iterable[Gallery], store: Reader
) -> dict[str, dict[int, Picture]]:
    """Reads the pictures of the images that are shown, by data and place."""
    found: dict[str, dict[int, Picture]] = {}
    left = _MOST_BYTES
    for fingerprint, places in list_pictured(galleries).items():
        known = read_pictures(fingerprint, store)
        for place in places:
            left -= len(known[place].webp) if place in known else 0
            if place in known and left > 0:
                found.setdefault(fingerprint, {})[place] = known[place]
    return found


def lay_out(
    galleries: Sequence[Gallery], store: Reader
) -> dict[str, list[Any]]:
    """Lays galleries out for the page: pictures once, and parts by trial.

    Returns:
        `pictures`: each as base64; `galleries`: the trial and task of each, and
        `parts`: a title with its images.
    """
    shown = read_shown(galleries, store)
    numbers: dict[tuple[str, int], int] = {}
    pictures = []
    for fingerprint, found in shown.items():
        for place, picture in found.items():
            numbers[fingerprint, place] = len(numbers)
            pictures.append(base64.b64encode(picture.webp).decode())
    laid = [
        {
            "trial": gallery.trial,
            "task": gallery.task,
            "parts": [
                {"title": title, "shots": _lay_shots(shots, shown, numbers)}
                for title, shots in (
                    ("Wrong, the most confident first", gallery.wrong),
                    ("Right, the least confident first", gallery.unsure),
                )
                if shots
            ],
        }
        for gallery in galleries
    ]
    return {"pictures": pictures, "galleries": laid}


def _lay_shots(
    shots: Sequence[Shot],
    shown: dict[str, dict[int, Picture]],
    numbers: dict[tuple[str, int], int],
) -> list[list[Any]]:
    """Lists the number of its picture and the lines below it, for each."""
    laid = []
    for shot in shots:
        picture = shown.get(shot.fingerprint, {}).get(shot.place)
        fold = shot.fingerprint.partition(", ")[2]
        place = f"test image {shot.place}" + f" of {fold}" * bool(fold)
        number = numbers.get((shot.fingerprint, shot.place))
        name = (picture and picture.name) or place
        said = f"{shot.label} \u2192 {shot.prediction} {shot.probability:.2f}"
        wrong = f"wrong: {shot.wrong} of {shot.seeds}"
        laid.append([number, name, said, wrong])
    return laid


class Pooled(NamedTuple):
    """Predictions of all seeds of a trial on a task, image by image.

    Args:
        classes: Names of the classes.
        keys: Fingerprint of the data, and place among the test images.
        probabilities: Means over the seeds.
        labels: Of the images.
        wrong: How many seeds predict another class.
        seeds: How many have predicted it.
    """

    classes: list[str]
    keys: list[tuple[str, int]]
    probabilities: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray
    seeds: np.ndarray

    def make_shot(self, row: int) -> Shot:
        """Makes the entry of one image in a gallery."""
        shares = self.probabilities[row]
        return Shot(
            *self.keys[row],
            self.classes[self.labels[row]],
            self.classes[shares.argmax()],
            float(shares.max()),
            int(self.wrong[row]),
            int(self.seeds[row]),
        )


def _make_gallery(
    trial: TrialResults, task: str, store: Reader, *, is_first: bool
) -> Gallery | None:
    records = [
        record
        for record in trial.of_task(task)
        if record.status == "done" and is_trained(record.run, "macro_f1")
    ]
    pooled = pool_predictions(records, task, store)
    if pooled is None:
        return None
    predicted = pooled.probabilities.argmax(axis=1)
    confidence = pooled.probabilities.max(axis=1)
    is_right = predicted == pooled.labels
    of_class = _OF_FIRST if is_first else _OF_OTHERS
    of_all, least = _MOST_OF_FIRST if is_first else _MOST_OF_OTHERS
    most = max(of_all // len(trial.tasks), least)
    shots = []
    for holds, order in ((~is_right, -confidence), (is_right, confidence)):
        rows = _pick(pooled.labels, holds, order, of_class, most)
        shots.append(list(map(pooled.make_shot, rows)))
    return Gallery(trial.trial.name, task, *shots)


def _pick(
    labels: np.ndarray,
    holds: np.ndarray,
    order: np.ndarray,
    of_class: int,
    most: int,
) -> list[int]:
    """Picks the first images of each class, class by class."""
    rows = [
        row
        for label in np.unique(labels[labels >= 0])
        for row in _first(np.flatnonzero(holds & (labels == label)), order)[
            :of_class
        ]
    ]
    kept = set(_first(np.array(rows, "int64"), order)[:most])
    return [row for row in rows if row in kept]


def _first(rows: np.ndarray, order: np.ndarray) -> list[int]:
    return rows[np.argsort(order[rows], kind="stable")].tolist()


def pool_predictions(
    records: Sequence[Record], task: str, store: Reader
) -> Pooled | None:
    """Averages the probabilities of seeds that test the same images."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for record in records:
        test = store.read_task(record.run_id, task).test
        if test is not None:
            key = fingerprint_of(record, task)
            # As evidence has them, so that it gives the same page.
            rounded = round_probabilities(test.probabilities)
            found.setdefault(key, []).append((rounded, test.labels))
    if not found:
        return None
    keys, means, labels, wrong, seeds = [], [], [], [], []
    for key, parts in found.items():
        stacked = np.stack([part[0] for part in parts]).astype("float64")
        keys += [(key, place) for place in range(len(parts[0][1]))]
        means.append(stacked.mean(axis=0))
        labels.append(parts[0][1].astype("int64"))
        wrong.append((stacked.argmax(axis=2) != parts[0][1]).sum(axis=0))
        seeds.append(np.full(len(parts[0][1]), len(parts)))
    classes = records[0].classes
    if len(classes) < means[0].shape[1]:  # Not of medzoo's making.
        classes = [str(label) for label in range(means[0].shape[1])]
    arrays = map(np.concatenate, (means, labels, wrong, seeds))
    return Pooled(classes, keys, *arrays)
