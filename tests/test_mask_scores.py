"""Scores of masks by hand, by scikit-learn, and where nothing is there."""

import numpy as np
import pytest
from sklearn import metrics

from medzoo.scores.counts import (
    count_masks,
    dice_of_images,
    per_class_dice,
    score_masks,
)


def make_masks(seed=0, num_images=5, num_mask_classes=3):
    """Makes masks, and predictions that are right for most pixels."""
    rng = np.random.default_rng(seed)
    masks = rng.integers(-1, num_mask_classes, (num_images, 9, 7))
    guesses = rng.integers(0, num_mask_classes, masks.shape)
    wrong = (masks < 0) | (rng.random(masks.shape) < 0.3)
    return masks.astype("int8"), np.where(wrong, guesses, masks)


def score(masks, predictions, num_mask_classes=3):
    counts = count_masks(
        np.array(masks), np.array(predictions), num_mask_classes
    )
    return score_masks(counts)


@pytest.mark.parametrize("seed", range(3))
def test_pooled_scores_are_those_of_scikit_learn(seed):
    masks, predictions = make_masks(seed)
    found = score(masks, predictions)
    known = masks >= 0
    both = masks[known], predictions[known]
    macro = {"average": "macro", "zero_division": 0}
    expected = {
        "dice": metrics.f1_score(*both, labels=[1, 2], **macro),
        "foreground_dice": metrics.f1_score(both[0] > 0, both[1] > 0),
        "mean_iou": metrics.jaccard_score(*both, **macro),
        "mask_precision": metrics.precision_score(*both, **macro),
        "mask_recall": metrics.recall_score(*both, **macro),
        "mask_f1": metrics.f1_score(*both, **macro),
        "mask_mcc": metrics.matthews_corrcoef(*both),
        "pixel_accuracy": metrics.accuracy_score(*both),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name
    each = metrics.f1_score(*both, average=None)
    counts = count_masks(masks, predictions, 3)
    assert per_class_dice(counts) == pytest.approx(each.tolist())


def test_scores_per_image_are_means_of_scikit_learns():
    masks, predictions = make_masks()
    dice, iou = [], []
    for mask, found in zip(masks, predictions, strict=True):
        both = mask[mask >= 0], found[mask >= 0]
        dice.append(metrics.f1_score(*both, labels=[1, 2], average="macro"))
        iou.append(metrics.jaccard_score(*both, average="macro"))
    found = score(masks, predictions)
    assert found["dice_per_image"] == pytest.approx(np.mean(dice))
    assert found["mean_iou_per_image"] == pytest.approx(np.mean(iou))
    assert dice_of_images(count_masks(masks, predictions, 3)) == pytest.approx(
        dice
    )


def test_large_objects_count_more_when_pooled():
    large = np.ones((1, 10), "int32")
    small = np.eye(1, 10, dtype="int32")
    missed = np.zeros_like(small)
    found = score([large, small], [large, missed], 2)
    assert found["dice"] == pytest.approx(2 * 10 / (11 + 10))
    assert found["dice_per_image"] == pytest.approx((1 + 0) / 2)


def test_an_empty_mask_that_stays_empty_says_nothing():
    empty = np.zeros((1, 4), "int32")
    mask, marked = np.array([[0, 1, 1, 0]]), np.array([[0, 1, 0, 0]])
    alone = score([mask], [marked], 2)
    beside = score([mask, empty], [marked, empty], 2)
    assert alone["dice"] == beside["dice"] == pytest.approx(2 / 3)
    assert alone["dice_per_image"] == beside["dice_per_image"]
    only = score([empty], [empty], 2)
    assert only["dice"] is only["dice_per_image"] is None
    assert only["mean_iou"] == only["pixel_accuracy"] == 1


def test_what_is_marked_where_nothing_is_scores_zero():
    empty = np.zeros((1, 4), "int32")
    mask, marked = np.array([[0, 1, 1, 0]]), np.array([[0, 1, 0, 0]])
    found = score([mask, empty], [mask, marked], 2)
    assert found["dice_per_image"] == pytest.approx((1 + 0) / 2)
    assert found["dice"] == pytest.approx(2 * 2 / (2 + 3))
    # Mask class 2 is in no mask: it is out unless it is marked.
    assert score([mask], [mask], 3)["dice"] == 1
    assert score([mask], [2 * mask], 3)["dice"] == 0
    half = score([mask], [np.array([[0, 1, 1, 2]])], 3)
    assert half["dice"] == pytest.approx((1 + 0) / 2)


def test_a_mask_class_that_is_never_predicted_has_a_precision_of_zero():
    mask = np.array([[0, 0, 1, 2]])
    found = score([mask], [np.zeros_like(mask)], 3)
    assert found["mask_precision"] == pytest.approx(0.5 / 3)
    assert found["mask_recall"] == pytest.approx(1 / 3)
    assert found["mask_mcc"] == 0


def test_unlabelled_pixels_and_images_change_nothing():
    masks, predictions = make_masks()
    kept = score(masks, predictions)
    changed = np.where(masks < 0, 2, predictions)
    assert score(masks, changed) == kept
    unlabelled = np.full_like(masks[:1], -1)
    longer = score(
        np.concatenate([masks, unlabelled]),
        np.concatenate([predictions, predictions[:1]]),
    )
    assert longer == kept


def test_nothing_to_go_by_is_none():
    unlabelled = np.full((2, 3, 3), -1)
    found = score(unlabelled, np.zeros_like(unlabelled))
    assert set(found.values()) == {None}
    counts = count_masks(unlabelled, np.zeros_like(unlabelled), 3)
    assert per_class_dice(counts) == [None] * 3


def test_a_perfect_split_scores_one_and_a_wrong_one_zero():
    masks, _ = make_masks()
    masks = np.abs(masks)
    assert set(score(masks, masks).values()) == {1}
    found = score(masks, (masks + 1) % 3)
    assert found["dice"] == found["mean_iou"] == found["pixel_accuracy"] == 0
    assert found["mask_mcc"] < 0


def test_very_many_pixels_do_not_overflow():
    counts = np.array([[[6, 1], [2, 1]]]) * 10**15
    expected = score_masks(counts // 10**15)
    for name, value in score_masks(counts).items():
        assert value == pytest.approx(expected[name], rel=1e-12), name


@pytest.mark.parametrize(
    ("masks", "predictions", "sentence"),
    [
        (
            (2, 3, 3),
            (2, 3, 4),
            r"must have one shape .* Received: masks",
        ),
        ((3, 3), (3, 3), r"must have one shape \(num_images, height, width\)"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, predictions, sentence):
    with pytest.raises(ValueError, match=sentence):
        count_masks(np.zeros(masks, int), np.zeros(predictions, int), 2)


def test_a_minus_one_in_uint8_is_refused():
    masks = np.full((1, 2, 2), -1).astype("uint8")
    with pytest.raises(ValueError, match="Was -1 written into a uint8"):
        count_masks(masks, np.zeros((1, 2, 2), int), 3)
