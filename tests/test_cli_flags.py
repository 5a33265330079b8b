"""Commands and flags that people try: help, lists, values of a run, faults."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from search_records import FILE as SEARCH
from small_study import STUDY

import medzoo as package
from medzoo.cli.console import CommandConsole

# A study, a search and a run, each in a file of its own.
FILES = {
    "small.toml": STUDY,
    "search.toml": SEARCH.replace("optimizer", "optimiser"),
    "run.toml": 'task = "breastmnist"\n',
    "run.txt": "",
    "typo.toml": '[data]\nsorce = "folder:x"\n',
    "corrupted.toml": f"corruptions = true\n{STUDY}",
    "track.toml": f'track = ["mlflo"]\n{STUDY}',
    "weights.toml": 'question = "?"\ndata = "synthetic"\n'
    "tasks = ['breastmnist']\n[axes]\nsteps = [1, 2]\n[fixed]\n"
    'model = "transfer"\nbackbone = "mobilenet"\nweights = "none.h5"\n',
}


@pytest.fixture
def files(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)


def test_the_version_is_that_of_the_package(medzoo):
    assert medzoo("--version").out == f"medzoo {package.__version__}\n"


@pytest.mark.parametrize("command", ["", "train", "study run"])
def test_the_short_flag_shows_the_help(command, medzoo):
    assert "Usage" in medzoo(*command.split(), "-h").out


def test_the_light_commands_answer(files, medzoo):
    assert "bloodmnist" in medzoo("tasks").out
    plan = medzoo("study", "plan", "small.toml").out
    assert "2 trials x 2 tasks x 2 seeds = 8 runs" in plan
    assert "8 left" in medzoo("study", "status", "small.toml").out
    text = medzoo("doctor").out
    assert "medzoo download breastmnist, or --data synthetic" in text


def test_the_zoo_is_listed_with_options_in_words(medzoo):
    text = medzoo("models").out
    assert "skip_cnn" in text
    assert "dropout = 0.2: " in text
    assert "Option(" not in text
    assert "Backbone(" not in text


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("study list", "question"),
        ("study plan quickstart", "num_runs"),
        ("study status quickstart", "left"),
    ],
)
def test_lists_plans_and_states_are_there_as_json(command, key, medzoo):
    found = json.loads(medzoo(*command.split(), "--json").out)
    assert key in (found[0] if isinstance(found, list) else found)


def test_flags_and_values_of_a_run_are_its_fields(medzoo):
    command = "train --task breastmnist --data synthetic --model mlp --json"
    command += " --optimizer sgd --learning-rate 3e-4"
    for value in ("width=8", "steps=2", "dropout=0.1", "loss=cross_entropy"):
        command += f" --set {value}"
    text = medzoo(*command.split()).out
    for part in ('"dropout":0.1', '"learning_rate":0.0003', "cross_entropy"):
        assert part in text


def test_a_quiet_command_prints_its_result_and_logs_the_rest(medzoo, tmp_path):
    arguments = ["train", "--task", "breastmnist", "--data", "synthetic"]
    for value in ("model=mlp", "width=8", "steps=2"):
        arguments += ["--set", value]
    log = tmp_path / "train.log"
    text = medzoo(*arguments, "--quiet", "--log-file", str(log)).out
    assert text.splitlines()[0].split()[0] == "split"
    lines = log.read_text().splitlines()
    assert lines[0].endswith(f"--quiet --log-file {log}")
    assert "mlp on breastmnist" in lines[1]
    assert lines[2:] == text.splitlines()
    text = medzoo(*arguments, "--log-file", str(tmp_path), code=2).err
    assert f"`{tmp_path}` is a folder. Expected a file" in text


def test_a_study_without_records_is_not_set_beside_published_figures(
    medzoo, monkeypatch
):
    text = medzoo("compare", "optimizers", code=3).err
    assert text.startswith("No records of `optimizers` in ")
    assert "Run `medzoo study run optimizers` first." in text
    # Where the current folder is the checkout, make has a target for it.
    monkeypatch.chdir(Path(__file__).parents[1])
    text = medzoo("compare", "optimizers", code=3).err
    assert "Run `make study NAME=optimizers` first." in text


def test_the_command_of_missing_records_makes_those_that_are_asked_for(
    medzoo, tmp_path
):
    path = tmp_path / "of two.toml"
    path.write_text(
        'question = "?"\ntasks = ["breastmnist"]\ndata = "synthetic"\n'
        "[axes]\nwidth = [4, 8]\n"
    )
    compared = medzoo("compare", str(path), code=3).err
    assert f"study run '{path}' --data medmnist` first" in compared
    reported = medzoo("study", "report", str(path), "--seeds", "3", code=3)
    assert f"study run '{path}' --seeds 3` first" in reported.err


def test_fields_of_a_run_are_listed_with_defaults(medzoo):
    text = medzoo("fields").out
    assert "batch_size = 128: Images a step" in text
    assert "one of: none, mixup, cutmix" in text


TRAIN = "train --task breastmnist"
WRONG = {
    "study run optimisers": "Did you mean",
    "study run small.toml --tasks brestmnist": "Did you mean `breastmnist`?",
    "study run small.toml --tasks chestmnist": "several labels per image",
    "study run small.toml --seeds one": "whole numbers",
    "study run small.toml --data cifar": "Unknown data `cifar`",
    "study run small.toml --data medmnist": "--data synthetic",
    "study plan nowhere.toml": "nowhere.toml",
    "study plan small": "There is `small.toml` here.",
    "study plan run.txt": "`run.txt` is no .toml file.",
    "study plan .": "`.` is a folder, and no study file.",
    "study run small.toml --address auto": "`--executor ray` beside it",
    "study plan track.toml": "line 1: `track`: Unknown track `mlflo`",
    "study status track.toml": "Did you mean `mlflow`?",
    "study plan weights.toml": "No weights for backbone `mobilenet`",
    "download bloodmist": "`bloodmnist`",
    "download bloodmist,breastmnist": "Did you mean `bloodmnist`",
    "study plan small.toml --seeds 1 --seeds=2": "`--seeds` is given 2 times",
    "study run small.toml --stack x": "`stack` must be `auto`, `off`, or a",
    "download bloodmnist --size 32": "28, 64",
    "train run.toml --task brest": "Unknown task `brest`",
    "train none.toml": "No file there",
    "train": "A run needs a task",
    "train small.toml": "is a study. Expected the fields of one run. Run it by",
    "train search.toml": "`medzoo search run search.toml`",
    "train typo.toml": "typo.toml, line 1: `data`: Unknown data option `sorce`",
    "train --data .": "Is it the data at that path? Give folder:.",
    "explore csv:small.toml": "small.toml",
    f"{TRAIN} --recipe bets": "Unknown recipe",
    f"{TRAIN} --set dropout": "needs a key and a value",
    f"{TRAIN} --set droput=0.1": "Did you mean `dropout`",
    f"{TRAIN} --set seed=1 --seed 2": "`seed` is given twice",
    f"{TRAIN} --optimizer adamm": "Did you mean `adam`",
    f"{TRAIN} --set dropout=high": "must be of type float",
    "search run search.toml": "search.toml, line 9: `space.optimiser`",
    "search run nothing": "Unknown search `nothing`",
    "submit quickstar --out x.csv": "Unknown study",
    "submit ab cd --out x.csv": "is the run_id of 0 runs",
    "evaluate x.csv --out y --json": "no use for `--out`, `--json`. Leave them",
    "evaluate x.keras --size 64": "no use for `--size`",
    "ensemble small.toml --trial x --best 2": "no use for `--best`. Leave it",
    "hub push x --to y --private": "Without `--repo` there is no use",
    "study plan small.toml --json --time": "With `--json` there is no use for",
    "study run small.toml --executor ray --workers 4 --keep all": "On a Ray "
    "cluster there is no use for `--workers`, `--keep`. Leave them out.",
    "study run corrupted.toml --stack 8": "there is no use for `--stack`",
    "study report --from x --pictures": "no use for `--pictures`. Leave it",
    # An empty path would be the current folder.
    "explore ''": "An argument is empty. Expected a value",
    "explore breastmnist --out ' '": "`--out` is empty",
    "study plan small.toml --tasks=": "`--tasks` is empty",
}


@pytest.mark.parametrize(("command", "sentence"), WRONG.items(), ids=WRONG)
def test_wrong_words_are_one_sentence_and_nothing_is_written(
    command, sentence, tmp_path, files, medzoo
):
    told = medzoo(*shlex.split(command), code=2).err
    assert told.splitlines()[-1].startswith("Error: ")
    assert sentence in told
    assert {path.name for path in tmp_path.iterdir()} <= {*FILES, "data"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MEDZOO_DEBUG", "maybe"), ("MEDZOO_RESIDENT", "2")],
)
def test_a_switch_of_the_environment_is_checked(
    variable, value, medzoo, monkeypatch
):
    monkeypatch.setenv(variable, value)
    told = medzoo("tasks", code=2).err
    assert told.startswith(f"Error: Unknown {variable} `{value}`. Expected one")


def test_images_are_kept_on_the_device_by_jax_alone(medzoo, files, monkeypatch):
    monkeypatch.setenv("MEDZOO_RESIDENT", "on")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    told = medzoo("study", "plan", "small.toml", code=2).err
    assert told.startswith("Error: MEDZOO_RESIDENT=on needs JAX.")


@pytest.mark.parametrize("value", ["", " ", "0", "No", "false", "off"])
def test_a_switch_that_says_no_is_off(value, medzoo, monkeypatch):
    monkeypatch.setenv("MEDZOO_DEBUG", value)
    assert "Unknown study" in medzoo("study", "plan", "none", code=2).err


def test_the_home_and_blanks_in_lists_are_known(medzoo, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MEDZOO_RUNS", "~/records")
    (tmp_path / "mine.toml").write_text(STUDY)
    arguments = ["--tasks", "breastmnist, retinamnist", "--seeds", "0, 2"]
    told = medzoo("study", "plan", "~/mine.toml", *arguments).out
    assert "2 tasks x 2 seeds" in told
    told = medzoo("study", "report", "~/mine.toml", "--out=~/of", code=3).err
    assert f"in {tmp_path / 'records'}" in told
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_fault(buffered):
    process = subprocess.Popen(
        [sys.executable, "-m", "medzoo", "tasks"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": buffered},
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 141
    process.stderr.close()


class Unread(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


def test_progress_that_nobody_reads_ends_no_command():
    console = CommandConsole()
    console.file = Unread()
    console.print("once")
    console.note("again")


def test_a_terminated_command_ends_with_143(tmp_path):
    process = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import time\nfrom medzoo.cli import app, main\n"
            "@app.command()\ndef wait():\n"
            "    print('ready', flush=True)\n    time.sleep(60)\nmain()",
            "wait",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert time.monotonic() - started < 30
    process.stdout.close()


def test_a_folder_of_results_is_set_beside_published_figures(medzoo, tmp_path):
    folder = Path(__file__).parents[1] / "results" / "best"
    found = medzoo("compare", str(folder)).out
    assert "best: scratch" in found
    assert "ResNet-18" in found
    assert medzoo("compare", str(folder / "evidence.zip")).out == found
    text = medzoo("compare", str(folder), "--tasks", "pathmnist", code=2).err
    assert "no `--tasks`" in text
    text = medzoo("compare", str(tmp_path), code=2).err
    assert "evidence.zip" in text


def test_other_data_than_the_official_have_no_published_figures(medzoo):
    folder = Path(__file__).parents[1] / "results" / "imbalance_cells"
    text = medzoo("compare", str(folder), code=2).err
    assert "of the official data of MedMNIST" in text
