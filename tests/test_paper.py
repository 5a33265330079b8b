"""What a report writes for a paper: methods, checklists, references, tables."""

import csv
import dataclasses
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from page_records import make_drawn, make_widths, report_on
from report_records import make_study

from medzoo.models.backbones import BACKBONES
from medzoo.models.options import MASK_LOSSES, TASK_WEIGHTINGS
from medzoo.models.registry import MODELS
from medzoo.report import methods
from medzoo.report.checklist import (
    CHECKLISTS,
    answer_checklist,
    make_checklist,
    read_checklist,
)
from medzoo.report.evidence_file import read_evidence
from medzoo.report.figures.differences import (
    draw_differences,
    find_differences,
)
from medzoo.report.figures.macro_f1 import draw_macro_f1
from medzoo.report.figures.paper import make_paper_figures, remove_titles
from medzoo.report.figures.style import TITLES, render
from medzoo.report.latex import make_table, make_table_by_task, make_tables
from medzoo.report.manuscript import write_manuscript
from medzoo.report.methods import (
    SECTIONS,
    Prose,
    find_values,
    in_latex,
    in_markdown,
    make_methods,
)
from medzoo.report.references import (
    find_keys,
    format_source,
    list_keys,
    make_bibliography,
    name_source,
    read_cited,
    read_entries,
)
from medzoo.report.study_tables import make_runs
from medzoo.report.subgroups import Breakdown, Row
from medzoo.report.tables import to_csv
from medzoo.runs.fields import FIELDS, OPTIMIZERS
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.spec import read_study
from medzoo.study.trials import Trial
from medzoo.tasks import NAMES

RESULTS = Path(__file__).parents[1] / "results"
IMAGES = {"train": 546, "val": 78, "test": 156}
ZOO = {
    "task": NAMES,
    "model": MODELS,
    "backbone": [*BACKBONES, "none"],
    "task_weighting": TASK_WEIGHTINGS,
    "mask_loss": MASK_LOSSES,
    **{
        field: FIELDS[field].choices
        for field in (
            "optimizer",
            "schedule",
            "loss",
            "imbalance",
            "adjust",
            "augmentation",
            "mix",
            "activation",
        )
    },
}


def make_evidence(study, folder):
    """Returns the evidence of drawn records with costs and sizes."""
    records, predictions = make_drawn(study)
    records = {
        run_id: record.model_copy(
            update={
                "num_images": IMAGES,
                "seconds": {**record.seconds, "total": 40.0 + at},
                "peak_memory_mb": 600.5 + at,
            }
        )
        for at, (run_id, record) in enumerate(records.items())
    }
    command = "medzoo study run toy"
    return report_on(study, folder, records, predictions, command=command)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    return make_evidence(make_widths(4), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def values(evidence):
    return find_values(evidence)


@pytest.mark.parametrize("kind", ZOO)
def test_all_of_the_zoo_is_cited_or_says_why_not(kind):
    assert set(read_cited()[kind]) == set(ZOO[kind])


def test_each_key_has_an_entry_and_each_entry_a_use():
    keys = {
        key
        for table in read_cited().values()
        for value in table.values()
        if not isinstance(value, str)
        for key in value
    }
    assert keys <= set(read_entries())
    template = Path(methods.__file__).with_name("paper") / "methods.jinja"
    cited = set(re.findall(r'cite\("([^"]+)"\)', template.read_text()))
    lists = {read_checklist(name).source for name in CHECKLISTS}
    assert keys | cited | lists == set(read_entries())


@pytest.mark.parametrize("key", read_entries())
def test_entries_have_what_a_reader_looks_for(key):
    entry = read_entries()[key]
    assert entry.count("{") == entry.count("}")
    assert re.search(r"^  author = \{.+\},$", entry, re.M)
    assert re.search(r"^  year = \{\d{4}\},?$", entry, re.M)
    assert "{" not in format_source(key)
    assert name_source(key)[-4:].isdigit()


def test_runs_cite_what_they_use_and_nothing_else():
    run = Run(task="breastmnist", model="skip_cnn", optimizer="lion", ema=0.99)
    found = list_keys([run])
    assert {"aldhabyani2020", "he2016", "chen2023", "polyak1992"} <= set(found)
    assert not {"kingma2015", "goyal2017", "ronneberger2015"} & set(found)
    bibliography = make_bibliography(found)
    assert bibliography.count("@") == len(found)
    knn = list_keys([Run(task="breastmnist", model="knn", backbone="none")])
    assert set(knn) == {
        "medmnist", "aldhabyani2020", "cover1967", "pedregosa2011",
    }  # fmt: skip
    assert find_keys("optimizer", "mine") == []


def test_no_item_of_a_checklist_is_missing():
    claim = [item.number for item in read_checklist("claim").items]
    assert claim == [str(number) for number in range(1, 45)]
    parts = {3: 3, 5: 2, 6: 3, 8: 3, 9: 3, 12: 7, 18: 6, 20: 3, 23: 2, 27: 3}
    tripod = [item.number for item in read_checklist("tripod-ai").items]
    expected = []
    for number in range(1, 28):
        letters = "abcdefg"[: parts.get(number, 0)]
        expected += [f"{number}{x}" for x in letters] or [str(number)]
    assert tripod == expected


@pytest.mark.parametrize("name", CHECKLISTS)
def test_each_item_is_answered_or_owed(evidence, values, name):
    blocks = Prose(values, in_markdown()).blocks
    for item in read_checklist(name).items:
        assert set(item.answer) <= set(blocks)
        assert item.answer or item.owed
    answers = answer_checklist(values, name)
    assert all(answer.text or answer.owed for answer in answers)
    assert {answer.status for answer in answers} == {
        "answered", "in part", "owed",
    }  # fmt: skip
    text = make_checklist(evidence, name, answers)
    assert all(f"\n## {a.item.number}. " in text for a in answers)
    owed = sum(bool(answer.owed) for answer in answers)
    assert text.count("[you must say: ") == owed


def test_each_block_of_the_prose_is_read_somewhere(values):
    used = {
        block
        for paragraphs, _ in SECTIONS.values()
        for blocks in paragraphs
        for block in blocks
    }
    for name in CHECKLISTS:
        used |= {b for i in read_checklist(name).items for b in i.answer}
    assert used == set(Prose(values, in_markdown()).blocks)


def numbers_in(text):
    """Lists the numbers of a text, as they stand there."""
    return re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)*(?!\w)", text)


def list_strange_numbers(evidence):
    """Lists the numbers of the methods that the table of runs has not."""
    text = make_methods(find_values(evidence), in_markdown())
    # Sources, names of files, what is owed, the licence, and notes on the data.
    away = r"\([^()]*, \d{4}\)|`[^`]*`|\[you must say[^]]*\]|CC BY 4\.0"
    text = " ".join(text.split())
    for note in evidence.best.done[0].notes:
        assert note in text
        text = text.replace(note, "")
    text = re.sub(away, "", text)
    rows = list(
        csv.DictReader(to_csv(make_runs(evidence.results)).splitlines())
    )
    cells = {cell for row in rows for cell in row.values()}
    known = {n for cell in cells for n in numbers_in(cell.replace("-", " "))}
    known |= {f"{int(row['parameters']):,}" for row in rows}
    known |= {f"{int(row['parameters_trainable']):,}" for row in rows}
    known |= {f"{int(row['flops']) / 1e6:,.2f}" for row in rows}
    seconds = sum(float(row["total_seconds"]) for row in rows)
    known |= {f"{seconds / 3600:.2f}"}
    known |= {f"{max(float(row['peak_memory_mb']) for row in rows):.0f}"}
    known |= {f"{OPTIMIZERS[row['optimizer']].learning_rate:g}" for row in rows}
    # Options that a study leaves as the zoo has them.
    defaults = evidence.best.done[0].run.entry.defaults
    known |= {f"{value}" for value in defaults.values()}
    counts = [len({row[name] for row in rows}) for name in ("trial", "task")]
    counts.append(len(rows[0]["test_per_class_f1"].split()))
    known |= {str(n) for n in (*counts, len(rows), 2)}
    # What the statistics are by definition, and pixels.
    known |= {"95", "0.05", "2,000", "1,000", "20", "15", "0", "255", "8"}
    statistics = evidence.statistics
    known |= {f"{statistics.plan.detectable(num_seeds_of(rows)):.3f}"}
    known |= {f"{statistics.equal_within or 0:g}"}
    for row in rows:
        text = text.replace(row["started"][:10], "")
    left = [n.rstrip(",") for n in numbers_in(text)]
    assert f"{rows[0]['train_images']} train" in text
    return [n for n in left if n not in known]


def num_seeds_of(rows):
    """Returns the number of seeds that every trial has."""
    return len({row["seed"] for row in rows})


def test_each_number_of_the_methods_is_in_the_table_of_runs(evidence):
    assert list_strange_numbers(evidence) == []


@pytest.mark.slow
def test_so_is_each_of_a_study_of_real_images():
    path = next(RESULTS.glob("imbalance_skin*/evidence.zip"))
    evidence = read_evidence(path)
    assert evidence.subgroups
    assert list_strange_numbers(evidence) == []


def test_scores_by_subgroup_are_said_and_no_longer_owed(evidence, values):
    rows = [Row("all", 80, 40, 2), Row("f", 40, 20, 2), Row("m", 40, 20, 2)]
    found = Breakdown(
        evidence.best.trial.name,
        evidence.results[0].tasks[0],
        "sex",
        "macro_f1",
        rows,
    )
    known = find_values(dataclasses.replace(evidence, kept_subgroups=[found]))
    text = " ".join(make_methods(known, in_markdown()).split())
    assert "broken down by sex" in text
    assert "shuffling images, groups whole, between them" in text
    assert "broken down" not in make_methods(values, in_markdown())

    def answer(values):
        answers = answer_checklist(values, "tripod-ai")
        return next(each for each in answers if each.item.number == "23a")

    assert answer(values).owed == "the scores of subgroups of patients"
    assert answer(known).status == "answered"


def test_methods_cite_in_both_formats(values):
    markdown, latex = in_markdown(), in_latex()
    assert "(Smyth, 2004)" in make_methods(values, markdown)
    text = make_methods(values, latex)
    assert r"\cite{smyth2004}" in text
    assert set(markdown.cited) == set(latex.cited)
    used = {k for keys in re.findall(r"\\cite\{(.*?)\}", text)
            for k in keys.split(",")}  # fmt: skip
    assert used <= set(latex.cited) <= set(read_entries())


def test_methods_of_one_trial_without_a_baseline(tmp_path):
    study = make_study(("adam",), baseline=None, tasks=("breastmnist",))
    values = find_values(make_evidence(study, tmp_path))
    text = make_methods(values, in_markdown())
    assert "compares 1 trial," in text
    assert "Holm" not in text
    assert "None" not in text


def test_many_sizes_are_a_table(evidence):
    results = [
        dataclasses.replace(
            trial,
            records={
                key: record.model_copy(
                    update={"flops": 10**6 * (at + len(key[1]))}
                )
                for key, record in trial.records.items()
            },
        )
        for at, trial in enumerate(evidence.results)
    ]
    values = find_values(dataclasses.replace(evidence, results=results))
    text = make_methods(values, in_markdown())
    assert re.search(r"\| width 8 +\| 1,234,567 +\| 1,234,000 +\| 1", text)
    assert r"\label{tab:sizes}" in make_methods(values, in_latex())


def test_bold_are_the_highest_and_those_tied_with_it(evidence):
    statistics = evidence.statistics
    rows = make_table(evidence).splitlines()
    bold = {
        row.partition(" & ")[0] for row in rows if row.startswith("width")
        and r"\textbf" in row
    }  # fmt: skip
    assert bold == {statistics.best, *statistics.tied}
    by_task = make_table_by_task(evidence)
    assert by_task.count(r"\textbf") >= len(evidence.results[0].tasks)


def test_tables_have_true_signs_and_no_digit_too_many(evidence):
    text = make_tables(evidence)
    assert "$-$0." in text
    assert not re.search(r"& -", text)
    assert r"\caption{" in text
    assert r"\label{tab:toy}" in text


def test_a_tiny_p_is_less_than_a_thousandth(evidence):
    trials = {
        name: dataclasses.replace(
            trial,
            difference=trial.difference
            and dataclasses.replace(trial.difference, p_corrected=1e-6),
        )
        for name, trial in evidence.statistics.trials.items()
    }
    statistics = dataclasses.replace(evidence.statistics, trials=trials)
    changed = dataclasses.replace(evidence, statistics=statistics)
    assert "& $<$0.001 \\\\" in make_table(changed)


def test_columns_are_chosen_by_name(evidence):
    text = make_table(evidence, "score,mcc,parameters")
    assert "MCC & parameters" in text
    assert "1,234,567" in text
    with pytest.raises(ValueError, match="Unknown column `aux`"):
        make_table(evidence, "score,aux")


def test_files_of_a_paper_are_beside_the_tables(evidence, tmp_path):
    paths = write_manuscript(
        evidence, tmp_path, methods=True, checklist="tripod-ai"
    )
    assert {path.name for path in paths} == {
        "methods.md",
        "methods.tex",
        "tables.tex",
        "references.bib",
        "paper.tex",
        "checklist_tripod-ai.md",
        "checklist_tripod-ai.csv",
    }
    text = paths[-1].read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 52
    assert write_manuscript(evidence, tmp_path) == ()


def draw_narrow_differences(evidence, width):
    return draw_differences(evidence, find_differences(evidence), width=width)


def width_of(content):
    """Returns the width of a PDF file in inches."""
    return float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", content)[1]) / 72


def has_whole_fonts(content):
    return b"/FontFile2" in content and b"/Type3" not in content


@pytest.mark.parametrize("draw", [draw_macro_f1, draw_narrow_differences])
def test_figures_of_a_paper_fit_into_a_column_and_have_no_title(evidence, draw):
    figure = draw(evidence, width=3.5)
    assert any(text.get_gid() == TITLES for text in figure.texts)
    before = figure.get_figheight(), figure.axes[0].get_position().height
    remove_titles(figure)
    assert not figure.texts
    after = figure.get_figheight(), figure.axes[0].get_position().height
    assert after[0] < before[0]
    # A panel is as high as it was.
    assert before[0] * before[1] == pytest.approx(after[0] * after[1])
    content = render(figure, "pdf")
    assert width_of(content) == pytest.approx(3.5, abs=0.01)
    assert has_whole_fonts(content)
    assert render(figure, "pdf") == content


@pytest.mark.slow
def test_all_figures_are_made_for_one_column_or_two(evidence):
    figures = make_paper_figures(evidence)
    assert {"differences_one_column.pdf", "costs_two_columns.pdf"} <= set(
        figures
    )
    for name, content in figures.items():
        inches = 3.5 if "one_column" in name else 7.2
        assert width_of(content) <= inches + 0.01, name
        assert has_whole_fonts(content)


STUDY = """
question = "Is wider better?"
tasks = ["breastmnist"]
seeds = [0, 1]
baseline = { width = 8 }
[axes]
width = [8, 9]
[fixed]
model = "mlp"
epochs = 5
"""


def test_the_command_writes_them_and_prints_the_table(medzoo, tmp_path):
    (tmp_path / "wide.toml").write_text(STUDY)
    study = read_study("wide.toml")
    records, predictions = make_drawn(study)
    for run_id, record in records.items():
        Store().write(record, predictions[run_id])
    flags = ("--methods", "--checklist", "claim", "--format", "latex")
    printed = medzoo("study", "report", "wide.toml", *flags).out
    assert printed.startswith(r"\begin{table}")
    assert printed == (tmp_path / "results/wide/tables.tex").read_text()
    methods = (tmp_path / "results/wide/methods.md").read_text()
    assert "wide.toml`. Runs, scores" in " ".join(methods.split())
    flags = ("--format", "latex", "--columns", "auk")
    failed = medzoo("study", "report", "wide.toml", *flags, code=2)
    assert "Did you mean `auc`" in failed.err


@pytest.mark.extras
@pytest.mark.parametrize(
    ("tasks", "more"), [(NAMES[:1], 0), (NAMES, 0), (NAMES[4:7], 50)]
)
def test_the_paper_compiles_within_its_lines(tasks, more, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex (Debian: texlive-latex-base)")
    names = ["efficientnet_v2_b0, learning_rate 0.001", r"50 % \of $x_1^2$ & ~"]
    trials = tuple(
        Trial(f"{name} {width}", {"width": width})
        for width, name in enumerate(
            [*names, "é{b} <#>", *["more"] * more], start=8
        )
    )
    study = make_study(
        tasks=tasks, trials=trials, axis_names=("width",), baseline=trials[1]
    )
    evidence = make_evidence(study, tmp_path / "runs")
    write_manuscript(evidence, tmp_path, methods=True, figures=True)
    for _ in range(2):
        subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"],
            cwd=tmp_path,
            check=True,
            timeout=120,
            stdout=subprocess.DEVNULL,
        )
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert "Overfull" not in log
    assert "too large" not in log
