"""Files of others are those that were published: data and weights."""

import hashlib
import re
from pathlib import Path

import keras
import pytest
from file_server import serve

from medzoo.data.checksums import verify
from medzoo.models.backbones import BACKBONES, CHECKSUMS, find_weights
from medzoo.runs.run import Run
from medzoo.tasks import TASKS
from medzoo.training.weights import fetch_weights

PROBE = Run(
    task="breastmnist",
    model="logistic_regression",
    options={"backbone": "mobilenet_025", "weights": "imagenet"},
)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Where Keras would have the weights of a small backbone."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = find_weights("mobilenet_025", "imagenet")
    path.parent.mkdir(parents=True)
    return path


def test_two_files_of_one_md5_are_told_apart_by_sha256(tmp_path):
    # Of the first published collision (Wang and Yu, 2005).
    blocks = [
        bytes.fromhex(
            "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
            "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
            "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
            "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
        )
    ]
    other = bytearray(blocks[0])
    for at in (19, 45, 59, 83, 109, 123):
        other[at] ^= 0x80
    blocks.append(bytes(other))
    md5s = {hashlib.md5(block).hexdigest() for block in blocks}
    assert len(md5s) == 1
    path = tmp_path / "file"
    path.write_bytes(blocks[1])
    verify(path, md5s.pop())
    published = hashlib.sha256(blocks[0]).hexdigest()
    with pytest.raises(ValueError, match=f"Expected: SHA-256 {published}"):
        verify(path, published)


def test_sha256_is_asked_for_where_it_is_known():
    known = [task for task in TASKS.values() if task.sha256s]
    assert {"breastmnist", "retinamnist"} <= {task.name for task in known}
    for task in TASKS.values():
        for size, md5 in task.md5s.items():
            digest = task.checksum(size)
            assert digest == task.sha256s.get(size, md5)
            assert re.fullmatch("[0-9a-f]{32}|[0-9a-f]{64}", digest)


def test_checksums_of_weights_are_those_of_keras():
    folder = Path(keras.__file__).parent
    sources = folder.glob("src/applications/*.py")
    known = "".join(path.read_text() for path in sources)
    unknown = {n for n, digest in CHECKSUMS.items() if digest not in known}
    assert unknown == {"mobilenet_025"}
    without = BACKBONES.keys() - CHECKSUMS.keys()
    assert without == {"mobilenet", "mobilenet_050", "mobilenet_v2"}


def test_junk_in_place_of_weights_is_refused(weights):
    weights.write_bytes(b"junk")
    with pytest.raises(ValueError, match="not the published file") as error:
        fetch_weights([PROBE])
    assert CHECKSUMS["mobilenet_025"] in str(error.value)
    assert "Remove it and run the same command again" in str(error.value)


def test_junk_from_a_server_is_not_kept(weights, monkeypatch):
    with serve(b"junk") as server:
        monkeypatch.setenv("MEDZOO_MIRROR", server.url)
        with pytest.raises(ValueError, match="than the published one"):
            fetch_weights([PROBE])
    assert not weights.exists()
