"""Halving: cuts by hand, and trainings that go on as if never stopped."""

import subprocess
import sys

import numpy as np
import pytest

from medzoo.study.halving import HALVING, compare, has_reached, steps_until
from medzoo.study.trials import run_values
from medzoo.training.execute import execute, load_data
from medzoo.training.fit import Trainer
from medzoo.training.prepare import prepare_model
from medzoo.training.record import Record
from medzoo.training.run import Run

LIMITED = {"data": "synthetic", "max_images": 80, "batch_size": 10}
# Eight checks: one an epoch of eight steps.
RUN = Run(task="breastmnist", **LIMITED, epochs=8, model="mlp", width=8)
TIMES = {"seconds", "images_per_second", "peak_memory_mb", "started"}


def record_of(scores, *, status="done", losses=None, run=RUN, seed=0):
    """Makes a record whose checks had these macro F1 on val."""
    run = Run(**{**run.model_dump(), "seed": seed})
    losses = losses or [1.0] * len(scores)
    return Record(
        run=run,
        run_id=run.run_id,
        status=status,
        num_images={"train": 80},
        history=[
            {"step": 8 * (i + 1), "val_macro_f1": score, "val_loss": loss}
            for i, (score, loss) in enumerate(zip(scores, losses, strict=True))
        ],
    )


def whole(*scores, **changes):
    """Makes a record whose eight checks go linearly through `scores`."""
    points = np.linspace(0, len(scores) - 1, 8)
    values = np.interp(points, range(len(scores)), scores)
    return record_of([float(value) for value in values], **changes)


def test_the_best_mean_over_seeds_wins():
    candidates = [
        [whole(0, 0.9), whole(0, 0.1)],
        [whole(0, 0.6), whole(0, 0.6)],
        [whole(0, 0.5), whole(0, 0.6)],
    ]
    assert compare(candidates) == (1, [1.0, 1.0, 1.0])


def test_at_equal_macro_f1_the_lower_loss_wins_then_the_first():
    def candidate(loss):
        return [record_of([0.5] * 8, losses=[loss] * 8)]

    assert compare([candidate(2.0), candidate(1.0)]).winner == 1
    assert compare([candidate(1.0), candidate(1.0)]).winner == 0


def test_weights_that_are_evaluated_are_those_that_are_compared():
    early = [0.9, *[0.1] * 7]
    late = [0.1] * 7 + [0.5]
    assert compare([[record_of(early)], [record_of(late)]]).winner == 0
    last = Run(**{**RUN.model_dump(), "keep": "last"})
    candidates = [[record_of(early, run=last)], [record_of(late, run=last)]]
    assert compare(candidates).winner == 1


def test_nothing_is_chosen_before_all_are_trained():
    done = [whole(0, 0.5)]
    assert compare([done, [None]]) == (None, [1.0, 1.0])
    stopped = [record_of([0.9] * 4, status="pruned")]
    assert compare([done, stopped]).winner is None


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_candidate_that_fails_on_one_seed_does_not_win(status):
    lost = Record(run=RUN, run_id=RUN.run_id, status=status)
    candidates = [[whole(0, 0.9), lost], [whole(0, 0.1), whole(0, 0.1)]]
    assert compare(candidates).winner == 1
    assert compare([[lost], [lost]]).winner == 0


def test_one_candidate_needs_no_training_to_be_chosen():
    assert compare([[None, None]]) == (0, [0.0])


@pytest.mark.parametrize(
    ("number", "kept"),
    [(2, (2, 0)), (3, (3, 2)), (4, (4, 2)), (5, (5, 3)), (9, (9, 5))],
)
def test_the_better_half_goes_on_and_the_larger_one_of_odd_numbers(
    number, kept
):
    # The later a candidate stands, the better it is all along.
    full = [[whole(0, 0.1 * (i + 1))] for i in range(number)]
    winner, shares = compare(full, HALVING)
    assert winner == number - 1
    trained = [sum(share >= rung for share in shares) for rung in HALVING]
    assert tuple(trained) == kept
    assert sum(share == 1 for share in shares) == (
        0 if kept[1] < 3 and -(-kept[1] // 2) < 2 else -(-kept[1] // 2)
    )


def test_cuts_see_nothing_of_what_comes_after_them():
    """A late bloomer is cut, though its record shows how well it ended."""
    late = [whole(0, 0, 0, 0, 1.0)]
    early = [[whole(0.2, 0.3)], [whole(0.3, 0.4)], [whole(0.4, 0.5)]]
    winner, shares = compare([late, *early], HALVING)
    assert winner == 3
    assert shares == [0.25, 0.25, 0.5, 0.5]
    assert compare([late, *early]).winner == 0


def test_stopped_and_finished_records_give_the_same_answer():
    """What a study knows on its way is what a report reads at its end."""
    scores = np.random.default_rng(0).random((5, 8)).tolist()
    full = [[record_of(values)] for values in scores]
    known = [[None] for _ in full]
    while (standing := compare(known, HALVING)).winner is None:
        for index, share in enumerate(standing.shares):
            checks = round(share * 8)
            known[index] = [
                record_of(
                    scores[index][:checks],
                    status="done" if checks == 8 else "pruned",
                )
            ]
    assert standing == compare(full, HALVING)


def test_a_share_is_reached_at_the_first_check_after_it():
    run = Run(**{**RUN.model_dump(), "epochs": 3})
    stopped = record_of([0.5], status="pruned", run=run)
    assert has_reached(stopped, 0.25)
    assert not has_reached(stopped, 0.5)
    full = record_of([0.5, 0.6, 0.7], run=run)
    assert [steps_until(full, share) for share in (0.25, 0.5, 1)] == [8, 16, 24]


def results(record):
    return record.model_dump(exclude=TIMES)


MODELS = {
    "mlp": {"model": "mlp", "optimizer": "adamw", "warmup": 0.2},
    "augmented": {"model": "mlp", "augmentation": "standard", "dropout": 0.3},
    "skip_cnn": {"model": "skip_cnn", "stages": 1, "optimizer": "momentum"},
}


def make_run(name, **changes):
    values = {"schedule": "cosine", "epochs": 4, "width": 8, **LIMITED}
    values |= MODELS[name] | changes
    fields = {key: values.pop(key) for key in [*LIMITED]}
    return Run(task="breastmnist", **fields, **run_values(values))


@pytest.mark.parametrize("name", MODELS)
def test_a_resumed_training_gives_the_bits_of_an_uncut_one(name):
    run = make_run(name)
    uncut, predictions = execute(run)
    kept = {}
    for until in HALVING:
        stopped, none = execute(
            run, until=until, state=kept.get("state"), on_stop=keep_in(kept)
        )
        assert (stopped.status, stopped.scores, none) == ("pruned", {}, {})
        assert stopped.history == uncut.history[: len(stopped.history)]
        # The model of this graph is another run's in between.
        execute(make_run(name, learning_rate=0.1, epochs=1))
    resumed, found = execute(run, state=kept["state"])
    assert results(resumed) == results(uncut)
    assert resumed.seconds["train"] > 0
    for key, values in predictions.items():
        np.testing.assert_array_equal(found[key], values)


def keep_in(place):
    return lambda state: place.update(state=state)


def test_early_stopping_and_best_weights_go_on_too():
    changes = {"patience": 2, "epochs": 12, "learning_rate": 0.03}
    run = make_run("mlp", **changes)
    uncut, _ = execute(run)
    assert uncut.history[-1]["epoch"] < 12
    kept = {}
    execute(run, until=0.2, on_stop=keep_in(kept))
    resumed, _ = execute(run, state=kept["state"])
    assert results(resumed) == results(uncut)


def test_a_state_keeps_no_hold_on_the_model():
    run = make_run("mlp")
    kept = {}
    execute(run, until=0.25, on_stop=keep_in(kept))
    before = {name: array.copy() for name, array in kept["state"].items()}
    execute(make_run("mlp", learning_rate=0.1))
    for name, array in kept["state"].items():
        np.testing.assert_array_equal(array, before[name])


def test_a_state_of_other_data_or_versions_is_not_gone_on_with():
    run = make_run("mlp")
    uncut, _ = execute(run)
    kept = {}
    stopped, _ = execute(run, until=0.25, on_stop=keep_in(kept))
    for field, value in {
        "data_fingerprint": "other",
        "versions": {**stopped.versions, "keras": "2.0"},
    }.items():
        other = stopped.model_copy(update={field: value})
        record = np.array(other.model_dump_json())
        # Weights of nothing would show.
        state = {k: np.zeros_like(v) for k, v in kept["state"].items()}
        resumed, _ = execute(run, state={**state, "record": record})
        assert results(resumed) == results(uncut)


@pytest.mark.slow
def test_a_trainer_goes_on_in_another_process(tmp_path):
    """State through a file and a fresh backend; the same best weights."""
    run = make_run("augmented")
    kept = {}
    uncut, _ = execute(run)
    execute(run, until=0.5, on_stop=keep_in(kept))
    np.savez(tmp_path / "state.npz", **kept["state"])
    (tmp_path / "run.json").write_text(run.model_dump_json())
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from medzoo.study.worker import set_threads\n"
        "set_threads(1)\n"
        "from medzoo.training.execute import execute\n"
        "from medzoo.training.run import Run\n"
        "here = Path(sys.argv[1])\n"
        "run = Run.model_validate_json((here / 'run.json').read_text())\n"
        "record, _ = execute(run, state=dict(np.load(here / 'state.npz')))\n"
        "(here / 'record.json').write_text(record.model_dump_json())\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        capture_output=True,
        timeout=200,
    )
    text = (tmp_path / "record.json").read_text()
    assert results(Record.model_validate_json(text)) == results(uncut)


def test_speed_counts_no_step_that_was_traced():
    run = make_run("mlp")
    data = load_data(run)
    trainer = Trainer(prepare_model(run, data), data, run)
    trainer.train(until=8)
    state = trainer.state()
    resumed = Trainer(prepare_model(run, data), data, run)
    resumed.resume(state)
    resumed.train(until=16)
    expected = 7 * 10 / resumed.seconds["train"]
    assert resumed.images_per_second() == pytest.approx(expected)
