"""Many machines: a real cluster of Ray, all of it on this one."""

import importlib.util
import time

import pytest
from pretended import Pretended, make_runs

from medzoo.execution.job import Job
from medzoo.execution.ray_executor import RayExecutor
from medzoo.execution.runner import execute_jobs
from medzoo.store import Store

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(
    not HAS_RAY, reason="ray is not installed: pip install 'medzoo[ray]'"
)


@pytest.fixture
def pretended(tmp_path):
    return Pretended(tmp_path)


@pytest.fixture
def cluster(pretended):
    """A head that takes no runs; the test adds nodes that do."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    cluster.shutdown()


@pytest.mark.skipif(HAS_RAY, reason="ray is installed")
def test_without_ray_one_sentence_says_how_to_get_it():
    with pytest.raises(ValueError, match=r"pip install 'medzoo\[ray\]'"):
        RayExecutor()


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_node_loses_no_run(pretended, cluster):
    pretended.go_wrong(seed_7="raise")
    nodes = [cluster.add_node(num_cpus=2) for _ in range(3)]
    runs = make_runs(40)
    records = []

    def on_record(record):
        records.append(record)
        if len(records) == 10:
            cluster.remove_node(nodes[0], allow_graceful=False)

    pretended.execute(
        runs,
        executor=RayExecutor(cluster.address, execute=pretended.stand_in),
        on_record=on_record,
    )
    # Every run has one record, and the store is that of a serial study.
    assert sorted(record.run.seed for record in records) == list(range(40))
    serial = Store(pretended.store.folder.with_name("serial"))
    theirs, pretended.store = pretended.store, serial
    pretended.execute(runs, workers=1)
    assert theirs.statuses() == serial.statuses()
    for run in runs:
        if run.seed != 7:
            assert theirs.read(run.run_id) == serial.read(run.run_id)
            left = theirs.read_predictions(run.run_id)
            right = serial.read_predictions(run.run_id)
            assert (left.test.probabilities == right.test.probabilities).all()
    assert theirs.read(runs[7].run_id).error["type"] == "RuntimeError"


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_faults_on_a_node_cost_one_run(pretended, cluster):
    pretended.go_wrong(seed_1="hang", seed_3="exit")
    cluster.add_node(num_cpus=2)
    runs = make_runs(6)
    executor = RayExecutor(
        cluster.address, timeout=2, execute=pretended.stand_in
    )
    records = pretended.execute(runs, executor=executor, retries=0)
    found = {record.run.seed: record for record in records}
    assert sorted(found) == list(range(6))
    failed = {s: r.error for s, r in found.items() if r.status == "failed"}
    assert sorted(failed) == [1, 3]
    assert failed[1]["type"] == "TimeoutError"
    assert "longer than 2 seconds" in failed[1]["message"]
    assert "died" in failed[3]["traceback"]


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_more_nodes_do_more_work(pretended, cluster, capsys):
    pretended.seconds = 1.0
    nodes, lines = 0, []
    for count in (1, 2, 4, 8):
        while nodes < count:
            cluster.add_node(num_cpus=1)
            nodes += 1
        first = make_runs(count, data="synthetic", epochs=count)
        runs = make_runs(16 * count, data="synthetic", steps=count)
        with RayExecutor(
            cluster.address, execute=pretended.stand_in
        ) as executor:
            options = {"executor": executor, "on_record": lambda record: None}
            # Workers of Ray take a while to start, once.
            execute_jobs(map(Job, first), pretended.store, **options)
            started, busy = time.monotonic(), time.thread_time()
            execute_jobs(map(Job, runs), pretended.store, **options)
            wall = time.monotonic() - started
            cost = 1000 * (time.thread_time() - busy) / len(runs)
        efficiency = 16 / wall
        lines.append(f"{count} nodes: {efficiency:.1%}, {cost:.1f} ms a run")
        with capsys.disabled():
            print(f"\n{lines[-1]}", end="")
        assert efficiency > 0.9, lines
        assert cost < 10, lines
