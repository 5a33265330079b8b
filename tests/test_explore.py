"""Summaries of datasets and masks, and the page that shows them."""

import csv
import re

import numpy as np
import pytest
from own_images import CLASSES, make_folder
from own_masks import SIDE, make_masks, write_csv
from PIL import Image

from medzoo.data.dataset import Dataset, MaskedDataset, MaskedSplit, Split
from medzoo.data.shapes import make_shape_task
from medzoo.explore.masks import find_mask_warnings, format_masks
from medzoo.explore.page import format_summary, make_page
from medzoo.explore.statistics import MASK_SAMPLES, summarize, summarize_masks
from medzoo.explore.tiles import colour_of, outline


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


def test_the_command_writes_page_figures_and_table(tmp_path, medzoo):
    make_folder(tmp_path / "cells", num=8)
    Image.new("L", (12, 12), 9).save(tmp_path / "cells" / "z" / "flat.png")
    out = medzoo("explore", "cells").out
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


def test_folders_that_differ_behind_a_dot_are_two_tasks(tmp_path, medzoo):
    for name in ("cells.v1", "cells.v2"):
        make_folder(tmp_path / name)
        assert f"{name}_explore" in medzoo("explore", name).err
    plan = medzoo("study", "plan", "quickstart", "--data", "folder:cells.v2")
    assert "cells.v2" in plan.out


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("brestmnist", "Did you mean `breastmnist`?"),
        ("no/where", "No data there. Expected a task, a folder of images"),
        ("x.toml", "No study file there."),
        ("folder:nowhere", "No folder `nowhere`."),
    ],
)
def test_data_that_are_not_there_are_one_sentence(medzoo, what, sentence):
    for command in ("explore", "audit"):
        assert sentence in medzoo(command, what, code=2).err


def make_masked(*masks, val=0):
    """Images of 2 x 2 pixels with these masks; val has the one at `val`."""
    masks = np.array(masks, np.int8).reshape(-1, 2, 2)
    images = np.zeros((*masks.shape, 1), np.uint8)
    labels = np.full(len(masks), -1, np.int32)
    train = MaskedSplit(images, labels, masks)
    part = train.take(np.array([val]))
    names = ("ground", "disc", "<b>bar</b>")
    return MaskedDataset(
        "x", ("a", "b"), train, part, part, "own:1:2", mask_classes=names
    )


def test_pixels_areas_and_empty_masks_are_counted_by_segment():
    look = summarize_masks(
        make_masked([0, 0, 0, 0], [1, 1, 0, 2], [1, 0, 0, -1], [-1, -1, -1, -1])
    )
    ground, disc, bar = look.mask_classes
    assert disc.counts == {"train": 2, "val": 0, "test": 0}
    assert bar.counts["train"] == 1
    # 11 pixels are known: 7, 3 and 1.
    assert [round(s.shares["train"] * 11) for s in look.mask_classes] == [
        7,
        3,
        1,
    ]
    assert disc.areas.tolist() == [0.5, 0.25]
    assert disc.rows.tolist() == [2, 1]
    assert disc.places[0].tolist() == [2 / 3, 1 / 3]
    assert look.empty == {"train": 1, "val": 1, "test": 1}
    assert look.unknown == {"train": 1, "val": 0, "test": 0}
    assert (
        "Of its 3 masks 1 are empty, and 1 images have none."
        in format_masks(look)
    )


def test_shares_and_areas_are_those_that_numpy_counts():
    dataset = make_shape_task(32)
    look = summarize_masks(dataset)
    for mask_class, found in enumerate(look.mask_classes):
        there = dataset.train.masks == mask_class
        assert found.shares["train"] == pytest.approx(there.mean())
        areas = there.mean(axis=(1, 2))
        assert found.areas == pytest.approx(areas[areas > 0])
    disc = look.mask_classes[1]
    shown = (dataset.train.masks[disc.rows] == 1).mean(axis=(1, 2))
    assert len(shown) == MASK_SAMPLES
    assert (np.diff(shown) >= 0).all()
    assert (shown[0], shown[-1]) == (disc.areas.min(), disc.areas.max())


def test_what_is_rare_absent_or_tiny_is_a_warning():
    look = summarize_masks(make_masked([1, 0, 0, 0], [0, 0, 0, 2], val=1))
    assert find_mask_warnings(look) == [
        "Fewer than 30 images of train hold disc, <b>bar</b>. Dice counts so "
        "rare a mask class as much as any other.",
        "No mask of val holds disc.",
        "No mask of test holds disc.",
        "Half of the images with disc have fewer than 16 pixels of it. A "
        "larger size shows more.",
        "Half of the images with <b>bar</b> have fewer than 16 pixels of it. "
        "A larger size shows more.",
    ]


def test_an_outline_is_the_border_of_each_segment_and_nothing_else():
    mask = np.zeros((4, 4), np.int8)
    mask[0, 0], mask[:, 2:] = -1, 2
    drawn = outline(np.zeros((4, 4, 1), np.uint8), mask, 16)
    assert drawn.shape == (16, 16, 3)
    marked = drawn.any(axis=-1)
    assert not marked[:, :8].any()
    assert marked[:, 8].all()  # The side that faces the background.
    assert marked[0, 8:].all()  # The frame of the image.
    assert not marked[1:-1, 9:-1].any()
    assert [*drawn[5, 8]] == [*bytes.fromhex(colour_of(2)[1:])]


def test_the_page_shows_masks_and_escapes_their_names():
    dataset = make_masked([1, 0, 0, 0], [0, 0, 0, 2], val=1)
    look = summarize(dataset)
    assert "none of them labelled. Pixels of train" in format_summary(
        dataset, look
    )
    page = make_page(dataset, look, source="x")
    assert "&lt;b&gt;bar&lt;/b&gt;" in page
    assert "<b>bar" not in page
    assert page.count('class="mean"') == 2  # No class has images to show.
    assert page.count(" outlined") == 2


def test_the_command_writes_figure_and_table_of_masks(tmp_path, medzoo):
    root = make_masks(tmp_path / "cells", num=20)
    out = medzoo("explore", f"masks:{root}", "--size", SIDE).out
    assert "are empty." in out
    folder = tmp_path / "results" / "cells_explore"
    with Image.open(folder / "masks.png") as figure:
        assert figure.width > 300
    with open(folder / "mask_classes.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["mask_class"] for row in rows] == ["background", "foreground"]
    shares = [float(row["share_of_train"]) for row in rows]
    assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_masks_without_any_label_and_shapes_are_summarized(tmp_path, medzoo):
    root = make_masks(tmp_path / "cells", num=20)
    rows = [
        (f"images/{i:02}.png", f"masks/{i:02}.png") for i in range(20) if i % 3
    ]
    data = write_csv(root, ("path", "mask"), *rows)
    assert "none of them labelled" in medzoo("explore", data).out
    assert "masks 107 are empty" in medzoo("explore", "shapes").out
