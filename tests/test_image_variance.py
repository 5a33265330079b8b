"""The bootstrap over test images, and where it is kept."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from report_records import find_run, make_record, make_records, make_study
from sklearn.metrics import balanced_accuracy_score, f1_score

from medzoo.record import Predictions, SplitPredictions
from medzoo.report.bootstrap import (
    NUM_REPLICATES,
    bootstrap_masks,
    bootstrap_score,
    draw_weights,
    read_replicates,
)
from medzoo.report.results import gather
from medzoo.scores.probabilities import macro_f1
from medzoo.store import Store
from medzoo.study.expand import expand


def predict(labels, seed=0, skill=1.0, num_classes=3):
    luck = np.random.default_rng(seed).normal(size=(len(labels), num_classes))
    exponentials = np.exp(skill * np.eye(num_classes)[labels] + luck)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def draw_labels(seed=0, num_images=200):
    random = np.random.default_rng(seed)
    return random.choice(3, size=num_images, p=[0.6, 0.25, 0.15])


def make_stored(tmp_path, *, status="done"):
    """Stores the run of one trial with its predictions."""
    labels = draw_labels()
    probabilities = predict(labels).astype("float32")
    run = find_run(make_study(), "adam")
    score = macro_f1(probabilities, labels)
    record = make_record(run, score, status=status)
    store = Store(tmp_path)
    predictions = Predictions(test=SplitPredictions(probabilities, labels))
    store.write(record, predictions)
    return store, record, predictions


def test_the_variance_is_that_of_other_test_splits():
    scores, variances = [], []
    labels = draw_labels()
    for seed in range(600):
        probabilities = predict(labels, seed + 10_000)
        scores.append(macro_f1(probabilities, labels))
        replicates = bootstrap_score(probabilities, labels, num_replicates=60)
        variances.append(replicates.var(ddof=1))
    assert np.mean(variances) == pytest.approx(np.var(scores), rel=0.15)


def test_replicates_scatter_around_the_score():
    labels = draw_labels(num_images=2_000)
    probabilities = predict(labels)
    replicates = bootstrap_score(probabilities, labels)
    expected = f1_score(labels, probabilities.argmax(axis=1), average="macro")
    assert replicates.shape == (NUM_REPLICATES,)
    assert replicates.mean() == pytest.approx(expected, abs=0.003)
    assert_array_equal(replicates, bootstrap_score(probabilities, labels))


def test_a_smaller_test_split_has_a_larger_variance():
    small, large = (draw_labels(num_images=n) for n in (156, 15_600))
    widths = [
        bootstrap_score(predict(labels), labels).std()
        for labels in (small, large)
    ]
    assert widths[0] / widths[1] == pytest.approx(10, rel=0.3)


def test_perfect_predictions_have_no_variance():
    labels = draw_labels()
    assert_array_equal(bootstrap_score(np.eye(3)[labels], labels), 1)


def test_runs_on_the_same_images_are_scored_on_the_same_draws():
    labels = draw_labels()
    one, other = predict(labels, 1), predict(labels, 1)
    other[:5] = other[:5, ::-1]
    paired = bootstrap_score(one, labels), bootstrap_score(other, labels)
    assert np.corrcoef(*paired)[0, 1] > 0.9
    turned = labels[::-1]
    strange = bootstrap_score(one[::-1], turned)
    assert abs(np.corrcoef(paired[0], strange)[0, 1]) < 0.2


def test_unlabelled_images_change_nothing():
    labels = draw_labels()
    probabilities = predict(labels)
    more = np.insert(labels, 7, -1)
    assert_array_equal(
        bootstrap_score(np.insert(probabilities, 7, 1 / 3, axis=0), more),
        bootstrap_score(probabilities, labels),
    )


@pytest.mark.parametrize("score", ["macro_f1", "balanced_accuracy"])
def test_no_class_is_absent_from_a_draw(score):
    labels = np.repeat([0, 1, 2], [60, 3, 1])
    perfect = np.eye(3)[labels]
    assert_array_equal(bootstrap_score(perfect, labels, score=score), 1)
    # The only image of the last class is wrong in every draw.
    probabilities = perfect.copy()
    probabilities[-1] = [1, 0, 0]
    found = bootstrap_score(probabilities, labels, score=score)
    assert found.max() <= 2 / 3


def test_balanced_accuracy_is_that_of_drawn_images():
    labels = np.arange(60) % 3
    probabilities = predict(labels)
    found = bootstrap_score(
        probabilities, labels, score="balanced_accuracy", num_replicates=20_000
    )
    hits = probabilities.argmax(axis=1) == labels
    recalls = [hits[labels == label].mean() for label in range(3)]
    assert found.mean() == pytest.approx(
        balanced_accuracy_score(labels, probabilities.argmax(axis=1)), abs=2e-3
    )
    variance = sum(r * (1 - r) / 20 for r in recalls) / 9
    assert found.var() == pytest.approx(variance, rel=0.05)


def test_a_class_without_images_scores_0_as_in_the_published_score():
    labels = np.array([0, 0, 1, 1])
    replicates = bootstrap_score(np.eye(3)[labels], labels)
    assert replicates.max() == pytest.approx(2 / 3)


def test_folds_of_equal_labels_are_other_images():
    labels = np.sort(draw_labels())
    probabilities = predict(labels)
    drawn = [
        bootstrap_score(probabilities, labels, fold=fold)
        for fold in (None, 0, 1, 0)
    ]
    correlation = np.corrcoef(drawn)
    assert_array_equal(drawn[1], drawn[3])
    assert abs(correlation[[0, 0, 1], [1, 2, 2]]).max() < 0.1


def test_seeds_of_resplit_do_not_share_their_draws(tmp_path):
    labels = np.sort(draw_labels())
    probabilities = predict(labels).astype("float32")
    store, found = Store(tmp_path), []
    for seed in (0, 1):
        run = find_run(make_study(), "adam", seed=seed)
        run = run.model_copy(update={"resplit": True})
        record = make_record(run, macro_f1(probabilities, labels))
        test = SplitPredictions(probabilities, labels)
        store.write(record, Predictions(test=test))
        found.append(read_replicates(store, record))
    assert abs(np.corrcoef(found)[0, 1]) < 0.1


def test_the_bootstrap_is_kept_beside_the_record(tmp_path):
    store, record, predictions = make_stored(tmp_path)
    found = read_replicates(store, record)
    labels = predictions.test.labels
    assert_array_equal(
        found, bootstrap_score(predictions.test.probabilities, labels)
    )
    next(tmp_path.rglob(f"{record.run_id}.npz")).unlink()
    assert_array_equal(read_replicates(store, record), found)
    names = {path.name for path in tmp_path.rglob("*.*")}
    assert names == {f"{record.run_id}.json", f"{record.run_id}.boot.npy"}
    assert list(store.run_ids()) == [record.run_id]


def test_a_run_that_was_executed_again_gets_a_new_bootstrap(tmp_path):
    store, record, predictions = make_stored(tmp_path)
    old = read_replicates(store, record)
    labels = predictions.test.labels
    better = predict(labels, 3, skill=3)
    score = macro_f1(better, labels)
    record = make_record(record.run, score)
    test = SplitPredictions(better, labels)
    store.write(record, Predictions(test=test))
    new = read_replicates(store, record)
    assert new.mean() > old.mean() + 0.1
    assert_array_equal(new, bootstrap_score(better, labels))


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY"])
def test_a_damaged_bootstrap_is_made_anew(tmp_path, content):
    store, record, _ = make_stored(tmp_path)
    found = read_replicates(store, record)
    next(tmp_path.rglob("*.boot.npy")).write_bytes(content)
    assert_array_equal(read_replicates(store, record), found)


def test_predictions_of_another_score_are_not_used(tmp_path):
    store, record, _ = make_stored(tmp_path)
    assert read_replicates(store, make_record(record.run, 0.123)) is None
    assert not list(tmp_path.rglob("*.boot.npy"))


def test_a_run_without_predictions_has_no_bootstrap(tmp_path):
    store, record, _ = make_stored(tmp_path, status="diverged")
    assert read_replicates(store, record) is None
    other = make_record(find_run(make_study(), "sgd"), 0.5)
    assert read_replicates(store, other) is None


def test_the_matrix_has_the_runs_where_the_scores_are(tmp_path):
    study = make_study()
    store, record, predictions = make_stored(tmp_path)
    records = make_records(study) | {record.run_id: record}
    adam = gather(expand(study), records)[0]
    matrix = adam.read_replicates(store)
    assert matrix.shape == (NUM_REPLICATES, 2, 2)
    known = ~np.isnan(matrix[0])
    assert_array_equal(known, [[True, False], [False, False]])
    score = adam.matrix("macro_f1")[0, 0]
    assert_allclose(matrix[:, 0, 0].mean(), score, atol=0.01)


def test_groups_of_one_image_are_as_uncertain_as_images():
    labels = np.arange(120) % 3
    probabilities = predict(labels)
    one_by_one = bootstrap_score(probabilities, labels).std()
    for groups in (np.arange(120)[::-1], np.full(120, -1)):
        found = bootstrap_score(probabilities, labels, groups=groups)
        assert found.std() == pytest.approx(one_by_one, rel=0.08)


@pytest.mark.parametrize("score", ["macro_f1", "balanced_accuracy"])
def test_copies_of_an_image_tell_no_more_than_the_image(score):
    labels = np.arange(120) % 3
    probabilities, groups = predict(labels), np.arange(120)
    repeated = [
        np.repeat(a, 4, axis=0) for a in (probabilities, labels, groups)
    ]
    once = bootstrap_score(probabilities, labels, score=score)
    four = bootstrap_score(*repeated[:2], score=score, groups=repeated[2])
    assert four.std() == pytest.approx(once.std(), rel=0.08)
    naive = bootstrap_score(*repeated[:2], score=score)
    assert naive.std() == pytest.approx(once.std() / 2, rel=0.08)


def test_an_interval_holds_where_images_of_a_patient_are_alike():
    random = np.random.default_rng(0)
    covered = {True: 0, False: 0}
    for _ in range(100):
        patients = np.repeat(np.arange(80), 6)
        labels = (np.arange(80) % 2)[patients]
        hard = (
            random.random(80)[patients] < 0.4
        )  # Of accuracy .6 * .9 + .4 * .3.
        right = random.random(480) < np.where(hard, 0.3, 0.9)
        probabilities = np.eye(2)[np.where(right, labels, 1 - labels)]
        mean = right.mean()
        for whole in covered:
            drawn = bootstrap_score(
                probabilities,
                labels,
                num_replicates=200,
                score="balanced_accuracy",
                groups=patients if whole else None,
            )
            covered[whole] += abs(mean - 0.66) < 1.96 * drawn.std()
    assert covered[True] >= 90
    assert covered[False] <= 80


def test_draws_of_weights_and_of_counts_are_the_same_for_groups():
    labels, groups = np.arange(60) % 3, np.arange(60) // 5
    probabilities = predict(labels)
    predicted = probabilities.argmax(axis=1)
    drawn = np.concatenate([*draw_weights(labels, 3, groups=groups)])
    assert all(np.ptp(drawn[:, groups == g], axis=1).max() == 0 for g in {0, 7})
    shares = [
        (drawn * (labels == c) * (predicted == c)).sum(axis=1)
        / np.maximum((drawn * (labels == c)).sum(axis=1), 1)
        for c in range(3)
    ]
    found = bootstrap_score(
        probabilities, labels, score="balanced_accuracy", groups=groups
    )
    np.testing.assert_allclose(found, np.mean(shares, axis=0))


def test_masks_of_a_patient_are_drawn_together():
    counts = np.zeros((40, 2, 2), "int64")
    counts[:, 1, 1] = np.random.default_rng(0).integers(1, 90, 40)
    counts[:, 1, 0] = 100 - counts[:, 1, 1]
    once = bootstrap_masks(counts, "dice").std()
    repeated = np.repeat(counts, 4, axis=0)
    groups = np.repeat(np.arange(40), 4)
    whole = bootstrap_masks(repeated, "dice", groups=groups).std()
    assert whole == pytest.approx(once, rel=0.08)
    assert bootstrap_masks(repeated, "dice").std() < 0.6 * once
