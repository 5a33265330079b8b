"""Functions, objects of Keras and arrays in the place of names, in Python."""

import math
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers, ops
from PIL import Image

import medzoo
from medzoo.data.custom.about import describe_images
from medzoo.data.sources import load as load_data
from medzoo.losses.classification import LOSSES, build_loss
from medzoo.plugins.losses import adapt_loss
from medzoo.plugins.objects import name_objects
from medzoo.plugins.targets import find_target
from medzoo.runs.plugins import Plugin
from medzoo.runs.run import Run
from medzoo.study.spec import make_study
from medzoo.training.check import check_plugins
from medzoo.training.optimizers import build_optimizer

TINY = {"data": "synthetic", "steps": 2, "max_images": 64}


@pytest.fixture(autouse=True)
def _folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def line(num_classes, *, input_shape, stride: int = 4):
    inputs = keras.Input(input_shape, dtype="uint8")
    x = layers.AveragePooling2D(stride)(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, layers.Dense(num_classes)(layers.Flatten()(x)))


def test_a_run_of_functions_and_objects_is_trained_once_and_loaded(tmp_path):
    values = {
        "model": line,
        "stride": 7,
        "loss": keras.losses.CategoricalFocalCrossentropy(from_logits=True),
        "optimizer": keras.optimizers.Lion(3e-4),
        **TINY,
    }
    record = medzoo.run("breastmnist", out=tmp_path / "out", **values)
    assert record.status == "done"
    assert record.run.learning_rate == 3e-4
    assert record.run.optimizer == "Lion()"
    assert record.run.width is record.width is None
    assert medzoo.run("breastmnist", **values).started == record.started
    images = load_data("breastmnist", "synthetic").test.images
    assert medzoo.load(tmp_path / "out").predict(images).shape[1] == 2


def name_of(kind, value):
    name = name_objects({kind: value})[kind]
    return Run(task="breastmnist", **{kind: name})


def test_objects_are_told_apart_by_their_configuration():
    def focal(gamma):
        return keras.losses.CategoricalFocalCrossentropy(gamma=gamma)

    same = [name_of("loss", focal(3.0)) for _ in range(2)]
    assert same[0] == same[1] != name_of("loss", focal(2.0))
    assert same[0].loss == "CategoricalFocalCrossentropy(gamma=3.0)"
    adam = keras.optimizers.AdamW
    first = name_of("optimizer", adam(1e-3, beta_1=0.8, weight_decay=0.1))
    assert (first.learning_rate, first.weight_decay) == (1e-3, 0.1)
    assert first != name_of("optimizer", adam(1e-3, weight_decay=0.1))
    slower = Run(task="breastmnist", optimizer=first.optimizer, learning_rate=1)
    assert slower.learning_rate == 1


def test_what_cannot_be_identified_is_refused_with_the_way_out():
    things = [line]

    def build(num_classes, *, input_shape):
        return things[0](num_classes, input_shape=input_shape)

    with pytest.raises(ValueError, match=r'register_model\(version="1"\)'):
        medzoo.run("breastmnist", model=build, **TINY)
    medzoo.register_model(build, version="3")
    first = Run(task="breastmnist", model="build")
    medzoo.register_model(build, version="4")
    assert Run(task="breastmnist", model="build") != first
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    with pytest.raises(ValueError, match="has a schedule of its own"):
        medzoo.run("breastmnist", optimizer=keras.optimizers.SGD(rate))


def test_the_weight_decay_of_an_optimizer_is_that_of_its_run():
    def decayed(learning_rate=1e-3, weight_decay: float = 0.01):
        return keras.optimizers.AdamW(learning_rate, weight_decay)

    def hidden(learning_rate=1e-3):
        return keras.optimizers.AdamW(learning_rate)

    for made, expected in (
        (keras.optimizers.AdamW, 0.004),
        (decayed, 0.01),
        (keras.optimizers.SGD, 0.0),
    ):
        name = name_objects({"optimizer": made})["optimizer"]
        usual = Run(task="breastmnist", optimizer=name)
        assert usual.weight_decay == expected
        assert (build_optimizer(usual).weight_decay or 0.0) == expected
        for decay in (0.0, 0.2):
            run = Run(task="breastmnist", optimizer=name, weight_decay=decay)
            assert (build_optimizer(run).weight_decay or 0.0) == decay
    run = name_of("optimizer", hidden)
    with pytest.raises(ValueError, match="Take `weight_decay` as an argument"):
        build_optimizer(run)
    with pytest.raises(ValueError, match="`hidden` takes no `weight_decay`"):
        Run(task="breastmnist", optimizer="hidden", weight_decay=0.1)


def test_two_options_of_one_name_are_refused():
    def one(labels, logits, beta: float = 1.0, dropout: float = 0.5):
        return beta * dropout * ops.mean(ops.square(logits), -1)

    def two(learning_rate=1e-3, beta: float = 0.9):
        return keras.optimizers.SGD(learning_rate, momentum=beta)

    names = name_objects({"loss": one, "optimizer": two})
    with pytest.raises(ValueError, match="`one` and optimizer `two` both have"):
        Run(task="breastmnist", model="knn", **names)
    with pytest.raises(ValueError, match="Model `mlp` and loss `one` both"):
        Run(task="breastmnist", model="mlp", loss="one")

    def named(labels, logits, weight: float = 1.0):
        return weight * ops.mean(ops.square(logits), -1)

    with pytest.raises(ValueError, match="Option `weight` of loss `named` has"):
        medzoo.register_loss(named)


def test_options_of_a_plugin_are_checked_with_each_value():
    def fading(step, steps, floor: float = 0.1):
        return floor

    names = name_objects({"model": line, "schedule": fading})
    run = {"task": "breastmnist", "model": names["model"]}
    check_plugins([Run(**run, stride=7), Run(**run, stride=14)])
    with pytest.raises(ValueError, match=r"Model `line` .*cannot be built"):
        check_plugins([Run(**run, stride=7), Run(**run, stride=0)])
    run = {"task": "breastmnist", "model": "mlp", "schedule": "fading"}
    with pytest.raises(ValueError, match="must return a share"):
        check_plugins([Run(**run), Run(**run, floor=-1.0)])


class Renamed(keras.losses.SparseCategoricalCrossentropy):
    """A loss of integers by what it is made of, not by its name."""


class Scaled(keras.losses.Loss):
    """A loss whose configuration lacks its argument."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, labels, logits):
        return self.factor * ops.mean(ops.square(logits), -1)


class Plain(keras.optimizers.SGD):
    """An optimizer whose constructor takes less than its configuration."""

    def __init__(self, learning_rate=0.1):
        super().__init__(learning_rate)


def make_told():
    class Told(keras.losses.Loss):
        def __init__(self, factor=1.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, labels, logits):
            return self.factor * ops.mean(ops.square(logits), -1)

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    return Told


def make_enclosed(factor):
    class Enclosed(keras.losses.Loss):
        def call(self, labels, logits):
            return factor * ops.mean(ops.square(logits), -1)

    return Enclosed()


def test_objects_of_own_classes_are_told_apart_or_refused():
    told = make_told()
    assert name_of("loss", told(2.0)) == name_of("loss", told(2.0))
    assert name_of("loss", told(2.0)) != name_of("loss", told(3.0))
    enclosed = [name_of("loss", make_enclosed(f)) for f in (2.0, 2.0, 3.0)]
    assert enclosed[0] == enclosed[1] != enclosed[2]
    name_of("loss", Renamed(from_logits=True))
    with pytest.raises(ValueError, match="Received: no `factor`.*register_los"):
        name_of("loss", Scaled(2.0))
    with pytest.raises(ValueError, match="`Plain` cannot be made again"):
        name_of("optimizer", Plain())


def test_an_object_of_an_own_class_is_found_by_other_processes():
    plugin = name_of("loss", make_told()(2.0)).plugins["loss"]
    elsewhere = Plugin(**plugin.model_dump() | {"name": "elsewhere"})
    found = find_target("loss", elsewhere)
    np.testing.assert_allclose(found.call(None, np.ones((1, 2))), [2.0])
    changed = Plugin(**plugin.model_dump() | {"name": "x", "content": "0"})
    with pytest.raises(ValueError, match="has changed since"):
        find_target("loss", changed)
    plugin = name_of("loss", make_enclosed(2.0)).plugins["loss"]
    elsewhere = Plugin(**plugin.model_dump() | {"name": "y"})
    with pytest.raises(ValueError, match="was defined in a notebook"):
        find_target("loss", elsewhere)


def test_a_function_of_a_notebook_is_found_by_other_processes(tmp_path):
    def build(num_classes, *, input_shape):
        return line(num_classes, input_shape=input_shape)

    run = name_of("model", build)
    plugin = run.plugins["model"]
    assert plugin.source.startswith(str(tmp_path))
    name_objects({"model": line})
    elsewhere = Plugin(**plugin.model_dump() | {"name": "elsewhere"})
    found = find_target("model", elsewhere)
    assert found is not build
    assert found(2, input_shape=(28, 28, 1)).output_shape == (None, 2)


LABELS = np.array([0, 1, -1, 1], "int32")
LOGITS = np.array([[1, 0], [0.5, 2], [3, 3], [1, -1]], "float32")


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalCrossentropy(from_logits=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.CategoricalCrossentropy(),
        keras.losses.SparseCategoricalCrossentropy,
        Renamed(from_logits=True),
        keras.losses.CategoricalGeneralizedCrossEntropy(q=0.01),
        lambda labels, logits: (
            ops.logsumexp(logits, -1)
            - ops.sum(logits * ops.one_hot(labels, 2), -1)
        ),
    ],
    ids=[
        "logits",
        "sparse logits",
        "probabilities",
        "class",
        "subclass",
        "generalised",
        "function",
    ],
)
def test_any_form_of_cross_entropy_is_that_of_the_table(loss):
    found = adapt_loss(loss)(LABELS, LOGITS)
    expected = build_loss("cross_entropy")(LABELS, LOGITS)
    # The generalised one is only near to it, for a small q.
    rtol = 0.02 if hasattr(loss, "q") else 1e-5
    np.testing.assert_allclose(found, expected, rtol=rtol)


def test_losses_of_embeddings_are_refused():
    for loss in (keras.losses.Circle, keras.losses.Circle()):
        with pytest.raises(ValueError, match="Expected a loss of the logits"):
            name_objects({"loss": loss})


def test_a_loss_over_the_batch_leaves_out_images_without_a_label():
    dice = adapt_loss(keras.losses.Dice())
    kept = LABELS >= 0
    found = dice(LABELS, LOGITS), dice(LABELS[kept], LOGITS[kept])
    np.testing.assert_allclose(*found, rtol=1e-6)
    assert "dice" not in LOSSES


def test_a_study_of_functions_is_that_of_a_file():
    study = make_study(
        "nets",
        {
            "axes": [name_objects({"model": [line, "mlp"]})],
            "tasks": ["breastmnist"],
            "seeds": [0],
            "data": "synthetic",
            "fixed": {"steps": 2},
        },
    )
    assert [trial.name for trial in study.trials] == ["line", "mlp"]
    with pytest.raises(ValueError, match=r"nets.toml.*not a field of a run"):
        make_study("nets", {"axes": [{"modle": ["mlp"]}]})


def test_two_functions_of_one_name_are_refused():
    def build(num_classes, *, input_shape):
        return line(num_classes, input_shape=input_shape)

    first = build

    def build(num_classes, *, input_shape):  # noqa: F811
        return line(num_classes, input_shape=input_shape, stride=7)

    with pytest.raises(ValueError, match="Two values of `model` are called"):
        name_objects({"model": [first, build]})


def make_arrays(num_images=60):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (num_images, 28, 28), dtype="uint8")
    return images, np.arange(num_images) % 2


def test_arrays_are_data_of_runs_and_are_known_by_their_content():
    images, labels = make_arrays()
    names = np.array(["benign", "malign"])[labels]
    groups = np.arange(len(labels)) // 6
    data = medzoo.Dataset.from_arrays(images, names, groups=groups)
    again = medzoo.Dataset.from_arrays(images, names, groups=groups)
    assert data == again
    record = medzoo.run(data=data, model="mlp", width=4, steps=2)
    assert record.classes == ["benign", "malign"]
    assert record.notes == ["Split at random, 10% val and 20% test, by group."]
    assert sum(record.num_images.values()) == 60
    images[0] += 1
    other = medzoo.Dataset.from_arrays(images, names, groups=groups)
    assert other.address != data.address


def test_splits_are_kept_as_given():
    images, labels = make_arrays()
    splits = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    data = medzoo.Dataset.from_arrays(images, labels, splits=splits, name="a")
    found = load_data("a", data.address)
    np.testing.assert_array_equal(found.val.images[..., 0], images[40:50])
    np.testing.assert_array_equal(found.test.labels, labels[50:])


def test_a_pipeline_is_read_once():
    images, labels = make_arrays()
    batches = [
        (images[i : i + 16], labels[i : i + 16]) for i in range(0, 60, 16)
    ]
    data = medzoo.Dataset.from_tf_data(iter(batches))
    assert data == medzoo.Dataset.from_arrays(images, labels)
    for shape in ((), (1,)):  # Of a label, one by one.
        pairs = zip(
            images, (label.reshape(shape) for label in labels), strict=True
        )
        assert medzoo.Dataset.from_tf_data(pairs) == data
    first = load_data("arrays", data.address).fingerprint
    other = medzoo.Dataset.from_tf_data(batches[::-1])
    assert load_data("arrays", other.address).fingerprint != first


def test_a_pipeline_without_an_end_is_one_sentence():
    tensorflow = pytest.importorskip("tensorflow")
    pairs = tensorflow.data.Dataset.from_tensor_slices(make_arrays(4))
    with pytest.raises(ValueError, match="has no end. Expected a finite one"):
        medzoo.Dataset.from_tf_data(pairs.repeat())
    assert medzoo.Dataset.from_tf_data(
        pairs, splits={"val": pairs, "test": pairs}
    ).address.startswith("npz:")


def test_a_data_frame_is_a_table_of_files(tmp_path):
    images, labels = make_arrays(20)
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    frame = pd.DataFrame(
        {
            "file": [f"{n}.png" for n in range(20)],
            "finding": np.array(["no", "yes"])[labels],
            "age": 50,
        }
    )
    data = medzoo.Dataset.from_dataframe(
        frame,
        path="file",
        label="finding",
        root=tmp_path,
        attributes=["age=40/60"],
    )
    about = describe_images(data.address, data.size, data.options)
    assert about.attributes == {"age": ["50"] * 20}
    record = medzoo.run(data=data, model="mlp", width=4, steps=2)
    assert record.classes == ["no", "yes"]
    with pytest.raises(ValueError, match="Unknown column `patient`"):
        medzoo.Dataset.from_dataframe(
            frame, path="file", label="finding", group="patient"
        )


def test_a_path_is_data_and_arrays_have_a_way_out(tmp_path):
    images, labels = make_arrays(20)
    path = Path(medzoo.Dataset.from_arrays(images, labels).address[4:])
    named = {"data": path, "model": "mlp", "width": 4, "steps": 2}
    assert medzoo.run(**named).run.data == f"npz:{path}"
    with pytest.raises(FileNotFoundError, match="No data there"):
        medzoo.run(data=tmp_path / "none")
    with pytest.raises(TypeError, match="Dataset.from_arrays"):
        medzoo.run(data=(images, labels))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": np.zeros((4, 28, 28))}, "`images` must be uint8"),
        ({"labels": [0, 1, 2, -1]}, "`labels` must lie between 0 and 2"),
        ({"labels": np.eye(4)}, "labels.argmax"),
        ({"name": "a/b"}, "`name` is that of the task, and of a file"),
        ({"labels": [0, 1, 2, 2_000_000_000]}, "`labels` must lie between"),
        ({"labels": ["a", "b", "a", None]}, "must name a class for each"),
        ({"labels": [0.0, 1.0, 0.0, math.nan]}, "must name a class for each"),
        ({"labels": ["a", "cat", "Cat", "a"]}, "one spelling of a class"),
        ({"groups": [1, 1.0, 2, 3]}, "one spelling of a group"),
        ({"splits": ["train"] * 4}, "No image is in `val`"),
        ({"splits": ["train"]}, "`splits` must name one split an image"),
        ({"groups": ["a"]}, "`groups` must name one group an image"),
    ],
)
def test_wrong_arrays_are_one_sentence(change, sentence):
    given = {"images": np.zeros((4, 28, 28), "uint8"), "labels": [0, 1, 0, 1]}
    with pytest.raises(ValueError, match=sentence):
        medzoo.Dataset.from_arrays(**given | change)
