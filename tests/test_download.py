from pathlib import Path

import pytest
from file_server import cut_after, serve

from medzoo.data.download import download_task, download_tasks
from medzoo.data.official import load_medmnist, require_files


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def official(real_data) -> bytes:
    return (real_data / "breastmnist.npz").read_bytes()


def test_a_file_comes_from_the_mirror_and_loads(folder, official, monkeypatch):
    with serve(official, cut_after(200_000)) as server:
        monkeypatch.setenv("MEDZOO_MIRROR", f"{server.url}/medmnist/")
        path = download_task("breastmnist")
    assert server.paths == ["/medmnist/breastmnist.npz"] * 2
    assert server.ranges == [None, "bytes=200000-"]
    assert path == folder / "breastmnist.npz"
    assert path.read_bytes() == official
    assert len(load_medmnist("breastmnist").train) == 546


def test_missing_files_are_downloaded_when_they_are_required(
    folder, official, monkeypatch
):
    with serve(official) as server:
        monkeypatch.setenv("MEDZOO_MIRROR", server.url)
        require_files(["breastmnist"])
        require_files(["breastmnist"])
    assert server.paths == ["/breastmnist.npz"]


def test_a_file_that_is_there_is_said_to_be_there(
    folder, official, monkeypatch, capsys
):
    (folder / "breastmnist.npz").write_bytes(official)
    monkeypatch.setenv("MEDZOO_MIRROR", "http://127.0.0.1:9")
    assert download_tasks(["breastmnist"]) == [folder / "breastmnist.npz"]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "breastmnist: already there, checksum verified: " in shown.err


def test_another_folder_may_be_asked_for(folder, monkeypatch):
    wrong = b"not the official file"
    with serve(wrong) as server:
        monkeypatch.setenv("MEDZOO_MIRROR", server.url)
        with pytest.raises(
            ValueError, match="another file than the published one"
        ):
            download_task("octmnist", 64, folder=folder / "other")
    assert server.paths == ["/octmnist_64.npz"]
    assert (folder / "other").is_dir()


def test_an_unknown_task_is_refused_before_anything_is_asked(
    folder, official, monkeypatch
):
    with serve(official) as server:
        monkeypatch.setenv("MEDZOO_MIRROR", server.url)
        with pytest.raises(ValueError, match="Did you mean `bloodmnist`"):
            download_tasks(["breastmnist", "bloodmist"])
    assert server.paths == []
