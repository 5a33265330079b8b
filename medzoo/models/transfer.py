"""A head on a pretrained backbone, from raw images of any size."""

import random
from typing import Any

from keras import Input, KerasTensor, Model, layers, ops

from medzoo.models.backbones import get_backbone
from medzoo.models.layers import (
    MeanLogits,
    check_shape,
    images_input,
    logits_head,
)
from medzoo.models.options import (
    FLIPS,
    TRANSFER_OPTIONS,
    check_options,
    check_transfer,
)
from medzoo.models.pretrained import build_backbone, freeze_backbone


def build(
    num_classes: int,
    *,
    input_shape: tuple[int, ...],
    width: int = 128,
    activation: str = "relu",
    augmentation: str = "none",
    backbone: str = "mobilenet_025",
    weights: str = "imagenet",
    freeze: str = "all",
    taps: str = "three",
    head: str = "linear",
    dropout: float = 0.2,
    resize: int = 0,
    pool: str = "mean",
    views: str = "plain",
) -> Model:
    """Builds a backbone of `keras.applications` with a head for the task.

    Images are augmented, resized (bicubic), made RGB and scaled as the backbone
    knows them. What it makes of them is averaged over positions: the features.
    The head normalises them over the batch, since their scales differ by
    orders of magnitude, and ends in logits.

    Args:
        num_classes: Number of logits.
        input_shape: `(height, width, channels)`; or `(num_features,)` for the
            head alone, which then takes what `build_features` gives.
        width: Units of the hidden layer of the head `mlp`.
        activation: Activation of that layer.
        augmentation: A preset of `medzoo.models.augmentation`.
        backbone: A name of `BACKBONES`, or an address such as
            `keras:model.keras@layer`.
        weights: `imagenet`, `none` for random ones, or the path of a file that
            Keras saved for this backbone without its classifier.
        freeze: `all` freezes the backbone, statistics too; `none`; `bn` freezes
            the batch norms only; a number freezes so many blocks from the
            images on.
        taps: `last` for the end of the backbone, `three` for the ends of its
            last three resolutions, or names of layers joined by commas.
        head: `linear`, or `mlp` with one hidden layer.
        dropout: Share of the features dropped in training.
        resize: Height and width for the backbone; 0 for those of the image, or
            what the backbone needs at least.
        pool: `mean` over positions, or `mean_std` with the deviation beside it;
            of tokens also the first, `class`, and both, `class_mean`.
        views: `plain` for the image as it is; else the backbone sees its mirror
            images as well, each an image of its own in training, and their
            logits are averaged: `mirror` for left and right, `any` for top and
            bottom too, `fixed` for none.

    Returns:
        A model from `uint8` images to logits `(batch, num_classes)`.

    Raises:
        ValueError: For an option that the backbone does not have, or weights of
            another architecture.
        FileNotFoundError: If the weights are not there.

    Example:

    >>> model = build(2, input_shape=(28, 28, 1), weights="none")
    >>> len(model.trainable_weights), model.output_shape
    (2, (None, 2))
    """
    options = {
        "backbone": backbone,
        "freeze": freeze,
        "head": head,
        "dropout": dropout,
        "resize": resize,
        "pool": pool,
        "views": views,
    }
    check_options(TRANSFER_OPTIONS, options)
    check_transfer(options)
    # A seed gives a head the same weights with its backbone and without it.
    state = random.getstate()
    if len(input_shape) < 3:
        inputs = x = Input(input_shape, name="features")
    else:
        check_shape(input_shape)
        network = build_backbone(
            input_shape,
            backbone=backbone,
            weights=weights,
            taps=taps,
            resize=resize,
            pool=pool,
        )
        freeze_backbone(network, freeze, get_backbone(backbone).block)
        inputs, x = images_input(input_shape, augmentation)
        training = False if freeze == "all" else None
        x = _features_of_views(network, x, views, training=training)
    random.setstate(state)
    x = layers.BatchNormalization(
        momentum=0.9, center=False, scale=False, name="head_norm"
    )(x)
    if head == "mlp":
        if dropout:
            x = layers.Dropout(dropout, name="hidden_dropout")(x)
        x = layers.Dense(width, activation=activation, name="hidden")(x)
        dropout = 0.0
    logits = logits_head(x, num_classes, dropout=dropout)
    if views != "plain":
        logits = MeanLogits(dtype="float32", name="views")(logits)
    return Model(inputs, logits, name="transfer")


def build_features(
    input_shape: tuple[int, ...], *, views: str = "plain", **options: Any
) -> Model:
    """Builds the frozen part of a model, without its head.

    The arguments are those of `build`; `options` go to `build_backbone`.

    Returns:
        A model from `uint8` images to features `(batch, num_features)`, or
        `(batch, num_views, num_features)`.
    """
    network = build_backbone(input_shape, **options)
    inputs, x = images_input(input_shape, "none")
    x = _features_of_views(network, x, views, training=False)
    return Model(inputs, x, name="features")


def _features_of_views(
    network: Model, x: KerasTensor, views: str, *, training: bool | None
) -> KerasTensor:
    """Returns the features of an image, or of each of its views."""
    if views == "plain":
        return network(x, training=training)
    seen = [ops.flip(x, axes) if axes else x for axes in FLIPS[views]]
    features = [network(view, training=training) for view in seen]
    return ops.stack(features, axis=1)
