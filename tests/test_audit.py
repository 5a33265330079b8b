"""Audits: near-duplicates, leaks, split groups, shifted classes."""

import dataclasses
import io
import json

import numpy as np
import pytest
from own_images import make_folder, make_image
from own_masks import make_masks
from PIL import Image

from medzoo.data.audit.audit import audit
from medzoo.data.audit.leaks import drop_leaks, find_split_groups
from medzoo.data.audit.near_duplicates import Vectors, find_near_duplicates
from medzoo.data.audit.report import format_audit
from medzoo.data.dataset import Dataset, Split
from medzoo.data.sources import load
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.audits import find_leaks, keep_audit
from medzoo.training.execute import execute


def noise(count, seed=0, size=12):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, size, size, 1)).astype(np.uint8)


def make(train, val, test, labels=None):
    splits = [
        Split(images, np.arange(len(images), dtype=np.int32) % 2)
        for images in (train, val, test)
    ]
    return Dataset("x", ("a", "b"), *splits, fingerprint="own:1:2")


def make_vectors(images):
    return Vectors([Split(images, np.zeros(len(images), np.int32))])


def nearly(images, seed=1):
    shaken = images + np.random.default_rng(seed).normal(0, 3, images.shape)
    return np.clip(shaken, 0, 255).astype(np.uint8)


def planted():
    """One exact and two near copies of train images in test, one in val."""
    train, val, test = noise(40), noise(10, 1), noise(10, 2)
    test[3] = train[7]  # Labels 1 and 1.
    test[4:6] = nearly(train[20:22])  # Labels 0 and 0, 1 and 1.
    test[6] = nearly(train[31:32])[0]  # Labels 0 and 1.
    val[0] = nearly(train[5:6])[0]  # Labels 0 and 1.
    return make(train, val, test)


def test_what_was_planted_is_found_and_nothing_else():
    found, pairs = audit(planted())
    assert (found.exact, found.exact_across) == (1, 1)
    assert (found.near, found.near_across) == (4, 4)
    assert (found.test_in_train, found.val_in_train) == (4, 1)
    assert found.test_in_val == 0
    assert found.train_leaks == 5
    assert found.conflicts == 2
    assert pairs[0].conflict
    exact = next(pair for pair in pairs if pair.kind == "exact")
    assert (exact.image, exact.other_image) == ("7", "3")
    assert "4 of 10 test images are in train as well" in found.line()


@pytest.mark.parametrize("size", [6, 12, 80])
def test_candidates_miss_no_pair_that_comparing_all_finds(size):
    """Against the correlations of all pairs, on images that are all alike."""
    # No pair lies on the threshold, where rounding by the processor decides.
    random = np.random.default_rng(6)
    base = random.normal(128, 40, (6, size, size, 1))
    noisy = base[random.integers(6, size=300)]
    strength = random.uniform(0, 12, (300, 1, 1, 1))
    noisy = noisy + random.normal(size=noisy.shape) * strength
    images = np.clip(noisy, 0, 255).astype(np.uint8)
    vectors = make_vectors(images)
    rows = np.arange(300)
    units, structures = vectors.units(rows), vectors.structures(rows)
    light, structure = units @ units.T, structures @ structures.T
    alike = (light >= 0.95) & (structure >= 0.95)
    expected = np.argwhere(np.triu(alike, 1))
    assert 100 < len(expected) < 30_000
    found = find_near_duplicates(vectors, num_turns=1).pairs
    order = np.lexsort(found.T[::-1])
    assert found[order].tolist() == expected.tolist()


def test_brightness_makes_no_difference_and_flat_images_are_not_alike():
    images = noise(6)
    images[1] = images[0] // 2
    images[2], images[3] = 100, 101
    found = find_near_duplicates(make_vectors(images))
    assert found.pairs.tolist() == [[0, 1]]


def make_padded(count, seed=0):
    """Light images with one dark spot each, padded to a square with black."""
    random = np.random.default_rng(seed)
    images = np.zeros((count, 48, 48, 1), np.uint8)
    images[:, 10:38] = random.normal(200, 2, (count, 28, 48, 1))
    for image in images:
        top, left = random.integers(12, 30), random.integers(2, 40)
        image[top : top + 6, left : left + 6] = 120
    return images


def test_bars_and_fields_that_all_images_share_make_no_leaks():
    padded = make_padded(60)
    assert len(find_near_duplicates(make_vectors(padded)).pairs) == 0
    y, x = np.mgrid[:28, :28] - 13.5
    field = (x**2 + y**2 < 169)[None, ..., None]
    random = np.random.default_rng(0)
    light = random.uniform(0, 12, (80, 28, 28, 1)) + 150 - y[None, ..., None]
    eyes = (field * light).astype(np.uint8)
    flat = eyes.reshape(80, -1).astype(float)
    assert (np.corrcoef(flat)[np.triu_indices(80, 1)] > 0.99).mean() > 0.9
    assert len(find_near_duplicates(make_vectors(eyes)).pairs) == 0


@pytest.mark.parametrize("size", [12, 80])
def test_turned_and_mirrored_copies_are_found(size):
    images = noise(60, size=size)
    copies = [np.rot90(images[at], at) for at in (1, 2, 3)]
    copies += [images[4][:, ::-1], images[5][::-1], nearly(images[6][::-1])]
    images = np.concatenate([images, copies])
    found = find_near_duplicates(make_vectors(images))
    assert found.pairs.tolist() == [[at, 59 + at] for at in range(1, 7)]
    assert (found.turns > 0).all()
    upright = find_near_duplicates(make_vectors(images), num_turns=1)
    assert len(upright.pairs) == 0


def change(kind, image):
    picture = Image.fromarray(image[..., 0])
    if kind == "recompressed":
        out = io.BytesIO()
        # Of a file that is larger than the images are.
        picture.resize((192, 128)).save(out, "JPEG", quality=60)
        picture = Image.open(out).resize(picture.size)
    elif kind == "scaled":
        picture = picture.resize((96, 96)).resize(picture.size)
    elif kind == "brightened":
        picture = picture.point(lambda level: level * 0.8 + 20)
    return np.asarray(picture)[..., None]


@pytest.mark.parametrize("kind", ["recompressed", "scaled", "brightened"])
def test_made_copies_are_found_and_other_images_are_not(kind):
    """Precision and recall on images of one layout, and changed copies."""
    random = np.random.default_rng(0)
    coarse = random.uniform(60, 230, (120, 8, 8)).astype(np.uint8)
    content = np.array([
        np.asarray(Image.fromarray(small).resize((48, 32)))[..., None]
        for small in coarse
    ])  # fmt: skip
    copies = np.array([change(kind, image) for image in content[:40]])
    both = np.concatenate([content, copies])
    padded = np.pad(both, ((0, 0), (8, 8), (0, 0), (0, 0)))
    vectors = make_vectors(padded)
    found = {
        tuple(pair) for pair in find_near_duplicates(vectors).pairs.tolist()
    }
    wanted = {(at, 120 + at) for at in range(40)}
    assert len(found & wanted) >= 0.95 * len(wanted)
    assert len(found - wanted) <= 0.02 * len(wanted)


def test_an_audit_of_one_size_leaves_that_of_another(tmp_path):
    store = Store(tmp_path)
    for size, line in ((28, "39 leak"), (64, "19 leak")):
        name = f"medmnist:abc:{size}"
        keep_audit(store, {"fingerprint": name, "line": line})
    assert find_leaks(store, ["medmnist:abc:28"]) == ["39 leak"]
    assert find_leaks(store, ["medmnist:abc:64, resplit 3"]) == ["19 leak"]


def test_many_equal_images_are_one_group():
    images = np.repeat(noise(2), 200, axis=0)
    found = find_near_duplicates(make_vectors(images))
    assert len(found.pairs) == 0
    assert np.bincount(found.group)[[0, 200]].tolist() == [200, 200]


def test_training_goes_without_leaks_and_says_so():
    dataset = drop_leaks(planted())
    assert len(dataset.train) == 35
    assert dataset.fingerprint == "own:1:2:drop_leaks"
    assert "5 of 40 images of train were dropped" in dataset.notes[-1]
    assert audit(dataset)[0].line() == ""
    kept = np.setdiff1d(np.arange(40), [5, 7, 20, 21, 31])
    assert (np.asarray(dataset.train.images) == noise(40)[kept]).all()
    assert (dataset.train.images[3:5] == noise(40)[kept[3:5]]).all()


def test_leaks_that_are_all_of_a_class_are_not_dropped():
    images = noise(8)
    data = make(images[:6], images[:2], images[6:])
    labels = np.array([0, 0, 1, 1, 1, 1], "int32")
    train = dataclasses.replace(data.train, labels=labels)
    data = dataclasses.replace(data, train=train)
    with pytest.raises(ValueError, match="leaves no image of `a` in train"):
        drop_leaks(data)
    groups = ["p", "p", "q", "q", "q", "q", "p", "x", "q", "y"]
    with pytest.raises(ValueError, match="images of|leaves no") as told:
        drop_leaks(data, groups)
    assert (
        "leaves no image of `a`, `b` in train. Expected some of each class. "
        "Received: 6 of 6 images to be dropped, 6 as val or test have others"
    ) in str(told.value)


def test_the_leaks_of_a_file_are_looked_for_once(tmp_path):
    path = tmp_path / "x.leaks.npy"
    first = drop_leaks(planted(), kept_in=path)
    (path,) = tmp_path.iterdir()  # With the version of the rules.
    assert np.load(path).tolist() == [5, 7, 20, 21, 31]
    np.save(path, [1])
    name = tmp_path / "x.leaks.npy"
    assert len(drop_leaks(planted(), kept_in=name).train) == 39
    np.save(path, [1000])  # No row of train.
    again = drop_leaks(planted(), kept_in=name)
    assert len(again.train) == len(first.train)
    path.write_bytes(b"damaged")
    again = drop_leaks(planted(), kept_in=name)
    assert len(again.train) == len(first.train)


def test_groups_in_two_splits_are_found_and_dropped():
    dataset = make(noise(4), noise(2, 1), noise(2, 2))
    groups = ["p", "p", "q", "r", "s", "s", "p", "t"]
    splits = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    assert find_split_groups(groups, splits) == {"p"}
    found, _ = audit(dataset, groups=groups)
    assert found.split_groups == ["p"]
    assert len(drop_leaks(dataset, groups).train) == 2


def test_a_shift_of_classes_is_told_with_its_p_value():
    from scipy.stats import chi2_contingency

    dataset = make(noise(60), noise(40, 1), noise(40, 2))
    labels = np.array([0] * 36 + [1] * 4, np.int32)
    test = Split(dataset.test.images, labels)
    dataset = dataclasses.replace(dataset, test=test)
    found, _ = audit(dataset)
    expected = chi2_contingency([[30, 30], [36, 4]]).pvalue
    assert found.shifts[1].p == pytest.approx(expected)
    assert any(line.startswith("Other classes") for line in format_audit(found))


def test_masks_without_labels_are_audited(tmp_path, medzoo):
    root = make_masks(tmp_path / "cells")
    for path in (root / "masks").iterdir():  # All of them mark something.
        path.write_bytes((root / "masks" / "01.png").read_bytes())
    out = medzoo("audit", f"masks:{root}").out
    assert "No exact duplicates." in out
    assert "lasses of train and val" not in out


def test_a_run_without_leaks_is_another_run():
    fields = {"task": "breastmnist", "data": "synthetic", "model": "mlp"}
    fields |= {"width": 8, "steps": 2}
    plain = Run(**fields)
    run = Run(**fields, data_options={"drop_leaks": True})
    assert plain.run_id != run.run_id
    record, _ = execute(run)
    assert record.status == "done"
    assert record.data_fingerprint.endswith(":drop_leaks")
    assert "drop_leaks" in record.notes[-1]


def test_the_real_breastmnist_has_the_leaks_that_are_known(
    real_data, monkeypatch
):
    monkeypatch.setenv("MEDZOO_DATA", str(real_data))
    found, pairs = audit(load("breastmnist"))
    # Groups of the source images give 55, plain correlation of .99 gives 39.
    assert 39 <= found.test_in_train <= 55
    retina, _ = audit(load("retinamnist"))
    assert retina.test_in_train <= 10
    (exact,) = [pair for pair in pairs if pair.kind == "exact"]
    assert (exact.split, exact.other_split) == ("train", "test")
    assert exact.conflict


def test_an_audit_is_told_by_the_plans_of_studies(tmp_path, medzoo):
    root = make_folder(tmp_path / "cells")
    for copy in range(3):
        content = (root / "z" / "0.png").read_bytes()
        (root / "a b" / f"copy {copy}.png").write_bytes(content)
    out = medzoo("audit", "cells").out
    assert "3 exact duplicates" in out
    assert "of these pairs have different labels." in out
    assert (tmp_path / "results" / "cells_audit" / "duplicates.csv").is_file()
    (kept,) = (tmp_path / "runs" / "audits").glob("*.json")
    assert json.loads(kept.read_text())["exact"] == 3
    plan = ("study", "plan", "optimizers", "--data", "folder:cells")
    assert "Leaks in cells: " in medzoo(*plan).out
    out = medzoo(*plan, "--drop-leaks").out
    assert "Leaks in cells: " not in out
    assert "images of train were dropped" in out


@pytest.mark.parametrize("parts", [("",), ("train", "test")])
def test_a_study_of_folds_is_audited_as_its_data_are(tmp_path, medzoo, parts):
    for at, part in enumerate(parts):
        for seed, name in enumerate(("a", "b")):
            for patient in range(6):
                folder = tmp_path / "cells" / part / name / f"{name}{patient}"
                folder.mkdir(parents=True)
                for index in range(2):
                    number = 1000 * at + 100 * seed + 10 * patient + index
                    make_image(number).save(folder / f"{index}.png")
    for copy in ("a4", "b5"):
        path = tmp_path / "cells" / parts[0] / copy[0] / copy / "copy.png"
        make_image(1).save(path)
    (tmp_path / "s.toml").write_text(
        f'question = "?"\n[data]\nsource = "folder:{tmp_path}/cells"\n'
        'folds = 3\nval = 0.3\n[axes]\nloss = ["soft_f1", "cross_entropy"]\n'
    )
    (tmp_path / "same.toml").write_text(
        (tmp_path / "s.toml").read_text().replace("folds = 3", "folds = 0")
    )
    out = {name: f"out_{name}" for name in ("same", "s")}
    said = [
        medzoo("audit", f"{name}.toml", "--out", folder).out
        for name, folder in out.items()
    ]
    assert said[0] == said[1]
    for first in (tmp_path / out["same"]).rglob("*.csv"):
        other = tmp_path / out["s"] / first.relative_to(tmp_path / out["same"])
        assert other.read_bytes() == first.read_bytes()
    assert len([*(tmp_path / "runs" / "audits").glob("*.json")]) == 1
    said = [medzoo("explore", f"{name}.toml").out for name in out]
    assert said[0] == said[1]


def test_of_several_tasks_it_is_said_which_is_audited(tmp_path, medzoo):
    (tmp_path / "s.toml").write_text(
        'question = "?"\ntasks = ["breastmnist", "retinamnist"]\n'
        '[data]\nsource = "synthetic"\n[axes]\nsteps = [1, 2]\n'
    )
    told = medzoo("audit", "s.toml").err
    assert "`s.toml` has 2 tasks, of which `breastmnist` is looked at." in told
    assert "shapes: " in medzoo("audit", "shapes", "--like", "s.toml").out
