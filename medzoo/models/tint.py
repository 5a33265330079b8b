"""Random changes of what pixels hold, not of where they lie.

All layers take and give values in [-1, 1], as the stem of a model does.
"""

import math
from typing import Any

from keras import layers, ops, random

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
        **kwargs: Arguments of `keras.layers.Layer`.
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
        **kwargs: Arguments of `keras.layers.Layer`.
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
        **kwargs: Arguments of `keras.layers.Layer`.

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
