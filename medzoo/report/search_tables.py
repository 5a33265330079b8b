"""The tables of a search: its candidates, its best values, what mattered."""

from collections.abc import Sequence

import numpy as np

from medzoo.report.tables import Cell, Table
from medzoo.search.candidates import Tried
from medzoo.search.search_file import Search
from medzoo.search.space import Dimension, is_active

# Below this many candidates a forest has nothing to learn from.
FEWEST = 10
_TREES = 300


def rank_tried(tried: Sequence[Tried]) -> list[Tried]:
    """Sorts candidates, the best first, those without a score last.

    Those that were trained for less of their budget come behind: by Hyperband
    they were dropped, and the score of one was of fewer looks at val.
    """
    return sorted(
        tried,
        key=lambda each: (
            each.score is None,
            -each.share,
            -(each.score or 0.0),
            each.number,
        ),
    )


def make_candidates(search: Search, tried: Sequence[Tried]) -> Table:
    """Makes the table with a row a candidate, the best first."""
    space = search.document.space
    pruned = any(each.share < 1 for each in tried)
    failed = any(each.error for each in tried)
    columns = (
        "candidate",
        *space,
        *(("share",) if pruned else ()),
        search.objective,
        "seconds",
        *(("error",) if failed else ()),
    )
    rows: list[list[Cell]] = [
        [
            each.number,
            *(each.values.get(name) for name in space),
            *((round(each.share, 3),) if pruned else ()),
            None if each.score is None else round(each.score, 4),
            round(each.seconds, 1),
            *((each.error or None,) if failed else ()),
        ]
        for each in rank_tried(tried)
    ]
    return Table(columns, rows)


def make_importance(
    search: Search, tried: Sequence[Tried]
) -> tuple[Table, float] | None:
    """Says how much each key of the space decided, by a small forest.

    A random forest ([Breiman, 2001](https://doi.org/10.1023/A:1010933404324))
    learns the score from the values; a key's importance is its share of what
    the splits explain, 0 to 1. It says which keys mattered among these
    candidates, and nothing where the forest does not predict candidates that a
    tree has not seen: that is what the second number is for.

    Returns:
        The table, and the coefficient of determination (R squared) on
        candidates left out of a tree: 1 if they are predicted perfectly, 0 or
        less if not at all. `None` for fewer than 10 scored candidates.
    """
    scored = [each for each in tried if each.score is not None]
    whole = [each for each in scored if each.share == 1]
    if len(whole) < FEWEST:
        return None
    from sklearn.ensemble import RandomForestRegressor

    space = search.document.space
    features = np.array([encode(space, each) for each in whole])
    scores = np.array([each.score for each in whole])
    forest = RandomForestRegressor(_TREES, oob_score=True, random_state=0)
    forest.fit(features, scores)
    found = sorted(
        zip(space, forest.feature_importances_, strict=True),
        key=lambda item: -item[1],
    )
    rows: list[list[Cell]] = [[k, round(float(v), 3)] for k, v in found]
    return Table(("key", "importance"), rows), float(forest.oob_score_)


def encode(space: dict[str, Dimension], tried: Tried) -> list[float]:
    """Places the values of a candidate between 0 and 1, in the order of keys.

    A key that does not count lies at -0.15, below all of its values.
    """
    return [
        place(dimension, tried.values[name])
        if name in tried.values and is_active(dimension, tried.values)
        else -0.15
        for name, dimension in space.items()
    ]


def place(dimension: Dimension, value: Cell) -> float:
    """Places one value between 0 and 1, on the scale of its key."""
    if dimension.values is not None:
        most = max(1, len(dimension.values) - 1)
        return dimension.values.index(value) / most  # type: ignore[arg-type]
    ends = np.array([dimension.low, dimension.high, value], dtype="float64")
    low, high, here = np.log(ends) if dimension.log else ends
    return float((here - low) / (high - low))
