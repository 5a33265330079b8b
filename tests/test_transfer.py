import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from file_server import (
    cut_after,
    send_all,
    send_status,
    serve,
    trickle,
    wait_for,
)

from medzoo.data import download
from medzoo.data.download import Patience

BODY = np.random.default_rng(0).bytes(100_000)
MD5 = hashlib.md5(BODY).hexdigest()
FETCH = """
import sys
from pathlib import Path
from medzoo.data.download import fetch
print("ready", flush=True)
fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
"""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "new" / "x.npz"


def fetch(url, target, md5, *, on_progress=None, stall_seconds=30.0):
    """Downloads with short pauses between attempts."""
    patience = Patience(back_off=0.001, stall_seconds=stall_seconds)
    return download.fetch(
        url, target, md5, on_progress=on_progress, patience=patience
    )


def part_of(target: Path) -> Path:
    return target.with_name("x.npz.part")


def start_fetch(url: str, target: Path, prelude: str = "") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", prelude + FETCH, url, str(target), MD5],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_file_arrives_whole_and_progress_ends_at_its_size(target):
    seen = []
    with serve(BODY) as server:
        path = fetch(
            server.url, target, MD5, on_progress=lambda *p: seen.append(p)
        )
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    assert not part_of(target).exists()


def test_a_file_that_is_there_is_not_asked_for_again(target):
    with serve(BODY) as server:
        fetch(server.url, target, MD5)
        fetch(server.url, target, MD5)
    assert server.ranges == [None]


def test_a_cut_connection_is_resumed_where_it_was_cut(target):
    with serve(BODY, cut_after(40_000), cut_after(10_000)) as server:
        fetch(server.url, target, MD5)
    assert server.ranges == [None, "bytes=40000-", "bytes=50000-"]
    assert target.read_bytes() == BODY


def test_a_part_of_an_earlier_call_is_used(target):
    target.parent.mkdir()
    part_of(target).write_bytes(BODY[:70_000])
    with serve(BODY) as server:
        fetch(server.url, target, MD5)
    assert server.ranges == ["bytes=70000-"]
    assert target.read_bytes() == BODY


def test_a_complete_part_needs_no_more_bytes(target):
    target.parent.mkdir()
    part_of(target).write_bytes(BODY)
    with serve(BODY) as server:
        fetch(server.url, target, MD5)
    assert server.ranges == [f"bytes={len(BODY)}-"]
    assert target.read_bytes() == BODY


def test_a_part_longer_than_the_file_is_dropped(target):
    target.parent.mkdir()
    part_of(target).write_bytes(BODY + b"more")
    with serve(BODY) as server:
        fetch(server.url, target, MD5)
    assert server.ranges == [f"bytes={len(BODY) + 4}-", None]
    assert target.read_bytes() == BODY


def test_without_range_support_the_file_starts_over(target):
    with serve(BODY, cut_after(40_000), send_all) as server:
        fetch(server.url, target, MD5)
    assert server.ranges == [None, "bytes=40000-"]
    assert target.read_bytes() == BODY


def test_wrong_bytes_are_refused_and_removed(target):
    wrong = BODY[:-1] + b"?"
    with (
        serve(wrong) as server,
        pytest.raises(
            ValueError, match="another file than the published one"
        ) as error,
    ):
        fetch(server.url, target, MD5)
    assert f"Expected: MD5 {MD5}." in str(error.value)
    assert f"MD5 {hashlib.md5(wrong).hexdigest()}." in str(error.value)
    assert not target.exists()
    assert not part_of(target).exists()


def test_another_file_of_that_name_is_not_written_over(target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with (
        serve(BODY) as server,
        pytest.raises(ValueError, match="Remove it and run the same command"),
    ):
        fetch(server.url, target, MD5)
    assert server.ranges == []
    assert target.read_bytes() == b"mine"


def test_a_file_that_is_not_found_is_asked_for_once(target):
    with (
        serve(BODY, send_status(404)) as server,
        pytest.raises(FileNotFoundError, match="answered 404 Not Found. "),
    ):
        fetch(server.url, target, MD5)
    assert server.ranges == [None]


def test_a_busy_server_is_asked_again(target):
    with serve(BODY, send_status(503), send_status(429)) as server:
        fetch(server.url, target, MD5)
    assert len(server.ranges) == 3
    assert target.read_bytes() == BODY


def test_a_server_that_stays_busy_is_given_up(target):
    with (
        serve(BODY, *[send_status(503)] * 9) as server,
        pytest.raises(FileNotFoundError, match="503 error responses"),
    ):
        fetch(server.url, target, MD5)
    assert len(server.ranges) == 1 + Patience().attempts


def test_an_unreachable_server_is_one_sentence(target):
    with serve(BODY) as server:
        pass
    with pytest.raises(
        FileNotFoundError,
        match=r"^`.*` was not downloaded: http://127.* cannot be reached "
        r"\(.*Connection refused\)\.$",
    ):
        fetch(server.url, target, MD5)


def test_a_silent_connection_is_replaced(target):
    never = threading.Event()
    with serve(BODY, wait_for(never)) as server:
        fetch(server.url, target, MD5, stall_seconds=0.2)
        never.set()
    assert server.ranges == [None, None]
    assert target.read_bytes() == BODY


def test_a_trickle_is_given_up_and_what_came_is_kept(target):
    with (
        serve(BODY, *[trickle] * 9) as server,
        pytest.raises(FileNotFoundError, match="sends too little"),
    ):
        fetch(server.url, target, MD5, stall_seconds=0.1)
    assert len(server.ranges) == Patience().attempts
    kept = part_of(target).read_bytes()
    assert kept
    assert BODY.startswith(kept)


def test_two_processes_download_a_file_once(target):
    release = threading.Event()
    with serve(BODY, wait_for(release)) as server:
        processes = [start_fetch(server.url, target) for _ in range(2)]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        release.set()
        errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == ["", ""]
    assert server.ranges == [None]
    assert target.read_bytes() == BODY


def test_a_full_disk_is_one_sentence(target):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full, which only Linux has")
    target.parent.mkdir()
    part_of(target).symlink_to("/dev/full")
    with (
        serve(BODY) as server,
        pytest.raises(FileNotFoundError, match="No space left on device"),
    ):
        fetch(server.url, target, MD5)


def test_without_room_the_part_is_kept_and_resumed_later(target):
    pytest.importorskip("resource", reason="needs the limits of POSIX")
    limit = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
    )
    with serve(BODY) as server:
        process = start_fetch(server.url, target, prelude=limit)
        error = process.communicate(timeout=60)[1]
        assert error.splitlines()[-1].startswith("FileNotFoundError: `")
        assert "x.npz.part` cannot be written." in error
        assert part_of(target).read_bytes() == BODY[:30_000]
        fetch(server.url, target, MD5)
    assert server.ranges == [None, "bytes=30000-"]
    assert target.read_bytes() == BODY
