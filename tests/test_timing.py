"""The cost of a study before it starts."""

import pytest

from medzoo.record import Parameters, Record
from medzoo.runs.run import Run
from medzoo.study.costs import MIN_STEPS, Estimates
from medzoo.study.expand import PlannedRun
from medzoo.study.measured_costs import (
    MeasuredCost,
    format_costs,
    kind_of,
    measure,
)
from medzoo.study.trials import Trial

SMALL = {
    "task": "breastmnist",
    "data": "synthetic",
    "model": "mlp",
    "width": 8,
    "max_images": 96,
    "batch_size": 32,
}


def test_seeds_and_learning_rates_are_of_one_kind_and_sizes_are_not():
    kind = kind_of(Run(**SMALL))
    assert kind == kind_of(Run(**SMALL, seed=3, learning_rate=0.1, epochs=7))
    assert kind != kind_of(Run(**{**SMALL, "width": 9}))


def test_a_run_costs_its_steps_its_checks_and_its_end():
    cost = MeasuredCost(
        start=9.0, step=0.5, check=2.0, evaluate=3.0, num_images=96, megabytes=1
    )
    assert cost.seconds(Run(**SMALL, epochs=2)) == 6 * 0.5 + 2 * 2 + 3


def test_the_table_adds_up_and_pays_for_each_kind_once_a_worker():
    cost = MeasuredCost(
        start=10, step=1, check=1, evaluate=0, num_images=96, megabytes=2
    )
    runs = [Run(**SMALL, epochs=1, seed=seed) for seed in (0, 1)]
    planned = [PlannedRun(Trial("mlp", {}), run) for run in runs]
    text = format_costs(planned, {kind_of(runs[0]): cost}, workers=2)
    # Two runs of four seconds and a start in each of two workers.
    hours = (2 * 4 + 2 * 10) / 2 / 3600
    name, number, found, _ = text.splitlines()[-1].rsplit(maxsplit=3)
    assert (name, number) == ("in all", "2")
    assert float(found) == pytest.approx(hours, abs=5e-4)


def test_measuring_trains_and_gives_positive_seconds():
    cost = measure(Run(**SMALL, epochs=1000))
    assert cost.num_images == 96
    assert min(cost.start, cost.step, cost.check, cost.evaluate) > 0


def test_a_baseline_costs_its_one_fit():
    values = {**SMALL, "model": "knn", "options": {"backbone": "none"}}
    cost = measure(Run(**values))
    assert cost.evaluate > 0
    assert cost.start == cost.step == cost.check == 0


def make_record(run, *, train, total, steps=0):
    return Record(
        run=run,
        run_id=run.run_id,
        status="done",
        parameters=Parameters(total=1, trainable=1),
        num_images={"train": 1000, "val": 100, "test": 100},
        history=[{"step": steps}] if steps else [],
        seconds={"train": train, "total": total},
    )


def make_run(model="transfer", **values):
    return Run(task="breastmnist", model=model, **values)


def estimate(run, *records):
    return Estimates(list(records), least_steps=MIN_STEPS).of(run)


def test_a_baseline_is_expected_to_take_what_an_earlier_one_took_by_pixels():
    small, large = (
        make_run("logistic_regression", loss="cross_entropy", resize=side)
        for side in (32, 64)
    )
    seconds, why = estimate(large, make_record(small, train=10, total=12))
    assert seconds == pytest.approx(4 * 10 + 2)
    assert why == "earlier runs of the same model, width and task"


def test_a_frozen_backbone_says_nothing_of_a_trained_one():
    record = make_record(make_run(epochs=5), train=1, total=2, steps=100)
    frozen, trained = make_run(), make_run(freeze="none")
    assert "earlier runs" in estimate(frozen, record)[1]
    assert estimate(trained, record)[1] == estimate(trained)[1]


def test_a_trained_backbone_takes_as_long_as_its_pixels_ask_for():
    base = {"freeze": "none", "batch_size": 50, "steps": 100}
    small, large = (make_run(**base, resize=side) for side in (32, 64))
    record = make_record(small, train=99, total=100, steps=100)
    assert estimate(large, record)[0] == pytest.approx(4 * 100 + 1)
