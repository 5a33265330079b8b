"""New study files: copies of shipped ones, and for data of one's own."""

from pathlib import Path

import pytest
from own_images import make_folder
from own_masks import make_masks

from medzoo.study.expand import expand
from medzoo.study.init import init_study
from medzoo.study.spec import list_studies, read_study


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_copy_is_the_shipped_study_until_it_is_changed():
    shipped = read_study("optimizers")
    path = init_study("optimizers")
    assert path == Path("studies/optimizers.toml")
    assert read_study("optimizers").path == path
    assert read_study("optimizers").text == shipped.text
    path.write_text(shipped.text.replace("seeds = [0, 1, 2]", "seeds = [5]"))
    assert read_study("optimizers").seeds == (5,)


def test_shipped_studies_and_those_of_the_current_folder_are_listed(medzoo):
    shipped = {study.name for study in list_studies()}
    init_study("optimizers").rename("studies/mine.toml")
    assert {study.name for study in list_studies()} == shipped | {"mine"}
    lines = medzoo("study", "list").out.splitlines()
    assert len(lines) == len(shipped) + 1
    own = [line for line in lines if line.endswith("(studies/mine.toml)")]
    assert [line.split()[0] for line in own] == ["mine"]


def test_a_study_is_written_for_a_folder_of_images():
    make_folder(Path("cells"), num=12)
    study = read_study(init_study("mine", "folder:cells"))
    assert (study.tasks, study.data) == (("cells",), "folder:cells")
    assert len(expand(study)) == 3 * 3
    assert "cells" in study.question


def test_a_study_is_written_for_a_folder_of_masks():
    make_masks(Path("scans"), num=40)
    study = read_study(init_study("mine", "masks:scans"))
    assert study.score == "dice"
    assert {run.model for _, run in expand(study)} == {"unet"}


def test_a_plain_path_is_as_good_as_an_address():
    make_folder(Path("cells"), num=12)
    assert read_study(init_study("mine", "cells")).data == "folder:cells"


def test_no_file_is_replaced():
    path = init_study("optimizers")
    path.write_text("changed")
    with pytest.raises(ValueError, match="is there already"):
        init_study("optimizers")
    assert path.read_text() == "changed"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("optimisers",), "Did you mean `optimizers`"),
        (("a/b",), "and no folder"),
        (("mine", "folder:nowhere"), "No data at `nowhere`"),
        (("mine", "nowhere"), "No data there"),
    ],
)
def test_what_cannot_be_written_is_said(arguments, sentence):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        init_study(*arguments)
    assert not Path("studies").exists()
