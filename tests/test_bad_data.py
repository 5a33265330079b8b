"""Wrong custom data: one sentence for each fault, all faults at once."""

import re
import struct
import zlib

import numpy as np
import pytest
from own_images import make_bomb, make_folder, make_image, make_truncated
from PIL import Image

from medzoo.cli import main
from medzoo.data.custom.load import load_custom


def load(data, **options):
    return load_custom("x", data, 8, options)


def empty_file(root):
    (root / "z" / "bad.png").write_bytes(b"")


def text_file(root):
    (root / "z" / "bad.png").write_text("no image")


def truncated(root):
    make_truncated(root / "z" / "bad.jpg")


def bomb(root):
    make_bomb(root / "z" / "bad.png")


def cmyk(root):
    Image.new("CMYK", (9, 9)).save(root / "z" / "bad.jpg")


def deep(root):
    make_image(0, dtype=np.uint16, high=60_000).save(root / "z" / "bad.png")


def deep_colour(root):
    """Writes a PNG of 48 bits a pixel, which Pillow itself cannot."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 9, 9, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress((b"\0" + b"\1\2" * 27) * 9)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    path = root / "z" / "bad.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def floats(root):
    make_image(0, dtype=np.float32).save(root / "z" / "bad.tif")


def pages(root):
    frames = [make_image(seed) for seed in range(3)]
    path = root / "z" / "bad.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])


def transparent(root):
    Image.new("RGBA", (9, 9), (1, 2, 3, 4)).save(root / "z" / "bad.png")


def coloured(root):
    Image.new("RGB", (9, 9), (1, 2, 3)).save(root / "z" / "bad.png")


def other_kind(root):
    (root / "z" / "bad.dcm").write_bytes(b"DICM")


def empty_class(root):
    (root / "bad").mkdir()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (empty_file, "z/bad.png: no image, or a damaged one"),
        (text_file, "z/bad.png: no image, or a damaged one"),
        (truncated, "z/bad.jpg: cannot be read (image file is truncated"),
        (bomb, "z/bad.png: cannot be read (Image size (900000000 pixels) exc"),
        (deep_colour, "z/bad.png: mode RGB of 16 bits a channel, which would"),
        (cmyk, "z/bad.jpg: mode CMYK, where grey, RGB or 16-bit grey belongs"),
        (deep, "z/bad.png: 16 bits; say how they become 8: intensity ="),
        (floats, "z/bad.tif: mode F, where grey, RGB or 16-bit grey belongs"),
        (pages, "z/bad.tif: 3 pages or frames, where one belongs"),
        (transparent, "z/bad.png: transparent pixels"),
        (coloured, "z/bad.png: in colour (mode RGB), where most are grey"),
        (other_kind, "z/bad.dcm: not an image of the kinds .png"),
        (empty_class, "bad: a class of no image"),
    ],
)
def test_a_bad_file_is_named_and_can_be_left_out(tmp_path, spoil, sentence):
    root = make_folder(tmp_path / "cells")
    spoil(root)
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        load(f"folder:{root}")
    assert "1 fault." in str(error.value)
    dataset = load(f"folder:{root}", skip_bad=True)
    assert "1 bad file, rows or classes were left out" in dataset.notes[1]
    kept = sum(map(len, (dataset.train, dataset.val, dataset.test)))
    assert kept == 18


def test_all_faults_are_told_at_once(tmp_path):
    root = make_folder(tmp_path / "cells")
    for spoil in (truncated, empty_file, other_kind, empty_class):
        spoil(root)
    with pytest.raises(ValueError, match="4 faults.") as error:
        load(f"folder:{root}")
    for name in ("z/bad.jpg", "z/bad.png", "z/bad.dcm", "bad"):
        assert f"\n  {name}: " in str(error.value)


TABLE = "path,label\n" + "".join(
    f"{name}/{index}.png,{name}\n"
    for name in ("a b", "cañón", "z")
    for index in range(6)
)
TWO = "no/1.png,z\nno/2.png,z\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TABLE + "z/9.png,z\n", "line 20, z/9.png: no such file"),
        (TABLE + "z/1.png,z\n", "line 20, z/1.png: the same path as line 15"),
        (TABLE + "../x.png,z\n", "line 20, ../x.png: ../x.png leads out of"),
        (TABLE + "/etc/passwd,z\n", "/etc/passwd leads out of"),
        (TABLE + ",z\n", "line 20, no path: no path"),
        (TABLE + "z/0.png,\n", "line 20, z/0.png: no label"),
        (TABLE + "z/0.png\n", "line 20: not the 2 cells of the first line"),
        (TABLE + "z/0.png,z,z\n", "line 20: not the 2 cells of the first"),
        (TABLE + TWO, "2 faults."),
        ("path,label\n", "has no rows. Expected a line of column names"),
        ("", "has no rows."),
        ("path,lable\nz/0.png,z\n", "Unknown column `label`. Expected one of"),
        ("file,label\nz/0.png,z\n", "Unknown column `path`."),
        ("path,label,split\nz/0.png,z,tset\n", "split 'tset', where train"),
        (
            "path,label,split\nz/0.png,z,train\nz/1.png,z,val\n"
            "a b/0.png,a b,test\nz/2.png,z,test\n",
            "a b/0.png: class 'a b' is in test, but not in train",
        ),
        (
            "path,label,split\nz/0.png,z,train\nz/1.png,z,\n",
            "1 of 2 images have no split.",
        ),
        ("path,label\nz/0.png,z\nz/1.png,z\n", "No image is left for val and"),
        ('path,label\n"z/0.png,z\n', "no CSV"),
    ],
)
def test_a_bad_table_is_told_by_line(tmp_path, text, sentence):
    make_folder(tmp_path)
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load(f"csv:{tmp_path / 'labels.csv'}")


def test_text_that_is_not_utf8_is_told(tmp_path):
    (tmp_path / "labels.csv").write_bytes("path,label\nä,b\n".encode("latin1"))
    with pytest.raises(ValueError, match="not text in UTF-8"):
        load(f"csv:{tmp_path / 'labels.csv'}")


@pytest.mark.parametrize(
    ("data", "options", "kind", "sentence"),
    [
        ("folder:none", {}, FileNotFoundError, "No folder `none`."),
        ("csv:none.csv", {}, FileNotFoundError, "No file `none.csv`."),
        ("npz:none.npz", {}, FileNotFoundError, "No file `none.npz`."),
        ("dir:x", {}, ValueError, "Unknown data `dir:x`. Expected one of"),
        ("folder:", {}, ValueError, "`folder:` has no path behind it."),
        ("folder:.", {}, ValueError, "`.` has no folders of classes."),
    ],
)
def test_a_wrong_address_is_told(
    tmp_path, monkeypatch, data, options, kind, sentence
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=re.escape(sentence)):
        load(data, **options)


def arrays(**changes):
    images = np.zeros((4, 8, 8), np.uint8)
    labels = np.array([0, 1, 0, 1])
    found = {}
    for split in ("train", "val", "test"):
        found |= {f"{split}_images": images, f"{split}_labels": labels}
    return {k: v for k, v in {**found, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"val_images": None}, "holds no array `val_images`"),
        ({"train_images": np.zeros((4, 8, 8))}, "must be uint8 of shape (n, "),
        ({"train_images": np.zeros((4, 8), np.uint8)}, "must be uint8 of sha"),
        (
            {"train_images": np.zeros((4, 8, 8, 2), np.uint8)},
            "must have 1 or 3 channels.",
        ),
        (
            {"train_images": np.zeros((4, 9, 9), np.uint8)},
            "holds images of 9x9 pixels, which are not resized.",
        ),
        ({"train_labels": np.zeros(3, int)}, "one whole number an image"),
        ({"train_labels": np.array([0.0, 1, 0, 1])}, "one whole number an"),
        ({"train_labels": np.array([0, -1, 0, 1])}, "must hold labels from 0"),
        ({"train_labels": np.array([0, 2, 0, 2])}, "without [1] in train"),
        (
            {"train_labels": np.array([{}] * 4, object)},
            "pickled Python objects, which could run any code",
        ),
    ],
)
def test_a_wrong_array_is_told(tmp_path, changes, sentence):
    path = tmp_path / "x.npz"
    np.savez(path, **arrays(**changes))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load(f"npz:{path}")


def test_bad_data_end_a_command_with_2_and_no_traceback(
    tmp_path, monkeypatch, capsys
):
    root = make_folder(tmp_path / "cells")
    truncated(root)
    command = ["medzoo", "study", "plan", "quickstart"]
    monkeypatch.setattr("sys.argv", [*command, "--data", f"folder:{root}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "z/bad.jpg: cannot be read" in capsys.readouterr().err
