"""All losses by hand, by reference, and by what must not change them."""

import itertools
import zlib
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from medzoo.losses.classification import (
    LOSSES,
    VARIANTS,
    JointLoss,
    build_imbalance_loss,
    build_loss,
    cross_entropy,
    cross_entropy_and_soft_f1,
    effective_number,
    focal,
    inverse_frequency,
    logit_adjusted,
    soft_f1,
)
from medzoo.losses.multitask import HeadsLoss, TaskLoss
from medzoo.losses.segmentation import (
    MASK_LOSSES,
    MaskLoss,
    dice_and_cross_entropy,
    tversky,
)
from medzoo.models import options
from medzoo.runs import fields

OUTPUTS = ("softmax", "sigmoid")
SHARES = (0.5, 0.3, 0.2)
COUNTS = [5, 3, 1]
# Nine classes of three tasks.
HEADS = (3, 2, 4)
TASK_SHARES = (0.5, 0.3, 0.2, 0.7, 0.3, 0.1, 0.2, 0.3, 0.4)
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="jax has no float64"
)


@dataclass(frozen=True)
class Case:
    """A loss, and how it takes labels `(n,)` and logits `(n, num_classes)`."""

    loss: keras.losses.Loss
    shape: str = "labels"
    num_classes: int = 3
    exact: bool = True  # It computes in float64 if its logits are float64.

    def __call__(self, labels, logits):
        return call(self.loss, self.shape, labels, logits)


def call(loss, shape, labels, logits):
    labels, logits = map(ops.convert_to_tensor, (labels, logits))
    if shape == "pixels":
        return loss.call(labels[None, None], logits[None, None])
    if shape == "heads":
        pixels = labels[:, None, None], logits[:, None, None]
        both = zip(pixels, (labels, logits), strict=True)
        return loss.call(*({"mask": a, "label": b} for a, b in both))
    if shape == "mixed":
        labels = ops.cast(labels, "float32")
        labels = ops.stack([labels, labels, 0.3 + 0 * labels], axis=-1)
    if shape == "members":
        logits = ops.stack([logits, logits], axis=1)
    return loss.call(labels, logits)


def list_cases():
    """Lists every loss of the package by its name."""
    for name, output in itertools.product(LOSSES, OUTPUTS):
        given = {"output": output, "weight": 0.3}
        needs = name == "weighted_soft_f1"
        loss = build_loss(
            name, **given, class_weights=SHARES if needs else None
        )
        yield f"{name}-{output}", Case(loss)
        loss = TaskLoss(
            name, HEADS, **given, class_weights=TASK_SHARES if needs else None
        )
        yield f"tasks-{name}-{output}", Case(loss, num_classes=9, exact=False)
    for name in ("class_weights", "effective_number", *VARIANTS):
        loss = build_imbalance_loss(name, class_counts=COUNTS)
        yield f"imbalance-{name}", Case(loss)
    loss = build_imbalance_loss("focal", class_counts=COUNTS, output="sigmoid")
    yield "imbalance-focal-sigmoid", Case(loss)
    for name, weights in itertools.product(MASK_LOSSES, (None, SHARES)):
        kind = "mask" if weights is None else "weighted-mask"
        yield f"{kind}-{name}", Case(MaskLoss(name, 3, weights), "pixels")
    parts = MaskLoss("dice+cross_entropy", 3), build_loss("cross_entropy")
    heads = HeadsLoss(*parts, mask_weight=2.0, label_weight=0.5)
    yield "heads", Case(heads, "heads", exact=False)
    for shape in ("mixed", "members"):
        loss = JointLoss(build_loss("cross_entropy+soft_f1"))
        yield shape, Case(loss, shape)


def make_batch(num_classes=3, num_images=16):
    generator = np.random.default_rng(0)
    pattern = [*range(num_classes), -1, 0, 0]
    labels = np.resize(pattern, num_images).astype("int32")
    return labels, generator.normal(scale=2, size=(num_images, num_classes))


def gradient(function, labels, logits):
    """Returns value and gradient, by whichever backend runs."""
    if keras.backend.backend() == "jax":
        import jax

        inputs = ops.convert_to_tensor(logits)
        value, slope = jax.value_and_grad(function, 1)(labels, inputs)
        return float(value), np.asarray(slope)
    import tensorflow as tf

    inputs = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = function(labels, inputs)
    return float(value), tape.gradient(value, inputs).numpy()


def as_graph(function):
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function)


def check_loss(case):
    """Checks what holds for every loss of a batch."""
    labels, logits = make_batch(case.num_classes)
    value, slope = gradient(case, labels, logits)
    assert 0 < value < np.inf
    assert np.isfinite(slope).all()
    tolerance = {"rtol": 1e-6 if case.exact else 1e-5}
    graph = as_graph(case)(labels, ops.convert_to_tensor(logits))
    assert_allclose(graph, value, **tolerance)
    order = np.random.default_rng(1).permutation(len(labels))
    assert_allclose(case(labels[order], logits[order]), value, **tolerance)
    check_unlabelled(case, labels, logits, value, slope)
    check_ends(case, labels, logits, value)
    check_extremes(case, labels, logits)
    config = keras.saving.serialize_keras_object(case.loss)
    again = keras.saving.deserialize_keras_object(config)
    assert float(replace(case, loss=again)(labels, logits)) == value


def check_unlabelled(case, labels, logits, value, slope):
    """Masking is dropping, and without any label nothing is left."""
    kept = labels >= 0
    dropped, of_kept = gradient(case, labels[kept], logits[kept])
    assert_allclose(dropped, value, rtol=1e-5)
    assert_allclose(slope[kept], of_kept, atol=1e-7)
    assert not slope[~kept].any()
    nothing, slope = gradient(case, np.full_like(labels, -1), logits)
    assert (nothing, np.abs(slope).max()) == (0.0, 0.0)


def check_ends(case, labels, logits, value):
    """Perfect logits cost nothing, and opposite ones more than random ones."""
    perfect = 40.0 * np.eye(case.num_classes)[labels] - 20.0
    for kept in (labels >= -1, labels == 1):  # One class alone has no floor.
        assert 0 <= float(case(labels[kept], perfect[kept])) < 1e-6
    assert float(case(labels, -perfect)) > value > 1e-3


def check_extremes(case, labels, logits):
    """The largest float16 logits keep value and gradient finite."""
    extreme = (60000 * np.sign(logits)).astype("float16")
    for chosen in (labels, np.full_like(labels, 1), np.minimum(labels, 0)):
        value, slope = gradient(case, chosen, extreme)
        assert np.isfinite(value)
        assert slope.dtype == "float16"
        assert np.isfinite(slope).all()


CASES = dict(list_cases())
every_loss = pytest.mark.parametrize("name", CASES)


@every_loss
def test_a_loss_keeps_the_contract(name):
    check_loss(CASES[name])


@every_loss
@on_tensorflow
def test_gradients_are_finite_differences(name):
    """Along two directions that no wrong gradient happens to be normal to."""
    case = CASES[name]
    labels, logits = make_batch(case.num_classes, num_images=8)
    _, slope = gradient(case, labels, logits)
    size = 1e-5 if case.exact else 5e-2  # In float64, or in float32.
    near = {"abs": 1e-9} if case.exact else {"rel": 2e-2, "abs": 1e-4}
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    for way in generator.normal(size=(2, *logits.shape)):
        way /= np.linalg.norm(way)
        step = size * way
        ahead, back = (float(case(labels, logits + s)) for s in (step, -step))
        found = (ahead - back) / (2 * size)
        assert found == pytest.approx((slope * way).sum(), **near)
    if case.exact:
        assert slope.dtype == "float64"
        assert np.abs(slope[labels >= 0]).min() > 1e-9


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("loss", [soft_f1, cross_entropy, focal])
@pytest.mark.parametrize("weights", [None, np.array(SHARES)])
def test_order_of_classes_does_not_matter(loss, output, weights):
    labels, logits = make_batch()
    order = np.array([2, 0, 1])
    renamed = np.where(labels >= 0, order.argsort()[labels], -1)
    expected = loss(labels, logits, output=output, class_weights=weights)
    ordered = None if weights is None else weights[order]
    found = loss(
        renamed, logits[:, order], output=output, class_weights=ordered
    )
    assert_allclose(found, expected, rtol=1e-6)


def test_names_are_those_of_the_choices():
    assert tuple(LOSSES) == fields.LOSSES
    assert tuple(MASK_LOSSES) == options.MASK_LOSSES


P = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])  # Labels are 0, 0, 1.
# Class 0: 2 * 1.5 / (2 + 1.7). Class 1: 2 * 0.8 / (1 + 1.3).
F1 = np.array([3 / 3.7, 1.6 / 2.3])
# Class 0: 1.5 right, 0.2 too many, 0.5 missed. Class 1: 0.8, 0.5, 0.2.
TVERSKY = np.array([1.5 / (1.5 + 0.06 + 0.35), 0.8 / (0.8 + 0.15 + 0.14)])
COSTS = -np.log([0.9, 0.6, 0.8])
FOCAL = np.array([0.1, 0.4, 0.2]) ** 2 * COSTS
# Times the prior of 2 / 3 and 1 / 3, and divided by the sum.
ADJUSTED = -np.log([1.8 / 1.9, 1.2 / 1.6, 0.8 / 1.2])


@pytest.mark.parametrize(
    ("loss", "options", "expected"),
    [
        (soft_f1, {}, 1 - F1.mean()),
        (soft_f1, {"class_weights": [20, 10]}, 1 - F1 @ [2 / 3, 1 / 3]),
        (cross_entropy, {}, COSTS.mean()),
        (cross_entropy, {"class_weights": [1, 4]}, COSTS @ [1, 1, 4] / 6),
        (
            cross_entropy_and_soft_f1,
            {"weight": 0.25},
            0.75 * COSTS.mean() + 0.25 * (1 - F1.mean()),
        ),
        (focal, {}, FOCAL.mean()),
        (focal, {"class_weights": [1, 4]}, FOCAL @ [1, 1, 4] / 6),
        (focal, {"gamma": 0.0}, COSTS.mean()),
        (logit_adjusted, {"class_counts": [20, 10]}, ADJUSTED.mean()),
        (logit_adjusted, {"class_counts": [5, 5]}, COSTS.mean()),
        (tversky, {}, 1 - TVERSKY.mean()),
        (tversky, {"alpha": 0.5, "beta": 0.5}, 1 - F1.mean()),
        (tversky, {"class_weights": [1, 3]}, 1 - TVERSKY @ [0.25, 0.75]),
        (dice_and_cross_entropy, {}, 1 - F1.mean() + COSTS.mean()),
    ],
)
def test_values_by_hand(loss, options, expected):
    found = loss([0, 0, 1], np.log(P), **options)
    assert_allclose(found, expected, rtol=1e-6)


def test_values_of_sigmoids_by_hand():
    logits = np.log([[9, 3 / 7], [3 / 2, 3 / 7], [1, 4]])  # Log of the odds.
    # Class 0: 2 * 1.5 / (2 + 2.0). Class 1: 2 * 0.8 / (1 + 1.4).
    expected = 1 - np.mean([3 / 4, 1.6 / 2.4])
    found = soft_f1([0, 0, 1], logits, output="sigmoid")
    assert_allclose(found, expected, rtol=1e-6)
    expected = -np.log([0.9, 0.7, 0.6, 0.7, 0.5, 0.8]).mean()
    found = cross_entropy([0, 0, 1], logits, output="sigmoid")
    assert_allclose(found, expected, rtol=1e-6)
    zeros = cross_entropy([0, 1], np.zeros((2, 7)), output="sigmoid")
    assert_allclose(zeros, np.log(2), rtol=1e-6)
    labels, logits = make_batch()
    plain = cross_entropy(labels, logits, output="sigmoid")
    found = focal(labels, logits, output="sigmoid", gamma=0.0)
    assert_allclose(found, plain, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_and_focal_are_those_of_keras(smoothing):
    labels, logits = make_batch()
    labels, logits = labels[labels >= 0], logits[labels >= 0].astype("float32")
    one_hot = np.eye(3, dtype="float32")[labels]
    options = {"from_logits": True, "label_smoothing": smoothing}
    focals = {"softmax": {"alpha": 1.0}, "sigmoid": {}}
    for output, kind in zip(OUTPUTS, ("Categorical", "Binary"), strict=True):
        reference = getattr(keras.losses, f"{kind}Crossentropy")(**options)
        found = cross_entropy(
            labels, logits, output=output, label_smoothing=smoothing
        )
        assert_allclose(found, reference(one_hot, logits), rtol=1e-5)
        reference = getattr(keras.losses, f"{kind}FocalCrossentropy")(
            gamma=2.0, from_logits=True, **focals[output]
        )
        found = focal(labels, logits, output=output)
        assert_allclose(found, reference(one_hot, logits), rtol=1e-5)


def test_a_class_that_is_absent_is_left_out_of_the_mean():
    labels, logits = make_batch()
    labels = np.minimum(labels, 1)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    p[labels < 0] = 0
    each = [
        2 * p[labels == c, c].sum() / ((labels == c).sum() + p[:, c].sum())
        for c in (0, 1)
    ]
    assert_allclose(soft_f1(labels, logits), 1 - np.mean(each), rtol=1e-6)


@pytest.mark.parametrize("name", MASK_LOSSES)
def test_what_is_marked_where_nothing_is_costs_something(name):
    loss = MaskLoss(name, 3)
    nothing = np.zeros((1, 2, 2), "int32")
    marked, unmarked = (
        4.0 * np.eye(3)[np.full((1, 2, 2), mask_class)] for mask_class in (1, 0)
    )
    assert float(loss(nothing, marked)) > 10 * float(loss(nothing, unmarked))
    _, slope = gradient(loss, nothing, marked)
    assert (slope[..., 0] < 0).all()


def test_class_weights_are_their_formulas():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], [50, 13, 6])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert_allclose(inverse_frequency([50, 13, 6]), expected)
    # By hand: 1 - 0.9^2 = 0.19 and 1 - 0.9^1 = 0.1.
    found = effective_number([2, 1], beta=0.9)
    assert_allclose(found, [2 * 0.1 / 0.29, 2 * 0.19 / 0.29])
    assert_allclose(effective_number([9, 1], beta=0.0), [1, 1])
    near = effective_number([9, 1], beta=1 - 1e-9)
    assert_allclose(near, [0.2, 1.8], rtol=1e-5)
    assert effective_number([3, 0, 3]) == [1.0, 0.0, 1.0]


def build_model(loss, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", loss=loss, **options)
    return model


@pytest.mark.parametrize("name", ["soft_f1", "cross_entropy+soft_f1"])
def test_a_model_trains_and_is_loaded_with_it(name, tmp_path):
    labels, images = make_batch()
    model = build_model(build_loss(name))
    before = float(model.loss(labels, model(images)))
    assert model.train_on_batch(images, labels) == pytest.approx(before, 1e-5)
    after = model.test_on_batch(images, labels)
    assert after < before
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.test_on_batch(images, labels) == pytest.approx(after)


@pytest.mark.parametrize("output", OUTPUTS)
def test_xla_changes_nothing(output):
    labels, images = make_batch()
    values = []
    for jit_compile in (False, True):
        loss = build_loss("soft_f1", output=output)
        model = build_model(loss, jit_compile=jit_compile)
        values.append([model.train_on_batch(images, labels) for _ in range(2)])
    assert_allclose(values[0], values[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "arguments", "sentence"),
    [
        (build_loss, {"name": "softf1"}, r"Unknown loss .* mean `soft_f1`\?"),
        (build_loss, {"output": "sigmoids"}, r"Unknown output `sigmoids`"),
        (build_loss, {"weight": 1.5}, r"Received: weight=1\.5\."),
        (build_loss, {"name": "weighted_soft_f1"}, r"needs `class_weights`"),
        (build_imbalance_loss, {"name": "smote"}, r"Unknown imbalance `smote`"),
        (
            MaskLoss,
            {"loss": "jaccard"},
            r"Unknown mask loss `jaccard`\. Expected one of",
        ),
        (MaskLoss, {"class_weights": [1, 2]}, "must be 3 finite numbers"),
        (MaskLoss, {"class_weights": [1, 2, -1]}, "none of them negative"),
        (TaskLoss, {"loss": "f1"}, "Unknown loss `f1`"),
        (TaskLoss, {"loss": "weighted_soft_f1"}, "needs `class_weights`"),
    ],
)
def test_wrong_options_are_refused(build, arguments, sentence):
    usual = {
        build_loss: {"name": "cross_entropy+soft_f1"},
        build_imbalance_loss: {"class_counts": COUNTS},
        MaskLoss: {"loss": "dice", "num_mask_classes": 3},
        TaskLoss: {"num_classes": HEADS},
    }
    with pytest.raises(ValueError, match=sentence):
        build(**usual[build] | arguments)


@pytest.mark.parametrize("weights", [[1, 2], [1, 2, -1], [1, 2, np.nan]])
def test_class_weights_that_do_not_fit_are_refused(weights):
    labels, logits = make_batch()
    with pytest.raises(ValueError, match="must be 3 finite numbers"):
        build_loss("soft_f1", class_weights=weights)(labels, logits)


def test_weights_of_images_are_refused():
    labels, logits = make_batch()
    with pytest.raises(ValueError, match="Expected sample_weight=None"):
        build_loss("soft_f1")(labels, logits, sample_weight=np.ones(16))


@pytest.mark.parametrize(
    ("masks", "logits"),
    [((2, 4, 4, 1), (2, 4, 4, 3)), ((2, 4, 5), (2, 4, 4, 3)), ((2, 4, 4),) * 2],
)
def test_masks_and_logits_that_do_not_fit_are_refused(masks, logits):
    with pytest.raises(
        ValueError, match=r"must have shape \(batch, height, width\) and"
    ):
        MaskLoss("dice", 3)(ops.zeros(masks), ops.zeros(logits))
