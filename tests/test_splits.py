"""Splits that are drawn: shares, groups, and every class in each of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_images import make_image

from medzoo.data.custom.load import read_custom
from medzoo.data.dataset import Dataset, Split
from medzoo.data.splits import describe_absent, draw_splits
from medzoo.scores.probabilities import score


def draw(labels, groups=None, **options):
    labels = np.array(labels)
    shares = {"val": 0.1, "test": 0.2, "seed": 0} | options
    return draw_splits(labels, groups or [""] * len(labels), **shares)


def holds(drawn, labels):
    return {(str(s), int(k)) for s, k in zip(drawn, labels, strict=True)}


@settings(max_examples=60)
@given(
    st.lists(st.integers(3, 30), min_size=1, max_size=6), st.integers(0, 1000)
)
def test_classes_of_three_images_are_in_every_split(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    drawn = draw(labels, seed=seed)
    assert len(holds(drawn, labels)) == 3 * len(counts)


@settings(max_examples=60)
@given(
    st.lists(st.integers(3, 8), min_size=1, max_size=5),
    st.integers(1, 6),
    st.integers(0, 1000),
)
def test_classes_of_three_groups_are_in_every_split(counts, size, seed):
    """Each class has groups of its own, of several images."""
    number = sum(counts)
    labels = np.repeat(np.repeat(np.arange(len(counts)), counts), size)
    groups = [f"p{at}" for at in range(number) for _ in range(size)]
    drawn = draw(labels, groups, seed=seed)
    assert len(holds(drawn, labels)) == 3 * len(counts)
    for group in set(groups):
        assert len({s for s, g in zip(drawn, groups, strict=True)
                    if g == group}) == 1  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_three_patients_with_all_classes_are_one_a_split(seed):
    labels = [0, 1, 2] * 12
    groups = [f"p{at // 12}" for at in range(36)]
    drawn = draw(labels, groups, seed=seed)
    assert len(holds(drawn, labels)) == 9


@pytest.mark.parametrize("seed", range(10))
def test_of_a_few_groups_the_best_split_that_exists_is_drawn(seed):
    """Against all splits of seven patients, each with two of three classes."""
    import itertools

    random = np.random.default_rng(seed)
    kinds = [random.permutation(3)[:2] for _ in range(7)]
    labels = np.array([k for kind in kinds for k in kind for _ in range(4)])
    groups = [f"p{at // 8}" for at in range(len(labels))]
    drawn = draw(labels, groups, seed=seed)
    common = [k for k in range(3) if sum(k in kind for kind in kinds) >= 3]
    found = len({(s, k) for s, k in holds(drawn, labels) if k in common})
    best = 0
    for choice in itertools.product(range(3), repeat=7):
        parts = [{k for p in range(7) if choice[p] == s for k in kinds[p]}
                 for s in range(3)]  # fmt: skip
        if len(parts[0]) == len(set(labels)):
            best = max(best, sum(len(part & {*common}) for part in parts))
    assert found == best


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_too_few_groups_is_learnt_at_least(seed):
    labels = [0] * 30 + [1] * 30 + [2] * 9
    groups = [f"p{at // 3}" for at in range(60)] + ["x"] * 5 + ["y"] * 4
    drawn = draw(labels, groups, seed=seed)
    assert ("train", 2) in holds(drawn, labels)
    assert len(holds(drawn, labels)) >= 7


def test_images_without_gaps_are_drawn_as_ever():
    """By hand: 70 %, 10 % and 20 % of each class."""
    labels = np.repeat([0, 1], 100)
    drawn = draw(labels)
    for kind in (0, 1):
        counts = [(drawn[labels == kind] == s).sum()
                  for s in ("train", "val", "test")]  # fmt: skip
        assert counts == [70, 10, 20]


def test_marks_of_masks_are_in_every_split():
    """Of 40 images, 4 have the mark; their classes are one each."""
    labels = np.arange(40) % 10
    marks = np.zeros((40, 1), bool)
    marks[[0, 1, 2, 3]] = True
    drawn = draw(labels, marks=marks)
    assert set(drawn[marks[:, 0]].tolist()) == {"train", "val", "test"}


def make(*splits):
    images = np.zeros((4, 4, 4, 1), np.uint8)
    return Dataset(
        "x",
        ("a", "b", "c"),
        *(Split(images[: len(s)], np.array(s, np.int32)) for s in splits),
        "own:1:2",
    )


def test_a_ceiling_is_the_score_of_a_perfect_model():
    dataset = make([0, 1, 2], [0, 1, 1], [0, 0])
    first, second = describe_absent(dataset)
    assert first.startswith("No image of `c` in val: macro F1 of val can reach")
    assert second.startswith("No image of `b`, `c` in test")
    for line, split in ((first, dataset.val), (second, dataset.test)):
        perfect = score(np.eye(3)[split.labels], split.labels, 3)
        assert f"{perfect['macro_f1']:.3f} at most" in line
    assert describe_absent(make([0, 1, 2], [0, 1, 2], [-1, -1])) == []


def make_folder(root, *counts):
    for kind, count in zip("abc", counts, strict=False):
        (root / kind).mkdir(parents=True)
        for at in range(count):
            make_image(100 * ord(kind) + at).save(root / kind / f"{at}.png")
    return root


def load(root, **options):
    return read_custom("x", f"folder:{root}", 8, options)


def test_a_class_that_cannot_be_in_all_splits_is_noted(tmp_path):
    notes = load(make_folder(tmp_path / "x", 12, 12, 2)).notes
    assert [n for n in notes if n.startswith("No image of `c` in")] == [
        f"No image of `c` in {split}: macro F1 of {split} can reach 0.667 at "
        "most."
        for split in ("val", "test")
    ]


def test_a_split_without_images_says_why(tmp_path):
    for kind in "ab":
        for group in ("p1", "p2"):
            folder = tmp_path / "x" / kind / group
            folder.mkdir(parents=True)
            for at in range(3):
                make_image(at).save(folder / f"{at}.png")
    with pytest.raises(ValueError, match="No image is left for") as error:
        load(tmp_path / "x")
    assert (
        "in 2 groups (p1, p2), and a group stays in one split. Add images of 1 "
        "more"
    ) in str(error.value)
    with pytest.raises(ValueError, match="of the largest class, 'a', 1"):
        load(make_folder(tmp_path / "y", 1, 1, 1))


def test_few_patients_are_said_to_be_few(tmp_path):
    for kind in "ab":
        for patient in range(5):
            folder = tmp_path / "x" / kind / f"p{patient}"
            folder.mkdir(parents=True)
            make_image(ord(kind) + patient).save(folder / "1.png")
    notes = load(tmp_path / "x").notes
    assert any(n.startswith("Few groups (val 1, test 1, train 3)")
               for n in notes)  # fmt: skip
