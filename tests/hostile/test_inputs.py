"""Archives, downloads and disks that are not what they say."""

import io
import os
import subprocess
import sys
import time
import zipfile

import h5py
import numpy as np
import pytest
from file_server import serve

from medzoo.data.checksums import md5_of, verify
from medzoo.data.custom.arrays import MOST_CLASSES
from medzoo.data.custom.load import load_custom
from medzoo.data.custom.options import make_canonical
from medzoo.data.download import Patience, fetch
from medzoo.data.npz import create_array, describe_array, map_array, read_array
from medzoo.files import make_temporary, replacing
from medzoo.models.keras_file import require_bounded


def write_archive(path, **changes):
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.zeros((4, 8, 8), "uint8")
        arrays[f"{split}_labels"] = np.array([0, 1, 0, 1])
    np.savez_compressed(path, **arrays | changes)
    return path


def load(path):
    data = f"npz:{path}"
    return load_custom("x", data, 8, make_canonical(data, {}))


@pytest.mark.parametrize(
    "label", [2**32 + 1, 2**31, MOST_CLASSES, 2_000_000_000, -1, -(2**32)]
)
def test_labels_are_checked_before_they_are_narrowed(label, tmp_path):
    labels = np.array([0, 1, 0, label], "int64")
    path = write_archive(tmp_path / "x.npz", train_labels=labels)
    with pytest.raises(ValueError, match="must hold labels from 0 to"):
        load(path)


def claim(path, shape):
    """Writes an archive whose array is said to have another shape."""
    np.savez_compressed(path, images=np.zeros(64, "uint8"))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("images.npy")
    old, new = (f"{text}, }}".ljust(20).encode() for text in ("(64,)", shape))
    wrong = content.replace(old, new)
    assert len(wrong) == len(content)
    assert wrong != content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", wrong)
    return path


@pytest.mark.parametrize("shape", ["(10**9,)", "(63,)", "(65,)"])
def test_an_array_is_as_long_as_its_header_says(shape, tmp_path):
    path = claim(tmp_path / "x.npz", shape.replace("10**9", "999999999"))
    with pytest.raises(ValueError, match="is damaged"):
        describe_array(path, "images")


def test_a_member_with_another_checksum_is_damaged(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, images=np.zeros(10_000, "uint8"))
    content = bytearray(path.read_bytes())
    content[5_000] = 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        read_array(path, "images")


@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_an_unpacked_array_that_was_cut_is_made_again(content, tmp_path):
    path = write_archive(tmp_path / "x.npz")
    unpacked = map_array(path, "train_images").filename
    unpacked.write_bytes(content)
    assert map_array(path, "train_images").shape == (4, 8, 8)


IMPATIENT = Patience(
    attempts=2,
    back_off=0.0,
    stall_seconds=5.0,
    most_seconds=0.1,
    most_bytes=10**6,
)


def test_a_server_may_not_make_a_download_wait_for_days(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def later(handler):
        handler.send_response(503)
        handler.send_header("Retry-After", "100000")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    started = time.monotonic()
    with serve(b"content", later) as server:
        fetch(server.url, tmp_path / "x", None, patience=IMPATIENT)
    assert time.monotonic() - started < 5


def test_a_download_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(10**5))

    with (
        serve(b"", endless) as server,
        pytest.raises(FileNotFoundError, match="does not end"),
    ):
        fetch(server.url, tmp_path / "x", None, patience=IMPATIENT)
    assert not (tmp_path / "x").exists()
    assert sum(p.stat().st_size for p in tmp_path.glob("x*")) < 10**6


def test_a_file_without_a_published_checksum_is_not_called_verified(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(b"junk") as server:
        fetch(server.url, tmp_path / "x", None, patience=IMPATIENT)
    assert not list(tmp_path.glob("*.verified"))


def test_a_file_with_its_old_times_is_looked_at_again(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"right")
    md5, facts = md5_of(path), path.stat()
    verify(path, md5)
    path.write_bytes(b"wrong")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(ValueError, match="is damaged"):
        verify(path, md5)


def test_an_array_without_room_is_an_error_and_no_bus_error(small_disk):
    with pytest.raises(OSError, match="No space left"):
        create_array(small_disk / "x.npy", "uint8", (2**21,))
    assert not list(small_disk.iterdir())
    create_array(small_disk / "x.npy", "uint8", (2**19,))[:] = 1


BEGIN = """
from pathlib import Path
from medzoo.files import filling, make_temporary, replacing

part, folder = replacing(Path("x.json")), filling(Path("models"))
part.__enter__().write_text("{")
(folder.__enter__() / "x").write_text("")
logs = make_temporary()
print(flush=True)
input()
"""


def test_what_a_killed_process_left_is_cleared(tmp_path, monkeypatch):
    """But neither what one that lives has begun, nor what others made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    others = {".x.json.mine.tmp", "medzoo-mine"}
    for name in others:
        (tmp_path / name).mkdir()

    def begin():
        command = [sys.executable, "-c", BEGIN]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=tmp_path, **pipes)
        process.stdout.readline()
        return process

    def list_begun(process):
        return list(tmp_path.glob(f"*-{process.pid}-*"))

    with begin() as killed:
        assert len(list_begun(killed)) == 3
        killed.kill()
    with begin() as living:
        with replacing(tmp_path / "y.json") as part, make_temporary():
            part.touch()
            assert not list_begun(killed)
            assert len(list_begun(living)) == 3
        living.kill()
    assert others <= {path.name for path in tmp_path.iterdir()}


def write_keras(path, *, config=b"{}", **dataset):
    """Writes a file of Keras's layout, with one array of weights."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_dataset("layers/dense/vars/0", dtype="float32", **dataset)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


def test_a_model_that_unpacks_to_far_more_than_it_is_is_not_built(tmp_path):
    path = tmp_path / "x.keras"
    require_bounded(write_keras(path, data=np.ones(100)))
    for bomb in (
        {"shape": (2**28,), "chunks": (2**10,)},  # Of a header alone.
        {"shape": (2**40,), "chunks": (2**10,)},
        {"data": np.zeros(2), "config": bytes(2**26 + 1)},
    ):
        write_keras(path, **bomb)
        assert path.stat().st_size < 2**18
        with pytest.raises(ValueError, match="it unpacks to .* at most"):
            require_bounded(path)
