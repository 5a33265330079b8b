"""Writes `results/clinical.md` from the evidence of studies beside it.

Calibration, agreement and gaps between subgroups on breast ultrasound, retinas,
blood cells and skin lesions, beside published figures.
"""

from collections.abc import Iterator
from pathlib import Path

from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import EVIDENCE, read_evidence
from medzoo.report.published import read_published
from medzoo.report.results import TrialResults
from medzoo.report.subgroups import FEWEST_IMAGES
from medzoo.report.tables import Cell, Table, format_table
from medzoo.scores.table import format_score

RESULTS = Path(__file__).parents[1] / "results"
STUDIES = ("best", "training_cells", "imbalance_skin", "networks_skin")
SCORES = ("kappa", "quadratic_kappa", "ece", "ece_debiased")
# Grades, whose order the quadratically weighted kappa is for.
ORDINAL = ("retinamnist",)
# Tasks of which figures are published, by the task of a study.
PUBLISHED = {"skin": "dermamnist"}
TEXT = """\
# Calibration, agreement and subgroups

Made by `python scripts/make_clinical.py` from the `evidence.zip` of each study;
nothing was trained for it. Of each study there are the highest trial and its
baseline. ± is half the width of a 95 % interval over seeds and test images; of
ECE, lower is better.

{scores}

The published ECE ({system}; {source}) is of the official test split and of 10
bins, and here are 15. The blood cells are those of bloodmnist, split anew, and
the skin lesions those of dermamnist, all images of a lesion in one split, so
that these two are near to what is published and not the same. Errors on
corrupted images stand beside published ones in the tables of studies with
`corruptions = true`.

## Subgroups of the skin lesions

The other data have no columns such as age. The largest gap is that between
subgroups of {fewest} images and more; `expected` is the gap that the classes of
these two lead to. p, corrected over the attributes of a trial, is of the
hypothesis that all subgroups differ in their classes alone.

{gaps}
"""


def read_study(name: str) -> Evidence:
    """Reads the evidence of a study: of its results with the most runs."""
    found = [
        read_evidence(path, scores=SCORES)
        for path in sorted(RESULTS.glob(f"{name}*/{EVIDENCE}"))
    ]
    mine = [evidence for evidence in found if evidence.study.name == name]
    return max(mine, key=lambda evidence: evidence.num_done)


def list_trials(evidence: Evidence) -> list[TrialResults]:
    """Lists the highest trial, and the baseline if that is another."""
    first, *others = evidence.results
    baseline = evidence.study.baseline
    return [first, *(each for each in others if each.trial == baseline)]


def make_scores(studies: list[Evidence]) -> Table:
    """Lays scores out, a row a task, study and trial."""
    published = {f.task: f.value for f in read_published() if f.score == "ece"}
    rows: list[list[Cell]] = []
    for evidence in studies:
        for task in evidence.best.tasks:
            value = published.get(PUBLISHED.get(task, task))
            for trial in list_trials(evidence):
                rows.append(
                    [
                        task,
                        evidence.study.name,
                        trial.trial.name,
                        trial.records[trial.seeds[0], task].num_images["test"],
                        *list_scores(evidence, trial, task),
                        None if value is None else f"{value:.3f}",
                    ]
                )
    names = map(format_score, SCORES)
    columns = ("task", "study", "trial", "test images", *names)
    return Table((*columns, "published ECE"), rows)


def list_scores(
    evidence: Evidence, trial: TrialResults, task: str
) -> Iterator[Cell]:
    """Yields the scores of a trial on a task, with their intervals."""
    for name in SCORES:
        is_shown = name != "quadratic_kappa" or task in ORDINAL
        asked = evidence.asked[name][trial.trial.name]
        yield asked.by_task[task] if is_shown else None


def make_gaps(studies: list[Evidence]) -> Table:
    """Lays the largest gaps out, a row a study, trial and attribute."""
    rows: list[list[Cell]] = []
    for evidence in studies:
        shown = [trial.trial.name for trial in list_trials(evidence)]
        for found in evidence.subgroups:
            if found.trial in shown and found.gap:
                gap = found.gap
                rows.append(
                    [
                        evidence.study.name,
                        found.trial,
                        format_score(found.score),
                        found.attribute,
                        f"{gap.size:.3f}",
                        gap.highest,
                        gap.lowest,
                        f"{gap.expected:+.3f}",
                        gap.p_corrected,
                    ]
                )
    columns = ("study", "trial", "score", "attribute", "largest gap")
    return Table((*columns, "highest", "lowest", "expected", "p"), rows)


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
