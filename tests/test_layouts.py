"""Folders that mean another task than was meant, as archives are laid out."""

import os

import pytest
from own_images import make_image

from medzoo.data.custom.load import describe_rows, read_custom


def make(root, *folders, num=4):
    """Writes `num` images into each folder."""
    for seed, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for at in range(num):
            make_image(100 * seed + at).save(root / folder / f"{at}.png")
    return root


def load(root, kind="folder"):
    return read_custom("x", f"{kind}:{root}", 8, {})


def list_paths(root):
    return {row["path"] for row in describe_rows(f"folder:{root}", 8, {})}


@pytest.mark.parametrize(
    ("folders", "sentences"),
    [
        (["a", "b", "x/a", "x/b"], ["`{x}/x` has in it the folders that lie "
         "beside it (`a`, `b`)", "give folder:{x}/x."]),
        (["train/a", "test/a", "x/train/a", "x/test/a"], ["give folder:{x}/x"]),
        (["in/a", "in/b"], ["`{x}` has one folder, `in`", "Are the classes "
         "those in it, `a`, `b`? Then give folder:{x}/in."]),
        (["in/deep/a", "in/deep/b"], ["give folder:{x}/in/deep."]),
        (["images_001/images", "images_002/images"],
         ["are parts of one set by their names", "csv:FILE."]),
        (["set_part_1", "set_part_2"], ["are parts of one set by their names"]),
        (["in"], ["`{x}` has one folder, `in`, which would be the only class"]),
        (["training_set/a", "training_set/b", "test_set/a", "test_set/b"],
         ["Rename `test_set` to `test`, `training_set` to `train`."]),
        (["seg_train/a", "seg_test/a", "seg_pred"],
         ["Rename `seg_test` to `test`, `seg_train` to `train`. Move "
          "`seg_pred` elsewhere."]),
        (["train/a", "train/b", "test/a", "extra"], ["Move `extra` elsewhere"]),
        (["train/a", "train/b", "test/a", "extra_test/a"],
         ["and are splits by their names. Expected <class>/*.png or "
          "{{train,val,test}}/<class>/*.png in it. Make one folder `test` of "
          "`extra_test`, `test`, or move the others elsewhere."]),
        (["train1/a", "train2/a", "my_test/a"],
         ["Rename `my_test` to `test`. Make one folder `train` of `train1`, "
          "`train2`, or move"]),
        (["val/a", "val/b", "test/a"], ["Call one of them `train`."]),
        (["train", "test"], ["and no folders of classes in them", "csv:FILE"]),
        (["train/train/a", "train/train/b", "test/test/a", "test/test/b"],
         ["`{x}/train` has the folders `test`, `train`", "Then move them up."]),
        (["train/in/a", "train/in/b"], ["`{x}/train` has the folders `in`"]),
        (["images", "masks"], ["are images and masks", "masks:{x}?"]),
        (["ISIC_Training_Input", "ISIC_Training_GroundTruth"], ["masks:{x}?"]),
        (["a/images", "a/masks", "b/images", "b/masks"],
         ["`{x}/a` has the folders `images`, `masks`"]),
        ([f"fold{at}/{name}" for at in range(5) for name in "ab"],
         ["the same folders in each of them: `a`, `b`. ", "exchange the two"]),
        ([f"{at}/{name}" for at in range(100, 112) for name in "01"],
         ["the same folders in each of them: `0`, `1`. "]),
    ],
)  # fmt: skip
def test_another_layout_is_named_with_the_one_that_is_meant(
    tmp_path, folders, sentences
):
    root = make(tmp_path / "x", *folders, num=1)
    with pytest.raises(ValueError, match="Expected|give folder") as error:
        load(root)
    for sentence in sentences:
        assert str(error.value).count(sentence.format(x=root)) == 1


@pytest.mark.parametrize(
    "folders",
    [
        ["car", "plane", "train"],
        ["control", "test"],
        ["a/p1", "a/p2", "a/p3", "b/p1", "b/p2", "b/p3"],
        ["class1/left", "class1/right", "class1/c", "class2/left",
         "class2/right", "class2/c"],
        ["image", "text"],
        ["train/a", "train/b"],
    ],
)  # fmt: skip
def test_layouts_that_only_look_alike_are_read(tmp_path, folders):
    root = make(tmp_path / "x", *folders)
    assert len(list_paths(root)) == 4 * len(folders)


@pytest.mark.parametrize("split", ["", "train/"])
def test_a_folder_that_all_classes_have_is_no_group(tmp_path, split):
    names = [f"{split}{name}/in/deep" for name in "ab"]
    root = make(tmp_path / "x", *names)
    rows = describe_rows(f"folder:{root}", 8, {})
    assert {row["label"] for row in rows} == {"a", "b"}
    assert {row["group"] for row in rows} == {""}
    patients = [f"{name}/{at}" for name in names for at in range(3)]
    root = make(tmp_path / "y", *patients, num=1)
    rows = describe_rows(f"folder:{root}", 8, {})
    assert {row["group"] for row in rows} == {"0", "1", "2"}


def test_a_level_too_low_is_named_with_the_folder_above(tmp_path):
    root = make(tmp_path / "x", "train/a", "train/b", "test/a", "test/b")
    with pytest.raises(ValueError, match=f"Give folder:{root} for both"):
        load(root / "train")
    with pytest.raises(ValueError, match=f"give folder:{root / 'train'}"):
        load(root / "train" / "a")


def test_images_beside_the_folders_of_classes_are_a_line_each(tmp_path):
    root = make(tmp_path / "x", "train/a", "train/b", "test")
    make_image(0).save(root / "loose.png")
    (root / "README.txt").write_text("x")
    (root / "._loose.png").write_text("x")
    with pytest.raises(ValueError, match="5 faults") as error:
        load(root)
    assert "loose.png: in no folder of a class" in str(error.value)
    assert str(error.value).count("\n  test/") == 4


def test_masks_among_the_images_of_a_class_are_named(tmp_path):
    root = make(tmp_path / "x", "a", "b")
    make_image(0).save(root / "b" / "0_mask.png")
    with pytest.raises(ValueError, match=f"Did you mean masks:{root}?"):
        load(root)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("nifti", ["p7.nii.gz", "p7_seg.nii.gz"]),
        ("nifti", ["p7.nii", "p7_mask.nii.gz"]),
        ("dicom", ["p7.dcm", "p7-label.dcm"]),
    ],
)
def test_masks_among_files_of_patients_are_told_without_names(
    tmp_path, kind, names
):
    root = make(tmp_path / "x", "a", "b", num=0)
    for folder in "ab":
        for name in names:
            (root / folder / name).write_bytes(b"x")
    with pytest.raises(ValueError, match="has masks among its images") as error:
        load(root, kind)
    assert f"give a CSV file of the images: {kind}:FILE." in str(error.value)
    assert "p7" not in str(error.value)


def test_linked_folders_are_followed_and_loops_are_found(tmp_path):
    root = make(tmp_path / "x", "a", "b")
    elsewhere = make(tmp_path, "elsewhere")
    os.symlink(elsewhere / "elsewhere", root / "a" / "more")
    os.symlink(elsewhere / "elsewhere", root / "c")
    assert {"a/more/0.png", "c/0.png"} <= list_paths(root)
    os.symlink(root / "b", root / "b" / "again")
    with pytest.raises(ValueError, match="is a link to a folder that it lies"):
        load(root)


def test_what_systems_leave_in_folders_is_no_image(tmp_path):
    root = make(tmp_path / "x", "a", "b")
    wanted = list_paths(root)
    make(root, "__MACOSX/a", "a/@eaDir", ".ipynb_checkpoints")
    for name in ("Thumbs.db", "._0.png", ".DS_Store", "desktop.ini"):
        (root / "a" / name).write_bytes(b"x")
    assert list_paths(root) == wanted


@pytest.mark.parametrize(
    ("folders", "sentence"),
    [
        (["x/images", "x/masks"], "Did you mean masks:{root}/x?"),
        (["train/images", "train/masks", "test/images", "test/masks"],
         "Expected images/<folder>/*.png and masks/<folder>/*.png"),
        (["images/training_set", "images/test_set", "masks"],
         "Expected *.png, <class>/*.png or {{train,val,test}}/*.png in it, and "
         "masks in folders of the same names. Rename `test_set` to `test`, "
         "`training_set` to `train`."),
        (["train_1", "test"], "Rename `train_1` to `train`."),
        (["images/part_1", "images/part_2", "masks"],
         'masks:FILE; or say label = "" in the table [data]'),
        ([f"images/fold{at}/{name}" for at in range(5) for name in "ab"]
         + ["masks"], "the same folders in each of them: `a`, `b`."),
    ],
)  # fmt: skip
def test_masks_on_another_level_are_named(tmp_path, folders, sentence):
    root = make(tmp_path / "x", *folders)
    with pytest.raises(ValueError, match="Expected") as error:
        load(root, "masks")
    assert sentence.format(root=root) in str(error.value)
