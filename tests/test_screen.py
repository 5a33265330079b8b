"""A study on the terminal: the verdict, a table of 80 columns, the page."""

import io
from dataclasses import replace

import numpy as np
import pytest
from page_records import make_widths, report_on
from report_records import make_records, make_study
from rich.console import Console

from medzoo.cli.console import CommandConsole
from medzoo.cli.screen import (
    is_undecided,
    make_screen_table,
    run_on_screen,
    show_page,
    show_report,
)
from medzoo.execution.options import ExecutionOptions
from medzoo.progress import ProgressBar, find_leader
from medzoo.record import Predictions, SplitPredictions
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


def test_only_what_more_seeds_may_decide_is_told_so(evidence):
    assert "undecided" in show(make_screen_table(evidence), 80)
    assert is_undecided(evidence)
    looked_at = replace(evidence.study, until="decided")
    assert not is_undecided(replace(evidence, study=looked_at))
    assert not is_undecided(replace(evidence, smoke=True))


def test_a_refused_report_is_said_and_ends_with_3(
    tmp_path, monkeypatch, capsys
):
    study = make_study()
    records = make_records(study)
    run_id = next(iter(records))
    split = SplitPredictions(np.eye(2), np.array([0, 1]))
    for folder in ("whole", "bare"):
        store = Store(tmp_path / folder)
        for record in records.values():
            kept = folder == "whole" and record.run_id == run_id
            store.write(record, Predictions(split, split) if kept else None)
    means = ExecutionOptions(workers=1)
    codes = []
    for folder in ("whole", "bare"):
        monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / folder))
        out = tmp_path / "out"
        codes.append(run_on_screen(study, out, command="x", means=means))
    assert codes == [0, 3]
    assert "is left as it is" in capsys.readouterr().err


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
