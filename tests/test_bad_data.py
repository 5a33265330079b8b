"""Wrong custom data: one sentence for each fault, all faults at once."""

import re
import struct
import zlib

import numpy as np
import pytest
from own_images import make_bomb, make_folder, make_image, make_truncated
from own_masks import SIDE, make_mask, make_masks, write_csv
from PIL import Image

from medzoo.data.custom.address import find_address
from medzoo.data.custom.load import read_custom
from medzoo.data.custom.pixels import read_pixels


def load(data, **options):
    return read_custom("x", data, SIDE, options)


def refused(data, *sentences, **options):
    """Checks that data are refused with these sentences; returns the error."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load(data, **options)
    for sentence in sentences:
        assert str(error.value).count(sentence) == 1
    return str(error.value)


def save(*images):
    """Returns what writes an image, or several as the pages of a file."""

    def write(path):
        images[0].save(path, save_all=len(images) > 1,
                       append_images=images[1:])  # fmt: skip

    return write


def of_mode(mode, *colour):
    return save(Image.new(mode, (SIDE, SIDE), colour or 0))


def of_bytes(content):
    return lambda path: path.write_bytes(content)


def deep_colour(path):
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
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def noise(dtype=np.uint8, high=256):
    return save(make_image(0, shape=(SIDE, SIDE), dtype=dtype, high=high))


def with_values(*values):
    mask = make_mask(1)
    mask[0, : len(values)] = values
    return mask


def with_palette():
    mask = Image.fromarray(make_mask(1, value=2) + make_mask(2, value=1))
    mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    return mask


PAGES = save(*(Image.fromarray(make_mask(at)) for at in (1, 2)))
NO_IMAGE = "no image, or a damaged one"
ONE_NUMBER = "where one whole number a pixel"
# What is written, the ending of the file, and what is said of it as an image
# and as a mask; nothing where it is good.
FILES = {
    "empty": (of_bytes(b""), "png", NO_IMAGE, NO_IMAGE),
    "text": (of_bytes(b"no image"), "png", NO_IMAGE, NO_IMAGE),
    "postscript": (  # For which Pillow would start Ghostscript.
        of_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "png",
        NO_IMAGE, NO_IMAGE,
    ),
    "truncated": (
        make_truncated, "jpg", "cannot be read (image file is truncated",
        "cannot be read (image file is truncated",
    ),
    "bomb": (
        make_bomb, "png", "cannot be read (Image size (900000000 pixels) exc",
        "cannot be read (Image size (900000000 pixels)",
    ),
    "deep_colour": (
        deep_colour, "png", "mode RGB of 16 bits a channel, which would", "",
    ),
    "cmyk": (
        of_mode("CMYK"), "jpg",
        "mode CMYK, where grey, RGB or 16-bit grey belongs",
        f"mode CMYK, {ONE_NUMBER}",
    ),
    "deep": (
        noise(np.uint16, 60_000), "png",
        "16 bits; say how they become 8: intensity =", "",
    ),
    "floats": (
        noise(np.float32), "tif",
        "mode F, where grey, RGB or 16-bit grey belongs",
        f"mode F, {ONE_NUMBER}",
    ),
    "pages": (
        PAGES, "tif", "2 pages or frames, where one belongs",
        "2 pages or frames, where one belongs",
    ),
    "animated": (PAGES, "gif", "", "2 pages or frames, where one belongs"),
    "transparent": (
        of_mode("RGBA", 1, 2, 3, 4), "png", "transparent pixels",
        "transparent pixels, whose class is",
    ),
    "coloured": (
        of_mode("RGB", 255, 0, 0), "png",
        "in colour (mode RGB), where most are grey",
        "in colour (mode RGB), where one number a",
    ),
    "other_kind": (
        of_bytes(b"DICM"), "dcm", "not an image of the kinds .png", "",
    ),
}  # fmt: skip


def names(column):
    return [name for name, row in FILES.items() if row[column]]


@pytest.mark.parametrize("name", names(2))
def test_a_bad_image_is_named_and_can_be_left_out(tmp_path, name):
    root = make_folder(tmp_path / "cells")
    write, ending, sentence, _ = FILES[name]
    write(root / "z" / f"bad.{ending}")
    refused(f"folder:{root}", f"z/bad.{ending}: {sentence}", "1 fault.")
    dataset = load(f"folder:{root}", skip_bad=True)
    assert "1 bad file, rows or classes were left out" in dataset.notes[1]
    assert sum(map(len, dataset.splits.values())) == 18


@pytest.mark.parametrize("name", names(3))
def test_a_bad_mask_is_named_and_can_be_left_out(tmp_path, name):
    root = make_masks(tmp_path / "cells")
    write, ending, _, sentence = FILES[name]
    (root / "masks" / "01.png").unlink()
    write(root / "masks" / f"01.{ending}")
    sentence = f"images/01.png: mask 01.{ending}: {sentence}"
    refused(f"masks:{root}", sentence, "1 fault.")
    dataset = load(f"masks:{root}", skip_bad=True)
    assert sum(map(len, dataset.splits.values())) == 11


def put(path, mask):
    """Returns what puts a mask into a folder."""
    image = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    return lambda root: image.save(root / path)


def test_the_photograph_of_a_phone_is_the_first_of_its_pictures(tmp_path):
    image, further = make_image(0), make_image(1, shape=(6, 5))
    plain, phone = tmp_path / "plain.jpg", tmp_path / "phone.jpg"
    image.save(plain)
    image.save(phone, "MPO", save_all=True, append_images=[further])
    with Image.open(phone) as opened:
        assert opened.n_frames == 2
    options = {"size": 8, "mode": "auto", "resize": "pad", "deep": False}
    found, expected = (
        read_pixels([path], **options)[0] for path in (phone, plain)
    )
    np.testing.assert_array_equal(found, expected)


def test_an_empty_class_is_a_fault_and_all_faults_are_told_at_once(tmp_path):
    root = make_folder(tmp_path / "cells")
    (root / "bad").mkdir()
    refused(f"folder:{root}", "bad: a class of no image", "1 fault.")
    (root / "z" / "bad.png").write_bytes(b"")
    (root / "z" / "bad.dcm").write_bytes(b"")
    lines = ("\n  bad: ", "\n  z/bad.png: ", "\n  z/bad.dcm: ")
    refused(f"folder:{root}", "3 faults.", *lines)


def test_all_faults_of_images_and_masks_are_told_at_once(tmp_path):
    root = make_masks(tmp_path / "cells")
    of_mode("RGB", 255, 0, 0)(root / "masks" / "01.png")
    (root / "masks" / "02.png").unlink()
    (root / "images" / "03.png").write_bytes(b"")
    lines = [f"images/0{at}.png: " for at in (1, 2, 3)]
    refused(f"masks:{root}", "3 faults", *lines)


@pytest.mark.parametrize(
    ("spoil", "sentence", "left"), [
        (lambda root: (root / "masks" / "01.png").unlink(),
         "images/01.png: no mask masks/01.*; if it is meant to", 11),
        (put("masks/01.png", make_mask(1, side=9)),
         "images/01.png: mask 01.png is 9x9 and its image 12x12", 11),
        (put("masks/01.tif", make_mask(1, side=9)),
         "mask 01.tif is 9x9 and its image 12x12", 11),
        (put("masks/01.png", with_values(1, 2, 3)),
         "mask 01.png has the values 0, 1, 2, 3, 255; say what they", 11),
        (put("masks/01.png", with_palette()),
         "mask 01.png has the values 0, 2, 3; say what they are", 11),
        (lambda root: noise()(root / "masks" / "01.png"),
         "more; say what they are: mask_values", 11),
        (lambda root: noise(np.uint16, 65536)(root / "masks" / "01.png"),
         "were masks saved as JPEG or blurred?", 11),
        (lambda root: (root / "images" / "01.png").write_bytes(b""),
         "images/01.png: no image, or a damaged one", 11),
        (lambda root: (root / "images" / "note.txt").write_text("x"),
         "images/note.txt: not an image of the kinds .png", 12),
        (put("masks/lost.png", make_mask(1)),
         "masks/lost.png: a mask without an image", 12),
    ],
)  # fmt: skip
def test_a_mask_that_does_not_fit_is_named(tmp_path, spoil, sentence, left):
    root = make_masks(tmp_path / "cells")
    spoil(root)
    refused(f"masks:{root}", sentence, "1 fault.")
    dataset = load(f"masks:{root}", skip_bad=True)
    assert sum(map(len, dataset.splits.values())) == left


def rename(old, new):
    return lambda root: (root / old).rename(root / new)


def all_empty(root):
    for path in (root / "masks").iterdir():
        Image.fromarray(make_mask(0)).save(path)


TWO = put("masks/01.png", make_mask(1, value=1))
FAR = put("masks/01.png", make_mask(1).astype(np.uint16) * 4)


@pytest.mark.parametrize(
    ("spoil", "options", "sentence"), [
        (all_empty, {}, "No mask marks a pixel. Expected masks with a"),
        (TWO, {}, "Some masks mark by 1 and others by 255."),
        (TWO, {"mask_values": ("0=skin", "1=mole")},
         "02.png has 255, where mask_values are 0, 1"),
        (FAR, {"mask_values": ("0=skin", "255=mole")},
         "has 1020, where mask_values are 0, 255"),
        (rename("images", "pictures"), {"mask": "masks/{nme}.png"},
         "Unknown column `nme`."),
        (lambda root: [p.unlink() for p in (root / "images").iterdir()], {},
         "images` has no images. Expected files that"),
        (rename("masks", "truth"), {},
         "a folder `images`, but no `masks`. Expected"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_all_masks_is_one_sentence(
    tmp_path, spoil, options, sentence
):
    root = make_masks(tmp_path / "cells")
    spoil(root)
    refused(f"masks:{root}", sentence, **options)


IMAGE, MASK = "images/01.png", "masks/01.png"
PLAIN = ("path", "mask")


@pytest.mark.parametrize(
    ("rows", "options", "sentence"), [
        ([("path", "label"), (IMAGE, "a")], {},
         "Unknown column `mask`. Expected one of: path, label."),
        ([("path", "mask", "x"), (IMAGE, "", "a")],
         {"mask_values": ("0=a", "255=b"), "mask_class": "x"},
         "`mask_values` and `mask_class` both say what masks"),
        ([PLAIN, (IMAGE, "")], {}, f"{IMAGE}: neither a mask nor a label"),
        ([("path", "mask", "kind"), (IMAGE, MASK, "")], {"mask_class": "kind"},
         "marks pixels, but 'kind' is empty"),
        ([PLAIN, (IMAGE, "../x.png")], {},
         f"{IMAGE}: mask: ../x.png leads out of"),
        ([PLAIN, (IMAGE, IMAGE)], {}, f"{IMAGE}: mask: the image itself"),
        ([PLAIN, (IMAGE, "masks/0.tif|masks/1.tif")],
         {"mask_values": ("0=a", "1=b", "2=c")},
         "mask 1.tif has another class than the file before it"),
        ([PLAIN, (IMAGE, MASK), (IMAGE, MASK)], {},
         f"line 3, {IMAGE}: the same path as line 2"),
        ([PLAIN, ("images/x.png", MASK)], {}, "images/x.png: no such file"),
        ([PLAIN, (IMAGE, "masks/x.png")], {},
         f"{IMAGE}: no mask masks/x.png; if it is meant"),
    ],
)  # fmt: skip
def test_a_bad_table_of_masks_is_told_by_line(
    tmp_path, rows, options, sentence
):
    root = make_masks(tmp_path / "cells")
    (tmp_path / "x.png").write_bytes(b"")
    for at in (1, 2):
        put(f"masks/{at - 1}.tif", make_mask(1, value=at))(root)
    refused(write_csv(root, *rows), sentence, **options)


TABLE = "path,label\n" + "".join(
    f"{name}/{index}.png,{name}\n"
    for name in ("a b", "cañón", "z")
    for index in range(6)
)


@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_links_out_of_the_folder_are_followed_as_the_user_says(tmp_path, kind):
    root = tmp_path / "cells"
    make_folder(root)
    (root / "cells.csv").write_text(TABLE, encoding="utf-8")
    address = f"folder:{root}" if kind == "folder" else f"csv:{root}/cells.csv"
    elsewhere = tmp_path / "elsewhere.png"
    (root / "z" / "0.png").rename(elsewhere)
    (root / "z" / "0.png").symlink_to(elsewhere)
    (root / "z" / "1.png").unlink()
    (root / "z" / "1.png").symlink_to("2.png")
    assert sum(map(len, load(address).splits.values())) == 18
    refused(
        address,
        f"z/0.png: a link leads out of {root}; copy what it leads to, or say "
        "follow_links = true",
        follow_links=False,
    )
    inside = load(address, follow_links=False, skip_bad=True)
    assert sum(map(len, inside.splits.values())) == 17


@pytest.mark.parametrize(
    ("text", "sentence"), [
        (TABLE + "z/9.png,z\n", "line 20, z/9.png: no such file"),
        (TABLE + "z/1.png,z\n", "line 20, z/1.png: the same path as line 15"),
        (TABLE + "../x.png,z\n", "line 20, ../x.png: ../x.png leads out of"),
        (TABLE + "/etc/passwd,z\n", "/etc/passwd leads out of"),
        (TABLE + ",z\n", "line 20, no path: no path"),
        (TABLE + "z/0.png,\n", "line 20, z/0.png: no label"),
        (TABLE + "z/0.png\n", "line 20: not the 2 cells of the first line"),
        (TABLE + "z/0.png,z,z\n", "line 20: not the 2 cells of the first"),
        (TABLE + "no/1.png,z\nno/2.png,z\n", "2 faults."),
        ("path,label\n", "has no rows. Expected a line of column names"),
        ("", "has no rows."),
        ("path,lable\nz/0.png,z\n", "Unknown column `label`. Did you mean"),
        ("file,label\nz/0.png,z\n", "Unknown column `path`."),
        ("path,label,split\nz/0.png,z,tset\n", "split 'tset', where train"),
        ("path,label,split\nz/0.png,z,train\nz/1.png,z,val\n"
         "a b/0.png,a b,test\nz/2.png,z,test\n",
         "a b/0.png: class 'a b' is in test, but not in train"),
        ("path,label,split\nz/0.png,z,train\nz/1.png,z,\n",
         "1 of 2 images have no split."),
        ("path,label\nz/0.png,z\nz/1.png,z\n", "No image is left for val and"),
        ('path,label\n"z/0.png,z\n', "no CSV"),
        ("path,label\nä,b\n".encode("latin1"), "not text in UTF-8"),
    ],
)  # fmt: skip
def test_a_bad_table_is_told_by_line(tmp_path, text, sentence):
    make_folder(tmp_path)
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "labels.csv").write_bytes(content)
    refused(f"csv:{tmp_path / 'labels.csv'}", sentence)


@pytest.mark.parametrize(
    ("data", "kind", "sentence"), [
        ("folder:none", FileNotFoundError, "No folder `none`."),
        ("csv:none.csv", FileNotFoundError, "No file `none.csv`."),
        ("npz:none.npz", FileNotFoundError, "No file `none.npz`."),
        ("masks:none", FileNotFoundError, "Expected one with the folders `im"),
        ("dir:x", ValueError, "Unknown data `dir:x`. Expected one of"),
        ("folder:", ValueError, "`folder:` has no path behind it."),
        ("folder:.", ValueError, "`.` has no folders of classes."),
    ],
)  # fmt: skip
def test_a_wrong_address_is_told(tmp_path, monkeypatch, data, kind, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=re.escape(sentence)):
        load(data)


@pytest.mark.parametrize(
    ("name", "way_out"), [
        ("cells.zip", "Unpack it, and give the folder."),
        ("cells.tar.gz", "Unpack it, and give the folder."),
        ("labels.xlsx", "Save it as CSV UTF-8, and give that."),
        ("labels.tsv", "Then give csv:"),
        ("images.npy", "Save an npz archive in MedMNIST's layout"),
        ("scan.nii.gz", "Give its folder"),
        ("image.png", "Give its folder"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_data_is_told_with_a_way_out(tmp_path, name, way_out):
    (tmp_path / name).write_text("x")
    with pytest.raises(ValueError, match=way_out):
        find_address(str(tmp_path / name))


def arrays(**changes):
    images = np.zeros((4, SIDE, SIDE), np.uint8)
    parts = {}
    for split in ("train", "val", "test"):
        labels = changes.get("labels", np.array([0, 1, 0, 1]))
        parts |= {f"{split}_images": images, f"{split}_labels": labels}
    return {k: v for k, v in {**parts, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("name", "array", "sentence"), [
        ("val_images", None, "holds no array `val_images`"),
        ("train_images", np.zeros((4, 8, 8)), "must be uint8 of shape (n, "),
        ("train_images", np.zeros((4, 8), "uint8"), "must be uint8 of sha"),
        ("train_images", np.zeros((4, 8, 8, 2), "uint8"),
         "must have 1 or 3 channels."),
        ("train_images", np.zeros((4, 9, 9), "uint8"),
         "holds images of 9x9 pixels, which are not resized."),
        ("train_labels", np.zeros(3, int), "one whole number an image"),
        ("train_labels", np.array([0.0, 1, 0, 1]), "one whole number an"),
        ("train_labels", np.array([0, -1, 0, 1]), "must hold labels from 0"),
        ("train_labels", np.array([0, 2, 0, 2]), "without [1] in train"),
        ("labels", np.zeros(4, int), "are of one class."),
        ("train_labels", np.array([{}] * 4, object),
         "pickled Python objects, which could run any code"),
    ],
)  # fmt: skip
def test_a_wrong_array_is_told(tmp_path, name, array, sentence):
    np.savez(tmp_path / "x.npz", **arrays(**{name: array}))
    refused(f"npz:{tmp_path / 'x.npz'}", sentence)


@pytest.mark.parametrize(
    "command", [["study", "plan", "quickstart", "--data"], ["explore"]]
)
@pytest.mark.parametrize("kind", ["folder", "masks"])
def test_bad_data_end_a_command_with_2_and_no_traceback(
    tmp_path, medzoo, command, kind
):
    make = make_folder if kind == "folder" else make_masks
    root = make(tmp_path / "cells")
    make_truncated(next(root.rglob("*1.png")))
    printed = medzoo(*command, f"{kind}:{root}", code=2)
    assert not printed.out
    assert "1.png: cannot be read" in printed.err
