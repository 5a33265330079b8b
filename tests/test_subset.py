"""A subset keeps the shares of the classes, the order, and what it must."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medzoo.data.dataset import Split
from medzoo.data.splits import apportion, take_stratified

LABELS = st.lists(st.integers(-1, 5), min_size=1, max_size=80)
MAX_IMAGES = st.integers(1, 90)
SEEDS = st.integers(0, 2**32 - 1)


def make_numbered(labels):
    """Images that hold their own position, so that they can be told apart."""
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Split(images, np.array(labels, np.int32))


def positions(split):
    return split.images.ravel().tolist()


@given(LABELS, MAX_IMAGES, SEEDS)
def test_images_keep_labels_and_order_and_no_class_is_lost(
    labels, max_images, seed
):
    split = make_numbered(labels)
    kept = take_stratified(split, max_images, seed=seed)
    assert len(kept) == min(max_images, len(labels))
    assert positions(kept) == sorted(set(positions(kept)))
    assert kept.labels.tolist() == [labels[i] for i in positions(kept)]
    assert (kept.images.dtype, kept.labels.dtype) == (np.uint8, np.int32)
    if max_images >= len(set(labels)):
        assert set(kept.labels.tolist()) == set(labels)
    again = take_stratified(split, max_images, seed=seed)
    assert positions(kept) == positions(again)


@given(LABELS, MAX_IMAGES, SEEDS)
def test_shares_are_kept_to_the_image_where_no_class_is_too_small(
    labels, max_images, seed
):
    max_images = min(max_images, len(labels))
    due = {
        label: labels.count(label) * max_images / len(labels)
        for label in set(labels)
    }
    kept = take_stratified(make_numbered(labels), max_images, seed=seed)
    for label, share in due.items():
        if min(due.values()) >= 1:
            assert abs((kept.labels == label).sum() - share) < 1


def test_another_seed_draws_other_images():
    split = make_numbered([0, 1] * 40)
    drawn = [positions(take_stratified(split, 20, seed=s)) for s in (0, 1)]
    assert drawn[0] != drawn[1]


def test_each_image_of_a_class_is_as_likely_as_any_other():
    split = make_numbered([0] * 8)
    counts = np.zeros(8)
    for seed in range(400):
        counts[positions(take_stratified(split, 2, seed=seed))] += 1
    assert np.abs(counts - 100).max() < 40  # More than 4 standard deviations.


def test_no_more_images_than_asked_for_means_all_of_them():
    split = make_numbered([0, 0, 1, -1])
    assert take_stratified(split, 4, seed=0) is split
    assert take_stratified(split, 5, seed=0) is split


def test_unlabelled_images_are_a_class_of_their_own():
    kept = take_stratified(make_numbered([-1] * 30 + [0] * 10), 4, seed=0)
    assert kept.labels.tolist() == [-1, -1, -1, 0]


def test_a_memory_map_is_read_only_where_images_are_kept(tmp_path):
    split = make_numbered(list(range(5)) * 10)
    np.save(tmp_path / "images.npy", split.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    kept = take_stratified(Split(mapped, split.labels), 10, seed=3)
    assert not isinstance(kept.images, np.memmap)
    assert positions(kept) == positions(take_stratified(split, 10, seed=3))


@pytest.mark.parametrize(
    ("weights", "total", "least", "parts"),
    [
        ([50, 30, 20], 10, 0, [5, 3, 2]),
        # 4.2, 3.5 and 2.3: the largest remainder is the second.
        ([42, 35, 23], 10, 0, [4, 4, 2]),
        # A tie of remainders goes to the first.
        ([1, 1], 3, 0, [2, 1]),
        # 9.8, 0.1, 0.1: the small ones get one each, the first the rest.
        ([98, 1, 1], 10, 1, [8, 1, 1]),
        # Once the last has its 2, the second is due 1.9 of 17 and gets 2.
        ([800, 110, 1], 19, 2, [15, 2, 2]),
        ([7], 5, 1, [5]),
    ],
)
def test_apportion_is_what_one_counts_by_hand(weights, total, least, parts):
    assert apportion(weights, total, least=least) == parts


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
    st.integers(0, 5),
    st.integers(0, 500),
)
def test_parts_add_up_and_none_is_too_small(weights, least, more):
    total = least * len(weights) + more
    parts = apportion(weights, total, least=least)
    assert sum(parts) == total
    assert min(parts) >= least
    # A greater weight never gets a smaller part.
    ranked = sorted(zip(weights, parts, strict=True))
    for (light, few), (heavy, many) in zip(ranked, ranked[1:], strict=False):
        assert few <= many or light == heavy


def test_less_than_one_image_is_refused():
    sentence = "`max_images` must be at least 1. Received: max_images=0."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        take_stratified(make_numbered([0, 1]), 0, seed=0)
