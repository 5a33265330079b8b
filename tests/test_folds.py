"""Folds: by class, groups whole, each image tested once, and repeatable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_images import make_image

from medzoo.data.custom.load import describe_rows
from medzoo.data.dataset import Dataset, Split
from medzoo.data.folds import split_into_folds
from medzoo.data.sources import load
from medzoo.data.tested import find_groups
from medzoo.runs.run import Run
from medzoo.runs.sources import find_fingerprint
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.plan import make_plan
from medzoo.study.spec import read_study
from medzoo.training.execute import execute


def make_data(labels, num_val, num_test):
    """Makes images that hold their own number."""
    images = np.zeros((len(labels), 2, 2, 1), "uint8")
    images[:, 0, 0, 0] = np.arange(len(labels))
    labels = np.array(labels, "int32")
    ends = len(labels) - num_val - num_test, len(labels) - num_test
    splits = [
        Split(images[rows], labels[rows])
        for rows in (slice(ends[0]), slice(*ends), slice(ends[1], None))
    ]
    return Dataset("toy", ("a", "b", "c"), *splits, "made")


def ids(split):
    return split.images[:, 0, 0, 0].tolist()


@given(
    labels=st.lists(st.integers(-1, 2), min_size=40, max_size=90),
    num_folds=st.integers(2, 6),
    sizes=st.lists(st.integers(1, 4), min_size=90, max_size=90),
    with_test=st.booleans(),
    first=st.sampled_from([0, 1]),
)
@settings(max_examples=40)
def test_each_image_is_tested_once_and_groups_stay_whole(
    labels, num_folds, sizes, with_test, first
):
    data = make_data(labels, 6, 10)
    groups = np.repeat(np.arange(90), sizes)[: len(labels)].astype(str).tolist()
    tested = []
    for seed in range(first * num_folds, (first + 1) * num_folds):
        options = {"groups": groups, "with_test": with_test}
        parts = split_into_folds(data, num_folds, seed=seed, **options)
        again = split_into_folds(data, num_folds, seed=seed, **options)
        found = [ids(parts.train), ids(parts.val), ids(parts.test)]
        assert found == [ids(again.train), ids(again.val), ids(again.test)]
        # No test image is left if there is an official split of them.
        whole = len(labels) - (0 if with_test else 10)
        assert sorted(sum(found, [])) == list(range(whole))
        owners = [{groups[image] for image in part} for part in found]
        assert not owners[0] & owners[1] | owners[0] & owners[2]
        assert not owners[1] & owners[2]
        for split in parts.splits.values():
            assert split.labels.tolist() == [labels[at] for at in ids(split)]
        tested += found[2]
    assert sorted(tested) == list(range(whole))


def test_folds_keep_the_shares_of_classes_and_of_val():
    data = make_data([0] * 60 + [1] * 30 + [2] * 10, 20, 20)
    for seed in range(5):
        parts = split_into_folds(data, 5, seed=seed, with_test=True)
        assert np.bincount(parts.test.labels).tolist() == [12, 6, 2]
        assert len(parts.val) == pytest.approx(80 * 20 / 80, abs=1)
        assert set(parts.val.labels) == {0, 1, 2}


def test_seeds_beyond_the_folds_draw_other_ones():
    data = make_data([0, 1] * 30, 10, 10)
    first, second = (split_into_folds(data, 5, seed=s) for s in (0, 5))
    assert ids(first.test) != ids(second.test)
    assert first.fingerprint != second.fingerprint


def test_more_folds_than_groups_are_refused():
    data = make_data([0, 1] * 20, 10, 10)
    groups = ["x", "y"] * 20
    with pytest.raises(ValueError, match="Expected more groups than folds"):
        split_into_folds(data, 5, seed=4, groups=groups)


def make_folder(root, *parts):
    """Writes two classes of six patients with two images each."""
    for at, name in enumerate(["a", "b"]):
        for patient in range(6):
            for part in parts or [""]:
                folder = root / part / name / f"{at}{patient}"
                folder.mkdir(parents=True)
                for index in range(2):
                    number = 100 * len(part) + 20 * at + 2 * patient + index
                    make_image(number).save(folder / f"{index}.png")
    return root


def test_folders_inside_those_of_groups_are_told(tmp_path):
    root = make_folder(tmp_path / "plain")
    assert "groups (patients)" not in " ".join(load_notes(root))
    root = make_folder(tmp_path / "deep")
    for folder in [*root.glob("*/*")]:
        (folder / "100X").mkdir()
        for path in [*folder.glob("*.png")]:
            path.rename(folder / "100X" / path.name)
    assert "groups (patients), whose images stay" in " ".join(load_notes(root))
    options = (("group", "folder"),)
    assert "groups (patients)" not in " ".join(load_notes(root, options))


def load_notes(root, options=()):
    return load("cells", f"folder:{root}", 28, options=options).notes


def digests(split):
    return [image.tobytes() for image in split.images]


def test_patients_of_a_folder_stay_in_one_fold(tmp_path):
    data = f"folder:{make_folder(tmp_path / 'cells')}"
    options = (("folds", 3), ("val", 0.3))
    tested = []
    for seed in range(3):
        parts = load("cells", data, 28, None, seed, options)
        tested += digests(parts.test)
        # Six patients of each class, two of them tested.
        assert np.bincount(parts.test.labels).tolist() == [4, 4]
        counts = [len(split) for split in parts.splits.values()]
        assert sum(counts) == 24
        assert all(count % 2 == 0 for count in counts)
    assert len(set(tested)) == len(tested) == 24


def test_patients_stay_in_one_part_of_resplit(tmp_path):
    root = make_folder(tmp_path / "cells")
    data, options = f"folder:{root}", (("val", 0.3),)
    rows = describe_rows(data, 28, dict(options))
    whole = load("cells", data, options=options)
    given = [d for split in whole.splits.values() for d in digests(split)]
    owners = {d: row["group"] for d, row in zip(given, rows, strict=True)}
    tested = []
    for seed in range(5):
        parts = load("cells", data, 28, None, seed, options, resplit=True)
        held = [{owners[d] for d in digests(s)} for s in parts.splits.values()]
        assert sum(map(len, held)) == len(set().union(*held))
        assert [n for n in parts.notes if n.startswith("Split")] == [
            "Split of train and val anew by each seed, by class and 10 groups "
            "kept whole: a fifth is held out in place of test, which is left "
            "alone (resplit)."
        ]
        groups = find_groups(
            "cells", data, 28, dict(options), seed=seed, resplit=True
        )
        names = [owners[d] for d in digests(parts.test)]
        known = {name: at for at, name in enumerate(dict.fromkeys(names))}
        assert groups.tolist() == [known[name] for name in names]
        tested += digests(parts.test)
    assert sorted(tested) == sorted(given[: len(tested)])


def test_resplit_of_few_groups_is_refused(tmp_path):
    data = f"folder:{make_folder(tmp_path / 'cells')}"
    options = (("test", 0.6), ("val", 0.2))
    with pytest.raises(ValueError, match=r"Expected 5 groups there at least"):
        load("cells", data, options=options, resplit=True)


def test_notes_on_folds_are_about_folds(tmp_path):
    root = make_folder(tmp_path / "cells")
    options = {"folds": 3, "val": 0.3}
    _, planned = find_fingerprint(f"folder:{root}", 28, options)
    given = tuple(options.items())
    parts = load("cells", f"folder:{root}", 28, None, 1, given)
    for notes in (planned, parts.notes):
        assert [note for note in notes if note.startswith("Split")] == [
            "Split of all images into 3 folds by class and 12 groups kept "
            "whole: each seed tests another one, val is drawn from the others."
        ]
    root = make_folder(tmp_path / "given", "train", "test")
    _, planned = find_fingerprint(f"folder:{root}", 28, options)
    assert planned[0].startswith("Split of train and val into 3 folds")
    assert planned[0].endswith("and the given test split is left alone.")


def test_too_few_groups_for_the_folds_are_found_by_a_plan(tmp_path):
    root = make_folder(tmp_path / "cells")  # Of six patients of each class.
    path = tmp_path / "x.toml"

    def plan(folds):
        path.write_text(
            f'question = "?"\n[data]\nsource = "folder:{root}"\n'
            f"folds = {folds}\nval = 0.3\n[axes]\nsteps = [1, 2]\n"
        )
        return make_plan(read_study(path), Store(tmp_path / "runs"))

    assert plan(12).num_runs == 24
    with pytest.raises(ValueError, match=r"Received: folds=13, 12 groups\."):
        plan(13)


def test_a_test_split_that_is_given_is_never_in_a_fold(tmp_path):
    root = make_folder(tmp_path / "cells", "train", "test")
    data, val = f"folder:{root}", ("val", 0.3)
    official = digests(load("cells", data, options=(val,)).test)
    for seed in range(3):
        parts = load("cells", data, 28, None, seed, (("folds", 3), val))
        found = [d for split in parts.splits.values() for d in digests(split)]
        assert len(found) == 24
        assert not {*found} & {*official}


def test_a_study_of_folds_has_a_seed_a_fold(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(
        'question = "?"\ntasks = ["breastmnist"]\n'
        '[data]\nsource = "synthetic"\nfolds = 4\n'
        '[axes]\noptimizer = ["sgd", "adam"]\n'
    )
    study = read_study(path)
    assert study.seeds == (0, 1, 2, 3)
    runs = [run for _, run in expand(study)]
    assert all(run.is_resplit for run in runs)
    assert not Run(task="breastmnist", data_options={"folds": 0}).is_resplit


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"folds": 1}, "Expected 2 to 500"),
        ({"folds": 10**9}, "Expected 2 to 500"),
        ({"folds": 5, "drop_leaks": True}, "is about one split, not about"),
    ],
)
def test_folds_that_cannot_be_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Run(task="breastmnist", data_options=options)


def test_a_run_of_a_fold_is_scored_on_its_own_test_images():
    values = {"task": "breastmnist", "data": "synthetic", "model": "mlp"}
    values |= {"width": 4, "steps": 1, "data_options": {"folds": 5}}
    record, predictions = execute(Run(**values, seed=1))
    expected = load("breastmnist", "synthetic", 28, None, 1, (("folds", 5),))
    np.testing.assert_array_equal(predictions.test.labels, expected.test.labels)
    assert record.data_fingerprint.endswith(", fold 1 of 5")


def test_runs_with_and_without_folds_of_the_same_data_are_two():
    runs = [
        Run(
            task="cells",
            data="folder:cells",
            fingerprint="own:1:2",
            data_options=options,
        )
        for options in ({}, {"folds": 3}, {"folds": 5})
    ]
    assert len({run.run_id for run in runs}) == 3
    assert runs[0].run_id == "0a5cec5e4db44cb7"
