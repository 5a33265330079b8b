"""Limits of containers and batch jobs, on trees of files as Linux has them."""

import psutil
import pytest

from medzoo.execution.cores import count_cores
from medzoo.execution.limits import find_quota, usable_memory

GB = 2**30


def make_tree(root, groups, **files):
    """Writes `/proc/self/cgroup` and files below `/sys/fs/cgroup`."""
    proc = root / "proc" / "self" / "cgroup"
    proc.parent.mkdir(parents=True)
    proc.write_text(groups)
    for name, text in files.items():
        path = root / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def test_the_least_limit_of_a_group_and_those_above_is_found(tmp_path):
    """As a batch system has it: the job is limited, its step is not."""
    root = make_tree(
        tmp_path,
        "0::/slurm/job_1/step_0\n",
        **{
            "slurm/job_1/step_0/cpu.max": "max 100000",
            "slurm/job_1/step_0/memory.max": "max",
            "slurm/job_1/cpu.max": "250000 100000",
            "slurm/job_1/memory.max": GB,
            "slurm/cpu.max": "800000 100000",
            "slurm/memory.max": 2 * GB,
        },
    )
    assert find_quota(root) == 3
    assert usable_memory(root) == GB


@pytest.mark.parametrize("name", ["cpu,cpuacct", "cpu"])
def test_a_container_of_version_1_sees_its_group_at_the_top(tmp_path, name):
    """Its name is that of the machine outside, and not there."""
    groups = "5:memory:/docker/4f\n4:cpu,cpuacct:/docker/4f\n0::/docker/4f\n"
    root = make_tree(
        tmp_path,
        groups,
        **{
            f"{name}/cpu.cfs_quota_us": 50_000,
            f"{name}/cpu.cfs_period_us": 100_000,
            "memory/memory.limit_in_bytes": GB,
        },
    )
    assert find_quota(root) == 1
    assert usable_memory(root) == GB


def test_a_container_of_version_2_sees_its_group_at_the_top(tmp_path):
    files = {"cpu.max": "200000 100000", "memory.max": GB}
    root = make_tree(tmp_path, "0::/../..\n", **files)
    assert find_quota(root) == 2
    assert usable_memory(root) == GB


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000", "memory.max": "max"},
        {"cpu.max": "", "memory.max": "0"},
        {
            "cpu/cpu.cfs_quota_us": -1,
            "cpu/cpu.cfs_period_us": 100_000,
            "memory/memory.limit_in_bytes": 9223372036854771712,
        },
    ],
)
def test_without_a_limit_the_machine_is_the_limit(tmp_path, files):
    root = make_tree(tmp_path, "2:cpu:/\n1:memory:/\n0::/\n", **files)
    assert find_quota(root) is None
    assert usable_memory(root) == psutil.virtual_memory().total
    assert find_quota(tmp_path / "none") is None


def test_workers_are_no_more_than_the_quota(monkeypatch):
    monkeypatch.setattr("medzoo.execution.cores.find_quota", lambda: 1)
    assert count_cores() == 1
