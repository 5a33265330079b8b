"""A plugin of every kind, a module beside it, and a study of them."""

NETS = '''
"""Nets."""
import keras
from keras import layers, ops

import medzoo
import parts

SLOPE = 0.1


@medzoo.register_model(width=4)
def tiny(num_classes, *, input_shape, width, squeeze: float = 0.5):
    """A docstring."""
    inputs = keras.Input(input_shape, dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = parts.mix(x, int(width * squeeze))
    x = layers.LeakyReLU(SLOPE)(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x))


@medzoo.register_loss
def hinge(labels, logits, margin: float = 1.0):
    truth = 2 * ops.one_hot(labels, logits.shape[-1]) - 1
    return ops.mean(ops.relu(margin - truth * logits), axis=-1)


@medzoo.register_optimizer(learning_rate=0.02)
def plain(learning_rate, weight_decay):
    return keras.optimizers.SGD(learning_rate, momentum=0.5)


@medzoo.register_schedule
def halved(step, steps):
    return 1.0 if step < steps / 2 else 0.5


@medzoo.register_activation
def bent(x):
    return x + ops.relu(x)


@medzoo.register_augmentation
def darker():
    return layers.RandomBrightness(0.1, value_range=(-1, 1))


@medzoo.register_score(label="hit rate")
def hit_rate(probabilities, labels):
    return float((probabilities.argmax(1) == labels).mean())
'''
PARTS = """
from keras import layers


def mix(x, units):
    x = layers.AveragePooling2D(7)(x)
    return layers.Dense(units)(layers.Flatten()(x))
"""
STUDY = """
question = "Which is better?"
plugins = ["nets.py"]
tasks = ["breastmnist"]
seeds = [0]
data = "synthetic"
score = "hit_rate"

[fixed]
steps = 2
max_images = 32

[[trials]]
name = "own"
model = "tiny"
squeeze = 1.0
loss = "hinge"
margin = 0.5
optimizer = "plain"
schedule = "halved"

[[trials]]
name = "zoo"
model = "mlp"
width = 4
activation = "bent"
augmentation = "darker"
"""
