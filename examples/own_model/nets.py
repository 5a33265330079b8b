"""A network, a loss and a score that are not in the zoo."""

import keras
import numpy as np
from keras import layers, ops

import medzoo


def fire(x, width, squeeze):
    """Squeezes channels, and expands them by 1x1 and 3x3 side by side."""
    narrow = max(1, round(squeeze * width))
    x = layers.Conv2D(narrow, 1, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    sides = [
        layers.Conv2D(width // 2, side, padding="same", use_bias=False)(x)
        for side in (1, 3)
    ]
    x = layers.BatchNormalization(momentum=0.9)(layers.Concatenate()(sides))
    return layers.ReLU()(x)


@medzoo.register_model(width=32)
def fire_net(num_classes, *, input_shape, width, squeeze: float = 0.25):
    """Builds blocks of SqueezeNet (Iandola et al., 2016, arXiv 1602.07360)."""
    inputs = keras.Input(input_shape, dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for stage in (1, 2, 4):
        x = layers.MaxPooling2D(2)(x)
        x = fire(x, stage * width, squeeze)
        x = layers.Add()([x, fire(x, stage * width, squeeze)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x))


@medzoo.register_loss
def tversky_loss(labels, logits, misses: float = 0.7):
    """Averages one minus the Tversky index of the classes of a batch.

    Misses weigh `misses`, false alarms the rest (Salehi et al., 2017, arXiv
    1706.05721).
    """
    truth = ops.one_hot(labels, logits.shape[-1])
    labelled = ops.sum(truth, axis=-1, keepdims=True)
    found = ops.softmax(logits) * labelled
    hits = ops.sum(truth * found, axis=0)
    missed = ops.sum(truth * (1 - found), axis=0)
    alarms = ops.sum((1 - truth) * found, axis=0)
    index = hits / (hits + misses * missed + (1 - misses) * alarms + 1e-6)
    present = ops.cast(ops.sum(truth, axis=0) > 0, index.dtype)
    classes = ops.maximum(ops.sum(present), 1.0)
    return ops.sum(present * (1 - index)) / classes


@medzoo.register_score(label="sensitivity")
def sensitivity(probabilities, labels):
    """Returns the share of malignant images, class 0, that are found."""
    malignant = labels == 0
    if not malignant.any():
        return None
    return float(np.mean(probabilities[malignant].argmax(axis=1) == 0))
