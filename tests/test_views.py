"""Views of an image for a pretrained trunk: in training, in the end, cached."""

import keras
import numpy as np
import pytest
from keras import ops

from medzoo.data.dataset import Dataset, Split
from medzoo.models.options import FLIPS
from medzoo.models.registry import build_model
from medzoo.models.transfer import build_features
from medzoo.runs.run import Run
from medzoo.runs.symmetries import choose_options, choose_preset, list_flips
from medzoo.training.baselines import fit_baseline
from medzoo.training.execute import execute, load_data
from medzoo.training.features import with_features
from medzoo.training.predict import predict_logits, to_probabilities

RUN = {
    "data": "synthetic",
    "model": "transfer",
    "max_images": 16,
    "batch_size": 8,
    "steps": 2,
}
# The signals of a random trunk fade with its depth.
TRUNK = {"weights": "none", "taps": "conv_pw_1_relu", "resize": 32}
OPTIONS = {**TRUNK, "dropout": 0.0}


def images(num_images=4):
    generator = np.random.default_rng(0)
    shape = (num_images, 28, 28, 3)
    return generator.integers(0, 256, shape, dtype="uint8")


def build(views, shape=(28, 28, 3)):
    keras.utils.set_random_seed(0)
    return build_model("transfer", 3, input_shape=shape, views=views, **OPTIONS)


def test_an_image_and_its_mirror_image_have_the_same_logits():
    batch = images()
    for views, several in (("mirror", [(2,)]), ("any", [(1,), (1, 2)])):
        model = build(views)
        for axes in several:
            logits = model(np.flip(batch, axes))
            np.testing.assert_allclose(model(batch), logits, atol=1e-4)
    fixed = build("fixed")
    turned = fixed(np.flip(batch, 2))
    assert not np.allclose(fixed(batch), turned, atol=1e-4)


def test_the_logits_are_the_mean_over_the_views():
    batch = images()
    views = [build("plain")(np.flip(batch, a)) for a in ((), (2,))]
    expected = np.mean([ops.convert_to_numpy(v) for v in views], axis=0)
    np.testing.assert_allclose(build("mirror")(batch), expected, atol=1e-4)
    assert build("mirror")(batch, training=True).shape == (4, 2, 3)


def test_deviations_stand_beside_means():
    values = {"backbone": "mobilenet_025", "weights": "none", "resize": 32}
    shapes = [
        build_features(
            (28, 28, 1), taps="conv_pw_1_relu", pool=pool, **values
        ).output_shape
        for pool in ("mean", "mean_std")
    ]
    assert shapes == [(None, 16), (None, 32)]


@pytest.mark.parametrize(
    ("task", "views"),
    [
        ("breastmnist", "mirror"),
        ("bloodmnist", "any"),
        ("organamnist", "fixed"),
    ],
)
def test_a_task_has_the_views_that_its_classes_allow(task, views):
    run = Run(task=task, model="transfer", options={"views": "by_task"})
    assert choose_options(run)["views"] == views


def test_own_images_have_the_views_that_their_owner_allows():
    asked = {
        "flip_test": True,
        "augmentation": "by_task",
        "options": {"views": "by_task"},
    }

    def make(symmetry, **asked):
        return Run(
            task="bloodmnist",
            data="folder:cells",
            data_options={"symmetry": symmetry} if symmetry else {},
            fingerprint="f",
            model="transfer",
            **asked,
        )

    for symmetry, preset in (
        ("", "strong_fixed"),
        ("mirror", "strong"),
        ("any", "strong_any"),
    ):
        run = make(symmetry, **asked)
        assert choose_options(run)["views"] == (symmetry or "fixed")
        assert list_flips(run) == FLIPS[symmetry or "fixed"]
        assert choose_preset(run) == preset
        # A run that asks for none of the three is the same run.
        assert make(symmetry) == make("")
        for name, value in asked.items():
            same = make(symmetry, **{name: value}) == make("", **{name: value})
            assert same == (not symmetry)
    with pytest.raises(ValueError, match="Expected one of: any, mirror"):
        make("all")


def test_a_cached_trunk_and_the_whole_model_say_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = Run(
        **RUN,
        task="breastmnist",
        options={**OPTIONS, "views": "by_task", "pool": "mean_std"},
    )
    kept = []
    record, predictions = execute(run, on_model=kept.append)
    logits = predict_logits(kept[0], load_data(run).val.images)
    np.testing.assert_allclose(
        to_probabilities(logits), predictions.val.probabilities, atol=1e-4
    )
    again, _ = execute(run)
    assert again.scores == record.scores


@pytest.mark.parametrize("task", ["breastmnist", "retinamnist"])
def test_a_logistic_regression_becomes_a_model_from_raw_images(
    task, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = Run(
        task=task,
        data="synthetic",
        model="logistic_regression",
        loss="cross_entropy",
        max_images=40,
        options={**TRUNK, "views": "by_task", "strength": 0.1},
    )
    kept = []
    record, predictions = execute(run, on_model=kept.append)
    assert record.chosen == {"C": 0.1}
    logits = predict_logits(kept[0], load_data(run).test.images)
    np.testing.assert_allclose(
        to_probabilities(logits), predictions.test.probabilities, atol=1e-3
    )


def make_symmetric(num_images=40):
    """Makes images that are their own mirror images, brighter by class."""
    labels = np.arange(num_images, dtype="int32") % 5
    random = np.random.default_rng(0)
    corner = random.integers(0, 100, (num_images, 14, 14, 3), dtype="uint8")
    corner += (30 * labels).astype("uint8")[:, None, None, None]
    half = np.concatenate([corner, corner[:, ::-1]], axis=1)
    whole = np.concatenate([half, half[:, :, ::-1]], axis=2)
    splits = (Split(whole[i::2], labels[i::2]) for i in (0, 1, 1))
    return Dataset("retinamnist", tuple("abcde"), *splits, "symmetric")


def test_views_weigh_as_much_as_the_image_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data, found = make_symmetric(), []
    for views in ("plain", "any"):
        run = Run(
            task="retinamnist",
            data="synthetic",
            model="logistic_regression",
            loss="cross_entropy",
            options={**TRUNK, "views": views, "strength": 0.1},
        )
        features = with_features(run, data)
        baseline = fit_baseline(run, features)
        logits = baseline.predict_logits(features.test.images)
        found.append(to_probabilities(logits))
    assert np.ptp(found[0]) > 0.2
    np.testing.assert_allclose(*found, atol=1e-3)
