"""Halving: who is cut, and who wins, by hand."""

import numpy as np
import pytest

from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.study.tuning import HALVING, compare, has_reached, steps_until

LIMITED = {"data": "synthetic", "max_images": 80, "batch_size": 10}
# Eight checks: one an epoch of eight steps.
RUN = Run(task="breastmnist", **LIMITED, epochs=8, model="mlp", width=8)


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
    while (ranking := compare(known, HALVING)).winner is None:
        for index, share in enumerate(ranking.shares):
            checks = round(share * 8)
            known[index] = [
                record_of(
                    scores[index][:checks],
                    status="done" if checks == 8 else "pruned",
                )
            ]
    assert ranking == compare(full, HALVING)


def test_a_share_is_reached_at_the_first_check_after_it():
    run = Run(**{**RUN.model_dump(), "epochs": 3})
    stopped = record_of([0.5], status="pruned", run=run)
    assert has_reached(stopped, 0.25)
    assert not has_reached(stopped, 0.5)
    full = record_of([0.5, 0.6, 0.7], run=run)
    assert [steps_until(full, share) for share in (0.25, 0.5, 1)] == [8, 16, 24]
