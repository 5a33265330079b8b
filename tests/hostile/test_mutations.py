"""Mutated files and command lines: a sentence and a way out, never more."""

import os
import random
import sys
import time

import pytest
from small_study import STUDY

from medzoo.cli import main

SEARCH = """
question = "Which width?"
tasks = ["breastmnist"]
data = "synthetic"
tuner = "random"
trials = 3
[space]
learning_rate = { min = 1e-4, max = 1e-1, sampling = "log" }
[fixed]
model = "mlp"
epochs = 2
"""
PARTS = (
    "", "0", "-1", "1e999", "nan", "[", "]", "{", "}", "[[", "=", "\\n",
    "\\x1b[2J", "[/b]", '"', "'", "true", "99999999999999999999", "\ud800",
    "[]", "{}", '""', "\u202e", "../../x", "1979-05-27", "#", ",", "inf", "é",
)  # fmt: skip
COMMANDS = (
    "study plan x.toml",
    "study status x.toml --seeds 0,1 --tasks breastmnist",
    "study report x.toml --format csv --data synthetic",
    "search run x.toml --max-hours 0",
    "train --task breastmnist --model mlp --set width=8 --set steps=x",
    "models",
    "study list --json",
    "evaluate x.toml --task breastmnist",
    "explore npz:x.toml",
    "audit csv:x.toml",
)


def mutate(text, chance):
    """Changes a text in one to three places."""
    for _ in range(chance.randint(1, 3)):
        at, to = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        if chance.random() < 0.7:
            to = min(to, at + chance.randint(0, 12))
        text = text[:at] + chance.choice([*PARTS, text[at:to] * 2]) + text[to:]
    return text


def call(words, capsys, monkeypatch):
    """Calls a command as a shell does; returns its code and its errors."""
    monkeypatch.setattr(sys, "argv", ["medzoo", *words])
    started = time.process_time()
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    assert time.process_time() - started < 5, words
    return code, capsys.readouterr().err


def check(rounds, seed, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "data"))
    chance = random.Random(seed)
    for number in range(rounds):
        text = mutate(chance.choice((STUDY, SEARCH)), chance)
        content = text.encode("utf-8", "surrogatepass")
        (tmp_path / "x.toml").write_bytes(content)
        words = chance.choice(COMMANDS[:3]).split()
        if number % 2:
            words = mutate(chance.choice(COMMANDS), chance).split()
            # Nothing trains here, and no file of a person is read.
            if words[:1] == ["train"] and "x" not in " ".join(words[1:]):
                continue
            words = [word.replace("\x00", "") for word in words] or ["-h"]
        code, errors = call(words, capsys, monkeypatch)
        assert code in (0, 1, 2, 3, 130), (words, text)
        assert "Traceback" not in errors
        assert "\x1b[2J" not in errors
        if code == 2:
            assert len(errors.strip()) > 20, (words, text)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("MEDZOO_DEBUG", raising=False)
    monkeypatch.setenv("MEDZOO_MIRROR", "http://127.0.0.1:9")


def test_a_hundred_mutated_files_and_commands(capsys, monkeypatch, tmp_path):
    check(100, 0, capsys, monkeypatch, tmp_path)


@pytest.mark.slow
def test_two_thousand_mutated_files_and_commands(capsys, monkeypatch, tmp_path):
    rounds = int(os.environ.get("MUTATIONS", "2000"))
    check(rounds, 1, capsys, monkeypatch, tmp_path)


def test_a_million_trials_are_refused_at_once(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    values = list(range(1, 101))
    axes = f"width = {values}\nsteps = {values}\nbatch_size = {values}\n"
    text = STUDY.replace('optimizer = ["sgd", "adam"]', axes)
    text = text.replace("width = 8\nepochs = 2\n", "")
    text = text.replace('baseline = { optimizer = "sgd" }', "")
    (tmp_path / "x.toml").write_text(text)
    code, errors = call(["study", "plan", "x.toml"], capsys, monkeypatch)
    assert code == 2
    assert "1,000,000 trials" in errors
