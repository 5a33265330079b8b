"""Leases: one holder at any time, and none for ever."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from medzoo.execution.leases import STALE_AFTER, UNWRITTEN_AFTER, Leases


@pytest.fixture
def leases(tmp_path):
    return Leases(tmp_path / "leases", watch=0)


def path_of(leases):
    return leases.folder / "run.lease"


def write(leases, silence=0.0, **changes):
    """Writes a lease as another process would have done."""
    lease = {"host": os.uname().nodename, "pid": os.getpid(), "token": "theirs"}
    lease |= {"started": time.time()} | changes
    leases.folder.mkdir(exist_ok=True)
    path_of(leases).write_text(json.dumps(lease))
    age(leases, silence)


def age(leases, silence):
    then = time.time() - silence
    os.utime(path_of(leases), (then, then), follow_symlinks=False)


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_claim_excludes_others_until_it_is_released(leases):
    others = Leases(leases.folder)
    assert leases.claim("run")
    assert not others.claim("run")
    assert others.claim("another run")
    leases.release("run")
    assert others.claim("run")


def test_a_lease_says_who_holds_it_since_when(leases):
    assert leases.claim("run")
    lease = json.loads(path_of(leases).read_text())
    assert lease["host"] == os.uname().nodename
    assert lease["pid"] == os.getpid()
    assert abs(lease["started"] - time.time()) < 60


def test_the_lease_of_a_dead_process_is_taken_over_at_once(leases):
    write(leases, pid=dead_process())
    assert leases.claim("run")
    assert json.loads(path_of(leases).read_text())["pid"] == os.getpid()
    assert not Leases(leases.folder).claim("run")


def test_a_killed_process_that_nobody_buried_is_dead(leases):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    write(leases, pid=process.pid)
    assert not leases.claim("run")
    process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not leases.claim("run"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.communicate()


def test_a_later_process_with_the_same_number_is_another_one(leases):
    write(leases, started=time.time() - 10**7)
    assert leases.claim("run")


def test_another_host_is_given_time_to_show_life(leases):
    write(leases, host="elsewhere", pid=1, silence=STALE_AFTER / 2)
    assert not leases.claim("run")
    age(leases, STALE_AFTER + 1)
    assert leases.claim("run")


def test_a_container_with_the_name_of_this_host_is_another_one(leases):
    """What has its process number here says nothing about it."""
    assert leases.claim("run")
    lease = json.loads(path_of(leases).read_text())
    assert lease["machine"].startswith(lease["host"])
    dead = lease | {
        "pid": dead_process(),
        "machine": f"{lease['host']} pid:[1]",
    }
    path_of(leases).write_text(json.dumps(dead))
    others = Leases(leases.folder, watch=0)
    assert not others.claim("run")
    age(leases, STALE_AFTER + 1)
    assert others.claim("run")
    # As earlier versions wrote it.
    write(leases, pid=dead["pid"], born=lease["born"])
    assert leases.holder("run").machine == ""
    assert others.claim("run")


def test_a_clock_that_is_set_steals_no_lease(leases, monkeypatch):
    """Of this host by its start in ticks, of another one by being watched."""
    others = Leases(leases.folder)
    assert leases.claim("run")
    lease = json.loads(path_of(leases).read_text())
    path_of(leases).write_text(json.dumps(lease | {"started": 0.0}))
    assert not others.claim("run")
    write(leases, host="elsewhere", silence=10 * STALE_AFTER)
    watching = Leases(leases.folder, watch=0.3)
    assert not watching.claim("run")
    age(leases, 9 * STALE_AFTER)  # A sign of life, whatever its clock says.
    time.sleep(0.3)
    assert not watching.claim("run")
    time.sleep(0.3)
    assert watching.claim("run")


@pytest.mark.parametrize("host", ["elsewhere", 1])
def test_a_clock_that_was_set_back_holds_no_lease_for_ever(
    leases, host, monkeypatch
):
    """Where it is of a process that is no more, or of none."""
    write(leases, host=host, silence=-(10**7))
    assert not leases.claim("run")
    for name in ("STALE_AFTER", "UNWRITTEN_AFTER"):
        monkeypatch.setattr(f"medzoo.execution.leases.{name}", 0.1)
    time.sleep(0.11)
    assert leases.claim("run")


def link_nowhere(path):
    path.symlink_to(path.with_name("nowhere"))


def link_in_a_circle(path):
    path.symlink_to(path)


def fill_folder(path):
    (path / "more").mkdir(parents=True)


@pytest.mark.parametrize(
    "make", [os.mkfifo, link_nowhere, link_in_a_circle, fill_folder]
)
def test_what_is_no_file_is_no_lease_and_is_not_waited_for(leases, make):
    leases.folder.mkdir()
    make(path_of(leases))
    assert leases.holder("run") is None
    assert not leases.claim("run")
    age(leases, UNWRITTEN_AFTER + 1)
    assert leases.claim("run")
    assert not (leases.folder / "nowhere").exists()


def test_who_holds_a_run_is_told(leases):
    assert leases.claim("run")
    assert f"process {os.getpid()} on" in str(leases.holder("run"))
    write(leases, host="\x1b[2J")
    assert "\x1b" not in str(leases.holder("run"))


ODD = (
    '{"host": 1, "pid": 1, "started": 1}',
    '{"host": "HOST", "pid": "1", "started": 1}',
    '{"host": "HOST", "pid": -1, "started": 1}',
    '{"host": "HOST", "pid": true, "started": 1}',
    '{"host": "HOST", "pid": 99999999999999999999, "started": 1}',
    '{"host": "HOST", "pid": 1, "started": "now"}',
    '{"host": "HOST", "pid": 1, "started": NaN}',
    '{"host": "HOST", "pid": 1, "started": 1e999}',
    '{"host": "HOST", "pid": 1, "started": 1, "machine": 1}',
    "[" * 9_000,
    "x" * 20_000,
)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"host": 1}', *ODD], ids=range(4 + len(ODD))
)
def test_an_unwritten_lease_is_soon_taken_over(leases, content):
    write(leases)
    path_of(leases).write_text(content.replace("HOST", os.uname().nodename))
    assert not leases.claim("run")
    age(leases, UNWRITTEN_AFTER + 1)
    assert leases.claim("run")


def test_a_sign_of_life_keeps_a_lease(leases, monkeypatch):
    monkeypatch.setattr("medzoo.execution.leases.HEARTBEAT", 0.0)
    assert leases.claim("run")
    age(leases, 1000)
    leases.refresh()
    assert time.time() - path_of(leases).stat().st_mtime < 60


def test_a_lease_that_was_taken_over_is_not_released_by_its_old_holder(leases):
    assert leases.claim("run")
    write(leases, host="elsewhere")
    leases.release("run")
    assert path_of(leases).exists()


def test_one_of_many_takes_a_stale_lease_over(tmp_path):
    pid = dead_process()
    for _ in range(20):
        many = [Leases(tmp_path / "leases") for _ in range(8)]
        write(many[0], pid=pid)
        claims, barrier = [], threading.Barrier(8)

        def claim(leases, barrier=barrier, claims=claims):
            barrier.wait()
            claims.append(leases.claim("run"))

        threads = [threading.Thread(target=claim, args=[x]) for x in many]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(claims) == 1
        path_of(many[0]).unlink()


CLAIMER = """
import sys, time
from pathlib import Path
from medzoo.execution.leases import Leases

leases = Leases(Path(sys.argv[1]))
while time.time() < float(sys.argv[2]):
    pass
print(sum(leases.claim(str(number)) for number in range(500)))
"""


def test_processes_that_claim_at_the_same_time_share_the_runs(tmp_path):
    start = str(time.time() + 3)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, tmp_path / "leases", start],
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    counts = [int(process.communicate()[0]) for process in processes]
    # The leases of one that has ended are stale, and may be taken over again.
    assert sum(counts) >= 500
    lease_files = list((tmp_path / "leases").glob("*.lease"))
    assert len(lease_files) == 500
