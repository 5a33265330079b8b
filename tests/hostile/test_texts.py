"""Texts of users and of libraries are texts: on a terminal, in pages, names."""

import contextlib
import csv
import io
import re
import shlex
import shutil
import subprocess
import warnings
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest
from pretended import Pretended, make_runs
from report_records import find_run, make_record, make_records, make_study

from medzoo.cli.console import CommandConsole
from medzoo.cli.scope import Scope
from medzoo.cli.screen import make_screen_table, show_report
from medzoo.conduct import Conduct, Watch
from medzoo.console import PlainConsole
from medzoo.execution.local import LocalExecutor
from medzoo.execution.options import ExecutionOptions
from medzoo.files import safe_name, write_csv
from medzoo.messages import echo, tolerating
from medzoo.report.index import make_index
from medzoo.report.tables import Table, to_csv, to_latex
from medzoo.report.write import write_report
from medzoo.store import Store
from medzoo.study.trials import Trial

TEXTS = (
    "which [/b] is [red]best[/red]?",
    "[/job:localhost/replica:0]",
    "\x1b[2J\x1b]0;title\x07",
    "a\rb\x00\x9bc",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "](javascript:alert(1))",
    "`code` *bold* | cell",
    "[b]",
    "\\input{/etc/passwd} $x_ # & % ~ ^ {",
    "=HYPERLINK(1)",
    "+1",
    "-1+2",
    "@SUM(A1)",
    ":smile:",
    "\u202eright to left",
    "{0} %s {{ 7 * 7 }}",
)


def draw(thing):
    out = io.StringIO()
    PlainConsole(file=out, width=500).print(thing)
    return out.getvalue()


@pytest.mark.parametrize("text", TEXTS)
def test_a_console_prints_each_character_and_obeys_none(text):
    shown = draw(text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    for word in re.split(r"[^\w\[\]/<>*`|:=@{}]+", text):
        assert word in shown


@pytest.mark.parametrize("text", TEXTS)
def test_what_a_command_prints_is_obeyed_by_no_terminal(text, capsys):
    echo(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]",
                         capsys.readouterr().out)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report in which every text is hostile, and its folder."""
    tmp_path = tmp_path_factory.mktemp("hostile")
    trials = tuple(
        Trial(text, {"width": 8 + at}) for at, text in enumerate(TEXTS)
    )
    study = make_study(
        trials=trials,
        axis_names=("width",),
        baseline=trials[0],
        name="javascript:alert(1)",
        question=" ".join(TEXTS),
    )
    scores = {text: [[0.5, 0.5], [0.25, 0.75]] for text in TEXTS}
    records = make_records(study, scores)
    for text in TEXTS[:3]:
        run = find_run(study, text)
        error = {"type": text, "message": text, "traceback": text}
        records[run.run_id] = make_record(run, status="failed", error=error)
    store = Store(tmp_path / "runs")
    for record in records.values():
        store.write(record.model_copy(update={"notes": list(TEXTS)}))
    report = write_report(study, store, tmp_path / "out", command=TEXTS[7])
    return report, tmp_path / "out"


def test_a_report_of_hostile_texts_is_drawn_on_the_screen(hostile, capsys):
    report, _ = hostile
    show_report(report, CommandConsole())
    assert "[/b]" in capsys.readouterr().out
    assert "\x1b" not in draw(make_screen_table(report.evidence))


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_pages_have_no_tag_or_address_of_a_text(hostile):
    _, out = hostile
    pages = [*out.glob("*/*.html"), out / "index.html"]
    assert len(pages) == 2
    for page in pages:
        tags = _Tags()
        tags.feed(page.read_text())
        for tag, attributes in tags.found:
            assert not (tag == "img" and attributes.get("src") == "x")
            assert not any(name.startswith("on") for name in attributes)
            assert not attributes.get("href", "").startswith("javascript")
            # A scheme ends the first part of an address.
            assert ":" not in attributes.get("href", "").split("/")[0]


def test_markdown_has_no_link_tag_or_control_of_a_text(hostile):
    _, out = hostile
    pages = list(out.glob("*/*.md"))
    assert len(pages) == 3
    for page in pages:
        text = re.sub(r"^    .*$", "", page.read_text(), flags=re.MULTILINE)
        assert not re.search(r"(?<!\\)<(script|img)", text)
        assert not re.search(r"(?<!\\)\]\(javascript", text)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", text)


def test_no_cell_of_a_csv_is_a_formula(hostile, tmp_path):
    _, out = hostile
    write_csv(tmp_path / "x.csv", ["path"], [[text] for text in TEXTS])
    paths = [*out.glob("*/*.csv"), tmp_path / "x.csv"]
    assert len(paths) == 4
    for path in paths:
        with path.open(newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    if cell[:1] in ("=", "+", "-", "@"):
                        float(cell)
    assert "'=HYPERLINK(1)" in to_csv(Table(("a",), [["=HYPERLINK(1)"]]))


def test_no_name_of_a_column_is_a_formula(tmp_path):
    write_csv(tmp_path / "x.csv", ["image", "=1+1"], [["a.png", 0.5]])
    assert (tmp_path / "x.csv").read_text().startswith("image,'=1+1\n")
    assert to_csv(Table(("@x",), [[1]])) == "'@x\n1\n"


@pytest.mark.parametrize("text", ["a\rb", "a\r\nb", '"\r', "\n", "a\r"])
def test_a_table_for_programs_is_read_as_it_was_written(text, tmp_path):
    path = tmp_path / "x.csv"
    write_csv(path, [text, "b"], [[text, "1"], ["c", text]], raw=True)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [[text, "b"], [text, "1"], ["c", text]]


def test_latex_rows_begin_with_no_argument_of_the_line_before():
    table = to_latex(Table(("a", "b"), [[text, 0.5] for text in TEXTS]))
    assert not re.search(r"\\\\\s*\[", table)
    assert "\\input" not in table


@pytest.mark.extras
def test_latex_of_hostile_texts_is_typeset(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex")
    table = to_latex(Table(("a", "b"), [[text, 0.5] for text in TEXTS]))
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
        f"{table}\n\\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


NAMES = (
    "../../x", "..", ".", "", "/etc/passwd", "javascript:alert(1)", "a\rb",
    "a\x00b", "\ud800", "con/nul", "a" * 5000, "~", "-rf", " ", "%2e%2e",
    "a\\b", "x.", "*?",
)  # fmt: skip


def test_safe_names_are_one_plain_part_and_differ():
    found = [safe_name(name) for name in NAMES]
    assert len(set(found)) == len(NAMES)
    for name in found:
        assert Path(name).name == name
        assert name[0] not in ".-~ "
        assert len(name.encode()) < 200
        assert not re.search(r"[\x00-\x1f:/\\*?%]", name)
    for plain in ("quickstart", "a@synthetic+seeds-0-1+smoke", "skip_cnn 2"):
        assert safe_name(plain) == plain


@pytest.mark.parametrize("name", ["x\x07y", "..", "javascript:1", "a b'c"])
def test_a_report_stays_in_its_folder(name, tmp_path):
    study = make_study(name=name, data="synthetic")
    store = Store(tmp_path / "runs")
    for record in make_records(study).values():
        store.write(record)
    report = write_report(study, store, tmp_path / "out", command="x")
    for path in report.paths:
        assert path.resolve().parent.parent == tmp_path.resolve() / "out"


@pytest.mark.parametrize(
    "content",
    [
        '<meta name="medzoo" content="{">',
        '<meta name="medzoo" content="[1]">',
        '<meta name="medzoo" content="' + "[" * 15_000 + '">',
        '<meta name="medzoo" content="{&quot;name&quot;: 1}">',
    ],
)
def test_a_foreign_page_blanks_no_index(content, tmp_path):
    path = tmp_path / "foreign" / "report.html"
    path.parent.mkdir()
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    (tmp_path / "folder" / "report.html").mkdir(parents=True)
    with pytest.warns(UserWarning, match=r"report\.html"):
        assert "Studies" in make_index(tmp_path)


@pytest.mark.parametrize(
    "data", ["folder:a b; rm -rf ~", "csv:$(x).csv", "npz:it's"]
)
def test_the_command_is_one_of_its_words_for_a_shell(data):
    text = Scope(
        "my study.toml", None, data, "0,1", smoke=True
    ).format_command()
    assert shlex.split(text) == [
        *("medzoo", "study", "run", "my study.toml"),
        *("--data", data, "--seeds", "0,1", "--smoke"),
    ]


class _Broken(Watch):
    """A display that fails in every way."""

    def begin(self, num_units, num_jobs):
        raise RecursionError

    def start_round(self, what, total):
        raise KeyError("no bar")

    def finish_run(self, name, record):
        raise UnicodeEncodeError("ascii", "x", 0, 1, "no")


def test_no_fault_of_a_display_ends_a_study(tmp_path):
    study = make_study(data="synthetic", fixed={"model": "mlp", "width": 8})
    pretended = Pretended(tmp_path)
    means = ExecutionOptions(workers=2, execute=pretended.stand_in, keep="none")
    conduct = Conduct(study, pretended.store, means=means)
    with pytest.warns(UserWarning, match="The display of runs has stopped"):
        assert conduct.execute(_Broken()) == "complete"
    assert len(pretended.store.statuses()) == 12


def test_ctrl_c_is_no_fault_of_a_display():
    with pytest.raises(KeyboardInterrupt), tolerating("A bar"):
        raise KeyboardInterrupt
    with warnings.catch_warnings(record=True) as found, tolerating("A bar"):
        warnings.simplefilter("always")
        raise ValueError("\x1b[2J")
    assert "\x1b" not in str(found[0].message)


def kill_server(process):
    with contextlib.suppress(psutil.Error):
        if "medzoo.execution.worker_server" in process.cmdline():
            process.kill()


def test_a_server_of_workers_that_dies_is_replaced(tmp_path):
    """`kill -9` of what forks workers, while the first of them start."""
    pretended = Pretended(tmp_path)

    class Killing(LocalExecutor):
        kills = 3

        def idle(self):
            worker = super().idle()
            if worker is not None and self.kills:
                self.kills -= 1
                for process in psutil.Process().children():
                    kill_server(process)
            return worker

    executor = Killing(2, execute=pretended.stand_in)
    runs = make_runs(6)
    records = pretended.execute(runs, executor=executor, retries=4)
    assert {record.status for record in records} == {"done"}
    assert len(records) == len(runs)
