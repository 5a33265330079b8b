"""The multi-task U-Net as people write it without medzoo, for `fit`.

The same layers in the same order as `medzoo/models/unet.py` has by default, so
that both have the same weights and the same work to do, with Keras's own layers
and losses alone.
"""

from typing import Any

import keras
from keras import layers


def conv_block(x: Any, filters: int) -> Any:
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
    return x


def build_unet(
    input_shape: tuple[int, ...],
    num_mask_classes: int,
    num_classes: int,
    filters: int,
) -> keras.Model:
    inputs = keras.Input(input_shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    skips = []
    for level in range(4):
        x = conv_block(x, filters * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = conv_block(x, filters * 16)
    x = layers.SpatialDropout2D(0.2)(x)
    pooled = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    )
    for level in reversed(range(4)):
        x = layers.UpSampling2D()(x)
        x = layers.Concatenate()([x, skips[level]])
        x = conv_block(x, filters * 2**level)
    mask = layers.Conv2D(num_mask_classes, 1, name="mask")(x)
    label = layers.Dense(num_classes, name="label")(pooled)
    return keras.Model(inputs, {"mask": mask, "label": label})


def compile_unet(model: keras.Model, **options: Any) -> None:
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss={
            head: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            for head in ("mask", "label")
        },
        **options,
    )
