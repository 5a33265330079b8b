"""Files of the scores that a study asks for, beside its tables."""

from collections.abc import Callable, Mapping

from medzoo.report.asked_scores import make_scores
from medzoo.report.conformal import make_conformal
from medzoo.report.curves import make_curves
from medzoo.report.evidence import Evidence
from medzoo.report.per_class import make_per_class
from medzoo.report.selective import make_selective
from medzoo.report.tables import Table, to_csv

_TABLES: Mapping[str, Callable[[Evidence], Table]] = {
    "scores.csv": lambda found: make_scores(found.asked, found.results),
    "per_class.csv": make_per_class,
    "selective.csv": make_selective,
    "conformal.csv": make_conformal,
    "curves.csv": lambda found: make_curves(found.curves),
}
SCORE_FILES = tuple(_TABLES)


def make_score_files(evidence: Evidence) -> dict[str, str]:
    """Makes the files of a study that asks for scores, by their names."""
    if not evidence.asks_for_more:
        return {}
    return {name: to_csv(make(evidence)) for name, make in _TABLES.items()}
