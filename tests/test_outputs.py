"""Places that cannot be written are refused before anything is read."""

from pathlib import Path

import pytest

from medzoo.files import filling, replacing, require_output

# No command finds its other arguments, which it would read later.
COMMANDS = {
    "train": ["train", "--data", "folder:nothing", "--out"],
    "explore": ["explore", "nothing", "--out"],
    "audit": ["audit", "nothing", "--out"],
    "study run": ["study", "run", "nothing", "--out"],
    "search run": ["search", "run", "nothing", "--out"],
    "evaluate": ["evaluate", "nothing", "--out"],
}
FILES = {
    "explain": ["explain", "nothing", "--out"],
    "submit": ["submit", "nothing", "--out"],
    "export": ["export", "nothing", "--to", "tflite", "--out"],
}
# A file or a folder, as the model is.
PREDICT = {"predict": ["predict", "nothing", "nothing", "--out"]}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_in_the_place_of_a_folder_is_one_sentence(
    name, tmp_path, medzoo
):
    (tmp_path / "file").touch()
    told = medzoo(*COMMANDS[name], "file", code=2).err
    assert "`file` is a file. Expected a folder" in told
    told = medzoo(*COMMANDS[name], "file/below", code=2).err
    assert "`file/below` cannot be written" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_one_sentence(
    name, tmp_path, medzoo
):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    told = medzoo(*FILES[name], "folder.png", code=2).err
    assert "`folder.png` is a folder. Expected a file" in told
    told = medzoo(*FILES[name], "file/x.png", code=2).err
    assert "`file/x.png` cannot be written" in told


@pytest.mark.parametrize("name", [*COMMANDS, *FILES, *PREDICT])
def test_a_place_that_nobody_can_write_is_one_sentence(name, medzoo):
    command = {**COMMANDS, **FILES, **PREDICT}[name]
    told = medzoo(*command, "/proc/none/x.png", code=2).err
    assert "`/proc/none/x.png` cannot be written" in told


def test_a_store_that_cannot_be_written_is_found_before_training(
    medzoo, monkeypatch
):
    monkeypatch.setenv("MEDZOO_RUNS", "/proc/none")
    fields = ["--task", "breastmnist", "--data", "synthetic", "--model", "mlp"]
    told = medzoo("train", *fields, code=2).err
    assert "`/proc/none` cannot be written" in told
    assert "loss" not in told


def test_a_place_that_can_be_written_is_left_as_it_is(tmp_path):
    for path, folder in ((tmp_path / "a" / "b", True), (tmp_path / "c", False)):
        require_output(path, folder=folder)
    assert not list(tmp_path.iterdir())
    file = tmp_path / "x.csv"
    file.write_text("before", encoding="utf-8")
    require_output(file)
    assert file.read_text(encoding="utf-8") == "before"


def test_an_error_leaves_files_and_folders_as_they_were(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("before", encoding="utf-8")

    def fail():
        with filling(tmp_path / "folder") as part:
            (part / "a").write_text("half", encoding="utf-8")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "a"]
    text = (tmp_path / "folder" / "a").read_text(encoding="utf-8")
    assert text == "before"


def test_a_device_is_written_to_and_not_replaced():
    device = Path("/dev/null")
    with replacing(device) as part:
        assert part == device
    assert device.is_char_device()
