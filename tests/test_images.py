"""A finished model reads files as its training did, whatever they are."""

import csv
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from own_masks import make_masks
from PIL import Image

from medzoo.data import sources
from medzoo.data.custom.images import Reader
from medzoo.data.custom.load import describe_rows
from medzoo.data.custom.masks import read_mask
from medzoo.data.custom.options import Options
from medzoo.data.resizing import shrink
from medzoo.store import Store

SIZE = 12


def draw(seed, shape=(16, 12), high=256, dtype="uint8"):
    values = np.random.default_rng(seed).integers(0, high, shape)
    return Image.fromarray(values.astype(dtype))


def turned(root):
    """Photographs that are turned by EXIF, some of them of another size."""
    exif = Image.Exif()
    for at in range(24):
        exif[0x0112] = 1 + at % 8
        path = root / "ab"[at % 2] / f"{at:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(at, (16, 12 + at % 3, 3)).save(path, exif=exif, quality=95)
    return f"folder:{root}", {}, [root]


def deep(root):
    for at in range(24):
        path = root / "ab"[at % 2] / f"{at:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(at, high=500 + 900 * at, dtype="uint16").save(path)
    return f"folder:{root}", {"intensity": "percentile"}, [root]


def grey(root):
    data, _, paths = turned(root)
    return data, {"mode": "grey", "resize": "stretch"}, paths


def channels(root):
    """Two grey files an image, in a folder a class."""
    for at in range(24):
        for name in ("red", "green"):
            path = root / "ab"[at % 2] / f"{at:02}_{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(at + len(name)).save(path)
    names = ["{id}_red.png", "{id}_green.png"]
    return f"folder:{root}", {"channels": names}, [root]


def one_of_three(root):
    """Images in the folders of others, which a pattern leaves out."""
    channels(root)
    return f"folder:{root}", {"channels": ["{id}_green.png"]}, [root]


def table_of_files(root):
    """A table whose images lie in another folder."""
    (root / "files").mkdir(parents=True)
    lines = ["", "scan,grade"]
    for at in range(24):
        draw(at).save(root / "files" / f"{at:02}.png")
        lines.append(f"{at:02},{'ab'[at % 2]}")
    path = root / "list.csv"
    path.write_text("\n".join(lines[1:]), encoding="utf-8")
    options = {"path": "{scan}.png", "root": "files", "label": "grade"}
    return f"csv:{path}", options, [path]


def masks(root):
    make_masks(root, num=24)
    return f"masks:{root}", {"no_mask": "empty"}, [root]


def arrays(root):
    root.mkdir()
    values = np.random.default_rng(0)
    found = {}
    for split in ("train", "val", "test"):
        shape = (8, SIZE, SIZE)
        found[f"{split}_images"] = values.integers(0, 256, shape, "uint8")
        found[f"{split}_labels"] = np.arange(8) % 2
    path = root / "data.npz"
    np.savez(path, **found)
    return f"npz:{path}", {}, [path]


LONGER = pytest.param(masks, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "make",
    [
        turned,
        deep,
        grey,
        channels,
        one_of_three,
        table_of_files,
        LONGER,
        arrays,
    ],
)
def test_predictions_of_test_files_are_those_of_the_run(make, tmp_path, medzoo):
    data, options, paths = make(tmp_path / "source")
    fields = {
        "data": data,
        "data_options": options,
        "model": "mlp",
        "width": 8,
        "size": SIZE,
        "steps": 2,
        "batch_size": 8,
    }
    if make is masks:
        net = {"model": "unet", "width": 2, "levels": 1, "label_weight": 0.5}
        fields |= net
    (tmp_path / "run.json").write_text(json.dumps(fields), encoding="utf-8")
    medzoo("train", "run.json", "--out", "model")
    (run_id,) = Store().run_ids()
    expected = Store().read_predictions(run_id).test.probabilities

    medzoo("predict", "model", *paths, "--out", "found")
    table = "found/labels.csv" if make is masks else "found"
    with open(table, encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    if make is arrays:
        names = [f"{paths[0]}:test_images[{at}]" for at in range(8)]
    else:
        known = describe_rows(data, SIZE, options)
        names = [row["path"] for row in known if row["split"] == "test"]
        if make is not table_of_files:
            names = [str(tmp_path / "source" / name) for name in names]
    assert len(rows) == 24
    written = [list(rows[name].values())[-2:] for name in names]
    found = np.array(written, "float64").astype("float32")
    np.testing.assert_array_equal(found, expected)


def read(paths, **options):
    reader = Reader((SIZE, SIZE, 3), Options(size=SIZE, **options))
    found = list(reader.read(paths))
    return [picture.name for picture in found], reader


def test_what_systems_leave_in_folders_is_no_image(tmp_path):
    for name in (
        "a.png",
        "._a.png",
        "__MACOSX/._a.png",
        ".ipynb_checkpoints/a-checkpoint.png",
        "Thumbs.db",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no image")
    draw(0, (SIZE, SIZE)).save(tmp_path / "a.png")
    names, reader = read([tmp_path])
    assert names == [str(tmp_path / "a.png")]
    assert not reader.faults


def test_files_that_no_training_takes_are_named_all_at_once(tmp_path):
    frames = [draw(at, (SIZE, SIZE)) for at in range(2)]
    frames[0].save(
        tmp_path / "pages.tif", save_all=True, append_images=frames[1:]
    )
    frames[0].save(tmp_path / "moving.gif", save_all=True)
    see_through = frames[0].convert("RGBA")
    see_through.putalpha(9)
    see_through.save(tmp_path / "through.png")
    Image.new("LAB", (SIZE, SIZE)).save(tmp_path / "lab.tif")
    draw(0, (SIZE, SIZE), dtype="uint16").save(tmp_path / "deep.png")
    (tmp_path / "empty.png").touch()
    draw(0).save(tmp_path / "large.png")
    frames[0].save(tmp_path / "good.png")
    names, reader = read([tmp_path])
    assert names == [str(tmp_path / "good.png")]
    with pytest.raises(ValueError, match="7 files cannot be used") as error:
        reader.require_good(skip_bad=False)
    for reason in (
        "pages.tif: 2 pages",
        "moving.gif: not an image of the kinds .png",
        "through.png: transparent pixels",
        "lab.tif: mode LAB",
        "deep.png: 16 bits, where the files of the training have 8",
        "empty.png: no image",
        "large.png: 12x16 pixels, where 12x12 belong",
    ):
        assert reason in str(error.value)
    assert "7 files left out" in reader.require_good(skip_bad=True)


def test_files_of_channels_are_one_image_or_a_fault(tmp_path):
    names = ("1_red.png", "1_green.png", "2_red.png", "other.png")
    for at, name in enumerate(names):
        draw(at, (SIZE, SIZE)).save(tmp_path / name)
    pattern = ("{id}_red.png", "{id}_green.png")
    paths = [tmp_path / name for name in names]
    # A folder may have other files, as that of a training.
    for given, num_faults in ((paths, 2), ([tmp_path], 1)):
        found, reader = read(given, channels=pattern)
        assert found == [str(tmp_path / "1_red.png")]
        assert len(reader.faults) == num_faults
    with pytest.raises(ValueError, match="Expected a CSV file"):
        read(paths, channels=("red", "green"))


def test_masks_beside_images_are_no_images(tmp_path):
    for name in ("x.png", "x_mask.png", "x_mask_1.png", "y.png"):
        draw(0, (SIZE, SIZE)).save(tmp_path / name)
    reader = Reader((SIZE, SIZE, 1), has_masks=True, any_size=True)
    found = [picture.name for picture in reader.read([tmp_path])]
    assert found == [str(tmp_path / name) for name in ("x.png", "y.png")]


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("colours", [(0, 255), (255, 0), (0, 7)])
def test_bitmaps_of_two_colours_have_the_colours_of_their_palette(
    bits, colours, tmp_path
):
    """Pillow reads those of black and white as noise."""
    pixels = np.random.default_rng(0).integers(0, 2, (SIZE, SIZE), "uint8")
    rows = np.flip(pixels, 0)
    if bits == 4:
        rows = rows[:, ::2] * 16 + rows[:, 1::2]
        rows = np.pad(rows, ((0, 0), (0, 2)))  # Lines of whole words.
    palette = b"".join(bytes([grey] * 3 + [0]) for grey in colours)
    start = 54 + len(palette)
    header = struct.pack("<2sIII", b"BM", start + rows.size, 0, start)
    header += struct.pack("<IiiHH", 40, SIZE, SIZE, 1, bits)
    header += struct.pack("<IIiiII", 0, rows.size, 0, 0, 2, 0)
    path = tmp_path / "a.bmp"
    path.write_bytes(header + palette + rows.tobytes())

    expected = np.array(colours)[pixels]
    reader = Reader((SIZE, SIZE, 1))
    (picture,) = reader.read([path])
    np.testing.assert_array_equal(picture.values[..., 0], expected)
    mask, facts = read_mask([path], path, {}, size=SIZE, resize="pad")
    np.testing.assert_array_equal(mask, expected > 0)
    assert facts.values == {max(colours)}


@pytest.fixture
def cells(tmp_path, medzoo):
    """A model, and the images that it was trained on."""
    for at in range(60):
        # The first class has most images.
        path = tmp_path / "cells" / "aaab"[at % 4] / f"{at:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(at, (SIZE, SIZE)).save(path)
    fields = ["--set", f"size={SIZE}", "--set", "steps=2", "--set", "width=8"]
    data = ["--data", "folder:cells", "--model", "mlp"]
    medzoo("train", *data, *fields, "--set", "batch_size=8", "--out", "model")


@pytest.fixture
def work_in(tmp_path, monkeypatch):
    """Works in another folder: a process keeps what it has read."""

    def work(name):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        sources.load.cache_clear()

    return work


def test_a_model_whose_data_were_moved_or_changed_says_so(
    cells, work_in, medzoo
):
    scores = medzoo("evaluate", "model").out
    work_in("moved")
    told = medzoo("evaluate", "../model", code=2).err
    assert "--data folder:PATH" in told
    assert medzoo("evaluate", "../model", "--data", "../cells").out == scores

    told = medzoo("evaluate", "../model", "--task", "retinamnist", code=2).err
    assert told.startswith("Error: Unknown size `12`.")

    work_in("changed")
    shutil.copytree("../cells", "cells")
    Path("cells/a/00.png").unlink()
    told = medzoo("evaluate", "../model", code=2).err
    assert "are not those of the training" in told
    told = medzoo("evaluate", "../model", "--data", "folder:cells").err
    assert "are not those of the training" in told


def test_other_data_are_read_by_the_ranges_of_the_training(tmp_path, medzoo):
    """Their own ranges would make the brighter files of today as dark."""
    data, options, _ = deep(tmp_path / "then")
    for path in (tmp_path / "then").rglob("*.png"):
        bright = tmp_path / "now" / path.relative_to(tmp_path / "then")
        bright.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            Image.fromarray(np.asarray(image) * np.uint16(2)).save(bright)
    fields = {"data": data, "data_options": options, "size": SIZE, "steps": 9}
    fields |= {"model": "mlp", "width": 8, "batch_size": 8}
    (tmp_path / "run.json").write_text(json.dumps(fields), encoding="utf-8")
    medzoo("train", "run.json", "--out", "model")

    medzoo("predict", "model", "now", "--out", "found")
    with open("found", encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    medzoo("evaluate", "model", "--data", "now", "--out", "standard")
    (standard,) = (tmp_path / "standard").iterdir()
    written = np.loadtxt(standard, delimiter=",")[:, 1:]
    known = describe_rows("folder:now", SIZE, options)
    names = [f"now/{one['path']}" for one in known if one["split"] == "test"]
    found = [[float(rows[name][key]) for key in "ab"] for name in names]
    np.testing.assert_allclose(written, found, atol=1e-6)

    told = medzoo("explore", "now", "--like", "model").out
    assert "16-bit values by channel: as for the training" in told
    assert medzoo("audit", "model").out.startswith("then: train ")
    medzoo("explore", "now", code=2)  # Nothing says how 16 bits become 8.
    told = medzoo("explore", "now", "--like", "found", code=2).err
    assert "`found` is no study and no model" in told


def test_arrays_of_another_size_are_resized_where_it_is_asked(cells, medzoo):
    values = np.random.default_rng(0)
    arrays = {"classes": np.array(["a", "b"])}
    for split in ("train", "val", "test"):
        images = values.integers(0, 256, (6, 30, 30), "uint8")
        arrays |= {
            f"{split}_images": images,
            f"{split}_labels": images[:, 0, 0] % 2,
        }
        arrays[f"{split}_labels"][:2] = 0, 1
    np.savez("large.npz", **arrays)
    told = medzoo("evaluate", "model", "--data", "large.npz", code=2).err
    assert "holds images of 30x30 pixels, where 12x12 belong" in told
    small = {
        name: np.stack(
            [shrink(one[..., None], SIZE, "pad")[..., 0] for one in array]
        )
        if name.endswith("images")
        else array
        for name, array in arrays.items()
    }
    np.savez("small.npz", **small)
    scores = medzoo("evaluate", "model", "--data", "small.npz").out
    told = medzoo("evaluate", "model", "--data", "large.npz", "--resize").out
    assert told == scores


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # Of TensorFlow's Lite.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_integers_are_calibrated_on_all_classes_and_floats_on_no_data(
    cells, work_in, tmp_path, medzoo
):
    told = medzoo("export", "model", "--to", "tflite", "--int8").out
    assert "Calibrated on 43 images of train: a 32, b 11" in told
    work_in("moved")
    told = medzoo("export", "../model", "--to", "tflite").out
    assert "64 random images" in told
    about = json.loads((tmp_path / "model/model.tflite.json").read_bytes())
    assert about["compared_on"] == "64 random images"
    medzoo("export", "../model", "--to", "tflite", "--int8", code=2)
