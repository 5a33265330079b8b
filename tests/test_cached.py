"""What is made of data: where it is, that it is whole, and its deletion."""

import itertools
import os
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from own_images import make_folder

from medzoo import Dataset
from medzoo.data.cached import list_entries
from medzoo.data.custom.load import read_custom
from medzoo.data.folders import cache_folder, derived_path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(root):
    data = read_custom("cells", f"folder:{root}", 12, {})
    return data, np.array(data.train.images[:])


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def change(path):
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def empty(path):
    path.write_bytes(b"")


PARTS = ("own-*.npy", "images.csv", "manifest.json")


@pytest.mark.parametrize(
    ("part", "spoil"),
    [
        *itertools.product(PARTS, [cut, empty, Path.unlink]),
        # The manifest has no checksum: it holds those of the others.
        *itertools.product(PARTS[:2], [change]),
    ],
)
def test_a_spoilt_part_is_made_again(part, spoil, tmp_path, cache):
    root = make_folder(tmp_path / "cells")
    first, images = load(root)
    (path,) = cache.glob(f"data/*/cells.medzoo/*/{part}")
    spoil(path)
    second, again = load(root)
    assert second.fingerprint == first.fingerprint
    np.testing.assert_array_equal(images, again)
    assert list(cache.glob(f"data/*/cells.medzoo/*/{part}")) == [path]


def test_the_cache_is_listed_by_data_and_deleted(tmp_path, cache, medzoo):
    roots = [make_folder(tmp_path / name / "cells") for name in ("a", "b é")]
    kept = [load(root)[0] for root in roots]
    found = list(list_entries())
    assert {e.source for e in found} == {str(r.parent) for r in roots}
    assert all(entry.size > 1000 and not entry.is_orphan for entry in found)
    told = medzoo("doctor", "--cache").out
    assert all(str(root.parent) in told for root in roots)
    assert "--clear" in told

    roots[1].parent.rename(tmp_path / "elsewhere")
    assert [entry.is_orphan for entry in list_entries()] == [False, True]

    # A process that decodes images just now keeps its folder.
    lock = next(derived_path(roots[0], ".medzoo").glob("*/lock"))
    with FileLock(lock):
        assert "1 folder" in medzoo("doctor", "--cache", "--clear").out
    assert len(list(list_entries())) == 1
    # What was given from Python is in no file that it could be made from.
    images = np.arange(30 * 64, dtype="uint16").reshape(30, 8, 8) % 251
    Dataset.from_arrays(images.astype("uint8"), [0, 1, 2] * 10)
    assert "Deleted" in medzoo("doctor", "--cache", "--clear").out
    (kept_data,) = list_entries()
    # Whoever waits for a lock finds the one that others take.
    assert lock.exists()
    assert {f.name for f in cache.glob("data/*/*.medzoo/*/*")} == {"lock"}
    assert load(roots[0])[0].fingerprint == kept[0].fingerprint
    medzoo("doctor", "--cache", "--clear")
    assert "given from Python" in kept_data.kind
    # What was mapped can still be read.
    assert kept[0].train.images[:].shape[1:3] == (12, 12)
    told = medzoo("doctor", "--clear", code=2).err
    assert "medzoo doctor --cache --clear" in told


def test_a_folder_whose_path_is_too_long_to_spell_is_named_by_its_digest():
    path = derived_path(Path("/" + "x/" * 150 + "y"), ".npy")
    assert len(path.parent.name) == 16
    assert path.is_relative_to(cache_folder())


def test_an_entry_says_its_age(tmp_path):
    root = make_folder(tmp_path / "cells")
    load(root)
    (entry,) = list_entries()
    assert "of today" in str(entry)
    assert "2 days old" in str(entry._replace(made=time.time() - 2.5 * 86_400))
