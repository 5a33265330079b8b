import csv
import importlib.util
import io
import shutil
import subprocess
from pathlib import Path

import pytest
from page_records import make_widths, report_on
from report_records import SCORES, TASKS, make_records, make_study

from medzoo.report.evidence import Evidence
from medzoo.report.published import SCORES as SCORES_BESIDE
from medzoo.report.published import read_published, set_beside
from medzoo.report.results import gather
from medzoo.report.statistics import Estimate
from medzoo.report.tables import FORMATS, Table, format_table, to_latex
from medzoo.scores.probabilities import harmonic_mean
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.tasks import NAMES

ROOT = Path(__file__).parents[1]
HALF = Estimate(0.5, low=0.25, high=0.75, half_width=0.25)
AWKWARD = Table(
    ("a_name", "score", "parameters"),
    [[r"50 % of $x_1^2$ & \~{b} <#>", HALF, 1234567]],
)


def compare(study, folder, scores=SCORES):
    results = gather(expand(study), make_records(study, scores))
    return set_beside(Evidence.of(study, Store(folder), results))


def rows_of(table, score):
    return {
        row[1]: dict(zip(table.columns, row, strict=True))
        for row in table.rows
        if row[0] == score
    }


def test_published_figures_are_of_known_tasks_and_scores():
    for figure in read_published():
        assert figure.task in (*NAMES, "all")
        assert figure.score in (
            *SCORES_BESIDE,
            "harmonic_mean",
            "balanced_error",
            "corrupted_balanced_error",
        )
        assert 0 < figure.value < 1
        assert figure.system
        assert figure.source
    keys = [figure[:3] for figure in read_published()]
    assert len(keys) == len(set(keys))


def test_published_harmonic_mean_follows_from_its_tasks():
    system = "ACCV, shared ConvNeXt-Tiny"
    values = {f.task: f.value for f in read_published() if f.system == system}
    whole = values.pop("all")
    assert harmonic_mean(values.values()) == pytest.approx(whole, abs=5e-4)


def test_trials_stand_above_published_figures_the_best_first(tmp_path):
    table = compare(make_study(), tmp_path)
    rows = rows_of(table, "macro_f1")
    ours, second, third, *others = rows.values()
    assert ours["system"] == "toy: lion"
    assert {second["system"], third["system"]} == {"toy: adam", "toy: sgd"}
    assert [ours[task].mean for task in TASKS] == [0.75, 0.5]
    assert ours["harmonic_mean"].mean == pytest.approx(0.6)
    published = rows["ikteng, 11 small CNNs"]
    assert [published[task].mean for task in TASKS] == [0.712, 0.33]
    expected = 2 / (1 / 0.712 + 1 / 0.33)
    assert published["harmonic_mean"].mean == pytest.approx(expected)
    assert len(others) == 5


def test_scores_that_are_asked_for_stand_beside_published_ones(tmp_path):
    study = make_widths(2, tasks=("breastmnist", "retinamnist"))
    plain = report_on(study, tmp_path)
    assert rows_of(set_beside(plain), "ece") == {}
    asked = Evidence.read(study.show(scores=["ece"]), plain.store)
    ours, _, published = rows_of(set_beside(asked), "ece").values()
    assert 0 <= ours["breastmnist"].low < ours["breastmnist"].high <= 1
    assert published["breastmnist"].mean == 0.034
    assert published["retinamnist"] is None


def test_the_page_of_clinical_scores_is_that_of_the_tables_beside_it():
    path = ROOT / "scripts" / "make_clinical.py"
    spec = importlib.util.spec_from_file_location("make_clinical", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written = (ROOT / "results" / "clinical.md").read_text(encoding="utf-8")
    assert script.write_page() == written


def test_seeds_without_a_score_are_not_counted(tmp_path):
    scores = {"adam": [[0.5, 0.4], [None, None]]}
    study = make_study(["adam"])
    row = rows_of(compare(study, tmp_path, scores), "macro_f1")["toy: adam"]
    assert row["source"] == "here, 1 of 2 seeds"


def test_gaps_stay_empty(tmp_path):
    row = rows_of(compare(make_study(), tmp_path), "accuracy")
    assert row["ResNet-18 28 px"]["harmonic_mean"] is None
    study = make_study(tasks=("pathmnist", "retinamnist"))
    row = rows_of(compare(study, tmp_path), "macro_f1")["majority class"]
    assert row["pathmnist"] is None
    assert row["harmonic_mean"] is None


def test_whole_competition_is_compared_only_on_all_tasks(tmp_path):
    study = make_study(["adam"], tasks=NAMES, baseline=None)
    scores = {"adam": [[0.5] * 11, [0.5] * 11]}
    row = rows_of(compare(study, tmp_path, scores), "macro_f1")
    paper = row["Gavril et al., shared ConvNeXt-Tiny 64 px"]
    assert paper["harmonic_mean"].mean == 0.73294
    assert "Gavril" not in format_table(compare(make_study(), tmp_path))


def test_all_formats_hold_the_same_numbers(tmp_path):
    table = compare(make_study(), tmp_path)
    for write in FORMATS.values():
        assert "0.712" in write(table)
    found = list(csv.DictReader(io.StringIO(FORMATS["csv"](table))))
    assert float(found[0]["breastmnist"]) == 0.75


def test_html_takes_texts_as_texts():
    assert "&lt;#&gt;" in FORMATS["html"](AWKWARD)


@pytest.mark.extras
def test_latex_compiles(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base)")
    text = (
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
        f"{to_latex(AWKWARD)}\n\\end{{document}}\n"
    )
    (tmp_path / "table.tex").write_text(text)
    subprocess.run(
        ["pdflatex", "-halt-on-error", "table.tex"],
        cwd=tmp_path,
        check=True,
        timeout=60,
        stdout=subprocess.DEVNULL,
    )


def test_latex_escapes_what_it_would_read_as_commands():
    cells = to_latex(AWKWARD).splitlines()[4]
    assert cells == (
        r"50 \% of \$x\_1\textasciicircum{}2\$ \& \textbackslash{}"
        r"\textasciitilde{}\{b\} $<$\#$>$ & "
        r"0.500 $\pm$ 0.250 & 1,234,567 \\"
    )
