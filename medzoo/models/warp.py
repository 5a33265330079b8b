"""Random flips, turns, shifts, zooms and crops as one resampling of an image.

Each of them is an affine map of coordinates, and so is all of them after one
another: the pixels are looked up once, which is several times faster than one
layer after the other, and blurs a small image once and not four times.
"""

import math
from typing import Any

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
        **kwargs: Arguments of `keras.layers.Layer`.

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
