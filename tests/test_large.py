"""Images above the limit of pixels: the same pixels, in little memory."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from own_images import make_bomb
from PIL import Image

from medzoo.data.custom import large
from medzoo.data.custom.pixels import read_pixels
from medzoo.data.custom.table import BadImage
from medzoo.plugins.files import import_file

KINDS = {
    "tif": ("L", "RGB", "RGBA", "LA", "1", "I;16"),
    "png": ("L", "RGB", "RGBA", "LA", "1", "I;16"),
    "jpg": ("L", "RGB"),
}


@pytest.fixture
def read(monkeypatch):
    """Reads an image as a whole, and strip by strip."""
    pytest.importorskip("pyvips")
    monkeypatch.setattr(large, "_FEWEST_BYTES", 1)
    monkeypatch.setattr(large, "_STRIP", 4000)

    def call(path, *, deep=False, resize="pad", size=28):
        options = {"mode": "auto", "resize": resize, "deep": deep, "size": size}
        found = []
        for most in (10**9, 1000):
            monkeypatch.setattr(large, "MOST_PIXELS", most)
            found.append(read_pixels([path], **options))
        return found

    return call


def make(mode, shape):
    values = np.random.default_rng(0).integers(0, 256, (*shape, 4), "uint8")
    if mode == "I;16":
        return Image.fromarray(values[..., 0].astype("uint16") * 257)
    values[..., 3] = 255
    return Image.fromarray(values).convert(mode)


@pytest.mark.extras
@pytest.mark.parametrize(
    ("kind", "mode"),
    [(kind, mode) for kind, modes in KINDS.items() for mode in modes],
)
def test_strips_give_the_pixels_of_the_whole(tmp_path, read, kind, mode):
    for shape, (size, resize) in itertools.product(
        ((67, 41), (40, 90), (64, 64), (33, 2000)),
        ((28, "pad"), (28, "stretch"), (7, "pad")),
    ):
        path = tmp_path / f"x.{kind}"
        make(mode, shape).save(path)
        deep = mode == "I;16"
        whole, strips = read(path, deep=deep, resize=resize, size=size)
        np.testing.assert_array_equal(whole[0], strips[0])
        assert whole[1] == strips[1]


@pytest.mark.extras
@pytest.mark.parametrize("kind", ["tif", "png", "jpg"])
def test_images_on_their_side_are_turned(tmp_path, read, kind):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"x.{kind}"
        make("RGB", (67, 41)).save(path, exif=exif)
        whole, strips = read(path)
        assert whole[1] == strips[1]
        difference = np.abs(whole[0].astype(int) - strips[0])
        assert difference.max() <= (6 if orientation > 4 else 0)


@pytest.mark.extras
def test_smaller_copies_are_no_further_pages(tmp_path, read):
    path, first = tmp_path / "x.tif", make("RGB", (64, 64))
    first.save(path)
    whole, _ = read(path)
    small = first.resize((32, 32))
    first.save(path, save_all=True, append_images=[small])
    options = {"mode": "auto", "resize": "pad", "deep": False, "size": 28}
    found, _ = read_pixels([path], **options)
    np.testing.assert_array_equal(found, whole[0])
    first.save(path, save_all=True, append_images=[first])
    with pytest.raises(BadImage, match="2 pages, where one belongs"):
        read_pixels([path], **options)


@pytest.mark.extras
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda image: image.convert("CMYK"), "mode CMYK"),
        (lambda image: image.putalpha(9) or image, "transparent pixels"),
    ],
)
def test_what_strips_cannot_be_is_told(tmp_path, read, spoil, reason):
    spoil(make("RGB", (64, 64))).save(tmp_path / "x.tif")
    with pytest.raises(BadImage, match=reason):
        read(tmp_path / "x.tif")


def test_without_the_extra_its_name_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvips", None)
    path = tmp_path / "x.png"
    make_bomb(path)
    options = {"size": 28, "mode": "auto", "resize": "pad", "deep": False}
    with pytest.raises(BadImage, match="exceeds limit"):
        read_pixels([path], **options)
    path.write_bytes(path.read_bytes() + bytes(large.MOST_PIXELS // 1024))
    with pytest.raises(BadImage, match=r"pip install 'medzoo\[large\]'"):
        read_pixels([path], **options)


@pytest.mark.extras
def test_a_plugin_is_imported_beside_the_library(tmp_path):
    pytest.importorskip("pyvips")
    path = tmp_path / "nets_beside_vips.py"
    path.write_text("WIDTH = 3")
    assert import_file(path).WIDTH == 3


MEASURE = """
import resource, sys
from pathlib import Path
from medzoo.data.custom.pixels import read_pixels
options = {"size": 28, "mode": "auto", "resize": "pad", "deep": False}
read_pixels([Path(sys.argv[1])], **options)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.extras
def test_the_memory_is_that_of_a_few_strips(tmp_path):
    vips = pytest.importorskip("pyvips")
    place = vips.Image.xyz(20_000, 16_000)
    grey = ((place[0] * 0.013 + place[1] * 0.007).sin() * 127).cast("uchar")
    path = tmp_path / "x.tif"
    grey.bandjoin([grey, grey]).tiffsave(
        str(path), tile=True, compression="deflate"
    )
    command = [sys.executable, "-c", MEASURE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 450_000  # The pixels alone are 960,000.
