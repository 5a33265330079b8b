"""Custom data: what is read, how it is split, and when it is the same."""

import json
import shutil

import numpy as np
import pytest
from own_images import CLASSES, make_folder, make_image, spoil_unnoticed
from own_masks import make_masks
from PIL import Image

from medzoo.data.checksums import sum_files
from medzoo.data.custom.load import read_custom
from medzoo.data.custom.pixels import find_ranges, to_bytes
from medzoo.data.folders import derived_path
from medzoo.data.splits import draw_splits
from medzoo.runs.run import Run
from medzoo.runs.sources import with_fingerprint
from medzoo.study.expand import expand
from medzoo.study.spec import read_study


def load_custom(data, size=8, **options):
    return read_custom("x", data, size, options)


def test_a_folder_a_class_is_split_by_class(tmp_path):
    dataset = load_custom(f"folder:{make_folder(tmp_path / 'cells', num=10)}")
    assert dataset.classes == CLASSES
    assert dataset.train.images.shape == (21, 8, 8, 1)
    for split, count in (("train", 7), ("val", 1), ("test", 2)):
        labels = getattr(dataset, split).labels
        assert labels.dtype == np.int32
        assert np.bincount(labels).tolist() == [count] * 3
    assert isinstance(dataset.train.images.base, np.memmap)
    assert "train 21, val 3, test 6" in dataset.notes[0]


def test_given_splits_are_kept_and_a_missing_one_is_drawn(tmp_path):
    for split in ("train", "Test"):
        make_folder(tmp_path / split)
    dataset = load_custom(f"folder:{tmp_path}")
    assert [len(split) for split in dataset.splits.values()] == [15, 3, 18]
    assert "Split of val drawn here" in dataset.notes[0]


def test_pixels_are_those_of_the_files(tmp_path):
    root = make_folder(tmp_path / "cells")
    small = Image.open(root / "z" / "0.png").resize((8, 8))
    dataset = load_custom(f"folder:{root}", resize="stretch")
    found = [
        image[..., 0]
        for split in dataset.splits.values()
        for image in split.images[split.labels == 2]
    ]
    assert any((image == np.asarray(small)).all() for image in found)


def test_padding_keeps_the_shape_and_adds_black(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(3):
            image = Image.new("RGB", (8, 4), (200, 100, 50))
            image.save(tmp_path / name / f"{index}.bmp")
    image = load_custom(f"folder:{tmp_path}").train.images[0]
    assert image[2:6].reshape(-1, 3).tolist() == [[200, 100, 50]] * 32
    assert not image[:2].any()
    assert not image[6:].any()
    image = load_custom(f"folder:{tmp_path}", resize="stretch").train.images[0]
    assert (image == (200, 100, 50)).all()


def test_grey_files_of_sixteen_bits_become_one_colour_image(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(4):
            for at, channel in enumerate(("red", "green")):
                values = np.full((8, 8), 1000 * (at + 1) + 10 * index)
                path = tmp_path / name / f"{index}_{channel}.png"
                Image.fromarray(values.astype(np.uint16)).save(path)
    channels = ("{id}_red.png", "{id}_green.png")
    data = f"folder:{tmp_path}"
    dataset = load_custom(data, channels=channels, intensity="percentile")
    assert dataset.train.images.shape[1:] == (8, 8, 3)
    assert {*dataset.train.images[..., 0].ravel()} <= {0, 85, 170, 255}
    assert not dataset.train.images[..., 2].any()
    assert "percentiles 0.1 to 99.9 of train" in dataset.notes[-1]
    full = load_custom(data, channels=channels, intensity="full")
    assert full.train.images[..., 0].max() == round(1030 / 65535 * 255)


def test_one_range_serves_all_images_of_a_channel():
    images = np.zeros((2, 4, 4, 1), np.uint16)
    images[0], images[1] = 100, 300
    ranges = find_ranges(images, np.array([0, 1]), "percentile")
    assert ranges == [(100, 300)]
    assert to_bytes(images, ranges)[:, 0, 0, 0].tolist() == [0, 255]
    assert find_ranges(images, np.array([0]), "percentile") == [(100, 101)]


def test_a_table_gives_paths_labels_splits_and_groups(tmp_path):
    make_folder(tmp_path)
    rows = [
        f"{index};{name};{split}"
        for name in CLASSES
        for index, split in enumerate(["train"] * 4 + ["validation", "test"])
    ]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["id;kind;split", *rows]), encoding="utf-8")
    dataset = load_custom(f"csv:{path}", path="{kind}/{id}.png", label="kind")
    assert [len(split) for split in dataset.splits.values()] == [12, 3, 3]
    assert dataset.classes == CLASSES


def test_groups_stay_whole_and_shares_are_met():
    groups = [f"patient {index // 5}" for index in range(500)]
    labels = np.arange(500) % 2
    drawn = draw_splits(labels, groups, val=0.1, test=0.2, seed=3)
    for start in range(0, 500, 5):
        assert len(set(drawn[start : start + 5])) == 1
    counts = {split: int((drawn == split).sum()) for split in set(drawn)}
    assert counts == {"train": 350, "val": 50, "test": 100}
    again = draw_splits(labels, groups, val=0.1, test=0.2, seed=3)
    assert (drawn == again).all()
    other = draw_splits(labels, groups, val=0.1, test=0.2, seed=4)
    assert (drawn != other).any()


@pytest.mark.parametrize("kind", ["folder", "masks"])
def test_a_moved_folder_is_the_same_and_other_options_are_not(tmp_path, kind):
    make = make_folder if kind == "folder" else make_masks
    root = make(tmp_path / "here" / "cells")
    first = load_custom(f"{kind}:{root}").fingerprint
    assert first.startswith("own:")
    (tmp_path / "there").mkdir()
    data = f"{kind}:{shutil.move(root, tmp_path / 'there')}"
    assert load_custom(data).fingerprint == first
    assert load_custom(data, size=9).fingerprint != first
    assert load_custom(data, test=0.4).fingerprint != first


def list_times(root):
    """Lists when each file of the cache was written."""
    folder = derived_path(root, ".medzoo")
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*.*")}


@pytest.mark.parametrize("kind", ["folder", "masks"])
def test_nothing_is_read_again_until_a_file_changes(tmp_path, kind):
    make = make_folder if kind == "folder" else make_masks
    root = make(tmp_path / "cells")
    first = load_custom(f"{kind}:{root}", size=12)
    contents = {path: path.read_bytes() for path in root.rglob("*.png")}
    written = list_times(root)
    again = load_custom(f"{kind}:{root}", size=12)
    assert list_times(root) == written
    assert again.fingerprint == first.fingerprint
    assert (again.train.images == first.train.images).all()
    assert (again.train.labels == first.train.labels).all()
    path = max(contents)
    spoil_unnoticed(path)
    with pytest.raises(ValueError, match="damaged"):
        load_custom(f"{kind}:{root}", size=12)
    path.write_bytes(contents[path])
    path.write_bytes(contents[path.with_name(f"{path.stem[:-1]}0.png")])
    changed = load_custom(f"{kind}:{root}", size=12)
    assert changed.fingerprint != first.fingerprint


def test_the_split_is_written_to_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_CACHE", str(tmp_path / "cache"))
    root = make_folder(tmp_path / "cells")
    load_custom(f"folder:{root}")
    (path,) = (tmp_path / "cache").glob("data/*/cells.medzoo/*/images.csv")
    # Nothing is left beside the images.
    assert {each.name for each in tmp_path.iterdir()} == {"cache", "cells"}
    header, first, *rest = path.read_text(encoding="utf-8").splitlines()
    assert header == "split,label,group,path,mode,width,height,sha256"
    assert first.startswith("train,a b,,a b/")
    assert len(rest) == 17


def test_a_cache_that_cannot_be_read_is_made_anew(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("MEDZOO_CACHE", str(tmp_path / "cache"))
    root = make_folder(tmp_path / "cells")
    first = load_custom(f"folder:{root}")
    (path,) = (tmp_path / "cache").glob("data/*/cells.medzoo/*/images.csv")
    manifest = path.with_name("manifest.json")
    kept = path.read_bytes(), manifest.read_bytes()

    def check():
        again = load_custom(f"folder:{root}")
        assert (
            f"{path.parent} cannot be read, and is" in capsys.readouterr().err
        )
        assert (again.train.labels == first.train.labels).all()
        assert (path.read_bytes(), manifest.read_bytes()) == kept

    path.write_bytes(kept[0][:-9])
    check()
    # As an earlier version wrote a name with a carriage return.
    path.write_bytes(kept[0].replace(b"a b/", b"a\rb/", 1))
    sums = {"sums": sum_files([path, *path.parent.glob("*.npy")])}
    manifest.write_text(json.dumps(json.loads(kept[1]) | sums))
    check()
    manifest.write_text("{")
    check()


def test_a_fingerprint_stands_for_the_path_in_the_id():
    runs = [
        Run(task="x", data=f"folder:{path}", fingerprint=fingerprint, size=30)
        for path, fingerprint in (("a", "1"), ("b", "1"), ("a", "2"))
    ]
    assert runs[0].run_id == runs[1].run_id != runs[2].run_id
    kept = Run.model_validate_json(runs[0].model_dump_json())
    assert kept.run_id == runs[0].run_id


def test_data_that_are_called_like_a_task_have_an_id_of_their_own():
    """Their flips were those of the task, which made other models."""
    ids = {
        (task, data): Run(task=task, data=data).run_id
        for task in ("x", "breastmnist")
        for data in ("folder:a", "medmnist")
        if (task, data) != ("x", "medmnist")
    }
    # The first and the last are those of version 0.2.
    assert ids["x", "folder:a"] == "5ff3a236a1537cd6"
    assert ids["breastmnist", "medmnist"] == "dd9d84c26e8f2c47"
    assert ids["breastmnist", "folder:a"] != "97dec0324c230127"


def test_options_at_their_default_change_no_id():
    plain = Run(task="x", data="folder:a")
    told = Run(task="x", data="folder:a", data_options={"resize": "pad"})
    assert plain.run_id == told.run_id
    assert told.data_options == {}
    other = Run(task="x", data="csv:a", data_options={"channels": ["{a}"]})
    assert Run.model_validate_json(other.model_dump_json()) == other
    official = Run(task="breastmnist", data_options={"drop_leaks": False})
    assert official.run_id == Run(task="breastmnist").run_id


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"data_options": {"rezise": "pad"}}, "Did you mean `resize`?"),
        ({"data_options": {"resize": "crop"}}, "Unknown resize `crop`."),
        ({"data_options": {"val": 1}}, "`val` and `test` are shares"),
        ({"data_options": {"channels": []}}, "of type one to three texts"),
        ({"data_options": {"split_seed": "a"}}, "must be of type int"),
        ({"size": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_option_says_what_was_expected(fields, sentence):
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        Run(task="x", data="folder:a", **fields)


def test_own_data_bring_their_task_and_leave_it_again(tmp_path):
    root = make_folder(tmp_path / "cells")
    study = read_study("optimizers").override(data=f"folder:{root}")
    assert study.tasks == ("cells",)
    run = expand(study)[0].run
    assert run.fingerprint.startswith("own:")
    assert len(study.override(data="synthetic").tasks) == 11
    with pytest.raises(ValueError, match="Custom data are one task"):
        study.override(tasks=["a", "b"])


def test_a_study_file_has_a_table_of_data(tmp_path):
    path = tmp_path / "s.toml"
    text = (
        'question = "?"\n[data]\nsource = "folder:{root}"\nresize = "stretch"\n'
        '[axes]\noptimizer = ["sgd", "adam"]\n'
    )
    path.write_text(text.format(root=make_folder(tmp_path / "cells")))
    study = read_study(path)
    assert study.tasks == ("cells",)
    assert study.data_options == {"resize": "stretch"}
    assert expand(study)[0].run.data_options == {"resize": "stretch"}
    path.write_text(text.replace("resize", "rezise"))
    with pytest.raises(ValueError, match=r"line 2: `data`: Unknown data opt"):
        read_study(path)


def test_a_fingerprint_changes_a_run_id_that_was_read_before(tmp_path):
    make_folder(tmp_path / "x")
    run = Run(task="x", data=f"folder:{tmp_path / 'x'}", size=8)
    before = run.run_id
    assert with_fingerprint(run).run_id != before


def test_webp_files_are_read_as_png_files_of_the_same_pixels(tmp_path):
    roots = {kind: tmp_path / kind / "cells" for kind in ("png", "webp")}
    for kind, root in roots.items():
        for at in range(12):
            path = root / "ab"[at % 2] / f"{at:02}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            make_image(at, shape=(12, 10, 3)).save(path, lossless=True)
    png, webp = (load_custom(f"folder:{root}") for root in roots.values())
    assert (png.train.images == webp.train.images).all()
    assert (png.test.labels == webp.test.labels).all()
