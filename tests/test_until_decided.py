"""Studies until decided: rounds of seeds, whatever interrupts them."""

import contextlib
import dataclasses
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import make_study

from medzoo.cli import main
from medzoo.conduct import Conduct, Watch
from medzoo.execution.job import Outcome
from medzoo.execution.options import ExecutionOptions
from medzoo.execution.shard import Shard
from medzoo.record import Predictions, Record, SplitPredictions
from medzoo.report.evidence_file import read_evidence
from medzoo.report.results import give_seeds, read_results
from medzoo.report.write import write_evidence_report, write_report
from medzoo.scores.probabilities import macro_f1
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.plan import make_plan
from medzoo.study.spec import read_study

# How many images of 100 each optimizer gets right.
QUALITIES = {"adam": 0.8, "nadam": 0.79, "sgd": 0.5, "lion": 0.72}
LABELS = np.tile(np.array([0, 1], "int32"), 60)
EASE = np.random.default_rng(0).permutation(np.linspace(0, 1, 120))


def make_looked(**changes):
    """Makes a study of one task that is run until decided."""
    values = {"until": "decided", "data": "synthetic"}
    names = ("adam", "nadam", "sgd", "lion")
    study = make_study(names, tasks=("breastmnist",), seeds=(0,))
    return dataclasses.replace(study, **values | changes)


def predict(run):
    """Predicts the easier images right, more or less by the seed."""
    random = np.random.default_rng([run.seed, *run.optimizer.encode()])
    limit = QUALITIES[run.optimizer] + random.normal(0, 0.02)
    right = EASE + random.normal(0, 0.03, 120) < limit
    shown = np.where(right, LABELS, 1 - LABELS)
    return np.eye(2, dtype="float32")[shown]


class InOneProcess:
    """An executor that makes a record up as soon as a job is started."""

    known = ()

    def __init__(self, executed, failing=()):
        self.executed, self.failing, self.ended = executed, failing, []

    def idle(self):
        return None if self.ended else self

    def start(self, jobs, store):
        self.ended += [self.execute(job) for job in jobs]

    def execute(self, job):
        run, number = job.run, job.run.run_id
        if (run.optimizer, run.seed) in self.failing:
            error = {"type": "RuntimeError", "message": "broken on purpose"}
            record = Record(
                run=run, run_id=number, status="failed", error=error
            )
            return Outcome(job, record, Predictions(), again=False)
        found = SplitPredictions(predict(run), LABELS)
        score = macro_f1(found.probabilities, LABELS)
        record = Record(
            run=run,
            run_id=number,
            status="done",
            scores=dict.fromkeys(("val", "test"), {"macro_f1": score}),
            num_images={"train": 100, "val": 50, "test": len(LABELS)},
        )
        both = Predictions().with_split("val", found).with_split("test", found)
        return Outcome(job, record, both)

    def is_busy(self):
        return bool(self.ended)

    def graphs(self):
        return set()

    def wait(self, seconds):
        ended, self.ended = self.ended, []
        self.executed.update(outcome.record.run_id for outcome in ended)
        return ended

    def stop(self):
        self.ended = []


@dataclasses.dataclass(frozen=True)
class Means(ExecutionOptions):
    """Options of an execution by another executor."""

    place: InOneProcess | None = None

    def open_executor(self, num_jobs):
        return contextlib.nullcontext(self.place)


class Interrupted(Watch):
    """Presses Ctrl-C after some records."""

    def __init__(self, after=None):
        self.left, self.rounds = after, []

    def start_round(self, what, total):
        self.rounds.append((what, total))

    def finish_run(self, name, record):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


def carry_on(study, folder, executed, *, after=None, failing=(), **options):
    """Runs a study on a store, until it ends or is interrupted."""
    means = Means(place=InOneProcess(executed, failing), **options)
    watch = Interrupted(after)
    conduct = Conduct(study, Store(folder), means=means)
    with contextlib.suppress(KeyboardInterrupt):
        conduct.execute(watch)
    return watch


def copy_bootstraps(source, folder):
    """Saves the time of bootstraps, which follow from the predictions."""
    for path in source.glob("??/*.boot.npy"):
        place = folder / path.relative_to(source)
        place.parent.mkdir(exist_ok=True)
        shutil.copy(path, place)


def read_looks(study, folder):
    return read_results(study, Store(folder))[0].looks


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that nothing has interrupted: its store, and what it executed."""
    folder, executed = tmp_path_factory.mktemp("whole"), Counter()
    watch = carry_on(make_looked(), folder, executed)
    return folder, executed, watch.rounds


def test_seeds_are_added_until_all_is_decided(whole):
    folder, executed, rounds = whole
    study = make_looked()
    looks = read_looks(study, folder)
    assert not looks.missing
    assert looks.settled["sgd"] == "worse"
    assert looks.given["sgd"] == 3
    assert looks.given["lion"] < looks.given["adam"]
    assert sum(looks.given.values()) == len(executed)
    assert set(executed.values()) == {1}
    names = [what for what, _ in rounds]
    assert names[0] == "up to 3 seeds"
    assert len(names) == len(looks.done)


def test_evidence_keeps_the_looks(whole, tmp_path):
    study, store = make_looked(), Store(whole[0])
    report = write_report(study, store, tmp_path / "a", command="x")
    folder = report.page.parent
    again = read_evidence(folder)
    assert again.results[0].looks == read_looks(study, whole[0])
    made = write_evidence_report(again, tmp_path / "b")
    for path in made.paths:
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_further_seeds_are_the_next_integers(whole):
    study = make_looked(seeds=(5, 2))
    assert study.all_seeds == (5, 2, *range(6, 16))
    seeds = {run.seed for _, run in expand(give_seeds(study, Store("none")))}
    assert seeds == {5, 2, 6}
    long = make_looked(seeds=tuple(range(9)), max_seeds=4)
    assert long.all_seeds == (0, 1, 2, 3)


@given(st.lists(st.integers(0, 14), min_size=1, max_size=4))
@settings(max_examples=5)
def test_interruptions_change_nothing(whole, stops):
    study, executed = make_looked(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        copy_bootstraps(whole[0], Path(folder))
        for after in stops:
            carry_on(study, folder, executed, after=after)
        carry_on(study, folder, executed)
        assert executed == whole[1]
        assert read_looks(study, folder) == read_looks(study, whole[0])


def test_shards_add_seeds_together(whole, tmp_path):
    study, executed = make_looked(), Counter()
    copy_bootstraps(whole[0], tmp_path)
    while True:
        before = executed.total()
        for number in (1, 2):
            carry_on(study, tmp_path, executed, shard=Shard(number, 2))
        if executed.total() == before:
            break
    assert executed == whole[1]


def test_a_trial_that_fails_leaves_the_others_their_looks(whole, tmp_path):
    study, executed = make_looked(), Counter()
    carry_on(study, tmp_path, executed, failing={("nadam", 1)})
    looks = read_looks(study, tmp_path)
    assert looks.settled["nadam"] == "lost"
    assert looks.settled["sgd"] == "worse"
    assert not looks.missing
    # The same command tries again what has failed.
    carry_on(study, tmp_path, executed)
    assert read_looks(study, tmp_path) == read_looks(study, whole[0])


def test_a_report_shows_what_was_settled_when(whole, tmp_path):
    folder, executed, _ = whole
    report = write_report(
        make_looked(), Store(folder), tmp_path, command="medzoo study run toy"
    )
    evidence = report.evidence
    assert evidence.verdict.startswith("sgd ")
    assert "worse than adam" in evidence.verdict
    assert evidence.num_runs == evidence.num_done == len(executed)
    place = tmp_path / "toy"
    rows = (place / "runs.csv").read_text().splitlines()
    assert len(rows) == 1 + len(executed)
    for name in ("summary.md", "report.html"):
        text = (place / name).read_text()
        assert "Looks after 3, 5, 8 and 12 seeds share one level of 5 %" in text
        assert "sgd worse (p " in text
    looks = read_looks(make_looked(), folder)
    sgd = evidence.statistics.trials["sgd"]
    assert sgd.difference.verdict == "worse"
    shown = looks.done[0].p["sgd"]
    assert sgd.difference.p_corrected == pytest.approx(shown, rel=1e-5)
    assert sgd.harmonic_mean.half_width > 0


def test_a_report_on_the_way_is_that_of_the_last_look(tmp_path):
    study, executed = make_looked(), Counter()
    carry_on(study, tmp_path / "runs", executed, after=13)
    assert executed.total() > 12
    report = write_report(
        study, Store(tmp_path / "runs"), tmp_path, command="medzoo"
    )
    assert report.evidence.num_done == 12
    assert "The look at 5 seeds waits for runs of " in report.evidence.verdict
    plan = make_plan(
        give_seeds(study, Store(tmp_path / "runs")), Store(tmp_path / "runs")
    )
    assert "\n4 trials x 1 task x up to 12 seeds = at most 48 runs on" in (
        plan.text()
    )
    assert "left of the first 5 seeds" in plan.status()
    assert plan.done == executed.total() == 14


def test_without_a_baseline_the_highest_is_looked_for(tmp_path):
    study = make_looked(baseline=None, max_seeds=3)
    carry_on(study, tmp_path / "runs", Counter())
    report = write_report(
        study, Store(tmp_path / "runs"), tmp_path, command="medzoo"
    )
    statistics = report.evidence.statistics
    assert statistics.reference in ("adam", "nadam")
    assert statistics.to_reference("sgd").verdict == "worse"
    assert " sgd is worse than " in f" {report.evidence.verdict}"


FILE = """
question = "Which?"
tasks = ["breastmnist"]
data = "synthetic"
[axes]
optimizer = ["sgd", "adam"]
"""


def test_a_file_or_flags_say_until_when(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(FILE)
    plain = read_study(path)
    assert (plain.until, plain.all_seeds) == ("seeds", (0, 1, 2))
    flagged = plain.override(until="decided", max_seeds=8)
    assert flagged.folder_name(smoke=False) == "x@until-decided+max_seeds-8"
    assert flagged.all_seeds == tuple(range(8))
    path.write_text(f'until = "decided"\nmax_seeds = 5{FILE}')
    own = read_study(path)
    assert own.folder_name(smoke=False) == "x"
    assert own.override(tasks=["breastmnist"]) == own
    # Seeds that are asked for are all that is run.
    assert own.override(seeds=[0, 1]).all_seeds == (0, 1)
    assert own.override(until="seeds").folder_name(smoke=False) == (
        "x@until-seeds"
    )
    with pytest.raises(ValueError, match='needs `until = "decided"`'):
        plain.override(max_seeds=8)
    path.write_text(f"max_seeds = 5{FILE}")
    with pytest.raises(ValueError, match="line 1: `max_seeds` needs `until"):
        read_study(path)


def test_a_report_points_to_that_until_decided(tmp_path, monkeypatch, capsys):
    Path(tmp_path, "x.toml").write_text(FILE)
    (tmp_path / "results" / "x@until-decided").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["medzoo", "study", "report", "x.toml"])
    with pytest.raises(SystemExit):
        main()
    assert "x@until-decided is the report of this study until decided" in (
        capsys.readouterr().err
    )


def test_a_smoke_run_is_not_looked_at():
    study = make_looked()
    assert {run.seed for _, run in expand(study, smoke=True)} == {0}
    assert give_seeds(study, Store("none"), smoke=True) is study


def test_the_command_line_plans_until_decided(tmp_path, monkeypatch, capsys):
    Path(tmp_path, "x.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    flags = ["x.toml", "--until", "decided", "--max-seeds", "5", "--json"]
    monkeypatch.setattr("sys.argv", ["medzoo", "study", "plan", *flags])
    with pytest.raises(SystemExit) as ended:
        main()
    facts = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert (facts["num_runs"], facts["num_most"]) == (6, 10)
