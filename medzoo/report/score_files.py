"""Files of the scores that a study asks for, beside its tables."""

from medzoo.report.asked_scores import make_scores
from medzoo.report.evidence import Evidence
from medzoo.report.per_class import make_per_class
from medzoo.report.tables import to_csv

SCORE_FILES = ("scores.csv", "per_class.csv")


def make_score_files(evidence: Evidence) -> dict[str, str]:
    """Makes the files of a study that asks for scores, by their names."""
    study, results = evidence.study, evidence.results
    if not study.scores and not study.operating_point:
        return {}
    files = {}
    if study.scores:
        files["scores.csv"] = to_csv(make_scores(evidence.asked, results))
    files["per_class.csv"] = to_csv(make_per_class(evidence))
    return files
