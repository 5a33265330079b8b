import dataclasses

import numpy as np
import pytest
from page_records import make_drawn, make_widths, report_on
from report_records import make_record, make_records, make_study
from sklearn import metrics

from medzoo.report.confusions import count_confusions
from medzoo.report.figures import make_figures
from medzoo.report.figures.bars import describe_bars, make_bars
from medzoo.report.figures.costs import find_pareto_front
from medzoo.report.figures.curves import over_seeds
from medzoo.report.figures.differences import find_differences
from medzoo.report.figures.heat_map import make_grid
from medzoo.report.figures.style import pick_trials
from medzoo.report.write import write_report
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.trials import Trial
from medzoo.tasks import NAMES


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The evidence of a study of three trials on two tasks."""
    return report_on(make_widths(3), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def figures(drawn, tmp_path_factory):
    return make_figures(drawn, tmp_path_factory.mktemp("figures"))


def names_of(figures):
    return {name for name in figures if name.endswith(".png")}


def make_grid_study(values):
    trials = tuple(
        Trial(f"{a}, {o}", {"activation": a, "output": o}) for a, o in values
    )
    return make_study(
        trials=trials, axis_names=("activation", "output"), baseline=None
    )


def test_only_figures_that_make_sense_are_drawn(figures):
    assert names_of(figures) == {
        "macro_f1_by_task.png",
        "differences.png",
        "pairs.png",
        "costs.png",
        "learning_curves.png",
        "classes_of_best.png",
    }
    assert {name.replace("png", "svg") for name in names_of(figures)} == set(
        figures
    ) - names_of(figures)


def test_differences_are_those_of_the_statistics(drawn):
    found = find_differences(drawn)
    trials = drawn.statistics.trials
    assert found.reference == "width 9"
    assert found.to_reference == {
        name: trials[name].difference for name in ("width 8", "width 10")
    }
    for row, name in zip(found.pairs, found.names, strict=True):
        assert row[found.names.index(name)] is None
    # The row minus the column: the other way round with the other sign.
    assert found.pairs[0][1].estimate == -found.pairs[1][0].estimate


def test_a_band_of_equality_is_said_and_what_is_unknown_is_not(tmp_path):
    study = make_widths(3, tasks=NAMES[:1], equal_within=0.9)
    found = report_on(study, tmp_path / "runs")
    text = make_figures(found, tmp_path)["differences.svg"].decode()
    assert "band: equal within 0.9" in text
    assert text.count("equal, p") == 2
    smoke = dataclasses.replace(found, smoke=True)
    records = make_drawn(study)[0]
    bare = report_on(study, tmp_path / "bare", records, {})
    assert find_differences(smoke) is find_differences(bare) is None


def test_a_study_without_records_has_one_figure(tmp_path):
    study = make_study()
    found = report_on(study, tmp_path, {}, {})
    figures = make_figures(found, tmp_path)
    assert names_of(figures) == {"macro_f1_by_task.png"}


@pytest.mark.slow
def test_many_tasks_have_a_critical_difference(tmp_path):
    study = make_widths(3, tasks=NAMES[:5], seeds=(0,))
    figures = make_figures(report_on(study, tmp_path), tmp_path)
    assert "critical_difference.svg" in figures
    assert b"critical difference" in figures["critical_difference.svg"]


def test_figures_repeat_byte_for_byte(drawn, figures, tmp_path):
    assert figures == make_figures(drawn, tmp_path)


def test_what_has_not_changed_is_not_drawn_again(drawn, figures, tmp_path):
    for name, content in figures.items():
        (tmp_path / name).write_bytes(content + b"as it was")
    kept = make_figures(drawn, tmp_path)
    assert all(content.endswith(b"as it was") for content in kept.values())


def test_another_record_draws_figures_again(tmp_path):
    study = make_widths(2, tasks=NAMES[:1])
    records, predictions = make_drawn(study)
    found = report_on(study, tmp_path / "a", records, predictions)
    for name, content in make_figures(found, tmp_path).items():
        (tmp_path / name).write_bytes(content + b"as it was")
    run_id, record = next(iter(records.items()))
    records[run_id] = record.model_copy(update={"seconds": {"train": 99.0}})
    found = report_on(study, tmp_path / "b", records, predictions)
    new = make_figures(found, tmp_path)
    assert not any(content.endswith(b"as it was") for content in new.values())


def test_figures_that_no_longer_make_sense_are_removed(tmp_path):
    study = make_widths(2, tasks=NAMES[:1])
    records, predictions = make_drawn(study)
    store = Store(tmp_path / "runs")
    for run_id, record in records.items():
        store.write(record, predictions[run_id])
    write_report(study, store, tmp_path, command="x")
    costs = tmp_path / study.name / "costs.png"
    assert costs.exists()
    for run_id, record in records.items():
        same = {"parameters": None, "seconds": {}}
        store.write(record.model_copy(update=same), predictions[run_id])
    write_report(study, store, tmp_path, command="x")
    assert not costs.exists()


def test_heat_map_needs_a_grid_of_two_axes(drawn):
    assert make_grid(drawn) is None
    line = make_grid_study([("relu", "softmax"), ("elu", "softmax")])
    assert make_grid(dataclasses.replace(drawn, study=line)) is None


def test_heat_map_leaves_what_is_missing_empty(tmp_path):
    study = make_grid_study(
        [("relu", "softmax"), ("relu", "sigmoid"), ("elu", "softmax")]
    )
    scores = {
        "relu, softmax": [[0.5, 0.5], [0.5, 0.5]],
        "relu, sigmoid": [[0.25, 0.25], [0.25, 0.25]],
        "elu, softmax": [[0.75, None], [0.75, 0.75]],
    }
    records = make_records(study, scores)
    found = report_on(study, tmp_path, records)
    grid = make_grid(found)
    assert (grid.rows, grid.columns) == (
        ["relu", "elu"],
        ["softmax", "sigmoid"],
    )
    np.testing.assert_allclose(grid.values, [[0.5, 0.25], [np.nan, np.nan]])
    figures = make_figures(found, tmp_path)
    assert b"0.250" in figures["heat_map.svg"]


def test_pareto_front_is_what_nothing_beats():
    random = np.random.default_rng(0)
    costs, scores = random.integers(6, size=(2, 30)).astype("float64")
    found = find_pareto_front(costs, scores)
    for index, (cost, score) in enumerate(zip(costs, scores, strict=True)):
        no_worse = (costs <= cost) & (scores >= score)
        better = no_worse & ((costs < cost) | (scores > score))
        assert found[index] == (not better.any())


def test_unknown_costs_and_scores_are_not_on_the_front():
    found = find_pareto_front(
        np.array([1.0, np.nan, 2.0]), np.array([np.nan, 0.9, 0.5])
    )
    assert found.tolist() == [False, False, True]


def test_curves_average_the_seeds_that_got_there():
    records = [
        record_with_history([(1, 0.25), (2, 0.5)]),
        record_with_history([(1, 0.75), (2, None)]),
    ]
    curve = over_seeds(records, "val_macro_f1")
    assert curve.epochs.tolist() == [1, 2]
    assert curve.mean.tolist() == [0.5, 0.5]
    assert curve.low.tolist() == [0.25, 0.5]
    assert curve.high.tolist() == [0.75, 0.5]


def record_with_history(points):
    run = expand(make_study())[0].run
    history = [{"epoch": e, "val_macro_f1": value} for e, value in points]
    return make_record(run, 0.5, history=history)


def test_baseline_is_always_among_the_picked(tmp_path):
    study = make_widths(9, tasks=NAMES[:1], seeds=(0,))
    worst = report_on(study, tmp_path, {}, {}).results[-1].trial
    study = make_widths(9, tasks=NAMES[:1], seeds=(0,), baseline=worst)
    found = report_on(study, tmp_path, {}, {})
    shown = [trial.trial for trial in pick_trials(found, 6)]
    assert shown == [*[trial.trial for trial in found.results[:5]], worst]


def test_confusions_are_those_of_scikit_learn(drawn):
    for found in count_confusions([drawn.best], drawn.store):
        runs = [r for r in drawn.best.done if r.run.task == found.task]
        kept = [drawn.store.read_predictions(record.run_id) for record in runs]
        expected = sum(
            metrics.confusion_matrix(p.test.labels, p.test.predicted_labels)
            for p in kept
        )
        np.testing.assert_array_equal(found.counts, expected)
        assert found.f1.shape == (len(runs), len(found.classes))


def test_bars_are_intervals_where_predictions_are_kept(drawn):
    words = describe_bars(drawn.statistics)
    assert words.startswith("95 % interval over seeds")
    bar = make_bars(drawn.best, drawn.statistics)["harmonic mean"]
    assert bar.low < bar.mean < bar.high


def test_bars_are_deviations_where_they_are_not(tmp_path):
    study = make_study()
    records = make_records(study)
    found = report_on(study, tmp_path, records)
    adam = next(t for t in found.results if t.trial.name == "adam")
    bar = make_bars(adam, found.statistics)["breastmnist"]
    deviation = np.std([0.75, 0.5], ddof=1)
    assert (bar.low, bar.mean) == pytest.approx((0.625 - deviation, 0.625))
    assert "standard deviation" in describe_bars(found.statistics)


def test_costs_are_means_over_finished_runs(drawn):
    seconds = [record.seconds["train"] for record in drawn.best.done]
    found = drawn.best.costs
    assert found["train_seconds"] == pytest.approx(np.mean(seconds))
    assert found["parameters"] == 1234567
