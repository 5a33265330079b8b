"""Batch normalisation in training by one operation of TensorFlow.

Keras 3 puts it together from moments, products and sums, whose passes over the
activations take a narrow convolution network longer than its convolutions.
"""

import types
from typing import Any

import tensorflow as tf
from keras import Model, layers

from medzoo.models.layers import list_normalisations

# The operation replaces a smaller one.
_LEAST_EPSILON = 1.001e-5


def fuse_normalisations(model: Model) -> None:
    """Lets layers of batch normalisation use the fused operation.

    It gives the same numbers but for the rounding of sums. Weights, names and
    configurations stay, so that a saved model has layers of Keras alone. What
    the operation cannot do (other axes, no scale or shift, renormalisation,
    statistics of several devices) stays as it is, and so does inference.
    """
    for layer in list_normalisations(model):
        if (
            type(layer) is layers.BatchNormalization
            and layer.scale
            and layer.center
            and not layer.renorm
            and not layer.synchronized
            and layer.epsilon >= _LEAST_EPSILON
        ):
            layer.call = types.MethodType(_call, layer)


def _call(
    layer: layers.BatchNormalization,
    inputs: Any,
    training: bool | None = None,
    mask: Any = None,
) -> Any:
    channels_last = layer.axis in (-1, len(inputs.shape) - 1)
    is_image = len(inputs.shape) == 4 and channels_last and mask is None
    if not (training and layer.trainable and is_image):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    inputs = tf.cast(inputs, "float32")
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs, layer.gamma, layer.beta, epsilon=layer.epsilon
    )
    # Its variance is that of a sample; the running one is of the batch itself.
    count = tf.cast(tf.size(inputs) // inputs.shape[-1], "float32")
    variance *= (count - 1) / count
    for moving, value in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance),
    ):
        kept = moving * layer.momentum
        moving.assign(kept + value * (1.0 - layer.momentum))
    return tf.cast(outputs, layer.compute_dtype)
