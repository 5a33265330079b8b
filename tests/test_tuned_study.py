"""Study files with tuned values: reading, planning and reporting them."""

import dataclasses
import re

import pytest
from tuned_records import CHOICES, FILE, carry_out, read, read_halving

from medzoo.report.candidates import (
    CANDIDATES,
    make_candidates,
    read_candidates,
)
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import EVIDENCE, read_evidence
from medzoo.report.pages import describe_gaps, list_facts
from medzoo.report.study_tables import (
    make_per_task,
    make_runs,
    make_summary,
)
from medzoo.report.write import write_evidence_report, write_report
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.plan import make_plan
from medzoo.study.tuning import (
    choose,
    list_units,
    make_tuning_problems,
    next_jobs,
    plan_all,
    plan_runs,
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def test_a_study_reads_its_candidates(tmp_path):
    study = read(tmp_path, "tune_seeds = [0]", "dropout = [0.0, 0.5]")
    assert study.tune_seeds == study.seeds
    assert study.override(seeds=[7]).tune_seeds == (7,)
    assert study.tuned.candidates()[:3] == [
        {"learning_rate": 0.3, "dropout": 0.0},
        {"learning_rate": 0.3, "dropout": 0.5},
        {"learning_rate": 0.001, "dropout": 0.0},
    ]
    problems = make_tuning_problems(study)
    assert [problem.key for problem in problems] == [
        ("sgd", "breastmnist"),
        ("adam", "breastmnist"),
        ("sgd", "retinamnist"),
        ("adam", "retinamnist"),
    ]
    for problem in problems:
        for values, runs in zip(problem.values, problem.runs, strict=True):
            for run, seed in zip(runs, study.seeds, strict=True):
                assert run.learning_rate == values["learning_rate"]
                assert run.options["dropout"] == values["dropout"]
                assert run.optimizer == problem.trial.name
                assert (run.task, run.seed) == (problem.task, seed)


def test_a_study_without_tuned_values_has_no_contests(tmp_path, store):
    text = FILE.replace("learning_rate = [0.3, 0.001, 1e-6]\n", "")
    text = text.replace("[tuned]\ntune_seeds = [0]\n", "")
    study = read(tmp_path, text=text)
    assert make_tuning_problems(study) == []
    assert choose(study, store) == {}
    assert plan_runs(study, store) == plan_all(study) == expand(study)
    jobs = next_jobs(study, store)
    assert [job.run for job in jobs] == [run for _, run in expand(study)]
    assert all(job.read_test and job.until is None for job in jobs)


FAULTS = {
    "an unknown key": (
        "learning_rate =",
        "learning_rat =",
        "x.toml, line 10: `tuned.learning_rat` is not a field of a run. "
        "Did you mean `learning_rate`? Expected one of: ",
    ),
    "a key of the axes": (
        "learning_rate =",
        'optimizer = ["lion", "ftrl"]\nlearning_rate =',
        "x.toml, line 10: `tuned.optimizer` is a key of `axes` as well. "
        "Expected it in one of the two.",
    ),
    "a fixed key": (
        "tune_seeds = [0]",
        "width = [8, 16]",
        "x.toml, line 15: `fixed.width` is a key of `tuned` as well. "
        "Expected it in one of the two.",
    ),
    "a wrong value": (
        "1e-6",
        "-1",
        "x.toml, line 10: `tuned.learning_rate` must be greater than 0. "
        "Received: learning_rate=-1.",
    ),
    "a value that is no list": (
        "[0.3, 0.001, 1e-6]",
        "0.3",
        "x.toml, line 10: `tuned.learning_rate` must be a valid list. "
        "Received: learning_rate=0.3.",
    ),
    "a wrong seed": (
        "tune_seeds = [0]",
        "tune_seeds = [-1]",
        "x.toml, line 11: `tuned.tune_seeds` must be greater than or equal to "
        "0. Received: seeds=-1.",
    ),
    "a wrong way to prune": (
        "tune_seeds = [0]",
        'prune = "halve"',
        "x.toml, line 11: `tuned.prune` must be 'halving'. "
        "Received: prune='halve'.",
    ),
    "nothing to choose": (
        "learning_rate = [0.3, 0.001, 1e-6]\n",
        "",
        "x.toml, line 9: `tuned` has nothing to choose from. Expected a list "
        "of values for a field of a run.",
    ),
    "a key that belongs above": (
        "tune_seeds = [0]",
        "seeds = [0]",
        "x.toml, line 11: `tuned.seeds` is not a field of a run. "
        "`seeds` belongs above the first table of the file.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_with_its_line(tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    old, new, sentence = FAULTS[fault]
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}") as raised:
        read(tmp_path, old, new)
    assert "\n" not in str(raised.value)


def test_a_plan_counts_candidates_and_the_runs_of_winners(tmp_path, store):
    study = read(tmp_path)
    plan = make_plan(study, store)
    assert plan.text().splitlines()[1:4] == [
        "2 trials x 2 tasks x 3 seeds = 12 runs on synthetic data",
        "Tuned on val: learning_rate; 12 candidate runs, with those of the "
        "winners at most 20 runs",
        "0 of 4 choices made, 0 done, 0 failed, 0 diverged, 12 left",
    ]
    assert "1 worker: at most " in plan.text()
    assert sum(plan.sources.values()) == 20
    assert len(plan_all(study)) == 20


def test_units_are_the_trials_tasks_of_a_tuned_study(tmp_path, store):
    units = list_units(read(tmp_path))
    assert len(units) == 4
    ours = next_jobs(read(tmp_path), store, units=units[:1])
    assert {(job.run.optimizer, job.run.task) for job in ours} == {
        ("sgd", "breastmnist")
    }
    assert len(ours) == 3


def test_tables_tell_what_was_chosen_and_have_empty_cells_before(
    tmp_path, store
):
    study = read(tmp_path)
    empty = Evidence.read(study, store)
    summary = make_summary(empty)
    assert summary.columns[:2] == ("optimizer", "learning_rate")
    assert [row[1] for row in summary.rows] == [None, None]
    assert make_runs(empty.results).rows == []
    assert "0 of 12 runs are done, 12 missing." in describe_gaps(empty)

    carry_out(study.override(tasks=["breastmnist"]), store)
    half = Evidence.read(study, store)
    assert "6 of 12 runs are done, 6 missing." in describe_gaps(half)
    carry_out(study, store)
    found = Evidence.read(study, store)
    assert describe_gaps(found) == "All 12 runs are done."
    assert choose(study, store) == CHOICES
    for table in (make_summary(found), make_per_task(found)):
        told = {row[0]: row[1] for row in table.rows}
        assert told == {
            "sgd": "breastmnist 0.3, retinamnist 0.3",
            "adam": "breastmnist 0.001, retinamnist 0.001",
        }
    facts = list_facts(found)
    assert facts["Tuned on val"] == (
        "learning_rate of 0.3, 0.001, 1e-06, for each trial and task, by mean "
        "macro F1 on val over seeds 0"
    )
    assert "steps 8" in facts["Fixed"]
    assert "learning_rate" not in facts["Fixed"]
    assert "learning_rate" not in facts.get("Following from the axes", "")


def test_a_table_says_what_each_candidate_reached_on_val(tmp_path, store):
    study = read(tmp_path)
    assert {c.chosen for c in read_candidates(study, store)} == {None}
    carry_out(study, store)
    table = make_candidates(read_candidates(study, store))
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert len(rows) == 12
    assert [
        (r["learning_rate"], r["val_score"], r["chosen"])
        for r in rows
        if (r["trial"], r["task"]) == ("adam", "retinamnist")
    ] == [(0.3, 0.4, "no"), (0.001, 0.9, "yes"), (1e-6, 0.3, "no")]
    assert {r["val_loss"] for r in rows} == {1.0}
    assert {r["share_of_budget"] for r in rows} == {1.0}
    assert {r["failed"] for r in rows} == {0}


def test_candidates_that_were_cut_have_the_score_that_they_were_cut_at(
    tmp_path, store
):
    halving = read_halving(tmp_path)
    carry_out(halving, store)
    found = read_candidates(halving, store)
    assert [(c.values["learning_rate"], c.share, c.chosen) for c in found] == [
        (0.3, 0.5, False),
        (0.001, 0.5, True),
        (1e-6, 0.25, False),
    ]
    assert [c.score for c in found] == [
        pytest.approx(share * (goal + 0.005))
        for goal, share in ((0.4, 0.5), (0.9, 0.5), (0.3, 0.25))
    ]


def test_the_evidence_has_the_candidates(tmp_path, store):
    study = read(tmp_path)
    carry_out(study, store)
    first = write_report(study, store, tmp_path / "a", command="x")
    folder = tmp_path / "a" / "x"
    again = read_evidence(folder)
    write_evidence_report(again, tmp_path / "b")
    assert {path.name for path in first.paths} >= {CANDIDATES, EVIDENCE}
    for path in first.paths:
        assert (tmp_path / "b" / "x" / path.name).read_bytes() == (
            path.read_bytes()
        )
    for candidate in again.candidates:
        for run_id in candidate.run_ids:
            assert again.store.read(run_id).history == (
                store.read(run_id).history
            )


def test_pages_say_how_many_images_a_task_was_cut_to(tmp_path, store):
    study = read(tmp_path, "steps = 8", "steps = 8\nmax_images = 64")
    plain = dataclasses.replace(study, tuned=None)
    facts = list_facts(Evidence.read(plain, store))
    assert "max_images 64" in facts["Fixed"]
