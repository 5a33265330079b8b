"""The loss of a mask and a label, and ways to weigh them."""

import keras
import numpy as np
import pytest
from keras import ops

from medzoo.losses.classification import build_loss
from medzoo.losses.segmentation import MaskLoss
from medzoo.losses.weighting import (
    DynamicWeightAverage,
    FixedWeights,
    HeadsLoss,
    TaskModel,
    Uncertainty,
)


def make_loss(mask="dice+cross_entropy", label="cross_entropy", **weights):
    return HeadsLoss(MaskLoss(mask, 3), build_loss(label), **weights)


def make_batch(num=4, seed=0):
    random = np.random.default_rng(seed)
    labels = {
        "mask": random.integers(0, 3, (num, 6, 6)).astype("int32"),
        "label": random.integers(0, 2, num).astype("int32"),
    }
    logits = {
        "mask": random.normal(size=(num, 6, 6, 3)).astype("float32"),
        "label": random.normal(size=(num, 2)).astype("float32"),
    }
    return labels, logits


def test_it_is_the_weighted_mean_of_both():
    loss = make_loss(mask_weight=2.0, label_weight=0.001)
    labels, logits = make_batch()
    mask = float(loss.mask_loss(labels["mask"], logits["mask"]))
    label = float(loss.label_loss(labels["label"], logits["label"]))
    assert float(loss(labels, logits)) == pytest.approx(
        (2 * mask + 0.001 * label) / 2.001, rel=1e-6
    )


@pytest.mark.parametrize("key", ["mask", "label"])
@pytest.mark.parametrize("label", ["cross_entropy", "soft_f1"])
def test_what_is_unlabelled_changes_nothing(key, label):
    loss = make_loss(label=label)
    labels, logits = make_batch()
    labels[key][2:] = -1
    before = float(loss(labels, logits))
    logits[key][2:] = 77.0
    assert float(loss(labels, logits)) == before
    kept = {name: values[:2] for name, values in labels.items()}
    of_kept = loss.by_task(kept, {k: v[:2] for k, v in logits.items()})[0]
    index = ("mask", "label").index(key)
    found = loss.by_task(labels, logits)[0]
    assert float(found[index]) == pytest.approx(float(of_kept[index]))


@pytest.mark.parametrize("key", ["mask", "label"])
def test_a_batch_without_a_head_leaves_the_other_as_it_is(key):
    loss = make_loss(mask_weight=3.0)
    labels, logits = make_batch()
    values, present = loss.by_task(labels, logits)
    assert ops.convert_to_numpy(present).tolist() == [1, 1]
    labels[key][:] = -1
    index = ("mask", "label").index(key)
    rest = (3.0, 1.0)[1 - index] / 4 * float(values[1 - index])
    assert float(loss(labels, logits)) == pytest.approx(rest, rel=1e-6)
    present = ops.convert_to_numpy(loss.by_task(labels, logits)[1])
    assert present[index] == 0


def test_it_is_saved_and_read_again():
    loss = make_loss(mask_weight=2.0)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    labels, logits = make_batch()
    assert float(again(labels, logits)) == float(loss(labels, logits))


def make_net():
    images = keras.Input((6, 6, 1), name="images")
    outputs = {
        "mask": keras.layers.Conv2D(3, 1, name="mask")(images),
        "label": keras.layers.Dense(2, name="label")(
            keras.layers.Flatten()(images)
        ),
    }
    return keras.Model(images, outputs)


def train(objective, *, steps=1, **weights):
    keras.utils.set_random_seed(0)
    model = TaskModel(make_net(), objective)
    model.compile("sgd", make_loss(**weights), jit_compile=False)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    labels, _ = make_batch()
    images = np.random.default_rng(1).normal(size=(4, 6, 6, 1))
    for _ in range(steps):
        model.train_on_batch(images, labels)
    after = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    pairs = zip(model.trainable_weights, before, after, strict=True)
    return {w.path: not np.array_equal(old, new) for w, old, new in pairs}


@pytest.mark.parametrize(
    ("weights", "changed"),
    [
        ({}, {"mask", "label"}),
        ({"label_weight": 0.0}, {"mask"}),
        ({"mask_weight": 0.0}, {"label"}),
    ],
)
def test_a_head_without_weight_is_not_trained(weights, changed):
    found = train(FixedWeights(), **weights)
    assert {path.split("/")[0] for path, moved in found.items() if moved} == (
        changed
    )


@pytest.mark.parametrize(
    "objective",
    [lambda: Uncertainty(2), lambda: DynamicWeightAverage(2, period=2)],
)
def test_both_heads_are_weighed_as_tasks_are(objective):
    assert all(train(objective(), steps=5).values())
