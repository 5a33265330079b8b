"""Corrupted images: how a camera, a file or a lens spoils them, by severity.

The kinds are those of MedMNIST-C, of which each task has its own, at five
severities. They act on `uint8` images at the size that the model takes, by
NumPy, SciPy and Pillow. Lengths shrink with the image: a blur that is plain at
224 pixels, of which the published scores are, is slight at 28.

Reference:
    [Di Salvo et al., 2024](https://arxiv.org/abs/2406.17536).
"""

import functools
import io
import string
import tomllib
import zlib
from collections.abc import Callable
from importlib import resources

import numpy as np
from PIL import Image, ImageDraw, ImageFont

NUM_SEVERITIES = 5
# The side of the images that lengths are given for.
_SIDE = 224

Corruption = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def list_kinds(task: str, channels: int) -> dict[str, tuple[float, ...]]:
    """Lists the kinds of corruption of a task with their five strengths.

    Args:
        task: One of the 11 tasks; other names have those of colour or of grey
            images.
        channels: 1 or 3.
    """
    otherwise = "colour" if channels == 3 else "grey"
    table = _read_table()
    return {
        kind: tuple(strengths)
        for kind, strengths in table.get(task, table[otherwise]).items()
    }


def corrupt(
    images: np.ndarray, kind: str, strength: float, *, seed: int = 0
) -> np.ndarray:
    """Corrupts images.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`.
        kind: A name of `KINDS`.
        strength: What its severity is in `list_kinds`.
        seed: Of noise, angles and places; each image draws its own.

    Returns:
        `uint8` images of the same shape.
    """
    random = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    changed = KINDS[kind](images, strength, random)
    return np.clip(np.rint(changed), 0, 255).astype("uint8")


@functools.cache
def _read_table() -> dict[str, dict[str, list[float]]]:
    text = resources.files("medzoo.data").joinpath("corruptions.toml")
    return tomllib.loads(text.read_text(encoding="utf-8"))


def _brightness(
    images: np.ndarray, factor: float, random: np.random.Generator
) -> np.ndarray:
    """Multiplies all values."""
    return images * factor


def _contrast(
    images: np.ndarray, factor: float, random: np.random.Generator
) -> np.ndarray:
    """Multiplies the distance of all values from the mean of their image."""
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * factor


def _gamma(
    images: np.ndarray, exponent: float, random: np.random.Generator
) -> np.ndarray:
    """Raises values between 0 and 1 to a power."""
    return 255 * (images / 255) ** exponent


def _pixelate(
    images: np.ndarray, share: float, random: np.random.Generator
) -> np.ndarray:
    """Averages boxes, so that a share of the pixels of a side is left."""
    height, width = images.shape[1:3]
    small = max(1, round(width * share)), max(1, round(height * share))

    def change(image: Image.Image) -> Image.Image:
        boxes = image.resize(small, Image.Resampling.BOX)
        return boxes.resize((width, height), Image.Resampling.NEAREST)

    return _each(change, images)


def _jpeg(
    images: np.ndarray, quality: float, random: np.random.Generator
) -> np.ndarray:
    """Writes each image as a JPEG of a quality, and reads it."""

    def change(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(quality))
        return Image.open(file)

    return _each(change, images)


def _gaussian_noise(
    images: np.ndarray, deviation: float, random: np.random.Generator
) -> np.ndarray:
    """Adds normal noise; `deviation` is a share of 255."""
    return images + 255 * random.normal(0, deviation, images.shape)


def _speckle_noise(
    images: np.ndarray, deviation: float, random: np.random.Generator
) -> np.ndarray:
    """Multiplies each value by one plus normal noise."""
    return images * (1 + random.normal(0, deviation, images.shape))


def _shot_noise(
    images: np.ndarray, photons: float, random: np.random.Generator
) -> np.ndarray:
    """Counts photons, of which a white pixel has this number on average."""
    return random.poisson(images / 255 * photons) / photons * 255


def _impulse_noise(
    images: np.ndarray, share: float, random: np.random.Generator
) -> np.ndarray:
    """Sets a share of the values to 0 or 255."""
    drawn = random.uniform(size=images.shape)
    changed = np.where(drawn < share / 2, 0, images)
    return np.where(drawn > 1 - share / 2, 255, changed)


def _gaussian_blur(
    images: np.ndarray, length: float, random: np.random.Generator
) -> np.ndarray:
    """Blurs by the normal kernel that OpenCV takes for this length."""
    from scipy import ndimage

    sigma = (0.3 * ((length - 1) / 2 - 1) + 0.8) * images.shape[1] / _SIDE
    return ndimage.gaussian_filter(images.astype(float), sigma, axes=(1, 2))


def _defocus(
    images: np.ndarray, radius: float, random: np.random.Generator
) -> np.ndarray:
    """Spreads each pixel over a disc."""
    radius *= images.shape[1] / _SIDE
    kernel = _draw_kernel(radius, lambda x, y: x**2 + y**2 <= radius**2)
    return _convolve(images, np.repeat(kernel[None], len(images), axis=0))


def _motion(
    images: np.ndarray, length: float, random: np.random.Generator
) -> np.ndarray:
    """Spreads each pixel over a line, at up to 45 degrees to the rows."""
    half = length * images.shape[1] / _SIDE

    def draw(angle: float) -> np.ndarray:
        cos, sin = np.cos(angle), np.sin(angle)
        return _draw_kernel(
            half,
            lambda x, y: (
                (np.abs(x * cos + y * sin) <= half)
                & (np.abs(y * cos - x * sin) <= 0.25)
            ),
        )

    angles = random.uniform(-np.pi / 4, np.pi / 4, len(images))
    return _convolve(images, np.stack([draw(angle) for angle in angles]))


def _bubbles(
    images: np.ndarray, radius: float, random: np.random.Generator
) -> np.ndarray:
    """Lays 7 to 15 half-transparent white discs over an image."""
    side = images.shape[1] / _SIDE
    rows, columns = np.indices(images.shape[1:3])
    changed = images.astype(float)
    for image in changed:
        for _ in range(random.integers(7, 16)):
            size = random.uniform(3, radius) * side
            row, column = random.uniform(0, 1, 2) * image.shape[:2]
            distance = np.hypot(rows - row, columns - column)
            # Coverage of a pixel, so that small discs are not lost.
            inside = np.clip(size - distance + 0.5, 0, 1)[..., None]
            edge = np.clip(size + 2 * side - distance + 0.5, 0, 1)[..., None]
            opacity = (100 * inside + 130 * (edge - inside)) / 255
            image += opacity * (255 - image)
    return changed


def _black_corner(
    images: np.ndarray, share: float, random: np.random.Generator
) -> np.ndarray:
    """Blackens what is outside of a disc, whose radius is a share of half."""
    height, width = images.shape[1:3]
    rows, columns = np.indices((height, width))
    distance = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2)
    inside = distance <= share * min(height, width) / 2
    return images * inside[..., None]


def _characters(
    images: np.ndarray, words: float, random: np.random.Generator
) -> np.ndarray:
    """Writes up to so many words of letters over an image."""
    font = ImageFont.load_default(max(4, 12 * images.shape[1] / _SIDE))

    def change(image: Image.Image) -> Image.Image:
        draw = ImageDraw.Draw(image)
        for _ in range(random.integers(1, int(words) + 1)):
            count = random.integers(3, 7)
            text = "".join(random.choice(list(string.ascii_lowercase), count))
            place = random.uniform(0, 0.8, 2) * image.size
            colour = tuple(map(int, random.integers(0, 256, 3)))
            fill = colour if image.mode == "RGB" else colour[0]
            draw.text(tuple(place), text, fill=fill, font=font)
        return image

    return _each(change, images)


KINDS: dict[str, Corruption] = {
    "pixelate": _pixelate,
    "jpeg": _jpeg,
    "gaussian_noise": _gaussian_noise,
    "speckle_noise": _speckle_noise,
    "impulse_noise": _impulse_noise,
    "shot_noise": _shot_noise,
    "gaussian_blur": _gaussian_blur,
    "defocus": _defocus,
    "motion": _motion,
    "brightness_up": _brightness,
    "brightness_down": _brightness,
    "contrast_up": _contrast,
    "contrast_down": _contrast,
    "gamma_up": _gamma,
    "gamma_down": _gamma,
    "bubbles": _bubbles,
    "black_corner": _black_corner,
    "characters": _characters,
}


def _each(
    change: Callable[[Image.Image], Image.Image], images: np.ndarray
) -> np.ndarray:
    """Changes each image as one of Pillow."""
    grey = images.shape[-1] == 1
    changed = [
        np.asarray(change(Image.fromarray(image[..., 0] if grey else image)))
        for image in images
    ]
    return np.stack(changed).reshape(images.shape)


def _draw_kernel(
    reach: float, inside: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Draws a shape as a kernel.

    Each point of the shape goes to the four pixels around it.

    Args:
        reach: Largest distance of the shape from its centre, in pixels.
        inside: Says of points, by column and row, whether they are in it.
    """
    half, fine = int(np.ceil(reach)) + 1, 9
    pixels = np.arange(-half, half + 1)
    points = np.arange(-half * fine, half * fine + 1) / fine
    covered = inside(points[None, :], points[:, None]).astype(float)
    shares = np.clip(1 - np.abs(points - pixels[:, None]), 0, 1)
    kernel = shares @ covered @ shares.T
    return kernel / kernel.sum()


def _convolve(images: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Convolves each image with its kernel; edges are mirrored."""
    from scipy import signal

    half = kernels.shape[1] // 2
    padded = np.pad(
        images.astype(float),
        [(0, 0), (half, half), (half, half), (0, 0)],
        "symmetric",
    )
    return signal.fftconvolve(
        padded, kernels[..., None], mode="valid", axes=(1, 2)
    )
