"""A look at data: counts, means, flat images, and the page that shows them."""

import csv
import re

import numpy as np
import pytest
from own_images import CLASSES, make_folder
from PIL import Image

from medzoo.cli import main
from medzoo.data.dataset import Dataset, Split
from medzoo.explore.page import make_page
from medzoo.explore.statistics import summarize


def make(classes=("a", "b"), channels=1):
    """Two dark images of the first class, one light one of the second."""
    images = np.zeros((3, 4, 4, channels), np.uint8)
    images[0], images[1], images[2] = 10, 30, 200
    images[2, 0] = 0
    split = Split(images, np.array([0, 0, 1], np.int32))
    return Dataset("x", classes, split, split, split, fingerprint="own:1:2")


def test_counts_means_and_intensities_are_those_of_the_images():
    look = summarize(make())
    first, second = look.classes
    assert first.counts == {"train": 2, "val": 2, "test": 2}
    assert look.totals() == {"train": 3, "val": 3, "test": 3}
    assert look.imbalance() == 2
    assert (first.mean == 20).all()
    assert first.brightness == 20
    assert second.brightness == 150
    assert first.histogram[0, [1, 3]].tolist() == [0.5, 0.5]
    assert second.histogram[0, [0, 25]].tolist() == [0.25, 0.75]


def test_flat_images_are_listed_and_others_are_not():
    found = summarize(make()).flat
    assert [(f.split, f.image, f.label) for f in found[:2]] == [
        ("train", "0", "a"),
        ("train", "1", "a"),
    ]
    assert len(found) == 6


@pytest.mark.parametrize("channels", [1, 3])
def test_the_page_holds_all_in_itself_and_escapes_names(channels):
    classes = ("<script>alert(1)</script>", "cañón & co")
    dataset = make(classes, channels)
    page = make_page(
        dataset, summarize(dataset), source="<b>", warnings=["<i>"]
    )
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "cañón &amp; co" in page
    assert "&lt;i&gt;" in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses
    assert all(a.startswith("data:image/png;base64,") for a in addresses)
    assert page.count("<path") == 2 * (1 + channels)


def test_the_command_writes_page_figures_and_table(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "cells", num=8)
    Image.new("L", (12, 12), 9).save(tmp_path / "cells" / "z" / "flat.png")
    monkeypatch.setattr("sys.argv", ["medzoo", "explore", "cells"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("25 grey images of 28 x 28 pixels in 3 classes.")
    assert "1 images show next to nothing" in out
    folder = tmp_path / "results" / "cells_explore"
    for name in ("counts.png", "samples.png", "histograms.png"):
        with Image.open(folder / name) as figure:
            assert figure.width > 300
    with open(folder / "classes.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(CLASSES)
    assert sum(int(row["train"]) for row in rows) == 16
    page = (folder / "explore.html").read_text(encoding="utf-8")
    assert "z/flat.png" in page
    assert "10 x 12 (24), 12 x 12 (1)" in page


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("brestmnist", "Did you mean `breastmnist`?"),
        ("no/where", "No data there. Expected a task, a folder of images"),
        ("x.toml", "No study file there."),
        ("folder:nowhere", "No folder `nowhere`."),
    ],
)
def test_nothing_to_summarize_is_one_sentence(
    tmp_path, monkeypatch, capsys, what, sentence
):
    monkeypatch.chdir(tmp_path)
    for command in ("explore", "audit"):
        monkeypatch.setattr("sys.argv", ["medzoo", command, what])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err
