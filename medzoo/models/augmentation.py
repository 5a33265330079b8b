"""Presets of augmentation, as one layer that acts in training alone."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

# What holds for every task at 28 pixels: organs and cells stay what they are
# when moved a little. Only `flips` exchanges top and bottom.
AUGMENTATIONS: dict[str, Callable[[], list[layers.Layer]]] = {
    "none": list,
    "flips": lambda: [layers.RandomFlip("horizontal_and_vertical")],
    "light": lambda: [
        layers.RandomTranslation(0.08, 0.08, fill_mode="reflect"),
        layers.RandomRotation(0.03, fill_mode="reflect"),
    ],
    "standard": lambda: [
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
        layers.RandomRotation(0.05, fill_mode="reflect"),
        layers.RandomZoom(0.1, fill_mode="reflect"),
    ],
}


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
        self.layers = AUGMENTATIONS[preset]()

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
