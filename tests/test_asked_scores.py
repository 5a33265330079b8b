"""Scores that a study asks for: their values, intervals, tables and files."""

import base64
import dataclasses
import functools
import json
import re
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from page_records import make_drawn, make_widths
from sklearn import metrics
from sklearn.calibration import calibration_curve

from medzoo.record import SplitPredictions
from medzoo.report.bootstrap import (
    draw_weights,
    keep_labelled,
    read_many_replicates,
    read_replicates,
)
from medzoo.report.conformal import METHODS, describe_coverage, make_sets
from medzoo.report.curves import find_curves
from medzoo.report.drawn_runs import list_drawn
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import read_evidence
from medzoo.report.own_scores import compute_score
from medzoo.report.packed_curves import pack_curves
from medzoo.report.score_files import SCORE_FILES
from medzoo.report.statistics import harmonic_mean_by_seed
from medzoo.report.write import write_evidence_report, write_report
from medzoo.scores import counts, weighted
from medzoo.scores.operating_point import OperatingPoint
from medzoo.scores.table import SCORES, list_scores, list_used
from medzoo.store import Store
from medzoo.study.spec import read_study

README = Path(__file__).parents[1] / "results/README.md"
KNOWN = json.loads(
    (Path(__file__).parent / "golden/known_scores.json").read_text()
)
KEPT = list_scores("kept")


def draw(num_classes, *, num_images=120, seed=0):
    """Draws probabilities with ties, and labels."""
    random = np.random.default_rng(seed)
    found = random.dirichlet(np.ones(num_classes), num_images).round(2)
    labels = random.integers(0, num_classes, num_images)
    return found / found.sum(axis=1, keepdims=True), labels


def score_weighted(name, *arrays):
    return weighted.compute_weighted([name], *arrays)[name]


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers(name):
    case = KNOWN[name]
    if "counts" in case:
        found = counts.LABEL_SCORES[name](np.array(case["counts"]))
    else:
        first = np.array(case.get("of_class_1", []))
        two = np.stack([1 - first, first], axis=1)
        arrays = np.array(case.get("probabilities", two)), case["labels"]
        arrays = (arrays[0], np.array(arrays[1]), np.ones(len(arrays[1])))
        found = score_weighted(name, *arrays)
        if "of" in case:
            by_class = weighted.areas_by_class(*arrays)
            found = by_class[name][case["of"]]
    assert float(found) == pytest.approx(case["value"], abs=1e-6)


def test_every_score_that_can_be_asked_for_has_a_known_answer():
    assert {*KEPT, "auc", "cross_entropy", "mcc"} == {*KNOWN}
    assert {*KEPT} <= {*list_used("report")}


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_scores_are_those_of_scikit_learn(num_classes):
    probabilities, labels = draw(num_classes)
    predictions = probabilities.argmax(axis=1)
    one_hot = np.eye(num_classes)[labels]
    macro = {"average": "macro", "zero_division": 0}
    quadratic = {"weights": "quadratic"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "macro_sensitivity": metrics.recall_score(
                labels, predictions, **macro
            ),
            "macro_ppv": metrics.precision_score(labels, predictions, **macro),
            "kappa": metrics.cohen_kappa_score(labels, predictions),
            "quadratic_kappa": metrics.cohen_kappa_score(
                labels, predictions, **quadratic
            ),
            "average_precision": metrics.average_precision_score(
                one_hot, probabilities, average="macro"
            ),
            "brier": ((probabilities - one_hot) ** 2).sum(axis=1).mean(),
        }
    rates = [
        metrics.confusion_matrix(labels == c, predictions == c).ravel()
        for c in range(num_classes)
    ]
    rest = [(tn / (tn + fp), tn / (tn + fn)) for tn, fp, fn, _ in rates]
    expected["macro_specificity"], expected["macro_npv"] = np.mean(rest, axis=0)
    for name, value in expected.items():
        split = SplitPredictions(probabilities, labels)
        assert compute_score(name, split) == pytest.approx(value), name


@pytest.mark.parametrize("name", weighted.WEIGHTED_SCORES)
def test_a_weight_is_how_often_an_image_is_there(name):
    probabilities, labels = draw(3)
    call = functools.partial(score_weighted, name)
    drawn = np.concatenate([*draw_weights(labels, 3, num_replicates=8)])
    assert (drawn.sum(axis=1) == len(labels)).all()
    rows = [np.repeat(np.arange(len(labels)), w) for w in drawn.astype(int)]
    expected = [
        call(probabilities[at], labels[at], np.ones(len(at))) for at in rows
    ]
    found = call(probabilities, labels, drawn)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    low, high = SCORES[name].bounds
    assert (found >= low).all()
    assert high is None or (found <= high).all()


def test_the_parts_of_the_brier_score_make_it():
    """Murphy's identity, exact where a bin has one forecast."""
    random = np.random.default_rng(0)
    forecasts = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])
    probabilities = forecasts[random.integers(0, 3, 200)]
    labels = random.integers(0, 3, 200)
    found = {
        name: float(score_weighted(name, probabilities, labels, np.ones(200)))
        for name in ("brier", "brier_reliability", "brier_resolution")
    }
    shares = np.bincount(labels) / 200
    uncertainty = (shares * (1 - shares)).sum()
    assert found["brier"] == pytest.approx(
        found["brier_reliability"] - found["brier_resolution"] + uncertainty
    )


def test_the_debiased_error_is_that_of_resampled_bins():
    """As Kumar et al. (2019) do: draw accuracies anew, subtract the excess."""
    probabilities, labels = draw(3, num_images=300)
    confidence, is_right, sizes = weighted.bin_equal_mass(
        probabilities, labels, np.ones(300)
    )
    random = np.random.default_rng(0)
    spread = np.sqrt(is_right * (1 - is_right) / sizes)
    drawn = random.normal(is_right, spread, (20_000, len(sizes)))
    seen = (np.abs(is_right - confidence) * sizes).sum() / 300
    again = (np.abs(drawn - confidence) * sizes).sum(axis=1).mean() / 300
    found = score_weighted("ece_debiased", probabilities, labels, np.ones(300))
    assert float(found) == pytest.approx(seen - (again - seen), abs=1e-3)


def test_draws_of_different_sizes_are_binned_as_the_images_that_they_have():
    probabilities, labels = draw(3, num_images=60)
    random = np.random.default_rng(5)
    weights = random.integers(0, 4, (5, 60)).astype("float64")
    assert len(set(weights.sum(axis=1))) > 1
    names = ("ece_equal_mass", "ece_debiased", "ece", "brier", "auc")
    found = weighted.compute_weighted(names, probabilities, labels, weights)
    for at, times in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(60), times)
        alone = weighted.compute_weighted(
            names, probabilities[rows], labels[rows], np.ones(len(rows))
        )
        for name in names:
            assert found[name][at] == pytest.approx(alone[name])


def test_debiasing_takes_away_much_of_the_error_of_a_calibrated_model():
    random = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        probabilities = random.dirichlet(np.ones(3), 400)
        draws = random.random((400, 1)) > probabilities.cumsum(axis=1)
        arrays = probabilities, draws.sum(axis=1), np.ones(400)
        errors.append(
            [
                score_weighted(name, *arrays)
                for name in ("ece_equal_mass", "ece_debiased")
            ]
        )
    plain, debiased = np.mean(errors, axis=0)
    assert plain > 0.06
    assert 0 < debiased < 0.65 * plain


@pytest.mark.parametrize("text", ["sensitivity>=0.9", "specificity >= 0.8"])
def test_thresholds_reach_their_point_on_val_and_no_more(text):
    probabilities, labels = draw(4, seed=3)
    point = OperatingPoint.parse(text)
    found = point.choose(probabilities, labels)
    for label, threshold in enumerate(found):
        is_mine, scores = labels == label, probabilities[:, label]
        if point.measure == "sensitivity":
            reached = (scores[is_mine] >= threshold).mean()
            # Any higher one finds fewer.
            beyond = (scores[is_mine] > threshold).mean()
        else:
            reached = (scores[~is_mine] < threshold).mean()
            beyond = (scores[~is_mine] < np.nextafter(threshold, 0)).mean()
        assert reached >= point.least > beyond


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sensitivity=0.9",
        "accuracy>=0.9",
        "sensitivity>=0",
        "specificity>=1.2",
    ],
)
def test_a_wrong_operating_point_is_refused(text):
    with pytest.raises(ValueError, match="Expected `sensitivity>=`"):
        OperatingPoint.parse(text)


def test_a_harmonic_mean_of_a_score_below_zero_is_zero():
    found = harmonic_mean_by_seed(np.array([[0.5, -0.5], [0.5, 0.5]]))
    assert found.tolist() == [0, 0.5]
    assert harmonic_mean_by_seed(np.array([[-0.5]])).tolist() == [-0.5]


ASKED = ("kappa", "auc", "ece_equal_mass", "cross_entropy")


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The report of a study that asks for scores."""
    study = make_widths(2, scores=ASKED, operating_point="sensitivity>=0.9")
    folder = tmp_path_factory.mktemp("asked")
    store = Store(folder / "runs")
    records, predictions = make_drawn(study)
    for run_id, record in records.items():
        store.write(record, predictions[run_id])
    report = write_report(study, store, folder / "results", command="make it")
    return report, report.page.parent


def test_asked_scores_are_in_every_table(reported):
    report, folder = reported
    runs = pd.read_csv(folder / "runs.csv")
    summary = pd.read_csv(folder / "summary.csv")
    scores = pd.read_csv(folder / "scores.csv")
    for name in ASKED:
        assert {f"test_{name}", f"val_{name}"} <= {*runs.columns}
        assert {name, f"{name}_low", f"{name}_high"} <= {*summary.columns}
    assert (scores.value_low <= scores.value).all()
    assert (scores.value <= scores.value_high).all()
    means = runs.groupby(["trial", "task"], sort=False).test_kappa.mean()
    mine = scores[scores.score == "kappa"].set_index(["trial", "task"]).value
    np.testing.assert_allclose(mine, means[mine.index], atol=1e-6)
    assert "kappa" in (folder / "summary.md").read_text()
    assert "kappa" in (folder / "report.html").read_text()


def test_rates_of_classes_are_those_of_a_confusion_matrix(reported):
    report, folder = reported
    table = pd.read_csv(folder / "per_class.csv")
    evidence = report.evidence
    trial = evidence.results[0]
    task = trial.tasks[0]
    found = table[(table.trial == trial.trial.name) & (table.task == task)]
    assert set(found["at"]) == {"arg-max", "sensitivity>=0.9"}
    argmax = found[found["at"] == "arg-max"]
    rates = []
    for record in trial.of_task(task):
        test = evidence.store.read_predictions(record.run_id).test
        report_ = metrics.classification_report(
            test.labels,
            test.predicted_labels,
            output_dict=True,
            zero_division=np.nan,
        )
        rates.append(
            [
                [r["recall"], r["precision"]]
                for k, r in report_.items()
                if k.isdigit()
            ]
        )
    np.testing.assert_allclose(
        argmax[["sensitivity", "ppv"]], np.nanmean(rates, axis=0), atol=1e-6
    )
    chosen = found[found["at"] != "arg-max"]
    assert chosen.threshold.notna().all()
    assert argmax.threshold.isna().all()
    assert chosen.auc.tolist() == argmax.auc.tolist()


def test_a_report_from_evidence_has_the_same_scores(reported, tmp_path):
    _, folder = reported
    alone = tmp_path / folder.name
    shutil.copytree(folder, alone)  # With its figures, which take seconds.
    for path in [*alone.glob("*.csv"), *alone.glob("*.html")]:
        path.unlink()
    write_evidence_report(read_evidence(alone), tmp_path)
    for path in folder.iterdir():
        assert (alone / path.name).read_bytes() == path.read_bytes(), path.name


def test_evidence_gives_scores_that_its_study_did_not_ask_for(reported):
    report, folder = reported
    evidence = read_evidence(folder, scores=["quadratic_kappa", "ece"])
    assert [*evidence.asked] == ["quadratic_kappa", "ece"]
    for by_trial in evidence.asked.values():
        assert all(found.mean.low is not None for found in by_trial.values())
    with pytest.raises(ValueError, match="Did you mean `kappa`"):
        read_evidence(folder, scores=["kapa"])


def test_scores_made_at_one_go_are_those_made_alone(reported, tmp_path):
    report, _ = reported
    record = report.evidence.best.done[0]
    shutil.copytree(report.evidence.store.folder, tmp_path / "runs")
    store = Store(tmp_path / "runs")
    known = {*counts.LABEL_SCORES, *weighted.WEIGHTED_SCORES}
    names = known & {*record.scores["test"]}
    assert (
        len(names & {*weighted.WEIGHTED_SCORES})
        > 1
        < len(names & {*counts.LABEL_SCORES})
    )
    for path in store.folder.glob("*/*.boot.npy"):
        path.unlink()
    together = read_many_replicates(store, record, [*names, "dice"])
    assert {*together} == names
    for path in store.folder.glob("*/*.boot.npy"):
        path.unlink()
    for name, drawn in together.items():
        alone = read_replicates(store, record, name=name)
        np.testing.assert_array_equal(alone, drawn)


def test_a_study_may_be_judged_by_kappa(reported):
    report, _ = reported
    store = report.evidence.store
    study = dataclasses.replace(report.evidence.study, score="kappa", scores=())
    evidence = Evidence.read(study, store)
    record = evidence.best.done[0]
    drawn = read_replicates(store, record, name="kappa")
    assert np.isfinite(drawn).all()
    assert evidence.statistics.trials[evidence.best.trial.name].harmonic_mean
    assert evidence.statistics.score == "kappa"


def test_the_json_of_a_study_that_asks_for_nothing_has_no_new_key():
    study = make_widths(2)
    assert "operating_point" not in json.loads(study.to_json())
    shown = study.show(scores=["ece"], operating_point="specificity>=0.9")
    again = type(study).from_json(shown.to_json())
    assert (again.scores, again.operating_point) == (
        ("ece",),
        "specificity>=0.9",
    )


def test_abstention_is_by_a_threshold_of_val(reported):
    report, folder = reported
    table = pd.read_csv(folder / "selective.csv")
    evidence = report.evidence
    trial, task = evidence.results[0], evidence.results[0].tasks[1]
    mine = table[(table.trial == trial.trial.name) & (table.task == task)]
    assert mine.coverage.is_monotonic_decreasing
    assert mine.iloc[0].coverage == 1
    expected = []
    for record in trial.of_task(task):
        found = evidence.store.read_predictions(record.run_id)
        val, test = (
            np.asarray(split.probabilities).astype("float16")
            for split in (found.val, found.test)
        )
        # The half of val that is surest.
        limit = np.sort(val.max(axis=1))[len(val) // 2]
        kept = test.max(axis=1) >= limit
        wrong = (test.argmax(axis=1) != found.test.labels)[kept]
        expected.append([kept.mean(), wrong.mean()])
    half = mine[mine.kept_of_val == 0.5]
    np.testing.assert_allclose(
        half[["coverage", "risk"]].to_numpy()[0],
        np.mean(expected, axis=0),
        atol=1e-6,
    )
    assert (mine.coverage_low <= mine.coverage).all()


def test_prediction_sets_by_hand():
    # Nine images of val, whose label has a probability of 0.1 to 0.9.
    shares = np.arange(1, 10) / 10
    val = SplitPredictions(
        np.stack([shares, 1 - shares], axis=1), np.zeros(9, int)
    )
    new = np.array([[0.75, 0.25], [0.15, 0.85], [0.05, 0.95]])
    # The 9th smallest of the 9 scores 1 - p is 0.9: classes from 0.1 on.
    found = make_sets("LAC", val, new, 0.9)
    assert found.tolist() == [[True, True], [True, True], [False, True]]
    # The 5th is 0.5.
    found = make_sets("LAC", val, new, 0.5)
    assert found.tolist() == [[True, False], [False, True], [False, True]]
    # Too few images for such a chance: all classes.
    assert make_sets("LAC", val, new, 0.95).all()
    aps = make_sets("APS", val, new, 0.5)
    # Sums down to the label: 1 for p < 0.5, else p; the 5th of these is 0.9.
    assert aps.tolist() == [[True, False], [False, True], [False, False]]


@pytest.mark.parametrize("method", METHODS)
def test_sets_hold_the_label_as_often_as_they_say_if_val_is_like_test(method):
    random = np.random.default_rng(0)
    coverages = []
    for _ in range(200):
        probabilities = random.dirichlet(np.ones(4), 260)
        cumulated = probabilities[:, :3].cumsum(axis=1)
        labels = (random.random((260, 1)) > cumulated).sum(axis=1)
        val = SplitPredictions(probabilities[:60], labels[:60])
        sets = make_sets(method, val, probabilities[60:])
        coverages.append(sets[np.arange(200), labels[60:]].mean())
    # To 1 / (n + 1) above the nominal one, if scores have no ties.
    assert np.mean(coverages) > 0.895
    assert method == "APS" or np.mean(coverages) < 0.9 + 1 / 61 + 0.005


def test_coverage_is_measured_by_class(reported):
    report, folder = reported
    table = pd.read_csv(folder / "conformal.csv")
    evidence = report.evidence
    assert set(table.method) == {*METHODS}
    for _, part in table.groupby(["trial", "task", "method"]):
        whole, classes = (
            part[part["class"] == "all"],
            part[part["class"] != "all"],
        )
        lowest, highest = classes.coverage.min(), classes.coverage.max()
        assert lowest <= float(whole.coverage.iloc[0]) <= highest
        assert float(whole.coverage_of_val.iloc[0]) >= 0.9 - 1e-9
    assert "not of each" in describe_coverage(evidence)
    shifted = make_widths(2, tasks=("pathmnist",))
    results = [SimpleNamespace(tasks=shifted.tasks)]
    words = describe_coverage(SimpleNamespace(results=results))
    assert "The test split of pathmnist is shifted" in words


def test_curves_are_those_of_scikit_learn(reported):
    report, folder = reported
    evidence = report.evidence
    trial, task = evidence.results[0], evidence.results[0].tasks[1]
    one = dataclasses.replace(
        trial,
        records={k: r for k, r in trial.records.items() if k[0] == 0},
    )
    runs = {
        name: [*list_drawn([one], name, evidence.store)] for name in one.tasks
    }
    (found,) = [each for each in find_curves([one], runs) if each.task == task]
    run_id = one.records[0, task].run_id
    test = keep_labelled(evidence.store.read_predictions(run_id).test)
    for label, (roc, precision) in enumerate(
        zip(found.roc, found.precision_recall, strict=True)
    ):
        arrays = test.labels == label, test.probabilities[:, label]
        wrong, hits, _ = metrics.roc_curve(*arrays, drop_intermediate=False)
        np.testing.assert_allclose(roc.y, np.interp(roc.x, wrong, hits))
        values, recalls, _ = metrics.precision_recall_curve(*arrays)
        for x, y in zip(precision.x[1:], precision.y[1:], strict=True):
            # The highest threshold of those that reach the recall.
            expected = values[np.flatnonzero(recalls >= x - 1e-9)[-1]]
            assert y == pytest.approx(expected)
        for curve in (roc, precision):
            assert (curve.low <= curve.high).all()
    confidence = test.probabilities.max(axis=1)
    is_right = test.predicted_labels == test.labels
    accuracy, means = calibration_curve(is_right, confidence, n_bins=15)
    seen = ~np.isnan(found.calibration.y)
    np.testing.assert_allclose(found.calibration.y[seen], accuracy)
    np.testing.assert_allclose(found.calibration.x[seen], means)
    assert found.shares.sum() == pytest.approx(1)


def test_the_page_has_the_curves_of_every_trial(reported):
    report, folder = reported
    page = (folder / "report.html").read_text()
    text = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
    points = json.loads(text)["points"]
    found = report.evidence.curves
    assert [(p["trial"], p["task"]) for p in points] == [c[:2] for c in found]
    packed, curve = points[0]["roc"][0], found[0].roc[0]
    for key, values in zip(("y", "low", "high"), curve[2:], strict=True):
        numbers = np.frombuffer(base64.b64decode(packed[key]), "<u2")
        known = np.where(numbers == 65_535, np.nan, numbers / 65_534)
        np.testing.assert_allclose(known, values, atol=1e-5)
    table = pd.read_csv(folder / "curves.csv")
    assert set(table.curve) == {"calibration", "roc", "precision_recall"}
    assert table[["x", "y", "low", "high"]].stack().between(0, 1).all()


def test_curves_that_nobody_asks_for_have_no_bands(reported):
    report, _ = reported
    plain = dataclasses.replace(
        report.evidence.study, scores=(), operating_point=""
    )
    found = Evidence.read(plain, report.evidence.store).curves
    for one, other in zip(found, report.evidence.curves, strict=True):
        np.testing.assert_array_equal(one.roc[0].y, other.roc[0].y)
        assert np.isnan(one.roc[0].low).all()
    assert "low" not in pack_curves(found)[0]["roc"][0]


def test_drawings_that_would_be_too_many_are_left_out(reported):
    found = reported[0].evidence.curves
    many = pack_curves(list(found) * 60)
    assert len(found) < len(many) < 60 * len(found)
    assert len(str(many)) < 320_000


@pytest.mark.parametrize("name", SCORE_FILES)
def test_every_column_is_explained(name, reported):
    _, folder = reported
    title = f"\n## {Path(name).stem}\n"
    _, _, section = README.read_text().partition(title)
    explained = set(re.findall(r"`(\w+)`", section.partition("\n## ")[0]))
    columns = [*pd.read_csv(folder / name)]
    ends = ("_std", "_low", "_high")
    assert {c for c in columns if not c.endswith(ends)} - {"kappa"} <= explained


def test_a_score_that_is_only_shown_judges_no_study(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'question = "?"\nscore = "ece"\nscores = ["ece", "ece"]\n'
        '[axes]\noptimizer = ["sgd", "adam"]\n'
    )
    with pytest.raises(ValueError, match="one of `scores`") as caught:
        read_study(path)
    assert "each value once" in str(caught.value)
    path.write_text(
        'question = "?"\nscore = "quadratic_kappa"\nscores = ["ece"]\n'
        'operating_point = "specificity >= 0.9"\n'
        '[axes]\noptimizer = ["sgd", "adam"]\n'
    )
    assert read_study(path).asked_scores == ("quadratic_kappa", "ece")
