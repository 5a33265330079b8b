"""A small residual network for images of any size."""

import math

from keras import KerasTensor, Model, layers, ops

from medzoo.models.layers import (
    MeanLogits,
    images_input,
    logits_head,
    residual_block,
)
from medzoo.models.options import SKIP_CNN_OPTIONS, STEMS, check_options


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    width: int = 24,
    activation: str = "relu",
    augmentation: str = "none",
    dropout: float = 0.2,
    stages: int = 3,
    blocks: int = 1,
    members: int = 1,
    stem: str = "deep",
    block_type: str = "plain",
    squeeze_excite: bool = True,
) -> Model:
    """Builds a convolution network with skips and adaptive pooling.

    A stem, then stages of residual blocks; each stage after the first halves
    the resolution and doubles the channels. Global average and maximum pooling
    make the features, so that any input size works.

    Args:
        num_classes: Number of logits.
        input_shape: `(height, width, channels)`.
        width: Channels of the first stage.
        activation: Activation of the hidden layers.
        augmentation: A preset of `medzoo.models.augmentation`.
        dropout: Share of the features dropped in training.
        stages: Number of resolutions after the stem.
        blocks: Residual blocks a stage.
        members: Networks that are trained side by side; their logits are
            averaged.
        stem: `full`, a 3x3 convolution at the resolution of the images;
            `strided`, the same at half of it, which takes about a quarter of
            the operations of the whole net; `pooled`, the first and then
            maximum pooling, little more; `deep`, two such convolutions, the
            first of half of the channels, before the pooling (after He et al.
            2019, ResNet-C), two fifths; `patch`, 4x4 patches side by side, a
            thirteenth.
        block_type: As for `residual_block`: `plain`, `separable` or
            `bottleneck`.
        squeeze_excite: Whether blocks scale their channels (Hu et al. 2018).

    Returns:
        A model from `uint8` images to logits `(batch, num_classes)`.

    Example:

    >>> build(2, input_shape=(28, 28, 1), width=8).output_shape
    (None, 2)
    """
    check_options(SKIP_CNN_OPTIONS, {"stem": stem, "block_type": block_type})
    inputs, x = images_input(input_shape, augmentation)
    logits = []
    for member in range(1, members + 1):
        prefix = f"member{member}_" if members > 1 else ""
        features = _build_features(
            x,
            width,
            activation=activation,
            stages=stages,
            blocks=blocks,
            prefix=prefix,
            stem=stem,
            block_type=block_type,
            squeeze_excite=squeeze_excite,
        )
        logits.append(
            logits_head(features, num_classes, dropout=dropout, prefix=prefix)
        )
    outputs = logits[0]
    if members > 1:
        outputs = MeanLogits(dtype="float32", name="members")(
            ops.stack(logits, axis=1)
        )
    return Model(inputs, outputs, name="skip_cnn")


def _build_features(
    x: KerasTensor,
    width: int,
    *,
    activation: str,
    stages: int,
    blocks: int,
    prefix: str,
    stem: str,
    block_type: str,
    squeeze_excite: bool,
) -> KerasTensor:
    shares, side, stride, pool = STEMS[stem]
    for part, share in enumerate(shares, 1):
        suffix = f"_{part}" if len(shares) > 1 else ""
        x = layers.Conv2D(
            math.ceil(share * width),
            side,
            strides=stride,
            padding="same",
            use_bias=False,
            name=f"{prefix}stem_conv{suffix}",
        )(x)
        x = layers.BatchNormalization(
            momentum=0.9, name=f"{prefix}stem_norm{suffix}"
        )(x)
        x = layers.Activation(activation, name=f"{prefix}stem_act{suffix}")(x)
    if pool > 1:
        x = layers.MaxPooling2D(
            pool, padding="same", name=f"{prefix}stem_pool"
        )(x)
    for stage in range(stages):
        for block in range(blocks):
            x = residual_block(
                x,
                width * 2**stage,
                stride=2 if stage and not block else 1,
                activation=activation,
                block_type=block_type,
                squeeze_excite=squeeze_excite,
                name=f"{prefix}stage{stage + 1}_block{block + 1}",
            )
    return layers.Concatenate(name=f"{prefix}features")(
        [
            layers.GlobalAveragePooling2D(name=f"{prefix}average_pool")(x),
            layers.GlobalMaxPooling2D(name=f"{prefix}max_pool")(x),
        ]
    )
