"""Finished models: predictions, scores, cards; what does not fit is refused."""

import ast
import importlib.util
import json
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import medzoo as medzoo_package
from medzoo.data.custom.images import Reader
from medzoo.report.card import make_card
from medzoo.runs.run import Run
from medzoo.scores import probabilities as scores
from medzoo.store import Store
from medzoo.training.execute import execute, load_data
from medzoo.training.explain import occlude, pick_examples
from medzoo.training.saved import load_saved, load_task
from medzoo.training.standard_file import write_standard_file

RUN = Run(
    task="breastmnist",
    data="synthetic",
    model="mlp",
    width=8,
    steps=4,
    batch_size=32,
    max_images=64,
    output="sigmoid",
    adjust="vector",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder as `medzoo train --out` leaves it, and the predictions."""
    folder = tmp_path_factory.mktemp("trained")
    record, predictions = execute(
        RUN, on_model=lambda model: model.save(folder / "model.keras")
    )
    (folder / "record.json").write_text(record.model_dump_json())
    Store(folder / "runs").write(record, predictions)
    return folder, record, predictions


def read(path, shape):
    """Reads images as the input of a model of that shape."""
    reader = Reader(shape)
    images = [picture.values for picture in reader.read([path])]
    reader.require_good(skip_bad=False)
    return images


def test_a_loaded_model_predicts_what_its_run_did(trained):
    folder, record, predictions = trained
    saved = load_saved(folder)
    assert saved.classes == record.classes
    run, data = load_task(saved)
    assert run == RUN
    found = saved.predict(data.test.images)
    np.testing.assert_allclose(found, predictions.test.probabilities, atol=1e-6)
    assert saved.note == ""
    assert saved.model.layers[-1].name == "adjust"
    without = record.without["adjust"]["test"]["cross_entropy"]
    assert without != record.scores["test"]["cross_entropy"]
    assert scores.macro_f1(found, data.test.labels) == pytest.approx(
        record.scores["test"]["macro_f1"]
    )


def test_a_model_without_a_record_has_numbered_classes(trained, tmp_path):
    folder, _, _ = trained
    alone = tmp_path / "alone.keras"
    alone.write_bytes((folder / "model.keras").read_bytes())
    saved = load_saved(alone)
    assert saved.classes == ["0", "1"]
    with pytest.raises(ValueError, match="Pass --task"):
        load_task(saved)


def test_commands_predict_evaluate_and_write_a_card(
    trained, medzoo, monkeypatch
):
    folder, record, predictions = trained
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MEDZOO_RUNS", "runs")
    images = load_data(RUN).test.images[:3]
    Path("images").mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(f"images/{index}.png")
    np.savez("more.npz", test_images=images[..., 0])
    medzoo("predict", ".", "images", "more.npz", "--out", "out.csv")
    found = pd.read_csv("out.csv")
    assert list(found["image"]) == [
        *(f"images/{i}.png" for i in range(3)),
        *(f"more.npz:test_images[{i}]" for i in range(3)),
    ]
    np.testing.assert_allclose(
        found[record.classes],
        np.tile(predictions.test.probabilities[:3], (2, 1)),
        atol=1e-5,
    )
    printed = medzoo("predict", "model.keras", "images").out
    assert printed == "".join(
        Path("out.csv").read_text().splitlines(keepends=True)[:4]
    )

    shown = json.loads(medzoo("evaluate", "model.keras", "--json").out)[
        "scores"
    ]
    assert shown["auc"] == pytest.approx(record.scores["test"]["auc"])
    told = medzoo("evaluate", ".", "--corruptions", "--out", "robust").out
    errors = pd.read_csv("robust/corruptions.csv")["balanced_error"]
    assert errors.between(0, 1).all()
    assert errors[0] == 1 - shown["balanced_accuracy"]
    assert f"{errors[0]:.3f}" in told
    medzoo("explain", ".", "--out", "seen.svg")
    assert "<svg" in Path("seen.svg").read_text()

    medzoo("card", ".")
    text = Path("model.md").read_text()
    assert text == make_card(record, predictions)
    assert f"{record.scores['test']['macro_f1']:.3f}" in text
    assert "no medical device" in text
    assert "made-up images" in text


def test_medmnists_own_parser_reads_the_standard_file(
    real_data, tmp_path, monkeypatch
):
    """Its evaluator is loaded alone: the package would import torch."""
    spec = importlib.util.find_spec("medmnist")
    package = spec.submodule_search_locations[0]
    modules = {}
    for name in ("info", "evaluator"):
        where = importlib.util.spec_from_file_location(
            f"medmnist.{name}", f"{package}/{name}.py"
        )
        modules[name] = importlib.util.module_from_spec(where)
        monkeypatch.setitem(sys.modules, f"medmnist.{name}", modules[name])
        monkeypatch.setitem(
            sys.modules, "medmnist", importlib.util.module_from_spec(spec)
        )
        where.loader.exec_module(modules[name])
    root = real_data
    evaluator = modules["evaluator"].Evaluator
    monkeypatch.setattr(evaluator.__init__, "__defaults__", (None, str(root)))
    for task, classes in (("breastmnist", 2), ("retinamnist", 5)):
        labels = np.load(root / f"{task}.npz")["test_labels"].ravel()
        random = np.random.default_rng(0)
        p = random.dirichlet(np.ones(classes), len(labels))
        path = write_standard_file(
            tmp_path, p, labels.astype("int32"), task=task, run="7"
        )
        found = evaluator.parse_and_evaluate(str(path))
        labels = labels.astype("int32")
        ours = scores.score(p, labels, classes)
        expected = ours["auc"], ours["accuracy"]
        assert tuple(found) == pytest.approx(expected)
        # It writes the same file again, under the name that we gave it.
        assert len(list(tmp_path.glob(f"{task}*"))) == 1
        np.testing.assert_allclose(
            np.loadtxt(path, delimiter=",")[:, 1:], p, rtol=1e-9
        )


def test_images_that_do_not_fit_are_refused_with_one_sentence(trained, medzoo):
    folder, _, _ = trained
    bad = folder / "bad"
    bad.mkdir()
    grey = np.zeros((28, 28), "uint8")
    Image.fromarray(np.zeros((32, 32), "uint8")).save(bad / "large.png")
    colours = np.zeros((28, 28, 3), "uint8")
    colours[0, 0] = [255, 0, 0]
    Image.fromarray(colours).save(bad / "colours.png")
    Image.fromarray(grey.astype("uint16") + 300).save(bad / "deep.png")
    (bad / "text.png").write_text("not an image")
    np.savez(bad / "objects.npz", images=np.array([{}]), allow_pickle=True)
    np.savez(bad / "none.npz", labels=grey)
    np.save(bad / "raw.npy", grey)
    (bad / "raw.npy").rename(bad / "raw.npz")
    sentences = {
        "large.png": "32x32 pixels, where 28x28 belong; --resize",
        "colours.png": "in colour (mode RGB)",
        "deep.png": "16 bits",
        "text.png": "no image, or a damaged one",
        "objects.npz": "pickled Python objects",
        "none.npz": "holds no images",
        "raw.npz": "no npz archive",
        "nowhere.png": "No such file",
    }
    for name, sentence in sentences.items():
        with pytest.raises((ValueError, FileNotFoundError)) as error:
            read(bad / name, (28, 28, 1))
        assert sentence in str(error.value)
    told = medzoo("predict", folder, bad / "large.png", code=2).err
    assert "large.png: 32x32" in told
    told = medzoo("explain", folder, "--class", "malign", code=2).err
    assert "Did you mean `malignant`" in told


def test_a_grey_image_fits_a_model_of_colours(tmp_path):
    grey = np.arange(784, dtype="uint8").reshape(28, 28)
    Image.fromarray(grey).save(tmp_path / "a.png")
    found = read(tmp_path, (28, 28, 3))[0]
    assert (found == grey[..., None]).all()


class Crafted:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_crafted_files_are_refused_and_run_nothing(trained, tmp_path):
    folder, _, _ = trained
    mark = tmp_path / "mark"
    # A layer that holds a Python function.
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Lambda(lambda x: x * 2, output_shape=(28, 28, 1))(inputs)
    x = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    keras.Model(inputs, x).save(tmp_path / "lambda.keras")
    # A configuration that names a function of another module.
    with zipfile.ZipFile(folder / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["module"], config["class_name"] = "os", "system"
    config["config"] = {"command": f"touch {mark}"}
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(tmp_path / "module.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    (tmp_path / "pickle.keras").write_bytes(pickle.dumps(Crafted(mark)))
    (tmp_path / "half.keras").write_bytes(
        (folder / "model.keras").read_bytes()[:2000]
    )
    with zipfile.ZipFile(tmp_path / "empty.keras", "w"):
        pass
    (tmp_path / "model.h5").write_bytes(b"\x89HDF")
    np.savez(tmp_path / "x.npz", images=np.array([Crafted(mark)]))
    for name in ("lambda", "module", "pickle", "half", "empty"):
        with pytest.raises(ValueError, match=rf"{name}\.keras"):
            load_saved(tmp_path / f"{name}.keras")
    with pytest.raises(ValueError, match=r"ends in \.keras"):
        load_saved(tmp_path / "model.h5")
    with pytest.raises(ValueError, match="pickled Python objects"):
        read(tmp_path / "x.npz", (28, 28, 1))
    assert not mark.exists()


def test_a_record_of_another_model_is_refused(trained, tmp_path):
    folder, record, _ = trained
    (tmp_path / "model.keras").write_bytes(
        (folder / "model.keras").read_bytes()
    )
    other = record.model_copy(update={"classes": ["a", "b", "c"]})
    (tmp_path / "record.json").write_text(other.model_dump_json())
    with pytest.raises(ValueError, match="is of another model"):
        load_saved(tmp_path)
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(ValueError, match="is no record"):
        load_saved(tmp_path)
    with pytest.raises(ValueError, match="does not fit the model"):
        load_task(load_saved(folder), "retinamnist")


@pytest.mark.parametrize("source", ["folder:{}", "npz:{}/scans.npz"])
def test_data_that_a_record_alone_names_are_not_read(
    source, trained, tmp_path, monkeypatch, medzoo
):
    folder, record, _ = trained
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    secret = tmp_path / "secret of mine"
    for label in ("a", "b"):
        (secret / label).mkdir(parents=True)
        (secret / label / "1.png").write_bytes(b"not read")
    sent = tmp_path / "sent"
    shutil.copytree(folder, sent)
    run = record.run.model_copy(update={"data": source.format(secret)})
    foreign = record.model_copy(update={"run": run, "run_id": run.run_id})
    (sent / "record.json").write_text(foreign.model_dump_json())
    for command in (["evaluate"], ["explain", "--out", "x.png"]):
        told = medzoo(*command, sent, code=2).err
        assert "were not read on this machine before" in told
        assert f"pass --data '{run.data}'." in told
    # Asked for, they are read, and found to be no images.
    told = medzoo("evaluate", sent, "--data", run.data, code=2).err
    assert "before" not in told


def test_hiding_what_a_model_looks_at_costs_log_odds():
    """The 'model' looks at the mean of one quarter of the image."""

    def predict(images):
        bright = images[:, :14, 14:].mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - bright, bright], axis=1)

    image = np.zeros((1, 28, 28, 1), "uint8")
    image[:, :14, 14:] = 255
    found = occlude(predict, image, np.array([1]))[0]
    inside = np.zeros((28, 28), bool)
    inside[:14, 14:] = True
    assert found[2:12, 16:26].min() > 0.01
    assert np.abs(found[~inside][found[~inside] > 0.01]).size < 28 * 4
    assert found[18:, :].max() == 0
    # What speaks for one of two classes speaks against the other.
    against = occlude(predict, image, np.array([0]))[0]
    np.testing.assert_allclose(against, -found, atol=1e-4)


def test_examples_are_right_and_wrong_ones_of_each_class():
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(3), 60)
    labels = random.integers(-1, 3, 60)
    picked = pick_examples(p, labels, each=2)
    assert len(picked) == len(set(picked)) == 12
    right = [p[i].argmax() == labels[i] for i in picked]
    assert sum(right) == 6
    assert all(labels[i] >= 0 for i in picked)


def test_no_part_of_the_package_makes_code_from_what_it_reads():
    words = {"eval", "exec", "pickle", "yaml", "marshal", "joblib", "dill"}
    for path in Path(medzoo_package.__file__).parent.rglob("*.py"):
        if path.match("plugins/ahead.py"):
            continue  # A plugin is the user's own code.
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in words, path
            if isinstance(node, ast.Import):
                assert not {a.name for a in node.names} & words, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert node.value.value is False, path


def test_a_model_is_written_as_a_repository_that_loads(trained, medzoo):
    folder, record, _ = trained
    shutil.copytree(folder / "runs", "runs")
    said = medzoo("hub", "push", folder, "--to", "repository")
    names = {"README.md", "model.keras", "record.json", "preprocessing.json"}
    assert {path.name for path in Path("repository").iterdir()} == names
    assert said.out.count("Wrote ") == 4
    found = load_saved("repository")
    assert found.record.run_id == record.run_id
    images = load_data(RUN).val.images
    np.testing.assert_array_equal(
        found.predict(images), load_saved(folder).predict(images)
    )
    about = json.loads(Path("repository/preprocessing.json").read_text())
    assert about["input"]["shape"] == [28, 28, 1]
    assert about["activation"] == "sigmoid"
    with zipfile.ZipFile("repository/model.keras") as archive:
        texts = [archive.read(name) for name in archive.namelist()]
    assert not any(str(folder).encode() in text for text in texts)
    card = Path("repository/README.md").read_text()
    assert "95 % intervals on test" in card


def test_nothing_is_pushed_without_a_place_or_the_package(trained, medzoo):
    said = medzoo("hub", "push", trained[0], code=2)
    assert "Received: neither." in said.err
    if importlib.util.find_spec("huggingface_hub") is None:
        said = medzoo("hub", "push", trained[0], "--repo", "me/it", code=2)
        assert "pip install 'medzoo[huggingface]'" in said.err
        assert said.err.count("\n") == 1
