"""Images with masks: how they are found, joined, mapped and split."""

import numpy as np
import pytest
from own_images import make_image
from own_masks import SIDE, make_mask, make_masks, write_csv
from PIL import Image

from medzoo.data.custom.load import describe_rows, read_custom
from medzoo.data.custom.masks import read_values
from medzoo.data.custom.options import Options
from medzoo.data.dataset import MaskedDataset, count_pixels
from medzoo.data.splits import resplit, take_stratified


def load_custom(data, size=SIDE, **options):
    return read_custom("x", data, size, options)


def pair_up(dataset):
    """Returns all images and masks, in the order of their first pixels."""
    splits = dataset.splits.values()
    images = np.concatenate([split.images for split in splits])
    masks = np.concatenate([split.masks for split in splits])
    return images, masks


def expect_pairs(dataset, num=12, classes=lambda mask: (mask > 0).astype(int)):
    """Checks that each image has its own mask, whatever their order."""
    found = {
        image.tobytes(): mask
        for image, mask in zip(*pair_up(dataset), strict=True)
    }
    assert len(found) == num
    for index in range(num):
        image = np.asarray(make_image(index, shape=(SIDE, SIDE)))[..., None]
        mask = found[image.tobytes()]
        np.testing.assert_array_equal(mask, classes(make_mask(index)))


def test_each_image_keeps_its_mask_and_a_label_of_presence(tmp_path):
    dataset = load_custom(f"masks:{make_masks(tmp_path / 'cells')}")
    assert isinstance(dataset, MaskedDataset)
    assert dataset.mask_classes == ("background", "foreground")
    assert dataset.classes == ("absent", "present")
    assert dataset.train.masks.dtype == np.int8
    assert isinstance(dataset.train.masks.base, np.memmap)
    expect_pairs(dataset)
    for name, split in dataset.splits.items():
        marked = split.masks.any(axis=(1, 2)).astype(int)
        np.testing.assert_array_equal(split.labels, marked)
        assert 0 < marked.sum() < len(marked) or name == "val"
    assert "8 mark something, 4 are empty" in dataset.notes[-1]


def test_presence_that_a_given_train_split_does_not_vary_is_no_label(tmp_path):
    make_masks(tmp_path)
    splits = ["test" if index % 3 == 0 else "train" for index in range(12)]
    splits[1] = splits[2] = "test"
    rows = [(f"{at:02}.png", split) for at, split in enumerate(splits)]
    data = write_csv(tmp_path, ("file", "split"), *rows)
    options = {"path": "images/{file}", "mask": "masks/{file}"}
    found = load_custom(data, val=0.3, **options)
    assert sum(map(len, found.splits.values())) == 12
    assert {*found.train.labels, *found.test.labels} == {-1}


def test_masks_that_lie_beside_images_are_joined(tmp_path):
    for index in range(9):
        folder = tmp_path / ("odd" if index % 2 else "even")
        folder.mkdir(exist_ok=True)
        image = make_image(index, shape=(SIDE, SIDE))
        image.save(folder / f"a ({index}).png")
        mask = make_mask(index)
        for part, rows in (("", slice(0, 3)), ("_1", slice(3, SIDE))):
            half = np.zeros_like(mask)
            half[rows] = mask[rows]
            Image.fromarray(half).save(folder / f"a ({index})_mask{part}.png")
    dataset = load_custom(f"masks:{tmp_path}", val=0.2)
    assert dataset.classes == ("even", "odd")
    expect_pairs(dataset, num=9)


def test_a_column_names_the_class_of_what_is_marked(tmp_path):
    make_masks(tmp_path)
    kinds = [("mole", "wart")[i % 2] if i % 3 else "none" for i in range(12)]
    rows = [(f"{i:02}.png", kinds[i], i // 2) for i in range(12)]
    data = write_csv(tmp_path, ("file", "kind", "group"), *rows)
    options = {"path": "images/{file}", "mask": "masks/{file}"}
    options |= {"mask_class": "kind", "val": 0.25, "test": 0.25}
    dataset = load_custom(data, **options)
    assert dataset.mask_classes == ("background", "mole", "wart")
    pairs = zip(*pair_up(dataset), strict=True)
    by_image = {image.tobytes(): mask for image, mask in pairs}
    for index, kind in enumerate(kinds):
        image = np.asarray(make_image(index, shape=(SIDE, SIDE)))[..., None]
        found = set(np.unique(by_image[image.tobytes()]).tolist()) - {0}
        wanted = {"mole": {1}, "wart": {2}, "none": set()}[kind]
        assert found == wanted
    described = describe_rows(data, SIDE, options)
    groups = {}
    for row in described:
        groups.setdefault(row["group"], set()).add(row["split"])
    assert all(len(found) == 1 for found in groups.values())
    assert "6 groups kept whole" in dataset.notes[0]


def test_a_column_of_labels_is_not_passed_over(tmp_path):
    make_masks(tmp_path)
    rows = [(f"{i:02}.png", "ab"[i % 2]) for i in range(12)]
    data = write_csv(tmp_path, ("file", "Label"), *rows)
    options = {"path": "images/{file}", "mask": "masks/{file}"}
    with pytest.raises(ValueError, match='Say label = "Label" in the table'):
        load_custom(data, **options)
    labelled = load_custom(data, label="Label", **options)
    assert labelled.classes == ("a", "b")
    assert load_custom(data, label="", **options).classes[0] == "absent"


def test_values_become_classes_and_some_are_ignored(tmp_path):
    make_masks(tmp_path, value=7)
    bad = make_mask(1, value=7)
    bad[0] = 255
    Image.fromarray(bad).save(tmp_path / "masks" / "01.png")
    dataset = load_custom(
        f"masks:{tmp_path}",
        mask_values=("0=skin", "7=mole", "9=mole", "255=ignore"),
    )
    assert dataset.mask_classes == ("skin", "mole")
    _, masks = pair_up(dataset)
    assert (masks == -1).sum() == SIDE
    assert sum(count_pixels(dataset)) <= dataset.train.masks.size


def test_a_missing_mask_or_label_is_minus_one(tmp_path):
    make_masks(tmp_path)
    rows = [
        (f"images/{i:02}.png", "" if i < 3 else f"masks/{i:02}.png",
         "" if i == 5 else "ab"[i % 2])
        for i in range(12)
    ]  # fmt: skip
    data = write_csv(tmp_path, ("path", "mask", "label"), *rows)
    dataset = load_custom(data)
    images, masks = pair_up(dataset)
    unknown = (masks == -1).all(axis=(1, 2))
    assert unknown.sum() == 3
    labels = np.concatenate([split.labels for split in dataset.splits.values()])
    assert (labels == -1).sum() == 1
    assert dataset.classes == ("a", "b")
    empty = load_custom(data, no_mask="empty")
    assert (pair_up(empty)[1] >= 0).all()
    assert empty.fingerprint != dataset.fingerprint


def test_masks_are_resized_with_their_image_to_the_nearest_class(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        for index in range(9):
            values = np.zeros((20, 40), np.uint8)
            values[5:15, 10 + index : 30] = 200
            path = tmp_path / name / f"{index}.png"
            Image.fromarray(values).save(path)
    dataset = load_custom(f"masks:{tmp_path}", size=16)
    for image, mask in zip(*pair_up(dataset), strict=True):
        # Padded above and below; the mark lies where the image is bright.
        assert (mask[[*range(4), *range(12, 16)]] == -1).all()
        inside = mask[4:12]
        assert set(np.unique(inside)) == {0, 1}
        assert ((image[4:12, :, 0] > 150) == inside).mean() > 0.95


def test_a_palette_and_grey_values_in_rgb_are_classes(tmp_path):
    make_masks(tmp_path)
    mask = Image.fromarray(make_mask(1, value=1))
    mask.putpalette([0, 0, 0, 255, 0, 0])
    mask.save(tmp_path / "masks" / "01.png")
    for index in range(12):
        mask = make_mask(index, value=1)
        if index % 2:
            mask = np.dstack([mask] * 3)
        path = tmp_path / "masks" / f"{index:02}.png"
        if index != 1:
            Image.fromarray(mask).save(path)
    expect_pairs(load_custom(f"masks:{tmp_path}"))


def test_masks_go_along_when_images_are_drawn_dropped_or_split_anew(tmp_path):
    root = make_masks(tmp_path, num=20)
    copy = tmp_path / "images" / "20.png"
    make_image(0, shape=(SIDE, SIDE)).save(copy)
    Image.fromarray(make_mask(0)).save(tmp_path / "masks" / "20.png")
    dataset = load_custom(f"masks:{root}")
    few = take_stratified(dataset.train, 5, seed=0)
    anew = resplit(dataset, seed=1).test
    kept = load_custom(f"masks:{root}", drop_leaks=True).train
    truth = {
        image.tobytes(): mask
        for image, mask in zip(*pair_up(dataset), strict=True)
    }
    for split in (few, anew, kept):
        assert len(split.masks) == len(split.images) > 0
        masks = np.asarray(split.masks)
        for image, mask in zip(np.asarray(split.images), masks, strict=True):
            np.testing.assert_array_equal(truth[image.tobytes()], mask)


def test_without_masks_it_is_a_task_of_labels(tmp_path):
    dataset = load_custom(f"masks:{make_masks(tmp_path)}")
    plain = dataset.without_masks()
    assert not isinstance(plain, MaskedDataset)
    assert plain.train.targets(np.array([0])).shape == (1,)
    assert set(dataset.train.targets(np.array([0]))) == {"mask", "label"}


@pytest.mark.parametrize(
    "texts", ["0", "0=a", "x=a 1=b", "0=a 0=b", "0=a 1=ignore", "0= 1=b"]
)
def test_values_are_named_once_and_at_least_two(texts):
    with pytest.raises(ValueError, match="`mask_values` name each value"):
        read_values(Options(mask_values=tuple(texts.split())))


def sort_palette(mask, *greys):
    """Saves a mask by a palette of these greys, in their order."""
    indices = np.searchsorted(np.sort(greys), mask)
    image = Image.fromarray(np.argsort(greys)[indices].astype(np.uint8), "P")
    image.putpalette([level for grey in greys for level in [grey] * 3])
    return image


@pytest.mark.parametrize("ending", ["png", "gif", "tif"])
@pytest.mark.parametrize("greys", [(255, 0), (0, 255), (90, 255, 0)])
def test_a_palette_of_greys_is_read_by_its_greys(tmp_path, ending, greys):
    make_masks(tmp_path)
    for index in range(12):
        (tmp_path / "masks" / f"{index:02}.png").unlink()
        image = sort_palette(make_mask(index), *greys)
        image.save(tmp_path / "masks" / f"{index:02}.{ending}")
    expect_pairs(load_custom(f"masks:{tmp_path}"))


def test_a_palette_that_shows_two_values_alike_is_refused(tmp_path):
    make_masks(tmp_path)
    image = Image.fromarray(make_mask(1, value=1))
    image.putpalette([7] * 6)
    image.save(tmp_path / "masks" / "01.png")
    with pytest.raises(ValueError, match="its values 0, 1 the same greys"):
        load_custom(f"masks:{tmp_path}")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_soft_edges_are_cut_where_a_threshold_says(tmp_path, mode):
    make_masks(tmp_path)
    expected = load_custom(f"masks:{tmp_path}").train
    for path in (tmp_path / "masks").iterdir():
        mask = Image.open(path).convert(mode)
        path.unlink()
        mask.save(path.with_suffix(".jpg"), quality=75)
    data = f"masks:{tmp_path}"
    with pytest.raises(ValueError, match="Then mask_threshold = 128 cuts"):
        load_custom(data)
    cut = load_custom(data, mask_threshold=128)
    assert (cut.train.masks == expected.masks).mean() > 0.98
    named = ("0=skin", "255=mole")
    other = load_custom(data, mask_threshold=128, mask_values=named)
    assert other.mask_classes == ("skin", "mole")
    assert (other.train.masks == cut.train.masks).all()
    low = load_custom(data, mask_threshold=10)
    assert low.fingerprint != cut.fingerprint
    with pytest.raises(ValueError, match="`mask_threshold` leaves two values"):
        load_custom(data, mask_threshold=128, mask_values=(*named, "9=x"))


def test_marks_that_vanish_are_counted_before_a_training(tmp_path):
    root = make_masks(tmp_path / "x", num=12)
    thin = np.zeros((SIDE, SIDE), np.uint8)
    thin[:, 0] = 255
    for index in (1, 2):
        path = root / "masks" / f"{index:02}.png"
        Image.fromarray(thin).save(path)
    notes = load_custom(f"masks:{root}", size=4).notes
    assert notes[-1].startswith("2 of 8 masks lose a class at 4 x 4 pixels")
    assert "lose" not in load_custom(f"masks:{root}").notes[-1]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("masks/{}_segmentation.png", "masks/{stem}_segmentation.png"),
        ("masks/mask_{}.png", "masks/mask_{stem}.png"),
        ("masks/{}-mask.tif", "masks/{stem}-mask.tif"),
    ],
)
def test_masks_with_other_names_are_given_a_pattern(tmp_path, name, pattern):
    root = make_masks(tmp_path / "x")
    for index in range(12):
        path = root / "masks" / f"{index:02}.png"
        Image.open(path).save(root / name.format(f"{index:02}"))
        path.unlink()
    with pytest.raises(ValueError, match="12 of 12 images") as error:
        load_custom(f"masks:{root}")
    assert f'mask = "{pattern}" in' in str(error.value)
    expect_pairs(load_custom(f"masks:{root}", mask=pattern))


def test_masks_called_by_the_whole_name_beside_images_are_given_a_pattern(
    tmp_path,
):
    for index in range(9):
        image = make_image(index, shape=(SIDE, SIDE))
        image.save(tmp_path / f"{index}.jpg")
        mask = Image.fromarray(make_mask(index))
        mask.save(tmp_path / f"{index}.jpg.png")
    with pytest.raises(ValueError, match="pattern of the names") as told:
        load_custom(f"masks:{tmp_path}")
    assert 'mask = "{stem}.jpg.png"' in str(told.value)
    found = load_custom(f"masks:{tmp_path}", mask="{stem}.jpg.png")
    assert sum(map(len, found.splits.values())) == 9


def test_masks_in_folders_of_other_names_are_given_a_pattern(tmp_path):
    root = make_masks(tmp_path / "x")
    (root / "images").rename(root / "Training_Input")
    truth = root / "Training_GroundTruth"
    (root / "masks").rename(truth)
    for path in truth.iterdir():
        path.rename(truth / f"{path.stem}_segmentation.png")
    pattern = "Training_GroundTruth/{stem}_segmentation.png"
    with pytest.raises(ValueError, match="called as they are") as error:
        load_custom(f"masks:{root}")
    assert pattern in str(error.value)
    dataset = load_custom(f"masks:{root}", mask=pattern)
    assert sum(map(len, dataset.splits.values())) == 12


def test_padding_of_an_image_without_a_mask_is_unknown(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for index in range(9):
        make_image(index, shape=(4, 8)).save(
            tmp_path / "images" / f"{index}.png"
        )
        if index % 2:
            mask = np.full((4, 8), 255, np.uint8)
            Image.fromarray(mask).save(tmp_path / "masks" / f"{index}.png")
    dataset = load_custom(f"masks:{tmp_path}", size=8, no_mask="empty")
    _, masks = pair_up(dataset)
    assert (masks[:, [0, 1, 6, 7]] == -1).all()
    assert (masks[:, 2:6] >= 0).all()


def test_one_ending_is_no_part_of_the_name_of_another_image(tmp_path):
    root = make_masks(tmp_path / "cells")
    for index, name in enumerate(("1", "1.1", "1.1.2")):
        for folder in ("images", "masks"):
            path = root / folder / f"{index:02}.png"
            path.rename(path.with_name(f"{name}.png"))
    mask = root / "masks" / "03.png"
    mask.rename(mask.with_name("03.png.png"))  # Called by its whole name.
    expect_pairs(load_custom(f"masks:{root}"))


def test_a_mask_that_is_meant_for_two_images_is_a_fault(tmp_path):
    root = make_masks(tmp_path / "cells", num=11)
    for folder in ("images", "masks"):
        for name in ("01", "02"):
            path = root / folder / f"{name}.png"
            path.rename(path.with_name(f"{int(name)}.png"))
    options = {"mask": "masks/{stem}*.png", "path": "images/{path}"}
    with pytest.raises(ValueError, match="2 faults") as told:
        load_custom(f"masks:{root}", **options)
    assert "images/1.png: the `*` means masks/10.png as the" in str(told.value)
