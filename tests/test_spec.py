"""Study files: what is read, and the sentence for each thing that is wrong."""

import re
import tomllib
from pathlib import Path

import pytest
from test_source import GOOD

import medzoo
from medzoo.study.source import write_toml
from medzoo.study.spec import BrokenStudy, list_studies, read_study
from medzoo.tasks import NAMES

FOLDER = Path(medzoo.__file__).parent / "studies"
SHIPPED = ", ".join(sorted(path.stem for path in FOLDER.glob("*.toml")))


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(text, path="x.toml"):
    Path(path).write_text(text, encoding="utf-8")
    return read_study(path)


def read_with(old, new):
    assert old in GOOD
    return read(GOOD.replace(old, new))


def test_a_study_holds_what_its_file_says():
    study = read(GOOD)
    assert study.name == "x"
    assert study.question == "Which?"
    assert study.tasks == ("breastmnist", "retinamnist")
    assert study.seeds == (0, 1)
    assert study.data == "medmnist"
    assert study.axis_names == ("optimizer",)
    assert [trial.name for trial in study.trials] == ["sgd", "adam"]
    assert [trial.values for trial in study.trials] == [
        {"optimizer": "sgd"},
        {"optimizer": "adam"},
    ]
    assert study.baseline == study.trials[1]
    assert study.fixed == {"model": "mlp", "epochs": 2}
    assert study.text == GOOD


def test_a_study_may_say_which_differences_do_not_matter():
    assert read(GOOD).equal_within is None
    text = 'question = "Which?"\n'
    assert read_with(text, f"{text}equal_within = 0.03\n").equal_within == 0.03
    with pytest.raises(
        ValueError, match=r"line 3: `equal_within` must be greater than 0\."
    ):
        read_with(text, f"{text}equal_within = 0\n")


def test_a_newcomer_needs_a_question_and_an_axis():
    study = read('question = "?"\n[axes]\noptimizer = ["sgd", "adam"]\n')
    assert study.tasks == NAMES
    assert study.seeds == (0, 1, 2)
    assert study.baseline is None


def test_grids_may_have_other_values_for_other_models():
    study = read(
        'question = "?"\nbaseline = { model = "mlp", width = 8 }\n'
        '[[axes]]\nmodel = ["mlp"]\nwidth = [8, 16]\n'
        '[[axes]]\nmodel = ["skip_cnn"]\nwidth = [4]\nstages = [2, 3]\n'
    )
    assert study.axis_names == ("model", "width", "stages")
    assert [trial.name for trial in study.trials] == [
        "model=mlp, width=8",
        "model=mlp, width=16",
        "model=skip_cnn, width=4, stages=2",
        "model=skip_cnn, width=4, stages=3",
    ]
    assert study.baseline == study.trials[0]


def test_explicit_trials_stand_after_the_grid_and_show_their_defaults():
    study = read(
        'question = "?"\nbaseline = { name = "slow" }\n'
        "[axes]\nlearning_rate = [1, 0.1]\n"
        '[[trials]]\nname = "slow"\nlearning_rate = 1e-05\n'
        '[[trials]]\nmodel = "mlp"\n'
    )
    assert [trial.name for trial in study.trials] == [
        "learning_rate=1.0, model=skip_cnn",
        "learning_rate=0.1, model=skip_cnn",
        "slow",
        "learning_rate=0.001, model=mlp",
    ]
    assert study.baseline == study.trials[2]


def test_what_does_not_differ_is_no_axis():
    study = read_with("[axes]", '[axes]\nactivation = ["relu"]')
    assert study.axis_names == ("optimizer",)
    assert study.fixed["activation"] == "relu"
    alone = read('question = "?"\n[axes]\nactivation = ["relu"]\n')
    assert alone.axis_names == ()
    assert alone.fixed == {"activation": "relu"}
    assert alone.trials[0].name == "activation=relu"
    assert alone.trials[0].values == {}


def test_trials_are_hashable():
    study = read(GOOD)
    assert len({*study.trials, *read(GOOD).trials}) == 2


def test_a_file_of_bytes_is_refused(tmp_path):
    (tmp_path / "x.toml").write_bytes(b'question = "?"\n\xff\xfe\x00')
    with pytest.raises(ValueError, match=r"^x\.toml, line 2: not text .* Save"):
        read_study("x.toml")


def test_an_unknown_study_names_the_nearest():
    sentence = (
        "Unknown study `optimizer`. Did you mean `optimizers`? Expected one "
        f"of: {SHIPPED}. Received: study='optimizer'."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        read_study("optimizer")


def test_a_path_without_a_file_says_so():
    sentence = (
        "No study file there. Expected a TOML file, or the name of a study: "
        f"{SHIPPED}. Received: sub/x.toml."
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(sentence)}$"):
        read_study("sub/x.toml")


def test_studies_of_the_current_folder_come_first(tmp_path):
    (tmp_path / "studies").mkdir()
    read(GOOD, "studies/optimizers.toml")
    assert read_study("optimizers").question == "Which?"


def test_a_broken_study_hides_no_other(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "aaa.toml").write_text("seeds = [\n")
    first, *others = list_studies()
    assert isinstance(first, BrokenStudy)
    assert first.name == "aaa"
    assert first.error.startswith("studies/aaa.toml, line 1, at its end: not")
    assert ", ".join(study.name for study in others) == SHIPPED


def test_flags_override_tasks_seeds_and_data():
    study = read(GOOD).override(tasks=["bloodmnist"], seeds=(0,))
    assert study.tasks == ("bloodmnist",)
    assert study.seeds == (0,)
    assert study.data == "medmnist"
    assert study.override(data="synthetic").data == "synthetic"
    assert study.override(tasks="all").tasks == NAMES


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            {"seeds": []},
            "`seeds` must have at least 1 item, not 0. Received: seeds=[].",
        ),
        (
            {"seeds": [2**32]},
            "`seeds` must be less than 4294967296. Received: seeds=4294967296.",
        ),
        (
            {"data": "sythetic"},
            "`data`: Unknown data `sythetic`. Did you mean `synthetic`? "
            "Expected one of: medmnist, synthetic, folder:PATH, csv:FILE, "
            "npz:FILE, masks:PATH, dicom:PATH, nifti:PATH. "
            "Received: data='sythetic'.",
        ),
    ],
)
def test_a_wrong_flag_is_the_same_sentence(flags, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        read(GOOD).override(**flags)


@pytest.mark.parametrize("score", ["dice", "mean_iou"])
def test_a_score_of_masks_needs_a_model_that_predicts_them(score):
    with pytest.raises(ValueError, match="needs a model that predicts masks"):
        read(f'score = "{score}"\n{GOOD}')


def test_any_character_is_written_as_toml_has_it():
    values = {"question": 'Which \U0001f52c? \x7f "ä"\n'}
    assert tomllib.loads(write_toml(values)) == values
