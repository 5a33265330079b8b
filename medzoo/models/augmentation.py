"""Augmentation presets, each one layer that acts in training alone."""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops, random


class RandomWarp(layers.Layer):
    """Resamples each image at randomly moved coordinates.

    With `u` the place of an output pixel, from the middle of the image, the
    input is read at `S R F u + t`: `F` flips, `R` turns, `S` scales each axis
    and `t` shifts. Between pixels it is bilinear; what lies outside of the
    image is reflected.

    Args:
        flips: Axes that are flipped in half of the images: `""`,
            `"horizontal"` or `"horizontal_and_vertical"`.
        rotation: Largest angle, as a share of a full turn.
        translation: Largest shift, as a share of each side.
        zoom: Largest relative change of scale, larger or smaller.
        crop: Smallest share of the area that is kept and resized, 0 to 1; the
            place of the crop is uniform.
        aspect: Largest ratio by which the crop changes height to width.

    Example:

    >>> images = ops.reshape(ops.arange(4.0), (1, 2, 2, 1))
    >>> bool(ops.all(RandomWarp()(images) == images))
    True
    """

    def __init__(
        self,
        *,
        flips: str = "",
        rotation: float = 0.0,
        translation: float = 0.0,
        zoom: float = 0.0,
        crop: float = 1.0,
        aspect: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flips = flips
        self.rotation = rotation
        self.translation = translation
        self.zoom = zoom
        self.crop = crop
        self.aspect = aspect
        self.seed_generator = random.SeedGenerator()

    def call(self, images: Any) -> Any:
        transforms = self.draw(ops.shape(images)[0], *images.shape[1:3])
        return ops.image.affine_transform(
            images,
            ops.cast(transforms, images.dtype),
            fill_mode="reflect",
            data_format="channels_last",
        )

    def draw(self, num_images: Any, height: int, width: int) -> Any:
        """Draws one map from output to input pixels an image.

        Returns:
            Shape `(num_images, 8)`, as `keras.ops.image.affine_transform` has
            it: x, then y, as a linear function of x, y and 1.
        """
        draws = random.uniform(
            (10, num_images), -1.0, 1.0, seed=self.seed_generator
        )
        angle, zoom, area, aspect, *moves, flip_x, flip_y = ops.unstack(draws)
        angle = 2 * math.pi * self.rotation * angle
        cos, sin = ops.cos(angle), ops.sin(angle)
        flip_x = _sign(flip_x) if "horizontal" in self.flips else 1.0
        flip_y = _sign(flip_y) if "vertical" in self.flips else 1.0
        side = ops.sqrt(1 - (1 - self.crop) * (area + 1) / 2)
        stretch = ops.exp(aspect * math.log(self.aspect) / 2)
        scale = 1 + self.zoom * zoom
        rows = []
        for axis, (length, share, matrix) in enumerate(
            (
                (width, side * stretch, (cos * flip_x, -sin * flip_y)),
                (height, side / stretch, (sin * flip_x, cos * flip_y)),
            )
        ):
            share = ops.minimum(share, 1.0)
            shift = self.translation * moves[axis]
            shift += (1 - share) / 2 * moves[axis + 2]
            to_x, to_y = (share * scale * value for value in matrix)
            # From the middle of the image to its first pixel.
            start = length * shift + (length - 1) / 2
            start -= to_x * (width - 1) / 2 + to_y * (height - 1) / 2
            rows += [to_x, to_y, start]
        none = ops.zeros_like(angle)
        return ops.stack([*rows, none, none], axis=-1)


def _sign(values: Any) -> Any:
    return ops.where(values < 0, -1.0, 1.0)


# From RGB to luma and two axes of chroma (YIQ, NTSC 1953), and back. A turn of
# the chroma is a change of hue, its length is the saturation.
_TO_YIQ = (
    (0.299, 0.587, 0.114),
    (0.595716, -0.274453, -0.321263),
    (0.211456, -0.522591, 0.311135),
)
_TO_RGB = (
    (1.0, 0.956296, 0.621024),
    (1.0, -0.272122, -0.647380),
    (1.0, -1.106989, 1.704615),
)


class RandomTint(layers.Layer):
    """Changes brightness, contrast, saturation and hue of each image.

    `c (M x - mean) + mean + b` for each pixel `x`: `M` changes saturation and
    hue and is the identity for grey images, `c` is the contrast about the mean
    of the image, `b` the brightness. All of it is one matrix product.

    Args:
        brightness: Largest change, as a share of the range of values.
        contrast: Largest relative change of contrast.
        saturation: Largest relative change of saturation.
        hue: Largest turn of the hue, as a share of the circle.
    """

    def __init__(
        self,
        *,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.seed_generator = random.SeedGenerator()

    def call(self, images: Any) -> Any:
        draws = random.uniform(
            (4, ops.shape(images)[0], 1, 1),
            -1.0,
            1.0,
            seed=self.seed_generator,
            dtype=images.dtype,
        )
        brightness, contrast, saturation, hue = ops.unstack(draws)
        flat = ops.reshape(images, (-1, *_flat(images.shape[1:])))
        if images.shape[-1] == 3:
            flat = ops.matmul(flat, self._colours(saturation, hue))
        mean = ops.mean(flat, axis=(1, 2), keepdims=True)
        flat = (1 + self.contrast * contrast) * (flat - mean) + mean
        flat = ops.clip(flat + 2 * self.brightness * brightness, -1.0, 1.0)
        return ops.reshape(flat, ops.shape(images))

    def _colours(self, saturation: Any, hue: Any) -> Any:
        """Returns `M` transposed, shape `(batch, 3, 3)`."""
        length = 1 + self.saturation * saturation
        angle = 2 * math.pi * self.hue * hue
        cos, sin = length * ops.cos(angle), length * ops.sin(angle)
        one, none = ops.ones_like(cos), ops.zeros_like(cos)
        rows = [[one, none, none], [none, cos, -sin], [none, sin, cos]]
        turn = ops.concatenate(
            [ops.concatenate(row, axis=-1) for row in rows], axis=-2
        )
        to_rgb, to_yiq = (
            ops.convert_to_tensor(matrix, dtype=turn.dtype)
            for matrix in (_TO_RGB, _TO_YIQ)
        )
        whole = ops.matmul(ops.matmul(to_rgb, turn), to_yiq)
        return ops.transpose(whole, (0, 2, 1))


class RandomFocus(layers.Layer):
    """Blurs or sharpens each image.

    `x + a (x - blurred)` with a Gaussian blur of 3x3 (1-2-1 both ways, a
    standard deviation of 0.7 pixels): `a = -1` is the blurred image, and above
    0 edges are sharper.

    Args:
        blur: Largest share of the blurred image, 0 to 1.
        sharpness: Largest `a`.
    """

    def __init__(
        self, *, blur: float = 0.0, sharpness: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.blur = blur
        self.sharpness = sharpness
        self.seed_generator = random.SeedGenerator()

    def call(self, images: Any) -> Any:
        amount = random.uniform(
            (ops.shape(images)[0], 1, 1, 1),
            -self.blur,
            self.sharpness,
            seed=self.seed_generator,
            dtype=images.dtype,
        )
        sides = ((0, 0), (1, 1), (1, 1), (0, 0))
        x = ops.pad(images, sides, mode="symmetric")
        x = (x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]) / 4
        x = (x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]) / 4
        return ops.clip(images + amount * (images - x), -1.0, 1.0)


class RandomCutout(layers.Layer):
    """Paints a rectangle of each image grey.

    Args:
        side: Largest height and width, as a share of the image's; the middle
            lies anywhere, so that parts of a rectangle may fall outside.

    Reference:
        [DeVries and Taylor, 2017](https://arxiv.org/abs/1708.04552).
    """

    def __init__(self, *, side: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side = side
        self.seed_generator = random.SeedGenerator()

    def call(self, images: Any) -> Any:
        draws = random.uniform(
            (4, ops.shape(images)[0], 1), seed=self.seed_generator
        )
        middle_y, middle_x, *sides = ops.unstack(draws)
        inside = []
        for axis, middle in enumerate((middle_y, middle_x)):
            length = images.shape[axis + 1]
            places = (ops.arange(length, dtype=draws.dtype) + 0.5) / length
            near = self.side * sides[axis] / 2
            inside.append(ops.abs(places - middle) < near)
        rows, columns = inside
        hidden = ops.logical_and(rows[:, :, None], columns[:, None, :])
        return ops.where(hidden[..., None], 0.0, images)


def _flat(shape: tuple[int, int, int]) -> tuple[int, int]:
    height, width, channels = shape
    return height * width, channels


# How each preset moves an image, as arguments of `RandomWarp`: an image and its
# mask are moved by that layer, before both come to the model.
_WARP = {
    "flips": "horizontal",
    "rotation": 0.05,
    "translation": 0.1,
    "zoom": 0.1,
}
_TINT = {"brightness": 0.1, "contrast": 0.2, "saturation": 0.2, "hue": 0.02}
_CROP = {"translation": 0.05, "crop": 0.6, "aspect": 4 / 3}
GEOMETRY: dict[str, dict[str, Any]] = {
    "flips": {"flips": "horizontal_and_vertical"},
    "light": {"translation": 0.08, "rotation": 0.03},
    "warp": _WARP,
    "colour": _WARP,
    "strong": {**_CROP, "flips": "horizontal", "rotation": 0.05},
    "strong_any": {
        **_CROP,
        "flips": "horizontal_and_vertical",
        "rotation": 0.5,
    },
    "strong_fixed": {**_CROP, "rotation": 0.05},
}


@functools.cache
def make_warp(preset: str) -> RandomWarp | None:
    """Makes the layer that moves pixels for a preset; `None` if none does."""
    return RandomWarp(**GEOMETRY[preset]) if preset in GEOMETRY else None


def _strong(preset: str) -> list[layers.Layer]:
    return [
        RandomWarp(**GEOMETRY[preset]),
        RandomTint(**_TINT),
        RandomFocus(blur=0.8, sharpness=0.8),
        RandomCutout(side=0.4),
    ]


def _by_keras(translation: float, rotation: float) -> list[layers.Layer]:
    return [
        layers.RandomTranslation(translation, translation, fill_mode="reflect"),
        layers.RandomRotation(rotation, fill_mode="reflect"),
    ]


# What holds for every task at 28 pixels: organs and cells stay what they are
# when moved a little. Only `flips` and `strong_any` exchange top and bottom,
# `strong_any` turns images by any angle, and `strong_fixed` does not even
# exchange left and right.
AUGMENTATIONS: dict[str, Callable[[], list[layers.Layer]]] = {
    "none": list,
    "flips": lambda: [layers.RandomFlip(GEOMETRY["flips"]["flips"])],
    "light": lambda: _by_keras(**GEOMETRY["light"]),
    "warp": lambda: [RandomWarp(**GEOMETRY["warp"])],
    "colour": lambda: [
        RandomWarp(**GEOMETRY["colour"]),
        RandomTint(**_TINT),
    ],
    "strong": lambda: _strong("strong"),
    "strong_any": lambda: _strong("strong_any"),
    "strong_fixed": lambda: _strong("strong_fixed"),
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
