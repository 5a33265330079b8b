import zipfile

import numpy as np
import pytest

from medzoo.data.npz import check_arrays, map_array, read_array

IMAGES = np.random.default_rng(0).integers(0, 9, (5, 4, 4), dtype=np.uint8)
SHAPES = {"images": IMAGES.shape}
SAVERS = [np.savez, np.savez_compressed]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.npz"


@pytest.mark.parametrize("save", SAVERS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_read_and_mapped_arrays_equal_what_was_saved(path, save, order):
    save(path, first=IMAGES[:1], images=np.asarray(IMAGES, order=order))
    check_arrays(path, SHAPES)
    np.testing.assert_array_equal(read_array(path, "images"), IMAGES)
    mapped = map_array(path, "images")
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    np.testing.assert_array_equal(mapped, IMAGES)


def test_an_uncompressed_array_is_mapped_inside_the_archive(path):
    np.savez(path, images=IMAGES)
    assert map_array(path, "images").filename == path
    assert list(path.parent.iterdir()) == [path]


def test_a_compressed_array_is_unpacked_once(path):
    np.savez_compressed(path, images=IMAGES)
    unpacked = map_array(path, "images").filename
    before = unpacked.stat().st_ino
    assert map_array(path, "images").filename == unpacked
    assert unpacked.stat().st_ino == before
    assert list(path.parent.iterdir()) == [path]
    assert not list(unpacked.parent.glob("*.part"))


def test_an_unpacked_array_of_an_older_archive_is_not_used(path):
    np.savez_compressed(path, images=IMAGES)
    map_array(path, "images")
    np.savez_compressed(path, images=IMAGES + 1)
    np.testing.assert_array_equal(map_array(path, "images"), IMAGES + 1)


def test_a_read_only_folder_is_left_alone(path, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    np.savez_compressed(folder / "x.npz", images=IMAGES)
    folder.chmod(0o555)
    mapped = map_array(folder / "x.npz", "images")
    np.testing.assert_array_equal(mapped, IMAGES)
    assert len(list(folder.iterdir())) == 1
    assert tmp_path / "cache/medzoo" in mapped.filename.parents
    folder.chmod(0o755)


def load(path):
    check_arrays(path, SHAPES)
    map_array(path, "images")
    return read_array(path, "images")


@pytest.mark.parametrize("save", SAVERS)
def test_a_truncated_archive_is_one_sentence(path, save):
    save(path, images=IMAGES)
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="truncated or no npz archive"):
            load(path)


# NumPy takes some damaged headers for those of Python 2.
@pytest.mark.filterwarnings("ignore:Reading `.npy`:UserWarning")
@pytest.mark.parametrize("save", SAVERS)
@pytest.mark.parametrize("mask", [0x01, 0x04, 0x80])
def test_a_flipped_bit_anywhere_is_harmless_or_one_sentence(path, save, mask):
    save(path, images=IMAGES)
    whole, sentences = path.read_bytes(), set()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        try:
            images = load(path)
        except ValueError as error:
            sentences.add(str(error))
        else:
            np.testing.assert_array_equal(images, IMAGES)
    assert sentences
    assert all(f"`{path}`" in sentence for sentence in sentences)


def test_a_flipped_bit_in_the_images_is_damage(path):
    np.savez(path, images=IMAGES)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(IMAGES.tobytes())] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="Array `images` of .* is damaged. "):
        read_array(path, "images")


@pytest.mark.parametrize(
    ("name", "array", "sentence"), [
        ("images", np.array([{"a": 1}], object),
         "`images` of .* pickled Python objects"),
        ("images", IMAGES[1:], r"Received: uint8 of shape \(4, 4, 4\)\."),
        ("images", IMAGES[..., None], r"uint8 of shape \(5, 4, 4, 1\)\."),
        ("images", IMAGES / 255, r"Received: float64 of shape \(5, 4, 4\)\."),
        ("pictures", IMAGES, "no array `images`.*pictures.npy"),
    ],
)  # fmt: skip
def test_another_array_is_refused_unread(path, name, array, sentence):
    np.savez(path, **{name: array})
    with pytest.raises(ValueError, match=sentence):
        check_arrays(path, SHAPES)


def test_an_archive_of_something_else_is_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", "not an array")
    with pytest.raises(ValueError, match="`images` of .* is damaged"):
        check_arrays(path, SHAPES)
