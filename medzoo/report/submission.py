"""The competition's file: written from stored predictions, read, and scored.

A row an image of test: `id`, which counts all rows from 0, `id_image_in_task`,
which counts those of the task from 0 in the order of its file, `task_name`, and
the predicted `label`.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medzoo.files import replacing, writing
from medzoo.record import Predictions, Record
from medzoo.report.results import TrialResults
from medzoo.report.statistics import harmonic_mean_by_seed
from medzoo.scores.probabilities import harmonic_mean, macro_f1
from medzoo.store import Store
from medzoo.tasks import NAMES, get_task

COLUMNS = ("id", "id_image_in_task", "task_name", "label")
# Predicted labels of test by task, in the order of the files.
Labels = dict[str, np.ndarray]


class Choice(NamedTuple):
    """The runs of a study that were best on val.

    Args:
        trial: Name of the trial.
        seed: Its seed.
        records: Of its runs, which together have all tasks of the study.
    """

    trial: str
    seed: int
    records: list[Record]


def choose_on_val(results: Iterable[TrialResults]) -> Choice:
    """Picks the trial, then its seed, of the best harmonic mean on val.

    Trials are compared by their mean over seeds; test scores are not used.

    Raises:
        ValueError: If no trial has all of its runs done.
    """
    found = [(trial, _harmonic_means(trial)) for trial in results]
    complete = [
        (trial, means) for trial, means in found if not np.isnan(means).any()
    ]
    if not complete:
        raise ValueError(
            "No trial of the study has all of its runs done. Expected one to "
            "submit. Run the study first, or name runs that are done."
        )
    trial, means = max(complete, key=lambda item: item[1].mean())
    row = int(means.argmax())
    records = [trial.records[trial.seeds[row], task] for task in trial.tasks]
    unique = {record.run_id: record for record in records}
    return Choice(trial.trial.name, trial.seeds[row], list(unique.values()))


def _harmonic_means(trial: TrialResults) -> np.ndarray:
    scores = trial.matrix("macro_f1", "val")[: trial.num_given]
    return harmonic_mean_by_seed(scores)


def collect_labels(
    records: Iterable[Record], store: Store, data: str = "medmnist"
) -> Labels:
    """Reads what runs predicted on test: the most probable class.

    Args:
        records: Of runs that are done, no two of them about one task.
        store: Holds their predictions.
        data: Source of their data: the official files, or `synthetic`.

    Raises:
        ValueError: For other data, a task that is there twice, a run without
            predictions, or a number of images that is not that of the task's
            file.
    """
    found: Labels = {}
    for record in records:
        run = record.run
        stored = store.read_predictions(record.run_id) or Predictions()
        for task in run.tasks:
            if task not in NAMES or run.data != data:
                raise ValueError(
                    f"Run {record.run_id} is of other data than a submission. "
                    f"Expected one of the 11 tasks of data={data!r}. "
                    f"Received: task={task!r}, data={run.data!r}."
                )
            if task in found:
                raise ValueError(
                    f"Task `{task}` is predicted by two of the runs. Expected "
                    f"each task once. Received: {record.run_id} as well."
                )
            test = stored.of_task(task).test
            if record.status != "done" or test is None:
                raise ValueError(
                    f"Run {record.run_id} has no predictions on test. Expected "
                    f"a run that is done. Received: status={record.status!r}."
                )
            found[task] = test.predicted_labels
            expected = get_task(task).num_images["test"]
            if run.data == "medmnist" and len(found[task]) != expected:
                raise ValueError(
                    f"Run {record.run_id} has not predicted the test images of "
                    f"`{task}`. Expected {expected} images. "
                    f"Received: {len(found[task])}."
                )
    return found


def put_in_order(found: Labels, order: str = "medmnist") -> Labels:
    """Sorts tasks for the file.

    Args:
        found: Predicted labels by task.
        order: `medmnist`, the order of its tables; `alphabetical`; or the names
            of all tasks of `found`, separated by commas.

    Raises:
        ValueError: If the names are not those of `found`.
    """
    if order == "medmnist":
        names: Sequence[str] = [name for name in NAMES if name in found]
    elif order == "alphabetical":
        names = sorted(found)
    else:
        names = [name.strip() for name in order.split(",")]
    if sorted(names) != sorted(found):
        raise ValueError(
            "`order` must be medmnist, alphabetical, or each task once. "
            f"Expected tasks: {', '.join(found)}. Received: order={order!r}."
        )
    return {name: found[name] for name in names}


def write_submission(labels: Labels, path: Path) -> int:
    """Writes the file, tasks in the order given, and returns its rows.

    Raises:
        FileNotFoundError: If it cannot be written.
    """
    rows = [
        (image, task, int(label))
        for task, values in labels.items()
        for image, label in enumerate(values)
    ]
    with (
        writing(path),
        replacing(path) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((number, *row) for number, row in enumerate(rows))
    return len(rows)


def read_submission(path: Path, count_images: Callable[[str], int]) -> Labels:
    """Reads and checks such a file, whoever wrote it.

    Args:
        path: The file; tasks and images in any order.
        count_images: Returns the number of test images of a task.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: With row (1 is the line of names) and column of what is
            wrong first.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No file there. Expected a CSV file of labels. Received: {path}."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} is no CSV file in UTF-8. Received: {error}."
        ) from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ValueError(
            f"{path}, row 1: the columns must be {','.join(COLUMNS)}. "
            f"Received: {','.join(rows[0]) if rows else 'an empty file'}."
        )
    found: Labels = {}
    for number, row in enumerate(rows[1:]):
        try:
            _take_row(found, number, row, count_images)
        except ValueError as error:
            raise ValueError(f"{path}, row {number + 2}, {error}") from None
    for task, labels in found.items():
        if (labels < 0).any():
            raise ValueError(
                f"{path}, column `id_image_in_task`: {(labels < 0).sum()} of "
                f"the {len(labels)} test images of `{task}` are missing, the "
                f"first of them {labels.argmin()}."
            )
    if not found:
        raise ValueError(f"{path} has no row below its columns.")
    return found


def score_submission(
    found: Labels, truth: Mapping[str, np.ndarray]
) -> tuple[dict[str, float], float]:
    """Returns the macro F1 of each task, and their harmonic mean.

    Args:
        found: Predicted labels by task.
        truth: True labels of each of them.

    Example:

    >>> zeros = np.zeros(2, "int64")
    >>> score_submission({"breastmnist": zeros}, {"breastmnist": zeros})
    ({'breastmnist': 0.5}, 0.5)
    """
    scores = {
        task: macro_f1(np.eye(get_task(task).num_classes)[labels], truth[task])
        for task, labels in found.items()
    }
    return scores, harmonic_mean(scores.values()) or 0.0


def _take_row(
    found: Labels,
    number: int,
    row: Sequence[str],
    count_images: Callable[[str], int],
) -> None:
    """Checks a row and fills in its label; its error names the column."""
    if len(row) != len(COLUMNS):
        raise ValueError(
            f"column {len(row)}: a row has {len(COLUMNS)} cells. "
            f"Received: {','.join(row)!r}."
        )
    task = row[2]
    if task not in NAMES:
        raise ValueError(
            "column `task_name`: expected one of the 11 tasks. "
            f"Received: {task!r}."
        )
    _read_integer("id", row[0], range(number, number + 1))
    if task not in found:
        found[task] = np.full(count_images(task), -1)
    labels = found[task]
    image = _read_integer("id_image_in_task", row[1], range(len(labels)))
    if labels[image] >= 0:
        raise ValueError(
            f"column `id_image_in_task`: image {image} of `{task}` is there "
            "twice. Expected each image once."
        )
    classes = range(get_task(task).num_classes)
    labels[image] = _read_integer("label", row[3], classes)


def _read_integer(column: str, text: str, allowed: range) -> int:
    if text.isascii() and text.isdigit() and int(text) in allowed:
        return int(text)
    bounds = f"{allowed[0]} to {allowed[-1]}"
    expected = bounds if len(allowed) > 1 else str(allowed[0])
    raise ValueError(
        f"column `{column}`: expected {expected}. Received: {text!r}."
    )
