"""Whole commands on spoilt masks, stores, evidence, models and images."""

import os
import random
import re
import shutil

import pytest
from own_images import make_image
from own_masks import make_masks, write_csv
from page_records import make_alike, make_widths, report_on
from small_study import RATES
from test_mutations import call, mutate
from test_spoilt_files import repack, reword, spoil

from medzoo.report.evidence_file import write_evidence
from medzoo.runs.run import Run
from medzoo.store import Store
from medzoo.study.spec import read_study

# What is passed over is named in a warning.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
MASKS = """
question = "Which loss?"
seeds = [0]
[data]
source = "masks:cells"
mask_values = ["0=background", "255=cell", "7=ignore"]
no_mask = "empty"
[axes]
mask_loss = ["dice", "cross_entropy"]
[fixed]
model = "unet"
width = 4
size = 16
epochs = 1
"""


def rewrite(content, chance):
    """Changes a text as `mutate` does."""
    return mutate(content.decode(), chance).encode("utf-8", "surrogatepass")


def make_masked(folder):
    cells = make_masks(folder / "cells")
    (folder / "masks.toml").write_text(MASKS)
    names = [path.name for path in sorted((cells / "images").iterdir())]
    rows = [(f"images/{n}", f"masks/{n}", int(n[:2]) % 2) for n in names]
    write_csv(cells, ("path", "mask", "label"), *rows)
    explore, audit = "explore masks:cells", "audit masks:cells"
    listed = [f"{word}/list.csv" for word in (explore, audit)]
    plan = ["study plan masks.toml", "study status masks.toml --json"]
    return [
        (cells / "masks" / "01.png", [spoil], [explore, audit, *plan, *listed]),
        (cells / "images" / "02.png", [spoil], [explore, audit, *plan]),
        (cells / "list.csv", [spoil, reword, rewrite], listed),
        (folder / "masks.toml", [reword, rewrite], plan),
    ]


def make_stored(folder):
    path = folder / "rates.toml"
    path.write_text(RATES.format(text="", task="breastmnist", model="mlp"))
    records, predictions = make_alike(read_study(path))
    store = Store(folder / "runs")
    whole = {
        "num_images": {"train": 546, "val": 78, "test": 156},
        "seconds": {"train": 1.0, "check": 0.1, "total": 3.0},
    }
    for run_id, record in records.items():
        record = record.model_copy(update=whole)
        store.write(record, predictions[run_id])
    shutil.copytree(folder / "runs", folder / "theirs")
    run_id = min(records)
    ours, theirs = (
        folder / name / run_id[:2] / f"{run_id}.json"
        for name in ("runs", "theirs")
    )
    commands = [
        "study status rates.toml",
        "study plan rates.toml --json",
        "study report rates.toml --out out",
        "study report rates.toml --out out --methods --format latex",
        "ensemble rates.toml",
    ]
    return [
        (ours, [spoil, reword], commands),
        (ours.with_suffix(".npz"), [spoil, repack], commands),
        (theirs, [spoil, reword], ["study merge theirs"]),
        (theirs.with_suffix(".npz"), [spoil, repack], ["study merge theirs"]),
    ]


def make_evidence(folder):
    for name, seed in (("one", 0), ("two", 1)):
        study = make_widths(
            2,
            tasks=("breastmnist",),
            name=name,
            fixed={"model": "mlp", "steps": 5 + seed},
        )
        (folder / name).mkdir()
        evidence = report_on(study, folder / f"{name}_runs", *make_alike(study))
        write_evidence(evidence, folder / name / "evidence.zip")
    commands = [
        "study report --from two --out out",
        "study report --from two --out out --format csv --methods",
        "compare one two",
        "compare two one",
    ]
    return [(folder / "two" / "evidence.zip", [spoil, repack], commands)]


def make_submitted(folder):
    path = folder / "labels.csv"
    rows = [f"{at},{at},retinamnist,{at % 5}" for at in range(256)]
    header = "id,id_image_in_task,task_name,label"
    path.write_text("\n".join([header, *rows]))
    return [
        (
            path,
            [spoil, reword, rewrite],
            ["evaluate labels.csv --data synthetic"],
        )
    ]


def make_trained(folder):
    from medzoo.training.execute import execute
    from medzoo.training.saved import MODEL, RECORD, save_model, save_record

    fields = {"data": "synthetic", "model": "mlp", "width": 8}
    run = Run(task="breastmnist", steps=2, max_images=64, **fields)
    trained = folder / "trained"
    trained.mkdir()
    record, _ = execute(
        run, on_model=lambda model: save_model(model, trained / MODEL)
    )
    save_record(record, trained)
    scans = folder / "scans"
    scans.mkdir()
    for index in range(3):
        make_image(index, shape=(28, 28)).save(scans / f"{index}.png")
    predict = ["predict trained scans", "predict trained scans --resize"]
    commands = [
        *predict,
        "evaluate trained --split val",
        "card trained --out card.md",
        "export trained --to savedmodel --out exported",
    ]
    return [
        (scans / "1.png", [spoil], predict),
        (trained / RECORD, [spoil, reword], commands),
        (trained / MODEL, [spoil, repack], commands),
    ]


def check(rounds, seed, files, calling):
    """Spoils a file, calls a command that reads it, and puts it back."""
    chance = random.Random(seed)
    whole = {path: path.read_bytes() for path, _, _ in files}
    for command in {c: None for _, _, commands in files for c in commands}:
        code, errors = calling(command)
        assert code == 0, (command, errors)
    for number in range(rounds):
        path, changes, commands = files[number % len(files)]
        path.write_bytes(chance.choice(changes)(whole[path], chance))
        command = chance.choice(commands)
        code, errors = calling(command)
        spoilt = path.read_bytes()
        path.write_bytes(whole[path])
        assert code in (0, 1, 2, 3), (command, errors, spoilt)
        if code == 2:
            assert len(errors.strip()) > 40, (command, errors)


@pytest.fixture
def calling(capsys, monkeypatch, tmp_path):
    """Calls a command as a shell does, offline; returns its code and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MEDZOO_MIRROR", "http://127.0.0.1:9")
    monkeypatch.delenv("MEDZOO_DEBUG", raising=False)
    return lambda command: call(command.split(), capsys, monkeypatch)


QUICK = (make_masked, make_stored, make_evidence, make_submitted)


# Commands that draw figures, which take seconds.
_DRAWS = re.compile("report|explore")


def test_thirty_commands_on_spoilt_files(tmp_path, calling):
    files = [
        (path, changes, [c for c in commands if not _DRAWS.search(c)])
        for make in QUICK
        for path, changes, commands in make(tmp_path)
    ]
    check(30, 0, files, calling)


@pytest.mark.slow
def test_thousands_of_commands_on_spoilt_files(tmp_path, calling):
    rounds = int(os.environ.get("MUTATIONS", "2000"))
    makers = (*QUICK, make_trained)
    check(rounds, 1, [one for m in makers for one in m(tmp_path)], calling)
