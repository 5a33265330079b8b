"""The runner: every run once, whatever its neighbours do."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import psutil
import pytest
from in_process import OneAtATime
from pretended import Pretended, make_runs

from medzoo.execution.cores import (
    count_cores,
    default_workers,
    list_gpus,
    usable_gpus,
)
from medzoo.execution.job import Job, Outcome
from medzoo.execution.leases import Leases
from medzoo.execution.local import LocalExecutor
from medzoo.execution.options import ExecutionOptions
from medzoo.execution.runner import Group, Queue, execute_jobs
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.training.build import graph_key


@pytest.fixture
def pretended(tmp_path):
    return Pretended(tmp_path)


def test_every_run_is_executed_once(pretended):
    runs = make_runs(12)
    records = pretended.execute(runs)
    assert {record.run for record in records} == set(runs)
    assert pretended.counts() == {run.run_id: 1 for run in runs}
    statuses = pretended.store.statuses()
    assert statuses == {run.run_id: "done" for run in runs}
    assert not list(pretended.store.folder.glob("leases/*.lease"))


def test_each_fault_ends_as_it_should_while_its_neighbours_finish(pretended):
    runs = make_runs(16)
    pretended.go_wrong(
        seed_1="raise", seed_3="nan", seed_5="hang", seed_7="eat",
        seed_9="exit", seed_11="segfault", seed_13="raise once",
    )  # fmt: skip
    tried_again = []
    records = pretended.execute(
        runs,
        timeout=3,
        memory=2**29,
        on_retry=lambda record: tried_again.append(record.run.seed),
    )
    found = {record.run.seed: record for record in records}
    assert sorted(found) == list(range(16))
    failed = {s: r.error for s, r in found.items() if r.status == "failed"}
    assert sorted(failed) == [1, 5, 7, 9, 11]
    assert found[3].status == "diverged"
    assert failed[1]["type"] == "RuntimeError"
    assert "go_wrong" in failed[1]["traceback"]
    assert "longer than 3 seconds" in failed[5]["message"]
    assert "more than 0.5 GB" in failed[7]["message"]
    assert "exit code 0" in failed[9]["message"]
    assert failed[9]["traceback"] == "the last words"
    assert f"exit code -{signal.SIGSEGV:d}" in failed[11]["message"]
    assert "Segmentation fault" in failed[11]["traceback"]
    # What failed was tried twice, and only that.
    counts = pretended.counts()
    for run in runs:
        tries = 2 if run.seed in (*failed, 13) else 1
        assert counts[run.run_id] == tries, run.seed
    assert sorted(tried_again) == [1, 5, 7, 9, 11, 13]


def test_without_retries_a_run_fails_at_once(pretended):
    pretended.go_wrong(seed_0="raise")
    runs = make_runs(2)
    records = pretended.execute(runs, retries=0)
    assert sorted(record.status for record in records) == ["done", "failed"]
    assert pretended.counts()[runs[0].run_id] == 1


def test_a_failed_run_is_tried_again_by_the_next_call(pretended):
    pretended.go_wrong(seed_0="raise")
    runs = make_runs(1)
    pretended.execute(runs)
    pretended.go_wrong()
    assert [r.status for r in pretended.execute(runs)] == ["done"]


def test_workers_are_replaced_after_some_runs(pretended, monkeypatch):
    monkeypatch.setattr("medzoo.execution.local.RUNS_A_WORKER", 3)
    pretended.execute(make_runs(7), workers=1)
    processes = pretended.processes()
    assert [processes.count(p) for p in dict.fromkeys(processes)] == [3, 3, 1]


def test_workers_that_keep_much_memory_are_replaced(pretended):
    pretended.execute(make_runs(3), workers=1, memory=2**31)
    assert len(set(pretended.processes())) == 1
    # A Python with NumPy keeps more than half of these 40 MB for itself.
    others = make_runs(3, task="retinamnist")
    pretended.execute(others, workers=1, memory=40 * 2**20, retries=0)
    assert len(set(pretended.processes())) == 1 + 3


def test_an_idle_worker_that_is_killed_is_replaced(pretended):
    killed = []

    def kill(record):
        pid = pretended.processes()[0]
        if not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    runs = make_runs(4)
    pretended.execute(runs, workers=1, on_record=kill)
    assert set(pretended.store.statuses().values()) == {"done"}


def test_an_error_of_the_caller_ends_the_workers(pretended):
    def stop(record):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pretended.execute(make_runs(8), on_record=stop)
    assert not any(psutil.pid_exists(p) for p in pretended.processes())
    assert len(pretended.store.statuses()) == 1
    assert not list(pretended.store.folder.glob("leases/*.lease"))


class AtOnce(OneAtATime):
    """An executor whose jobs end at the same time."""

    def __init__(self, stand_in):
        super().__init__()
        self.stand_in = stand_in

    def wait(self, seconds):
        started, self.started = self.started, []
        return [
            Outcome(job, *self.stand_in([job], store)[0])
            for job, store in started
        ]


def test_what_ends_beside_a_run_that_stops_the_study_is_kept(pretended):
    def stop(record):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pretended.execute(
            make_runs(3),
            executor=nullcontext(AtOnce(pretended.stand_in)),
            group=Group(3, lambda run: "one"),
            on_record=stop,
        )
    assert set(pretended.store.statuses().values()) == {"done"}
    assert len(pretended.store.statuses()) == 3
    assert not list(pretended.store.folder.glob("leases/*.lease"))


def test_nobody_else_may_tell_of_a_run_while_it_is_told_of(pretended):
    """As a tracker would have it twice."""
    leases, holders = Leases(pretended.store.folder / "leases"), []

    def note(record):
        holders.append(leases.holder(record.run_id))

    for _ in range(2):  # What is in the store is told of again.
        pretended.execute(make_runs(2), on_record=note)
    assert [holder and holder.pid for holder in holders] == [os.getpid()] * 4


def test_after_the_deadline_nothing_is_started(pretended):
    runs = make_runs(3)
    with LocalExecutor(1, execute=pretended.stand_in) as executor:
        in_time = execute_jobs(
            map(Job, runs),
            pretended.store,
            executor=executor,
            deadline=time.monotonic(),
            on_record=print,
        )
    assert not in_time
    assert not pretended.counts()


def test_a_run_of_another_process_is_waited_for_and_not_repeated(pretended):
    runs = make_runs(3)
    theirs = Leases(pretended.store.folder / "leases")
    # Another process holds the first run, finishes it later and lets it go.
    assert theirs.claim(runs[0].run_id)

    def finish():
        while not (executed := pretended.store.read(runs[1].run_id)):
            time.sleep(0.1)
        record = executed.model_copy(
            update={"run": runs[0], "run_id": runs[0].run_id}
        )
        pretended.store.write(record)
        theirs.release(runs[0].run_id)

    thread = threading.Thread(target=finish)
    thread.start()
    records = pretended.execute(runs)
    thread.join()
    assert [record.run.seed for record in records][-1] == 0
    assert pretended.counts() == {run.run_id: 1 for run in runs[1:]}


SCRIPT = """
import sys
from functools import partial
from pretended import make_runs, pretend
from medzoo.execution.job import Job
from medzoo.execution.local import LocalExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.store import Store

count, seconds = int(sys.argv[1]), float(sys.argv[2])
stand_in = partial(pretend, executions="executions", seconds=seconds)
with LocalExecutor(2, execute=stand_in) as executor:
    execute_jobs(
        map(Job, make_runs(count)),
        Store("runs"),
        executor=executor,
        on_record=lambda record: print(record.run.seed, flush=True),
    )
"""


def start(pretended, count, seconds=0.05):
    folder = pretended.executions.parent
    (folder / "script.py").write_text(SCRIPT)
    path = [os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": ":".join(path), "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "script.py", str(count), str(seconds)],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_two_processes_share_a_store_and_repeat_nothing(pretended):
    processes = [start(pretended, 20) for _ in range(2)]
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        # Each hears of all runs, its own and those of the other.
        assert sorted(map(int, output.split())) == list(range(20))
    assert set(pretended.counts().values()) == {1}
    assert len(pretended.counts()) == 20


def test_nobody_outlives_a_killed_driver(pretended):
    folder = pretended.executions.parent
    process = start(pretended, 20, 60)
    deadline = time.monotonic() + 30
    while len(pretended.processes()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=3)
    assert not alive
    assert not list(folder.glob("medzoo-*"))  # Nor does a log.
    # Its leases are taken over at once.
    again = start(pretended, 20)
    output, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert len(output.split()) == 20


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
)
def test_an_interrupt_keeps_what_is_done_and_leaves_nobody(pretended, number):
    process = start(pretended, 60, 0.2)
    process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert errors.count("Traceback") == 1  # None of a worker.
    _, alive = psutil.wait_procs(children, timeout=3)
    assert not alive
    assert 1 <= len(pretended.store.statuses()) < 60
    assert not list(pretended.store.folder.glob("leases/*.lease"))


def test_equal_graphs_follow_each_other_on_one_worker():
    runs = [
        Run(task="breastmnist", optimizer=optimizer, seed=seed)
        for seed in range(3)
        for optimizer in ("sgd", "adam", "lion")
    ]
    queue = Queue(map(Job, runs))
    known = {"a": [], "b": []}
    taken = {"a": [], "b": []}
    for worker in "abababaab":
        others = {key for keys in known.values() for key in keys}
        run = queue.take(known[worker], others).run
        known[worker] = [graph_key(run), *known[worker]]
        taken[worker].append(run.optimizer)
    assert taken["a"] == ["sgd"] * 3 + ["lion"] * 2
    assert taken["b"] == ["adam"] * 3 + ["lion"]
    assert not queue


@pytest.mark.parametrize(
    ("text", "gpus", "workers"),
    [("", [], None), ("-1", [], None), ("0,3", ["0", "3"], 4)],
)
def test_gpus_are_those_that_the_environment_names(
    monkeypatch, text, gpus, workers
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    assert list_gpus() == gpus
    assert default_workers(2) == (workers or count_cores())


def test_gpus_that_the_backend_does_not_find_are_none(monkeypatch):
    """As those of a driver without the packages that TensorFlow needs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "77")
    with pytest.warns(UserWarning, match="finds no GPU, though 1 are listed"):
        assert usable_gpus() == []
    assert ExecutionOptions().count_workers() == count_cores()
    # Without a backend nobody needs it.
    assert ExecutionOptions(execute=len).count_workers() == 1


def test_each_worker_is_bound_to_a_gpu_in_turn(pretended, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    pretended.seconds = 0.5
    pretended.execute(make_runs(4), workers=4)
    assert len(set(pretended.processes())) == 4
    assert sorted(pretended.gpus()) == ["5", "5", "7", "7"]


def find_server(pid):
    """Finds the process that a worker was forked from."""
    return psutil.Process(pid).parent()


@pytest.mark.slow
def test_a_killed_server_of_workers_is_started_again(pretended):
    pretended.seconds = 0.3
    records, servers, tried_again = [], [], []

    def on_record(record):
        records.append(record)
        if not servers:
            servers.append(find_server(pretended.processes()[0]))
            servers[0].kill()

    runs = make_runs(8)
    pretended.execute(runs, on_record=on_record, on_retry=tried_again.append)
    assert {record.status for record in records} == {"done"}
    assert len(records) == 8
    assert not servers[0].is_running()
    # It cost an attempt of each run that was being executed, and said why.
    assert 1 <= len(tried_again) <= 2
    for record in tried_again:
        assert record.error["type"] == "ProcessExpired"
        assert (
            "starts workers died with exit code -9" in record.error["message"]
        )
    more = sum(pretended.counts().values()) - 8
    assert more <= len(tried_again)


def test_a_server_that_cannot_start_fails_its_runs_with_its_last_words(
    tmp_path, monkeypatch
):
    """As with a broken installation of the backend."""
    broken = tmp_path / "keras"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('half a Keras')")
    monkeypatch.syspath_prepend(tmp_path)
    records, store = [], Store(tmp_path / "runs")
    with LocalExecutor(1) as executor:
        execute_jobs(
            map(Job, make_runs(2)),
            store,
            executor=executor,
            retries=0,
            on_record=records.append,
        )
    assert [record.status for record in records] == ["failed", "failed"]
    for record in records:
        assert "died with exit code 1" in record.error["message"]
        assert "half a Keras" in record.error["traceback"]
