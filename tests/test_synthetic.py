"""Synthetic data: the make-up of each task, and a signal that is spatial."""

import functools
import hashlib
import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestCentroid

from medzoo.data import synthetic
from medzoo.tasks import NAMES, SIZES, get_task

# Equal arguments give equal bytes: see the digests below.
make_synthetic = functools.cache(synthetic.make_synthetic)
all_tasks = pytest.mark.parametrize("task", NAMES)


def macro_f1(dataset, predicted):
    return f1_score(
        dataset.test.labels,
        predicted,
        average="macro",
        labels=range(dataset.num_classes),
        zero_division=0,
    )


def score_of(classifier, dataset, see=lambda images: images / 255):
    """Macro F1 on test of a scikit-learn classifier of what `see` returns."""
    features = [
        see(split.images).reshape(len(split), -1)
        for split in (dataset.train, dataset.test)
    ]
    classifier.fit(features[0], dataset.train.labels)
    return macro_f1(dataset, classifier.predict(features[1]))


def chance(dataset):
    """Macro F1 of labels in a random order."""
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(dataset.test.labels) for _ in range(20)]
    return np.mean([macro_f1(dataset, labels) for labels in shuffled])


def spectra(dataset):
    """Mean low-frequency power of each class, blind to place and phase."""
    images = dataset.train.images.mean(axis=-1, dtype=np.float32)
    power = np.abs(np.fft.fft2(images, norm="forward"))[:, :9, :9] ** 2
    power[:, 0, 0] = 0  # The brightness.
    labels = dataset.train.labels
    means = [power[labels == label].mean(axis=0) for label in np.unique(labels)]
    return np.reshape(means, (dataset.num_classes, -1))


def nearest_classes(first, second):
    """For each class of `first`, the one of `second` with its spectrum."""
    differences = spectra(first)[:, None] - spectra(second)[None]
    return np.abs(differences).sum(axis=-1).argmin(axis=1).tolist()


def model_score(name, dataset, *, width):
    """Macro F1 on test of a model that is trained for 15 epochs."""
    import keras

    from medzoo.models.registry import build_model

    keras.utils.set_random_seed(0)
    model = build_model(
        name,
        dataset.num_classes,
        input_shape=dataset.input_shape,
        width=width,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    train = dataset.train
    model.fit(train.images, train.labels, batch_size=64, epochs=15, verbose=0)
    logits = keras.ops.convert_to_numpy(model(dataset.test.images))
    return macro_f1(dataset, logits.argmax(axis=1))


@all_tasks
def test_splits_look_like_those_of_the_task_and_have_equal_shares(task):
    facts, dataset = get_task(task), make_synthetic(task)
    assert (dataset.task, dataset.classes) == (task, facts.classes)
    assert dataset.input_shape == (28, 28, facts.channels)
    shares = []
    for split in dataset.splits.values():
        assert (split.images.dtype, split.labels.dtype) == ("uint8", "int32")
        assert split.images.shape == (len(split), *dataset.input_shape)
        supports = np.bincount(split.labels)
        assert len(supports) == facts.num_classes
        assert supports.min() >= 5
        shares.append(supports / len(split))
    assert np.ptp(shares, axis=0).max() < 0.02


@pytest.mark.parametrize(
    ("task", "real"),
    [
        # Counted in the official train splits.
        ("breastmnist", [147, 399]),
        ("retinamnist", [486, 128, 206, 194, 66]),
    ],
)
def test_classes_are_as_unequal_as_in_the_real_files(task, real):
    labels = make_synthetic(task).train.labels
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(shares, np.array(real) / sum(real), atol=0.01)


def test_small_tasks_are_smaller_and_none_is_large():
    datasets = {task: make_synthetic(task) for task in NAMES}
    sizes = [
        len(datasets[task].train)
        for task in sorted(NAMES, key=lambda n: get_task(n).num_images["train"])
    ]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (400, 800)


@all_tasks
def test_no_image_is_in_two_splits_or_twice_in_one(task):
    splits = make_synthetic(task).splits.values()
    images = [image.tobytes() for split in splits for image in split.images]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize(
    ("task", "digest"),
    [
        ("breastmnist", "56465c4992b1dbf6"),
        ("retinamnist", "1f52f8ce19acd74a"),
    ],
)
def test_bytes_are_the_same_on_every_platform(task, digest):
    """If this changes on purpose, raise `VERSION` as well."""
    content = hashlib.sha256()
    for split in make_synthetic(task, seed=7).splits.values():
        content.update(split.images.tobytes())
        content.update(split.labels.astype("<i4").tobytes())
    assert content.hexdigest()[:16] == digest


def test_seed_decides_the_images_but_not_the_classes():
    first, second = (make_synthetic("bloodmnist", seed=s) for s in (0, 1))
    assert first.fingerprint == "synthetic:bloodmnist:28:0:2"
    assert second.fingerprint == "synthetic:bloodmnist:28:1:2"
    assert (first.train.images != second.train.images).mean() > 0.5
    assert nearest_classes(first, second) == list(range(8))


def test_tasks_of_the_same_shape_differ():
    tasks = ("organamnist", "organcmnist", "organsmnist")
    means = [
        [d.images[d.labels == label].mean(axis=0) for label in range(11)]
        for d in (make_synthetic(task).train for task in tasks)
    ]
    for first, second in itertools.combinations(np.array(means), 2):
        assert np.abs(first - second).max() > 10


@pytest.mark.parametrize("size", [96, *SIZES[1:]])
def test_larger_images_show_the_same_classes_at_a_finer_grain(size):
    large = make_synthetic("breastmnist", size)
    small = make_synthetic("breastmnist")
    assert large.input_shape == (size, size, 1)
    assert len(large.train) == len(small.train)
    assert nearest_classes(large, small) == [0, 1]


@pytest.mark.parametrize("task", ["bloodmnist", "dermamnist", "pathmnist"])
def test_colour_alone_does_not_give_the_class(task):
    dataset = make_synthetic(task)
    score = score_of(
        LogisticRegression(max_iter=2000),
        dataset,
        see=lambda images: (images / 255).mean(axis=(1, 2)),
    )
    assert score < chance(dataset) + 0.1


@all_tasks
def test_the_nearest_mean_image_is_weak(task):
    dataset = make_synthetic(task)
    assert score_of(NearestCentroid(), dataset) < chance(dataset) + 0.15


@pytest.mark.slow
@all_tasks
def test_the_cnn_learns_more_than_the_mlp_and_a_linear_model_little(task):
    dataset = make_synthetic(task)
    clearly = 0.02
    scores = {
        "mlp": model_score("mlp", dataset, width=None),
        "skip_cnn": model_score("skip_cnn", dataset, width=16),
        "linear": score_of(RidgeClassifier(10), dataset),
        "chance": chance(dataset),
    }
    assert scores["linear"] < scores["chance"] + 0.2, scores
    assert scores["mlp"] > scores["linear"] + clearly, scores
    assert scores["mlp"] > scores["chance"] + clearly, scores
    assert scores["skip_cnn"] > scores["mlp"] + clearly, scores


def test_unknown_tasks_are_named():
    with pytest.raises(ValueError, match="Unknown task `bloodmnits`"):
        make_synthetic("bloodmnits")
