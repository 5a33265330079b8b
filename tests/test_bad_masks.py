"""Masks that are wrong: one sentence for each fault, all faults at once."""

import json

import numpy as np
import pytest
from own_images import make_bomb, make_truncated
from own_masks import SIDE, make_mask, make_masks, write_csv
from PIL import Image

from medzoo.cli import main
from medzoo.data.custom.load import read_custom


@pytest.fixture
def refuse(tmp_path, monkeypatch, capsys):
    """Explores data that are refused, and returns what is said of them."""

    def refuse(data, **options):
        if options:
            table = {"source": data, **options}
            lines = [f"{key} = {json.dumps(v)}" for key, v in table.items()]
            data = str(tmp_path / "x.toml")
            (tmp_path / "x.toml").write_text(STUDY + "\n".join(lines))
        arguments = ["medzoo", "explore", data, "--size", str(SIDE)]
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        out, errors = capsys.readouterr()
        assert out == ""
        assert "Traceback" not in errors
        return errors

    return refuse


STUDY = """\
question = "?"
axes = { width = [2, 4] }
fixed = { model = "unet" }
[data]
"""


def load_custom(data, **options):
    return read_custom("x", data, SIDE, options)


def save(root, mask, ending="png"):
    """Puts a mask in place of the second one."""
    path = root / "masks" / "01.png"
    path.unlink()
    image = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    image.save(path.with_suffix(f".{ending}"))


def missing(root):
    (root / "masks" / "01.png").unlink()


def other_size(root):
    save(root, make_mask(1, side=9))


def coloured(root):
    save(root, Image.new("RGB", (SIDE, SIDE), (255, 0, 0)))


def values(root):
    mask = make_mask(1)
    mask[0, :3] = (1, 2, 3)
    save(root, mask)


def many_values(root):
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE))
    save(root, noise.astype(np.uint8))


def floats(root):
    save(root, make_mask(1).astype(np.float32), "tif")


def transparent(root):
    save(root, Image.new("RGBA", (SIDE, SIDE), (9, 9, 9, 4)))


def empty_file(root):
    (root / "masks" / "01.png").write_bytes(b"")


def text_file(root):
    (root / "masks" / "01.png").write_text("no mask")


def truncated(root):
    missing(root)
    make_truncated(root / "masks" / "01.jpg")


def bomb(root):
    make_bomb(root / "masks" / "01.png")


def pages(root):
    missing(root)
    frames = [Image.fromarray(make_mask(at)) for at in (1, 2)]
    path = root / "masks" / "01.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])


def no_image(root):
    (root / "images" / "01.png").write_bytes(b"")


def other_kind(root):
    (root / "images" / "note.txt").write_text("x")


def cmyk(root):
    save(root, Image.new("CMYK", (SIDE, SIDE)), "jpg")


def palette(root):
    mask = Image.fromarray(make_mask(1, value=2) + make_mask(2, value=1))
    mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    save(root, mask)


def deep(root):
    noise = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE))
    save(root, noise.astype(np.uint16))


def animated(root):
    missing(root)
    frames = [Image.fromarray(make_mask(at)) for at in (1, 2)]
    path = root / "masks" / "01.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])


def alone(root):
    Image.fromarray(make_mask(1)).save(root / "masks" / "lost.png")


def two_sizes(root):
    Image.fromarray(make_mask(1, side=9)).save(root / "masks" / "01.tif")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (missing, "images/01.png: no mask masks/01.*; if it is meant to"),
        (other_size, "images/01.png: mask 01.png is 9x9 and its image 12x12"),
        (coloured, "mask 01.png: in colour (mode RGB), where one number a"),
        (values, "mask 01.png has the values 0, 1, 2, 3, 255; say what they"),
        (many_values, "more; say what they are: mask_values"),
        (floats, "mask 01.tif: mode F, where one whole number a pixel"),
        (transparent, "mask 01.png: transparent pixels, whose class is"),
        (empty_file, "mask 01.png: no image, or a damaged one"),
        (text_file, "mask 01.png: no image, or a damaged one"),
        (truncated, "mask 01.jpg: cannot be read (image file is truncated"),
        (bomb, "mask 01.png: cannot be read (Image size (900000000 pixels)"),
        (pages, "mask 01.tif: 2 pages or frames, where one belongs"),
        (no_image, "images/01.png: no image, or a damaged one"),
        (other_kind, "images/note.txt: not an image of the kinds .png"),
        (cmyk, "mask 01.jpg: mode CMYK, where one whole number a pixel"),
        (palette, "mask 01.png has the values 0, 2, 3; say what they are"),
        (deep, "were masks saved as JPEG or blurred?"),
        (animated, "mask 01.gif: 2 pages or frames, where one belongs"),
        (alone, "masks/lost.png: a mask without an image"),
        (two_sizes, "mask 01.tif is 9x9 and its image 12x12"),
    ],
)
def test_a_bad_mask_is_named_and_can_be_left_out(
    tmp_path, refuse, spoil, sentence
):
    root = make_masks(tmp_path / "cells")
    spoil(root)
    errors = refuse(f"masks:{root}")
    assert errors.count(sentence) == 1
    assert "1 fault." in errors
    dataset = load_custom(f"masks:{root}", skip_bad=True)
    counts = [len(s) for s in (dataset.train, dataset.val, dataset.test)]
    assert sum(counts) == (12 if spoil in (other_kind, alone) else 11)


def test_all_faults_are_told_at_once(tmp_path):
    root = make_masks(tmp_path / "cells")
    coloured(root)
    (root / "masks" / "02.png").unlink()
    (root / "images" / "03.png").write_bytes(b"")
    with pytest.raises(ValueError, match="3 faults") as error:
        load_custom(f"masks:{root}")
    assert all(f"images/0{at}.png: " in str(error.value) for at in (1, 2, 3))


def all_empty(root):
    for path in (root / "masks").iterdir():
        Image.fromarray(make_mask(0)).save(path)
    return f"masks:{root}", {}, "No mask marks a pixel. Expected masks with a"


def two_values(root):
    Image.fromarray(make_mask(1, value=1)).save(root / "masks" / "01.png")
    return f"masks:{root}", {}, "Some masks mark by 1 and others by 255."


def unnamed_value(root):
    options = {"mask_values": ("0=skin", "1=mole")}
    return f"masks:{root}", options, "has 255, where mask_values are 0, 1"


def no_column(root):
    data = write_csv(root, ("path", "label"), ("images/00.png", "a"))
    return data, {}, "Unknown column `mask`. Expected one of: path, label."


def both_ways(root):
    options = {"mask_values": ("0=a", "255=b"), "mask_class": "x"}
    data = write_csv(root, ("path", "mask", "x"), ("images/00.png", "", "a"))
    return data, options, "`mask_values` and `mask_class` both say what masks"


def nothing_known(root):
    data = write_csv(root, ("path", "mask"), ("images/00.png", ""))
    return data, {}, "images/00.png: neither a mask nor a label"


def unnamed_class(root):
    rows = [(f"images/{i:02}.png", f"masks/{i:02}.png", "") for i in range(12)]
    data = write_csv(root, ("path", "mask", "kind"), *rows)
    return data, {"mask_class": "kind"}, "marks pixels, but 'kind' is empty"


def leading_out(root):
    data = write_csv(root, ("path", "mask"), ("images/00.png", "../x.png"))
    (root.parent / "x.png").write_bytes(b"")
    return data, {}, "images/00.png: mask: ../x.png leads out of"


def itself(root):
    row = ("images/00.png", "images/00.png")
    data = write_csv(root, ("path", "mask"), row)
    return data, {}, "images/00.png: mask: the image itself"


def overlapping(root):
    for at, value in enumerate((1, 2)):
        mask = Image.fromarray(make_mask(1, value=value))
        mask.save(root / "masks" / f"{at}.tif")
    row = ("images/00.png", "masks/0.tif|masks/1.tif")
    data = write_csv(root, ("path", "mask"), row)
    options = {"mask_values": ("0=a", "1=b", "2=c")}
    return data, options, "mask 1.tif has another class than the file before it"


def no_images(root):
    for path in (root / "images").iterdir():
        path.unlink()
    return f"masks:{root}", {}, "images` has no images. Expected files that"


def no_masks(root):
    (root / "masks").rename(root / "truth")
    return f"masks:{root}", {}, "a folder `images`, but no `masks`. Expected"


def twice(root):
    row = ("images/01.png", "masks/01.png")
    data = write_csv(root, ("path", "mask"), row, row)
    return data, {}, "images/01.png: the same path as line 2"


def no_file(root):
    data = write_csv(root, ("path", "mask"), ("images/x.png", "masks/01.png"))
    return data, {}, "images/x.png: no such file"


def no_mask_file(root):
    data = write_csv(root, ("path", "mask"), ("images/01.png", "masks/x.png"))
    return data, {}, "images/01.png: no mask masks/x.png; if it is meant"


def deep_value(root):
    mask = make_mask(1).astype(np.uint16) * 4
    Image.fromarray(mask).save(root / "masks" / "01.png")
    options = {"mask_values": ("0=skin", "255=mole")}
    return f"masks:{root}", options, "has 1020, where mask_values are 0, 255"


@pytest.mark.parametrize(
    "spoil",
    [
        *(all_empty, two_values, unnamed_value, no_column, both_ways),
        *(nothing_known, unnamed_class, leading_out, itself, overlapping),
        *(no_images, no_masks, twice, no_file, no_mask_file, deep_value),
    ],
)
def test_what_is_wrong_with_all_masks_is_one_sentence(tmp_path, refuse, spoil):
    data, options, sentence = spoil(make_masks(tmp_path / "cells"))
    assert sentence in refuse(data, **options)


def test_nothing_there_is_no_traceback(tmp_path, refuse):
    said = refuse(f"masks:{tmp_path / 'none'}")
    assert "Expected one with the folders `images`" in said
