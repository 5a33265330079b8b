"""Presets of augmentation, as one layer that acts in training alone."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from medzoo.models.tint import RandomCutout, RandomFocus, RandomTint
from medzoo.models.warp import RandomWarp


def _strong(**geometry: Any) -> list[layers.Layer]:
    warp = {"translation": 0.05, "crop": 0.6, "aspect": 4 / 3}
    return [
        RandomWarp(**{**warp, **geometry}),
        RandomTint(brightness=0.1, contrast=0.2, saturation=0.2, hue=0.02),
        RandomFocus(blur=0.8, sharpness=0.8),
        RandomCutout(side=0.4),
    ]


# What holds for every task at 28 pixels: organs and cells stay what they are
# when moved a little. Only `flips` and `strong_any` exchange top and bottom,
# `strong_any` turns images by any angle, and `strong_fixed` does not even
# exchange left and right.
AUGMENTATIONS: dict[str, Callable[[], list[layers.Layer]]] = {
    "none": list,
    "flips": lambda: [layers.RandomFlip("horizontal_and_vertical")],
    "light": lambda: [
        layers.RandomTranslation(0.08, 0.08, fill_mode="reflect"),
        layers.RandomRotation(0.03, fill_mode="reflect"),
    ],
    "warp": lambda: [
        RandomWarp(
            flips="horizontal", rotation=0.05, translation=0.1, zoom=0.1
        ),
    ],
    "colour": lambda: [
        RandomWarp(
            flips="horizontal", rotation=0.05, translation=0.1, zoom=0.1
        ),
        RandomTint(brightness=0.1, contrast=0.2, saturation=0.2, hue=0.02),
    ],
    "strong": lambda: _strong(flips="horizontal", rotation=0.05),
    "strong_any": lambda: _strong(
        flips="horizontal_and_vertical", rotation=0.5
    ),
    "strong_fixed": lambda: _strong(rotation=0.05),
}

# What moves pixels, and has to move their mask as well where there is one.
MOVING = (
    RandomWarp,
    layers.RandomFlip,
    layers.RandomRotation,
    layers.RandomTranslation,
)


@keras.saving.register_keras_serializable(package="medzoo")
class Augmentation(layers.Layer):
    """Applies a preset of augmentation in training.

    Keras's own augmentation layers act by default, also in a plain
    `model(images)`; this one acts only where `training=True`.

    Args:
        preset: A name of `AUGMENTATIONS`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, preset: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.preset = preset
        self.layers = self.make_layers(preset)
        for layer in self.layers:
            layer.dtype_policy = self.dtype_policy
        if keras.backend.backend() == "jax":
            for layer in self.layers:
                # Keras says no of some, for XLA under TensorFlow.
                layer.supports_jit = True

    @staticmethod
    def make_layers(preset: str) -> list[layers.Layer]:
        """Makes the layers of a preset, in their order."""
        return AUGMENTATIONS[preset]()

    def build(self, input_shape: Any) -> None:
        for layer in self.layers:
            layer.build(input_shape)

    def call(self, images: Any, training: bool = False) -> Any:
        if training:
            for layer in self.layers:
                images = layer(images, training=True)
        return images

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "preset": self.preset}


@keras.saving.register_keras_serializable(package="medzoo")
class PixelAugmentation(Augmentation):
    """Applies a preset but for its layers that move pixels.

    Args:
        preset: A name of `AUGMENTATIONS`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> [type(layer).__name__ for layer in PixelAugmentation("colour").layers]
    ['RandomTint']
    """

    @staticmethod
    def make_layers(preset: str) -> list[layers.Layer]:
        return [
            layer
            for layer in AUGMENTATIONS[preset]()
            if not isinstance(layer, MOVING)
        ]
