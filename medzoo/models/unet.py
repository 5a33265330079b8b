"""A U-Net with two heads: a mask, and a class for the image."""

import math

from keras import KerasTensor, Model, layers

from medzoo.models.augmentation import PixelAugmentation
from medzoo.models.layers import images_input, logits_head
from medzoo.models.options import (
    NUM_MASK_CLASSES,
    UNET_OPTIONS,
    check_options,
    find_border,
)


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    width: int = 16,
    activation: str = "relu",
    augmentation: str = "none",
    num_mask_classes: int = 3,
    levels: int = 4,
    dropout: float = 0.2,
    norm: str = "batch",
    upsample: str = "nearest",
    pad: bool = True,
) -> Model:
    """Builds an encoder and a decoder that are joined at every resolution.

    Each level is two 3x3 convolutions, halves the resolution and doubles the
    channels; the bottleneck below has `2**levels * width` of them. The mask is
    decoded from there, and each level of the decoder also sees what the encoder
    had at its resolution. The label is read off the bottleneck, by average and
    maximum pooling.

    With a width of 64 it is the multi-task U-Net of 31.4M parameters that
    people start from (encoder 64-128-256-512, bottleneck 1024), but for its
    biases before batch norm, which do nothing, and for maximum pooling.

    Args:
        num_classes: Number of logits of the image.
        input_shape: `(height, width, channels)`.
        width: Channels of the first level.
        activation: Activation of the hidden layers.
        augmentation: A preset of `medzoo.models.augmentation`. Only what it
            does to the values of pixels is done in the model: what moves them
            has to move the mask as well, before both come here.
        num_mask_classes: Number of logits of a pixel.
        levels: How often the resolution is halved.
        dropout: Share of the channels of the bottleneck dropped in training.
        norm: Follows each convolution: `batch`, `group` (of 8 groups, for small
            batches) or `none`.
        upsample: How the decoder doubles the resolution: `nearest` or
            `bilinear` repeat or mix pixels, `transposed` learns to, and halves
            the channels.
        pad: Whether an image whose sides do not halve evenly gets a grey border
            inside the model, which its mask does not have.

    Returns:
        A model from `uint8` images to a dictionary of logits: `mask`, shape
        `(batch, height, width, num_mask_classes)`, and `label`, shape `(batch,
        num_classes)`.

    Raises:
        ValueError: For a wrong value of an option, and without `pad` for a size
            that does not halve evenly.

    Example:

    >>> model = build(2, input_shape=(28, 28, 1), width=4, levels=2)
    >>> model.output["mask"].shape, model.output["label"].shape
    ((None, 28, 28, 3), (None, 2))

    Reference:

    - [Ronneberger et al., 2015](https://arxiv.org/abs/1505.04597), U-Net.
    """
    check_options(
        {**UNET_OPTIONS, "num_mask_classes": NUM_MASK_CLASSES},
        {
            "num_mask_classes": num_mask_classes,
            "levels": levels,
            "dropout": dropout,
            "norm": norm,
            "upsample": upsample,
        },
    )
    border = _find_border(input_shape, levels, pad)
    inputs, x = images_input(input_shape, "none")
    if augmentation != "none":
        x = PixelAugmentation(
            augmentation, dtype="float32", name="augmentation"
        )(x)
    if border:
        x = layers.ZeroPadding2D(border, name="pad")(x)
    style = {"activation": activation, "norm": norm}
    skips = []
    for level in range(1, levels + 1):
        x = _level(x, width * 2 ** (level - 1), name=f"encode{level}", **style)
        skips.append(x)
        x = layers.MaxPooling2D(name=f"encode{level}_pool")(x)
    x = _level(x, width * 2**levels, name="bottleneck", **style)
    if dropout:
        x = layers.SpatialDropout2D(dropout, name="bottleneck_dropout")(x)
    features = [
        layers.GlobalAveragePooling2D(name="average_pool")(x),
        layers.GlobalMaxPooling2D(name="max_pool")(x),
    ]
    for level in range(levels, 0, -1):
        channels = width * 2 ** (level - 1)
        x = _double(x, channels, upsample, name=f"decode{level}_up")
        x = layers.Concatenate(name=f"decode{level}_join")([x, skips.pop()])
        x = _level(x, channels, name=f"decode{level}", **style)
    if border:
        x = layers.Cropping2D(border, name="crop")(x)
    outputs = {
        "mask": layers.Conv2D(
            num_mask_classes, 1, dtype="float32", name="mask"
        )(x),
        "label": logits_head(
            layers.Concatenate(name="features")(features), num_classes
        ),
    }
    return Model(inputs, outputs, name="unet")


def _level(
    x: KerasTensor, channels: int, *, activation: str, norm: str, name: str
) -> KerasTensor:
    """Applies two 3x3 convolutions."""
    for part in ("a", "b"):
        x = layers.Conv2D(
            channels,
            3,
            padding="same",
            use_bias=norm == "none",
            kernel_initializer="he_normal",
            name=f"{name}_conv_{part}",
        )(x)
        if norm == "batch":
            x = layers.BatchNormalization(
                momentum=0.9, name=f"{name}_norm_{part}"
            )(x)
        elif norm == "group":
            x = layers.GroupNormalization(
                math.gcd(channels, 8), name=f"{name}_norm_{part}"
            )(x)
        x = layers.Activation(activation, name=f"{name}_act_{part}")(x)
    return x


def _double(
    x: KerasTensor, channels: int, upsample: str, *, name: str
) -> KerasTensor:
    if upsample == "transposed":
        return layers.Conv2DTranspose(channels, 2, strides=2, name=name)(x)
    return layers.UpSampling2D(interpolation=upsample, name=name)(x)


def _find_border(
    input_shape: tuple[int, int, int], levels: int, pad: bool
) -> list[tuple[int, int]]:
    """Returns the border of height and width; nothing if there is none."""
    border = [find_border(side, levels) for side in input_shape[:2]]
    if not any(map(any, border)):
        return []
    if not pad:
        raise ValueError(
            f"`unet` with {levels} levels needs a height and width divisible "
            f"by {2**levels}. Received: input_shape={input_shape}. Use fewer "
            "levels, another size, or pad=True."
        )
    return border
