"""Search files: what is wrong is named with its line."""

import pytest
from search_records import read

from medzoo.search.proof import write_proof
from medzoo.search.search_file import find_searches, read_search
from medzoo.study.spec import read_study

WRONG = {
    "key of a run": (
        "optimizer =",
        "optimiser =",
        "line 9: `space.optimiser` is not a field of a run. "
        "Did you mean `optimizer`?",
    ),
    "value": ('"sgd"]', '"sdg"]', "line 9: `space.optimizer`: Unknown"),
    "option": ("dropout =", "stages =", "is not an option of `mlp`"),
    "extreme": ("high = 0.8", "high = 1.8", "`space.loss_weight`"),
    "key of a search": ("trials =", "trails =", "Did you mean `trials`?"),
    "key of a range": ("step = 0.2", "stride = 0.2", "Did you mean"),
    "budget": ("trials = 12", "", "`trials` or `hours`"),
    "range": ("low = 0.001", "low = 0.2", "0 < low < high"),
    "half a range": ("low = 0.2\n", "", "a range with `low` and `high`"),
    "tuner": ('"random"', '"annealing"', "'bayesian'"),
    "twice": ("width = 8", "width = 8\ndropout = 0.1", "as well"),
    "condition": ("{ loss =", "{ lost =", "of a key above"),
    "seeds": ("seeds = [0]", "seeds = [0]\nproof_seeds = [0]", "others than"),
    "grid": ('"random"', '"grid"', "a range with a `step`"),
    "task": ('"breastmnist"', '"brestmnist"', "`breastmnist`?"),
    "mixed": ('"adam", "sgd"', '"adam", 1', "one type"),
    "syntax": ("trials = 12", "trials = ", "line 5, column"),
    "baseline": (
        "trials = 12",
        "trials = 12\nbaseline = { optimizer = 'best' }",
        "Unknown optimizer",
    ),
}


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_a_sentence(old, new, sentence, tmp_path):
    with pytest.raises(ValueError, match=r"tiny\.toml") as error:
        read(tmp_path, (old, new))
    assert sentence in str(error.value)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean `skip_cnn`"):
        read_search("skip_cn")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml"):
        read_search("nowhere.toml")


def test_every_search_of_the_project_is_right():
    assert "skip_cnn" in find_searches()
    for path in find_searches().values():
        assert read_search(path).document.space


def test_the_proof_trains_winner_and_baseline_with_new_seeds(tmp_path):
    search = read(
        tmp_path, ("trials = 12", "trials = 12\nbaseline = { width = 16 }")
    )
    best = {"optimizer": "adam", "learning_rate": 0.0123, "loss": "soft_f1"}
    path = tmp_path / "tiny_proof.toml"
    path.write_text(write_proof(search, best))
    study = read_study(path)
    assert [trial.name for trial in study.trials] == ["winner", "baseline"]
    assert study.baseline.name == "baseline"
    assert study.tasks == ("breastmnist", "retinamnist")
    assert not set(study.seeds) & set(search.document.seeds)
    winner, baseline = (trial.values for trial in study.trials)
    assert winner["learning_rate"] == 0.0123
    assert winner["width"] == 8
    assert baseline["width"] == 16
    # What the baseline leaves out is the default of a run.
    assert baseline["learning_rate"] == 0.001
