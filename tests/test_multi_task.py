"""Runs of several tasks: common batches, one record, views of each task."""

import numpy as np
import pytest

from medzoo.data.batches import batch_indices, mixed_batch_indices
from medzoo.data.multi_task import MultiTaskImages
from medzoo.data.sources import load
from medzoo.runs.run import Run
from medzoo.scores.probabilities import harmonic_mean, macro_f1
from medzoo.study.expand import expand
from medzoo.study.spec import read_study
from medzoo.study.tuning import make_tuning_problems
from medzoo.tasks import NAMES, class_ranges
from medzoo.training.execute import complete, execute
from medzoo.training.objectives import make_objective
from medzoo.training.objectives.tasks import average

TWO = "retinamnist+breastmnist"
SMALL = {
    "task": TWO,
    "data": "synthetic",
    "model": "multi_head",
    "width": 8,
    "options": {"trunk": "mlp"},
    "batch_size": 32,
    "max_images": 48,
    "steps": 4,
}
# The counts of train of the official files, from 546 to 165,466.
SIZES = (
    89996, 7007, 97477, 4708, 1080, 546, 11959, 165466, 34561, 12975, 13932,
)  # fmt: skip


def take(count, *args, **kwargs):
    batches = mixed_batch_indices(*args, **kwargs)
    return [next(batches) for _ in range(count)]


def count_tasks(batches, sizes):
    edges = np.cumsum([0, *sizes])
    return np.array([np.histogram(b, edges)[0] for b in batches])


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_every_batch_is_full_and_holds_each_task_to_within_one_image(alpha):
    counts = count_tasks(
        take(200, SIZES, 128, alpha=alpha, seed=3), sizes=SIZES
    )
    weights = np.array(SIZES) ** alpha
    due = 128 * weights / weights.sum()
    assert (counts.sum(axis=1) == 128).all()
    assert (np.abs(counts - due) < 1).all()
    # In the long run the shares are exact: far closer than random draws are.
    assert np.abs(counts.mean(axis=0) - due).max() < 0.03


def test_a_small_task_goes_round_and_round():
    seen = np.concatenate(take(60, (5, 400), 8, alpha=0.0, seed=0))
    small = seen[seen < 5]
    assert len(small) == 240
    for start in range(0, 240, 5):
        assert sorted(small[start : start + 5]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("start", [0, 1, 7, 90])
def test_mixed_batches_go_on_where_they_stopped(start):
    options = {"sizes": (30, 7, 500), "batch_size": 16, "alpha": 0.5}
    whole = take(start + 20, **options, seed=1)
    rest = take(20, **options, seed=1, start=start)
    assert all(map(np.array_equal, whole[start:], rest))
    other = take(start + 20, **options, seed=2)
    assert not all(map(np.array_equal, whole, other))


def test_mixed_batches_of_one_task_are_its_own():
    mixed = take(30, (53,), 16, alpha=0.5, seed=4)
    alone = batch_indices(53, 16, seed=4)
    assert all(np.array_equal(batch, next(alone)) for batch in mixed)


def test_grey_images_meet_coloured_ones():
    grey = np.arange(8, dtype="uint8").reshape(2, 2, 2, 1)
    coloured = np.arange(36, dtype="uint8").reshape(3, 2, 2, 3)
    images = MultiTaskImages([grey, coloured], with_tasks=True)
    assert (len(images), images.shape) == (5, (5, 2, 2, 3))
    found = images[np.array([4, 0, 2])]
    assert found["tasks"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found["images"][0], coloured[2])
    np.testing.assert_array_equal(
        found["images"][1], np.repeat(grey[0], 3, axis=-1)
    )
    assert len(images[3:9]["images"]) == 2


def test_labels_lie_in_the_segments_of_their_tasks():
    data = load(TWO, "synthetic")
    assert data.heads == (5, 2)
    assert data.num_classes == len(data.classes) == 7
    assert data.input_shape == (28, 28, 3)
    offset = len(data.parts[0].val)
    np.testing.assert_array_equal(
        data.val.labels[offset:] - 5, data.parts[1].val.labels
    )
    assert class_ranges("all")["organsmnist"] == range(67, 78)


def test_all_tasks_are_one_run_however_they_are_written():
    values = {**SMALL, "task": "all"}
    written_out = Run(**values | {"task": "+".join(reversed(NAMES))})
    assert Run(**values) == written_out
    assert written_out.task == "+".join(NAMES)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"task": "bloodmnist+x"}, "Unknown task `x`"),
        ({"task": "bloodmnist+bloodmnist"}, "each of them once"),
        ({"model": "mlp", "options": {}}, "`mlp` is a net of one task"),
        ({"task_weighting": "fair"}, "Unknown task_weighting `fair`"),
        ({"options": {"trunk": "resnet"}}, "Unknown trunk `resnet`"),
        ({"options": {"trunk": "multi_head"}}, "Unknown trunk"),
        ({"options": {"trunk": "mlp", "stages": 2}}, "Unknown option `stages`"),
        ({"mix": "mixup"}, "are not mixed with each other"),
        (
            {"options": {"trunk": "skip_cnn", "members": 2}},
            "has one member",
        ),
        (
            {"loss": "soft_harmonic_mean", "task_weighting": "dwa"},
            "weighs the tasks itself",
        ),
    ],
)
def test_a_wrong_run_of_several_tasks_is_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Run(**SMALL | changes)


def test_options_of_several_tasks_are_refused_for_a_net_of_one():
    with pytest.raises(ValueError, match="alpha"):
        Run(task="breastmnist", alpha=1.0)


def test_options_stand_beside_fields_or_in_a_table_of_their_own():
    beside = Run(**SMALL, alpha=0.25)
    inside = Run(**{**SMALL, "options": {**SMALL["options"], "alpha": 0.25}})
    assert beside == inside
    assert beside != Run(**SMALL)


def test_a_choice_for_one_net_is_made_for_all_its_tasks(tmp_path):
    path = tmp_path / "tuned.toml"
    path.write_text("""
question = "Which rate?"
tasks = ["breastmnist", "retinamnist"]
seeds = [0, 1]
[axes]
model = ["multi_head", "mlp"]
[fixed]
steps = 2
[tuned]
learning_rate = [0.1, 0.01]
""")
    study = read_study(path)
    problems = make_tuning_problems(study)
    assert [problem.key for problem in problems] == [
        ("multi_head", TWO),
        ("mlp", "breastmnist"),
        ("mlp", "retinamnist"),
    ]
    assert [len(runs) for runs in problems[0].runs] == [2, 2]
    choices = {problem.key: {"learning_rate": 0.1} for problem in problems}
    assert len(expand(study, choices=choices)) == 2 * 3


def test_one_task_under_one_head_is_the_run_of_its_trunk():
    values = SMALL | {"task": "breastmnist", "loss": "cross_entropy"}
    shared, predicted = execute(Run(**values))
    alone, expected = execute(Run(**values | {"model": "mlp", "options": {}}))
    assert shared.scores == alone.scores
    assert shared.history == alone.history
    assert shared.parameters == alone.parameters
    np.testing.assert_array_equal(
        predicted.test.probabilities, expected.test.probabilities
    )


@pytest.fixture(scope="module")
def executed():
    return execute(Run(**SMALL))


def test_the_record_has_the_scores_of_each_task(executed):
    record, predictions = executed
    assert list(record.by_task) == TWO.split("+")
    found = []
    for task in record.by_task:
        mine = predictions.of_task(task)
        assert mine.test.probabilities.shape[1] == len(class_ranges(TWO)[task])
        np.testing.assert_allclose(
            mine.test.probabilities.sum(axis=1), 1, rtol=1e-5
        )
        score = macro_f1(mine.test.probabilities, mine.test.labels)
        assert record.by_task[task].scores["test"]["macro_f1"] == score
        found.append(score)
    scores = record.scores["test"]
    assert scores["macro_f1"] == pytest.approx(np.mean(found))
    assert scores["harmonic_mean"] == pytest.approx(harmonic_mean(found))


def test_a_view_of_a_task_is_a_record_of_it(executed):
    record, _ = executed
    view = record.of_task("breastmnist")
    assert view.scores == record.by_task["breastmnist"].scores
    assert view.classes == ["malignant", "normal, benign"]
    assert len(view.per_class_f1["test"]) == 2
    entry = record.history[-1]
    assert view.history[-1]["val_macro_f1"] == entry["val_macro_f1/breastmnist"]
    assert view.parameters == record.parameters


def test_the_best_check_is_that_of_the_harmonic_mean(executed):
    record, _ = executed
    best = max(e["val_harmonic_mean"] for e in record.history)
    chosen = [e for e in record.history if e["step"] == record.best_step]
    assert chosen[0]["val_harmonic_mean"] == best
    assert record.scores["val"]["harmonic_mean"] == pytest.approx(best)


def test_a_score_that_a_task_lacks_is_not_averaged():
    found = average(
        {"a": {"macro_f1": 0.0, "auc": None}, "b": {"macro_f1": 1, "auc": 1}}
    )
    assert found == {"macro_f1": 0.5, "auc": None, "harmonic_mean": 0.0}


def test_test_labels_of_several_tasks_can_be_read_later(executed):
    whole, expected = executed
    record, predictions = execute(whole.run, read_test=False)
    assert record.status == "trained"
    assert "test" not in record.scores
    record, predictions = complete(record, predictions)
    assert record.by_task == whole.by_task
    assert predictions.to_arrays().keys() == expected.to_arrays().keys()


def test_the_task_of_an_image_reaches_the_trunk():
    from medzoo.models.registry import build_model

    model = build_model(
        "multi_head", (5, 2), input_shape=(28, 28, 3), width=4, film=True
    )
    plain = build_model("multi_head", (5, 2), input_shape=(28, 28, 3), width=4)
    # Activations of 2, 4, 4, 8 and 16 channels: a scale and a shift each.
    assert model.count_params() - plain.count_params() == 2 * 2 * 34
    rng = np.random.default_rng(0)
    images = np.repeat(rng.integers(0, 256, (1, 28, 28, 3), "uint8"), 2, axis=0)
    inputs = {"images": images, "tasks": np.array([0, 1])}
    first, second = np.asarray(model(inputs))
    np.testing.assert_allclose(first, second, rtol=1e-5)
    model.compile("sgd", "mse")
    model.train_on_batch(inputs, rng.normal(size=(2, 7)))
    first, second = np.asarray(model(inputs))
    assert not np.allclose(first, second, rtol=1e-3)


@pytest.mark.parametrize(
    "film", [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_a_net_answers_for_each_task_and_can_be_saved(film, tmp_path):
    import keras

    from medzoo.models.registry import build_model
    from medzoo.training.objectives.tasks import MultiTaskNet
    from medzoo.training.predict import to_probabilities

    model = build_model(
        "multi_head", (5, 2), input_shape=(28, 28, 3), width=4, film=film
    )
    net = MultiTaskNet(model, TWO)
    grey = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), "uint8")
    images = np.repeat(grey, 3, axis=-1)
    tasks = np.ones(3, "int32")
    inputs = {"images": images, "tasks": tasks} if film else images
    logits = np.asarray(model(inputs))
    expected = to_probabilities(logits[:, 5:])
    for given in (grey, images):
        found = net.predict(given, task="breastmnist")
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    path = tmp_path / "breast.keras"
    net.of_task("breastmnist", 1).save(path)
    alone = keras.saving.load_model(path)
    np.testing.assert_allclose(alone(grey), logits[:, 5:], rtol=1e-5)
    net.with_names().save(path)
    named = keras.saving.load_model(path)(inputs)
    np.testing.assert_allclose(named["retinamnist"], logits[:, :5], rtol=1e-5)
    with pytest.raises(ValueError, match="Unknown task `bloodmnist`"):
        net.predict(grey, task="bloodmnist")


def test_each_task_is_flipped_as_its_classes_allow():
    data = load(TWO, "synthetic")
    images = data.test.images
    rows = np.array([0, len(images) - 1])
    retina, breast = images[rows]
    found = [
        view[rows] for view in make_objective(Run(**SMALL), data).views(images)
    ]
    for (one, other), axes, twice in zip(
        found,
        ((), (0,), (1,), (0, 1)),
        ((), (1,), (), (1,)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, np.flip(retina, axes))
        np.testing.assert_array_equal(other, np.flip(breast, twice))


def test_each_task_has_its_own_adjustment():
    data = load(TWO, "synthetic")
    run = Run(**SMALL | {"adjust": "prior"})
    logits = np.random.default_rng(0).normal(size=(len(data.val), 7))
    scale, shift = make_objective(run, data).choose_adjustment(logits)
    assert (scale == 1).all()
    for task, _, mine in data.val.by_task(logits):
        part = load(task, "synthetic")
        classes = data.val.classes[task]
        objective = make_objective(Run(task=task, adjust="prior"), part)
        alone = objective.choose_adjustment(mine).shift
        np.testing.assert_array_equal(
            shift[classes.start : classes.stop], alone
        )


def test_options_after_training_have_their_effect_in_the_record():
    changes = {"ema": 0.9, "flip_test": True, "adjust": "prior"}
    record, predictions = execute(Run(**SMALL | changes))
    assert set(record.without) == set(changes)
    for scores in record.without.values():
        assert 0 < scores["test"]["harmonic_mean"] < 1
    mine = predictions.of_task("breastmnist")
    score = record.by_task["breastmnist"].scores["test"]["macro_f1"]
    assert score == macro_f1(mine.test.probabilities, mine.test.labels)
