"""How often verdicts are wrong, and what they find: by simulation.

Draws studies by the generator of the tests, which shares no code with the
package, and writes the table of `docs/statistics.md` and its source,
`results/benchmarks/verdicts.csv`. Takes about half a minute.
"""

import csv
import re
import sys
from pathlib import Path

import numpy as np

from medzoo.report.inference import compare_pairs
from medzoo.report.tables import Table, format_table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from drawn_scores import correct, draw_scores, image_covariance_of  # noqa: E402

FILE = ROOT / "results" / "benchmarks" / "verdicts.csv"
PAGE = ROOT / "docs" / "statistics.md"
# What stands between these lines of the page is written here.
BLOCK = re.compile(r"(?<=<!-- simulated -->\n).*?(?=\n<!-- end -->)", re.DOTALL)
SHAPES = ((9, 2), (9, 3), (9, 5), (3, 3), (3, 5))
NUM_STUDIES = 20_000
COLUMNS = (
    "trials",
    "seeds",
    "false, equal spread",
    "false, log-normal spread",
    "false, baseline x 3",
    "finds 0.05",
    "finds 0.1",
    "half-width",
)


def compare(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Compares all trials to the first: corrected p-values, half-width."""
    count = values.shape[-2]
    pairs = [(trial, 0) for trial in range(1, count)]
    found = compare_pairs(values, image_covariance_of(count), pairs)
    return correct(found.p), float(found.half_widths().mean())


def simulate(num_trials: int, num_seeds: int) -> list[str]:
    """Simulates one row of the table; shares in percent."""
    row = [str(num_trials), str(num_seeds)]
    options = {"num_studies": NUM_STUDIES}
    for spread in ("equal", "lognormal", "baseline"):
        values = draw_scores(num_trials, num_seeds, spread=spread, **options)
        wrong = compare(values)[0].min(axis=1) <= 0.05
        row.append(f"{100 * wrong.mean():.1f} %")
    values = draw_scores(num_trials, num_seeds, seed=1, **options)
    for difference in (0.05, 0.1):
        moved = values.copy()
        moved[:, 1] -= difference
        found = compare(moved)[0][:, 0] <= 0.05
        row.append(f"{100 * found.mean():.0f} %")
    return [*row, f"{compare(values)[1]:.3f}"]


def read_rows() -> list[list[str]]:
    """Reads the rows that were simulated last."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def format_rows(rows: list[list[str]]) -> str:
    """Lays the rows out as the page shows them."""
    return format_table(Table(COLUMNS, rows))


def main() -> None:
    """Simulates all rows and writes both files."""
    rows = [simulate(*shape) for shape in SHAPES]
    with FILE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    text = PAGE.read_text(encoding="utf-8")
    table = format_rows(rows)
    PAGE.write_text(BLOCK.sub(lambda _: table, text), encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
