"""Writes `results/clinical.md` from the tables of studies beside it.

Calibration, agreement and gaps between subgroups on breast ultrasound, retinas,
blood cells and skin lesions, beside published figures.
"""

import csv
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from medzoo.record import Predictions
from medzoo.report.evidence_file import EVIDENCE, EvidenceFile
from medzoo.report.published import read_published
from medzoo.report.subgroups import FEWEST_IMAGES
from medzoo.report.tables import Cell, Table, format_table
from medzoo.scores.table import format_score
from medzoo.scores.weighted import ece
from medzoo.study.spec import Study
from medzoo.training.adjust import fit_temperature
from medzoo.training.predict import to_probabilities

RESULTS = Path(__file__).parents[1] / "results"
STUDIES = (
    "best",
    "training_cells",
    "imbalance_skin",
    "losses_skin",
    "networks_skin",
)
LAST = ("ECE after a temperature", "published ECE")
SCORES = ("kappa", "quadratic_kappa", "ece", "ece_debiased")
# Grades, whose order the quadratically weighted kappa is for.
ORDINAL = ("retinamnist",)
# Tasks of which figures are published, by the task of a study.
PUBLISHED = {"skin": "dermamnist", "bloodcells_28": "bloodmnist"}
TEXT = """\
# Calibration, agreement and subgroups

Made by `python scripts/make_clinical.py` from `scores.csv` and `subgroups.csv`
of each study; nothing was trained for it. Of each study there are the highest
trial and its baseline, with 95 % intervals over seeds and test images. Of ECE,
lower is better.

{scores}

The last but one is the ECE (15 equal-width bins) after the logits were divided
by one temperature, the one with the least cross entropy on val: mean and
standard deviation over seeds. It changes no prediction, and `adjust =
"temperature"` does it in training. Soft F1, which asks for the right class
alone, needs it.

Published ECE, on the official test splits (here are 15 bins):
{system}; {source}.

The blood cells are those of bloodmnist, split anew, and the skin lesions those
of dermamnist, all images of a lesion in one split, so these two are near to
what is published and not the same. Errors on corrupted images stand beside
published ones in the tables of studies with `corruptions = true`, such as
`robustness`.

## Subgroups of the skin lesions

The other data have no columns such as age. The largest gap is that between
subgroups of {fewest} images and more; `expected` is the gap that the classes of
these two lead to. p, corrected over the attributes of a trial, is of the
hypothesis that all subgroups differ in their classes alone.

{gaps}
"""


class Shown(NamedTuple):
    """A study, its evidence and folder, and the trials of it that are shown."""

    study: Study
    file: EvidenceFile
    folder: Path
    trials: list[str]


def read_study(name: str) -> Shown:
    """Finds the results of a study with the most runs, and its two trials."""
    paths = RESULTS.glob(f"{name}*/{EVIDENCE}")
    files = [EvidenceFile(path) for path in sorted(paths)]
    found = max(files, key=lambda file: len(file.contents.arrays))
    study = Study.from_json(found.contents.study)
    folder = found.folder.parent
    first = read_rows(folder / "scores.csv")[0]["trial"]
    baseline = study.baseline.name if study.baseline else first
    return Shown(study, found, folder, list(dict.fromkeys([first, baseline])))


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads a table; none if it is missing."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def make_scores(studies: list[Shown]) -> Table:
    """Lays scores out, a row a task, study and trial."""
    published = {f.task: f.value for f in read_published() if f.score == "ece"}
    rows: list[list[Cell]] = []
    for study, file, folder, trials in studies:
        table = read_rows(folder / "scores.csv")
        cells = {(r["trial"], r["task"], r["score"]): r for r in table}
        images = {r["task"]: r for r in read_rows(folder / "runs.csv")}
        for task in dict.fromkeys(row["task"] for row in table):
            value = published.get(PUBLISHED.get(task, task))
            rows += (
                [
                    task,
                    images[task]["test_images"],
                    f"{study.name}: {trial}",
                    *(
                        format_interval(cells.get((trial, task, score)))
                        if score != "quadratic_kappa" or task in ORDINAL
                        else None
                        for score in SCORES
                    ),
                    format_tempered(file, trial, task),
                    None if value is None else f"{value:.3f}",
                ]
                for trial in trials
            )
    columns = ("task", "test images", "study and trial")
    return Table((*columns, *map(format_score, SCORES), *LAST), rows)


def format_tempered(file: EvidenceFile, trial: str, task: str) -> str:
    """Writes the ECE on test after a temperature of val, over seeds."""
    cells = next(
        each.cells
        for each in file.contents.trials
        if each.trial.trial.name == trial
    )
    found = [
        file.read_predictions(cell[2]) for cell in cells if cell[1] == task
    ]
    values = [measure_tempered(each) for each in found if each is not None]
    return f"{fmean(values):.3f} ± {stdev(values):.3f}"


def measure_tempered(predictions: Predictions) -> float:
    """Returns the ECE on test, of logits divided by a temperature of val."""
    val, test = predictions.val, predictions.test
    if val is None or test is None:
        raise ValueError("A run has no predictions of val or test.")
    # Stored probabilities are rounded; their logarithms are logits.
    scale = fit_temperature(to_logits(val.probabilities), val.labels)
    tempered = to_probabilities(
        to_logits(test.probabilities) * scale, "softmax"
    )
    return float(ece(tempered, test.labels, np.ones(len(test.labels))))


def to_logits(probabilities: np.ndarray) -> np.ndarray:
    """Returns logarithms; rounded probabilities may be 0."""
    return np.log(np.clip(probabilities.astype("float64"), 1e-6, 1))


def format_interval(row: dict[str, str] | None) -> str | None:
    """Writes a score with its interval."""
    if row is None:
        return None
    names = ("value", "value_low", "value_high")
    value, low, high = (float(row[name]) for name in names)
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def make_gaps(studies: list[Shown]) -> Table:
    """Lays the largest gaps out, a row a study, trial and attribute."""
    rows: list[list[Cell]] = [
        [
            f"{study.name}: {row['trial']}",
            row["attribute"],
            f"{float(row['gap']):.3f}",
            row["highest"],
            row["lowest"],
            f"{float(row['gap_expected']):+.3f}",
            float(row["p_holm"]),
        ]
        for study, _, folder, trials in studies
        for row in read_rows(folder / "subgroups.csv")
        if row["trial"] in trials and row["gap"]
    ]
    columns = ("study and trial", "attribute", "largest gap", "highest")
    return Table((*columns, "lowest", "expected", "p"), rows)


def write_page() -> str:
    """Writes the page."""
    studies = [read_study(name) for name in STUDIES]
    figure = next(f for f in read_published() if f.score == "ece")
    return TEXT.format(
        scores=format_table(make_scores(studies)),
        gaps=format_table(make_gaps(studies)),
        system=figure.system,
        source=figure.source,
        fewest=FEWEST_IMAGES,
    )


if __name__ == "__main__":
    (RESULTS / "clinical.md").write_text(write_page(), encoding="utf-8")
