import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from medzoo.data.checksums import trust, verify
from medzoo.data.folders import data_folder
from medzoo.data.official import load_medmnist, read_npz, require_files
from medzoo.tasks import get_task

BREAST = get_task("breastmnist")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def make_arrays(size: int = 28) -> dict[str, np.ndarray]:
    """Makes arrays in the layout of breastmnist."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in BREAST.num_images.items():
        shape = (count, size, size)
        arrays[f"{split}_images"] = rng.integers(0, 9, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, 2, (count, 1), np.uint8)
    return arrays


def save_as_official(folder: Path, save, size: int = 28) -> Path:
    """Saves such arrays and a stamp that says they are the official file."""
    path = folder / BREAST.file_name(size)
    save(path, **make_arrays(size))
    trust(path, BREAST.checksum(size))
    return path


@pytest.mark.parametrize("task", ["breastmnist", "retinamnist"])
def test_official_files_load_as_numpy_reads_them(
    task, real_data, monkeypatch, tmp_path
):
    path = real_data / f"{task}.npz"
    monkeypatch.setenv("MEDZOO_DATA", str(real_data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    dataset = load_medmnist(task)
    facts = get_task(task)
    assert dataset.fingerprint == f"medmnist:{task}:28:{facts.md5s[28]}"
    assert dataset.input_shape == (28, 28, facts.channels)
    assert dataset.classes == facts.classes
    with np.load(path) as arrays:
        for name, split in dataset.splits.items():
            images, labels = split.images, split.labels
            assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
            expected = arrays[f"{name}_images"]
            np.testing.assert_array_equal(images.squeeze(), expected)
            expected = arrays[f"{name}_labels"].squeeze()
            np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_larger_images_and_many_small_ones_are_mapped(folder, save):
    save_as_official(folder, save, size=64)
    dataset = load_medmnist("breastmnist", 64)
    assert isinstance(dataset.train.images, np.memmap)
    assert dataset.input_shape == (64, 64, 1)
    expected = make_arrays(64)["test_images"]
    np.testing.assert_array_equal(dataset.test.images[..., 0], expected)
    path = save_as_official(folder, save)
    read = read_npz(path, "breastmnist")["train"].images
    assert not isinstance(read, np.memmap)
    mapped = read_npz(path, "breastmnist", map_above=1000)["train"].images
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, read)


def test_a_file_with_another_checksum_is_refused_with_the_way_out(folder):
    path = folder / "breastmnist.npz"
    np.savez(path, **make_arrays())
    received = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match="not the published file") as error:
        load_medmnist("breastmnist")
    assert str(error.value) == (
        f"`{path}` is not the published file, or is damaged. Expected: "
        f"SHA-256 {BREAST.sha256s[28]}. Received: SHA-256 {received}. Remove "
        "it and run `medzoo download breastmnist`."
    )


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit_of_the_images(path):
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)


def flip_and_stamp(path):
    flip_a_bit_of_the_images(path)
    trust(path, BREAST.checksum(28))


def pickle_labels(path):
    labels = np.array([[{}]] * 78, dtype=object)
    np.savez(path, **make_arrays() | {"val_labels": labels})


def drop_an_image(path):
    arrays = make_arrays()
    np.savez(path, **arrays | {"val_images": arrays["val_images"][1:]})


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (truncate, "breastmnist.npz` is truncated or no npz archive"),
        (flip_a_bit_of_the_images, "not the published file, or is damaged"),
        (pickle_labels, "Array `val_labels` of .* pickled Python objects"),
        (drop_an_image, r"Array `val_images` of .* shape \(78, 28, 28\)"),
        (flip_and_stamp, "Array `train_images` .* is damaged"),
    ],
)
def test_the_most_telling_fault_is_named(folder, spoil, sentence):
    path = save_as_official(folder, np.savez)
    spoil(path)
    with pytest.raises(ValueError, match=sentence) as error:
        load_medmnist("breastmnist")
    assert str(error.value).endswith("run `medzoo download breastmnist`.")


def test_labels_outside_the_classes_are_refused(tmp_path):
    arrays = make_arrays()
    arrays["test_labels"][3] = 255
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(
        ValueError, match="labels from 0 to 1. .* from 0 to 255"
    ):
        read_npz(tmp_path / "x.npz", "breastmnist")


def test_a_stamp_spares_the_second_check_of_the_same_file_alone(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"wrong")
    md5 = hashlib.md5(b"right").hexdigest()
    trust(path, md5)
    verify(path, md5)  # Not read, or it would be found out.
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(b"wrong")
    os.utime(path, ns=times)  # The time of change cannot be put back.
    with pytest.raises(ValueError, match=f"Expected: MD5 {md5}. Received: "):
        verify(path, md5)


def test_a_read_only_folder_is_stamped_in_the_cache(folder, tmp_path):
    path = folder / "x"
    path.write_bytes(b"right")
    folder.chmod(0o555)
    verify(path, hashlib.md5(b"right").hexdigest())
    assert list(folder.iterdir()) == [path]
    assert len(list(tmp_path.glob("cache/medzoo/data/*/x.verified"))) == 1
    folder.chmod(0o755)


def test_the_data_folder_is_that_of_medmnist_unless_named(monkeypatch):
    monkeypatch.setenv("MEDZOO_DATA", "~/images")
    assert data_folder() == Path.home() / "images"
    monkeypatch.delenv("MEDZOO_DATA")
    assert data_folder() == Path.home() / ".medmnist"


def test_a_missing_file_is_one_sentence_with_the_ways_out(folder):
    with pytest.raises(FileNotFoundError) as error:
        load_medmnist("bloodmnist", 64)
    assert str(error.value) == (
        "No file for task `bloodmnist` of size 64. Looked for: "
        f"{folder}/bloodmnist_64.npz. Run `medzoo download bloodmnist --size "
        "64` where there is a network, set MEDZOO_DATA to the folder that has "
        "them, or pass --data synthetic (with make: DATA=synthetic)."
    )


def test_without_network_nothing_is_substituted(folder, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # Port 9 of the loopback: nobody listens.
    monkeypatch.setenv("MEDZOO_MIRROR", "http://127.0.0.1:9")
    path = save_as_official(folder, np.savez)
    with pytest.raises(FileNotFoundError, match="DATA=synthetic") as error:
        require_files(["breastmnist", "octmnist", "pathmnist"], 28)
    sentence = "pathmnist.npz. Run `medzoo download octmnist pathmnist`"
    assert sentence in str(error.value)
    assert list(folder.glob("*.npz")) == [path]


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="Unknown size `32`. .* 28, 64, 128"):
        load_medmnist("breastmnist", 32)
