import csv
import io
import tempfile

import numpy as np
import pytest
from report_records import find_run, make_record, make_records, make_study

from medzoo.report.ensemble import pick_members
from medzoo.report.evidence import Evidence
from medzoo.report.leaders import (
    ValScores,
    describe_leaders,
    read_val_scores,
)
from medzoo.report.results import gather, rank, read_results
from medzoo.report.statistics import (
    harmonic_mean_over_tasks,
    mean_over_tasks,
    over_seeds,
)
from medzoo.report.study_tables import (
    judge_trials,
    make_per_task,
    make_runs,
    make_short_summary,
    make_summary,
    make_trials,
)
from medzoo.report.tables import Table, format_cell, format_table, to_csv
from medzoo.store import Store
from medzoo.study.expand import expand

NAN = float("nan")


def results_of(study, records):
    return rank(gather(expand(study), records))


def rows_of(table):
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def evidence_of(study, records, **options):
    """Has no predictions, so there are no intervals over images."""
    results = gather(expand(study), records, score=study.score)
    with tempfile.TemporaryDirectory() as folder:
        return Evidence.of(study, Store(folder), results, **options)


def summary_of(study, records):
    return rows_of(make_summary(evidence_of(study, records)))


def per_task_of(study, records):
    return rows_of(make_per_task(evidence_of(study, records)))


def test_matrix_has_a_row_a_seed_and_a_column_a_task():
    study = make_study(["adam"])
    (trial,) = gather(expand(study), make_records(study))
    np.testing.assert_array_equal(
        trial.matrix("macro_f1"), [[0.75, 0.25], [0.5, 0.5]]
    )
    np.testing.assert_array_equal(trial.matrix("auc"), np.full((2, 2), NAN))


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_failed_runs_have_no_score_even_if_their_record_has(status):
    study = make_study(["adam"])
    run = find_run(study, "adam")
    records = make_records(study)
    records[run.run_id] = records[run.run_id].model_copy(
        update={"status": status}
    )
    (trial,) = gather(expand(study), records)
    np.testing.assert_array_equal(
        trial.matrix("macro_f1"), [[NAN, 0.25], [0.5, 0.5]]
    )
    assert (len(trial.done), len(trial.failed)) == (3, 1)


def test_deviation_is_that_of_a_sample_and_one_seed_has_none():
    assert over_seeds(np.array([1.0, 3.0])) == (2.0, pytest.approx(2**0.5))
    mean, std = over_seeds(np.array([1.0, NAN]))
    assert mean == 1.0
    assert np.isnan(std)


def test_a_seed_with_a_missing_task_is_left_out_of_means_over_tasks():
    assert mean_over_tasks(np.array([[0.2, 0.4], [0.9, NAN]])).mean == (
        pytest.approx(0.3)
    )


def test_harmonic_mean_is_taken_by_seed_before_the_seeds_are_averaged():
    found = harmonic_mean_over_tasks(np.array([[0.75, 0.25], [0.5, 0.5]]))
    assert found.mean == pytest.approx((0.375 + 0.5) / 2)


def test_harmonic_mean_is_zero_with_a_zero_and_empty_with_a_missing_task():
    assert harmonic_mean_over_tasks(np.array([[0.0, 0.5]])).mean == 0
    for missing in ([[NAN, 0.5]], [[0.5, 0.5], [0.5, NAN]]):
        assert np.isnan(harmonic_mean_over_tasks(np.array(missing)).mean)


def test_best_trial_comes_first():
    study = make_study()
    names = [row["optimizer"] for row in summary_of(study, make_records(study))]
    assert names == ["lion", "adam", "sgd"]


def test_equal_trials_keep_the_order_of_the_study_and_empty_ones_come_last():
    study = make_study(["sgd", "adam", "lion", "nadam"])
    same = [[0.5, 0.5], [0.5, 0.5]]
    some, none = [[0.9, 0.9], [0.9, None]], [[None, None], [None, None]]
    scores = {"sgd": none, "adam": same, "lion": some, "nadam": same}
    rows = summary_of(study, make_records(study, scores))
    found = [row["optimizer"] for row in rows]
    assert found == ["adam", "nadam", "lion", "sgd"]


def test_val_decides_the_order_until_all_runs_have_ended():
    study = make_study(["adam", "sgd"])
    records = make_records(study)
    for run_id, record in records.items():
        value = {"adam": 0.3, "sgd": 0.6}[record.run.optimizer]
        scores = {**record.scores, "val": {"macro_f1": value}}
        records[run_id] = record.model_copy(update={"scores": scores})
    found = evidence_of(study, records)
    assert [trial.trial.name for trial in found.results] == ["adam", "sgd"]
    assert found.is_concluded
    records = {
        run_id: record
        for run_id, record in records.items()
        if record.run.seed == 0
    }
    found = evidence_of(study.override(seeds=[0, 1, 2]), records)
    assert [trial.trial.name for trial in found.results] == ["sgd", "adam"]
    assert found.verdict.startswith("Nothing is concluded before all runs")
    assert set(judge_trials(found).values()) == {None}


def test_missing_runs_are_empty_cells_and_zero_is_zero():
    study = make_study(["adam"])
    scores = {"adam": [[None, 0.0], [None, 0.0]]}
    (row,) = per_task_of(study, make_records(study, scores))
    assert (row["optimizer"], row["runs_done"]) == ("adam", "2")
    assert row["breastmnist"] == row["harmonic_mean"] == ""
    assert row["retinamnist"] == row["retinamnist_std"] == "0.0"
    (row,) = summary_of(study, make_records(study, scores))
    assert (row["macro_f1"], row["harmonic_mean"]) == ("", "")


def test_a_study_without_any_record_has_empty_cells():
    study = make_study()
    rows = summary_of(study, {})
    assert [row["runs_done"] for row in rows] == ["0", "0", "0"]
    assert {row["parameters"] + row["train_seconds"] for row in rows} == {""}


def test_an_axis_named_as_a_score_gets_a_column_of_its_own():
    study = make_study(["cross_entropy", "soft_f1"], axis="loss")
    records = {run.run_id: make_record(run, 0.5) for _, run in expand(study)}
    row = summary_of(study, records)[0]
    assert (row["axis_loss"], row["loss"]) == ("cross_entropy", "0.5")
    assert "loss" in per_task_of(study, records)[0]


def test_a_trial_is_named_where_its_values_do_not_tell_it():
    study = make_study(["adam"])
    (trial,) = study.trials
    named = make_study(
        ["adam"],
        trials=(type(trial)("the usual", trial.values),),
        baseline=None,
    )
    assert "trial" not in summary_of(study, {})[0]
    assert summary_of(named, {})[0]["trial"] == "the usual"
    without_axes = make_study(["adam"], axis_names=())
    assert summary_of(without_axes, {})[0]["trial"] == "adam"


def test_runs_have_a_row_each_with_full_precision_and_their_error():
    study = make_study(["adam"])
    scores = {"adam": [[1 / 3, 0.25], [0.5, None]]}
    records = make_records(study, scores)
    broken = find_run(study, "adam", seed=1)
    error = {"type": "ValueError", "message": "Too\nwide, by 3."}
    records[broken.run_id] = make_record(broken, status="failed", error=error)
    rows = rows_of(make_runs(results_of(study, records)))
    statuses = [row["status"] for row in rows]
    assert statuses == ["done", "done", "failed", "missing"]
    assert float(rows[0]["test_macro_f1"]) == 1 / 3
    assert rows[0]["run_id"] == find_run(study, "adam").run_id
    assert rows[0]["options"] == '{"dropout": 0.0, "hidden": ""}'
    assert rows[2]["error"] == "Too wide, by 3."
    assert rows[3]["test_macro_f1"] == rows[3]["parameters"] == ""


def test_a_bar_or_a_line_break_in_a_name_does_not_break_a_row():
    table = Table(("a|b", "n"), [["x|y\nz", 1]])
    assert format_table(table).splitlines() == [
        "| a\\|b   |   n |",
        "| :----- | --: |",
        "| x\\|y z |   1 |",
    ]


def describe(results):
    return describe_leaders(ValScores.of(results))


def test_leaders_are_compared_on_what_all_begun_trials_have_done():
    study = make_study()
    scores = {
        "adam": [[0.2, 0.4], [0.9, None]],
        "sgd": [[0.3, 0.6], [None, None]],
        "lion": [[None, None], [None, None]],
    }
    text = describe(results_of(study, make_records(study, scores)))
    assert text.startswith("Harmonic mean of macro F1 on val so far")
    assert "all 2 begun trials are done (2 of 4 tasks and seeds)" in text
    assert text.splitlines()[1:] == ["  1. sgd   0.400", "  2. adam  0.267"]
    assert describe(results_of(study, {})) == ""


def test_the_standing_and_ensembles_name_the_leader_of_the_report():
    """A mean of the tasks would name the other one."""
    study = make_study(["adam", "sgd"])
    scores = {"adam": [[0.95, 0.3]] * 2, "sgd": [[0.7, 0.45]] * 2}
    results = results_of(study, make_records(study, scores))
    assert [trial.trial.name for trial in results] == ["sgd", "adam"]
    assert describe(results).splitlines()[1].startswith("  1. sgd")
    assert pick_members(results)[0].trial.name == "sgd"


def test_the_standing_during_a_study_is_by_val():
    study = make_study(["adam", "sgd"])
    records = make_records(
        study, {"adam": [[0.5] * 2] * 2, "sgd": [[0.4] * 2] * 2}
    )
    for record in records.values():
        own = 0.9 if record.run.optimizer == "sgd" else 0.1
        record.scores["val"] = record.scores["val"] | {"macro_f1": own}
    text = describe(results_of(study, records))
    assert text.splitlines()[1].startswith("  1. sgd")


def test_scores_on_val_are_those_of_whole_records(tmp_path):
    study, store = make_study(), Store(tmp_path)
    for number, record in enumerate(make_records(study).values()):
        if number == 1:
            record = record.model_copy(update={"status": "failed"})
        if number:
            store.write(record)
    found = read_val_scores(study, store)
    whole = ValScores.of(read_results(study, store))
    assert np.isnan(found.values).sum() == 2
    np.testing.assert_array_equal(found.values, whole.values)
    assert (found.names, found.statuses) == (whole.names, whole.statuses)


def test_a_diverged_trial_is_ranked_last_with_its_share_of_seeds():
    study = make_study()
    records = make_records(study)
    run = find_run(study, "lion")
    records[run.run_id] = make_record(run, status="diverged")
    rows = summary_of(study, records)
    assert [row["optimizer"] for row in rows] == ["adam", "sgd", "lion"]
    assert rows[-1]["verdict"] == "diverged 1 of 2"
    assert rows[-1]["harmonic_mean"] == ""


def test_trials_that_miss_runs_come_after_those_that_diverged():
    study = make_study()
    some = [[0.9, 0.9], [0.9, None]]
    records = make_records(study, {"adam": some, "sgd": some, "lion": some})
    run = find_run(study, "sgd", task="retinamnist", seed=1)
    records[run.run_id] = make_record(run, status="diverged")
    run = find_run(study, "lion", task="retinamnist", seed=1)
    records[run.run_id] = make_record(run, status="failed")
    rows = summary_of(study, records)
    assert [row["optimizer"] for row in rows] == ["sgd", "adam", "lion"]
    assert [row["verdict"] for row in rows] == ["diverged 1 of 2", "", ""]


def test_verdicts_are_against_the_baseline_or_else_the_highest():
    study = make_study()
    rows = summary_of(study, make_records(study))
    found = {row["optimizer"]: row["verdict"] for row in rows}
    assert found["adam"] == "baseline"
    alone = make_study(baseline=None)
    rows = summary_of(alone, make_records(alone))
    assert rows[0]["verdict"] == "highest"


def test_a_study_may_be_judged_by_balanced_accuracy():
    """By macro F1 lion would be first."""
    study = make_study(score="balanced_accuracy")
    records = make_records(study)
    for trial, run in expand(study):
        scores = records[run.run_id].scores["test"]
        scores["balanced_accuracy"] = 0.9 if trial.name == "sgd" else 0.4
    found = evidence_of(study, records)
    assert found.best.trial.name == "sgd"
    assert found.statistics.best == "sgd"
    (first, *_) = rows_of(make_summary(found))
    columns = list(first)
    assert columns.index("balanced_accuracy") < columns.index("difference")
    assert columns.index("macro_f1") > columns.index("difference")
    assert float(first["balanced_accuracy"]) == 0.9
    assert float(first["harmonic_mean"]) == pytest.approx(0.9)


def test_an_axis_may_be_called_as_a_cost():
    cells = [["300000", 1234567], ["25000", None]]
    text = format_table(Table(("parameters", "parameters_in_all"), cells))
    assert "| 300000 " in text
    assert "1,234,567 |" in text


def test_short_summary_has_nine_columns_at_most_and_names_its_baseline():
    study = make_study(score="balanced_accuracy")
    table = make_short_summary(evidence_of(study, make_records(study)))
    assert table.columns == (
        *("trial", "harmonic mean", "difference to adam", "p"),
        *("balanced accuracy", "macro F1", "parameters", "train time (s)"),
        "runs",
    )
    rows = {row[0]: row for row in table.rows}
    assert rows["adam"][2:4] == [None, None]
    assert rows["lion"][2].other == "adam"
    assert rows["lion"][-1] == "4 of 4"
    alone = make_study(tasks=("breastmnist",), baseline=None)
    records = {run.run_id: make_record(run, 0.5) for _, run in expand(alone)}
    found = make_short_summary(evidence_of(alone, records))
    assert found.columns[:3] == ("trial", "macro F1", "parameters")


def test_values_of_named_trials_have_a_table_of_their_own():
    study = make_study(["adam"])
    assert make_trials(evidence_of(study, {})) is None
    (trial,) = study.trials
    trials = (type(trial)("the usual", trial.values),)
    named = make_study(["adam"], trials=trials, baseline=None)
    found = evidence_of(named, {})
    assert make_trials(found) == Table(
        ("trial", "optimizer"), [["the usual", "adam"]]
    )
    assert make_short_summary(found).rows[0][0] == "the usual"


def test_a_smoke_run_calls_nothing_best():
    study = make_study()
    records = make_records(study)
    real = [row["verdict"] for row in summary_of(study, records)]
    assert real[1] == "baseline"
    found = evidence_of(study, records, smoke=True)
    smoke = rows_of(make_summary(found))
    assert {row["verdict"] for row in smoke} == {""}
    assert "best" not in found.verdict


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "< 0.001"), (0.031, "0.031"), (1.0, "1.000")]
)
def test_p_values_never_round_to_zero(p, text):
    for name in ("p", "p_holm"):
        assert format_cell(name, p) == text
