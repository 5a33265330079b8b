"""Flags that people try: versions, help, values of a run, exit codes."""

import json
import signal
import subprocess
import sys
import time

import pytest

from medzoo.cli import main


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Runs a command in this process; returns its exit code and output."""
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["medzoo", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        done = capsys.readouterr()
        return ended.value.code, done.out + done.err

    return run


def test_the_version_is_that_of_the_package(command):
    import medzoo

    assert command("--version") == (0, f"medzoo {medzoo.__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["train"], ["study", "run"]])
def test_the_short_flag_shows_the_help(arguments, command):
    code, text = command(*arguments, "-h")
    assert code == 0
    assert "Usage" in text


def test_the_zoo_is_listed_with_options_in_words(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["medzoo", "models"])
    with pytest.raises(SystemExit):
        main()
    text = capsys.readouterr().out
    assert "dropout = 0.2: " in text
    assert "Option(" not in text
    assert "Backbone(" not in text


def test_doctor_names_what_is_missing_and_how_to_get_it(command):
    code, text = command("doctor")
    assert code == 0
    assert "medzoo download breastmnist, or --data synthetic" in text


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["study", "list"], "question"),
        (["study", "plan", "quickstart"], "num_runs"),
        (["study", "status", "quickstart"], "left"),
    ],
)
def test_lists_plans_and_states_are_there_as_json(arguments, key, command):
    code, text = command(*arguments, "--json")
    found = json.loads(text)
    assert code == 0
    assert key in (found[0] if isinstance(found, list) else found)


def test_flags_and_values_of_a_run_are_its_fields(command):
    arguments = ["train", "--task", "breastmnist", "--data", "synthetic"]
    arguments += ["--model", "mlp", "--optimizer", "sgd", "--json"]
    values = ("width=8", "steps=2", "dropout=0.1", "loss=cross_entropy")
    for value in values:
        arguments += ["--set", value]
    code, text = command(*arguments, "--learning-rate", "3e-4")
    assert code == 0
    for part in ('"dropout":0.1', '"learning_rate":0.0003', "cross_entropy"):
        assert part in text


def test_a_quiet_command_prints_its_result_and_logs_the_rest(command, tmp_path):
    arguments = ["train", "--task", "breastmnist", "--data", "synthetic"]
    for value in ("model=mlp", "width=8", "steps=2"):
        arguments += ["--set", value]
    log = tmp_path / "train.log"
    code, text = command(*arguments, "--quiet", "--log-file", str(log))
    assert code == 0
    assert text.splitlines()[0].split()[0] == "split"
    lines = log.read_text().splitlines()
    assert lines[0].endswith(f"--quiet --log-file {log}")
    assert "mlp on breastmnist" in lines[1]
    assert lines[2:] == text.splitlines()
    code, text = command(*arguments, "--log-file", str(tmp_path))
    assert code == 2
    assert "The log file cannot be written" in text


def test_fields_of_a_run_are_listed_with_defaults(command):
    code, text = command("fields")
    assert code == 0
    assert "batch_size = 128: Images a step" in text
    assert "one of: none, mixup, cutmix" in text


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--set", "dropout"], "needs a key and a value"),
        (["--set", "droput=0.1"], "Did you mean `dropout`"),
        (["--set", "seed=1", "--seed", "2"], "`seed` is given twice"),
        (["--optimizer", "adamm"], "Did you mean `adam`"),
        (["--set", "dropout=high"], "must be of type float"),
    ],
)
def test_wrong_values_are_one_sentence(flags, sentence, command):
    code, text = command("train", "--task", "breastmnist", *flags)
    assert code == 2
    assert sentence in text


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


def test_a_backend_prints_nothing(tmp_path):
    code = (
        "import medzoo\n"
        "medzoo.run('breastmnist', data='synthetic', model='mlp', width=4,"
        " steps=1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
