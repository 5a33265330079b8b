"""A study on the terminal: the verdict, a table of 80 columns, the page."""

import io

import pytest
from page_records import make_widths, report_on
from report_records import make_records, make_study
from rich.console import Console

from medzoo.cli.console import CommandConsole
from medzoo.cli.screen import make_screen_table, show_page, show_report
from medzoo.progress import ProgressBar, find_leader
from medzoo.report.write import write_report
from medzoo.store import Store
from medzoo.study.trials import Trial
from medzoo.tasks import NAMES


def show(table, width):
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    trials = tuple(
        Trial(name, {"width": width})
        for width, name in ((8, "a trial of a rather long name"), (9, "usual"))
    )
    study = make_widths(2, tasks=NAMES[:2], trials=trials, baseline=trials[1])
    return report_on(study, tmp_path_factory.mktemp("runs"))


def test_table_fits_into_80_columns_and_names_the_baseline(evidence):
    text = show(make_screen_table(evidence), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "to usual" in text
    assert "baseline" in text
    for name in ("rank", "trial", "harmonic mean", "verdict"):
        assert name in text
    for row in text.splitlines():
        if row.split()[:1] == ["1"]:
            assert "±" in row
            assert row.count("(") == row.count(")") == 1


def test_first_is_the_verdict_and_last_the_page(tmp_path, capsys):
    study, store = make_study(), Store(tmp_path / "runs")
    for record in make_records(study).values():
        store.write(record)
    report = write_report(study, store, tmp_path / "out", command="x")
    console = CommandConsole()
    show_report(report, console)
    show_page(report, console)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == report.evidence.verdict
    page = tmp_path / "out" / "toy" / "report.html"
    assert lines[-1] == f"Open {page.as_uri()}"
    assert not [line for line in lines if line.startswith("Wrote")]
    show_report(report, console, verbose=True)
    assert f"Wrote {page}" in capsys.readouterr().out.splitlines()


def test_the_bar_names_the_trial_that_leads_on_val(tmp_path):
    study, store = make_study(), Store(tmp_path / "runs")
    assert find_leader(study, store) == ""
    records = make_records(study)
    for record in records.values():
        store.write(record)
    leader = find_leader(study, store)
    assert leader.startswith("leads on val so far: ")
    assert any(trial.name in leader for trial in study.trials)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with ProgressBar(console, lambda: leader) as bar:
        bar.start_round("", len(records))
        bar.finish_run("toy", next(iter(records.values())))
    assert leader[:60] in out.getvalue()
    assert f"1/{len(records)}" in out.getvalue()
