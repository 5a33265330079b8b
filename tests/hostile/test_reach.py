"""No file that is read reaches further than its user says."""

import os

import pytest
from own_images import make_folder, make_image

from medzoo.data.custom.images import Reader
from medzoo.data.custom.load import read_custom
from medzoo.record import Record
from medzoo.runs.run import Run


@pytest.fixture
def secrets(tmp_path):
    """Images that are in another folder than those of a study."""
    return make_folder(tmp_path / "secrets")


def write_foreign(folder, data, **fields):
    """Writes the record beside a model that was downloaded."""
    run = Run(task="secrets", data=data, size=12, model="mlp")
    record = Record(
        run=run, **{"run_id": run.run_id, "status": "done"} | fields
    )
    folder.mkdir()
    (folder / "record.json").write_text(record.model_dump_json())
    return folder


def list_files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("command", ["explore", "audit"])
def test_a_foreign_record_does_not_choose_what_is_looked_at(
    command, secrets, medzoo, tmp_path
):
    folder = write_foreign(tmp_path / "model", f"folder:{secrets}")
    before = list_files(secrets)
    told = medzoo(command, folder, code=2).err
    assert f"not read on this machine before: folder:{secrets}" in told
    assert f"folder:{secrets} --like" in told
    assert list_files(secrets) == before


def test_a_foreign_record_names_no_file_that_is_written(
    secrets, medzoo, tmp_path
):
    data = f"folder:{secrets}"
    folder = write_foreign(tmp_path / "model", data, run_id="/../../../out")
    assert "is no record" in medzoo("card", folder, code=2).err


def load(root, **options):
    return read_custom("x", f"folder:{root}", 8, options)


def test_pipes_are_no_images_and_no_tables(medzoo, tmp_path):
    root = make_folder(tmp_path / "images")
    os.mkfifo(root / "z" / "pipe.png")
    with pytest.raises(ValueError, match="pipe.png"):
        load(root)
    reader = Reader((12, 12, 1))
    (tmp_path / "more").mkdir()
    os.mkfifo(tmp_path / "more" / "pipe.png")
    make_image(0, shape=(12, 12)).save(tmp_path / "more" / "0.png")
    assert len(list(reader.read([tmp_path / "more"]))) == 1
    assert "not a regular file" in str(reader.faults[0])
    os.mkfifo(tmp_path / "pipe.csv")
    told = medzoo("explore", "csv:pipe.csv", code=2).err
    assert "Expected a CSV file" in told


def test_pipes_and_links_to_themselves_are_neither_data_nor_evidence(
    medzoo, tmp_path
):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", "loop"):
        for kind in ("npz", "folder", "csv"):
            told = medzoo("explore", f"{kind}:{name}", code=2).err
            assert f"`{name}`. Expected" in told
        told = medzoo("study", "report", "--from", name, code=2).err
        assert "No evidence there" in told
