"""Spoilt data files: read as far as they go, or refused with one sentence."""

import contextlib
import hashlib
import io
import json
import os
import random
import re
import warnings
import zipfile

import numpy as np
import pytest
from own_images import make_image
from page_records import make_drawn, make_widths
from test_inputs import write_archive, write_keras

from medzoo.data.custom.images import Reader
from medzoo.data.custom.load import read_custom
from medzoo.files import DAMAGED
from medzoo.models.keras_file import require_bounded
from medzoo.report.evidence import Evidence
from medzoo.report.evidence_file import read_evidence, write_evidence
from medzoo.report.submission import read_submission
from medzoo.store import Store

WORDS = (
    "null", "1e999", "-1", '""', "[]", "{}", '"x"', "true", "0", "NaN",
    "99999999999999999999", '"../../x"', '"\\u001b[2J"', '"\\ud800"', "", ",",
)  # fmt: skip
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.e+-]*|\w+|[^\s\w]')


def spoil(content, chance):
    """Changes some bytes or words, many of them near one of the ends."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed) + 1)
        if chance.random() < 0.5:
            near = min(chance.randrange(200), len(changed))
            at = chance.choice((near, len(changed) - near))
        size = chance.choice((1, 1, 4, 8, 16, len(changed)))
        changed[at : at + size] = chance.choice(
            (bytes(size), b"\xff" * size, chance.randbytes(size), b"")
        )
    return bytes(changed)


def reword(content, chance):
    """Replaces a word or a sign of a text."""
    found = chance.choice([*_TOKEN.finditer(content)])
    word = chance.choice((*WORDS, found.group().decode() * 2)).encode()
    return content[: found.start()] + word + content[found.end() :]


def repack(content, chance):
    """Spoils one member of an archive, and gives it the right checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice([*parts])
    change = reword if ".json" in name else spoil
    parts[name] = change(parts[name], chance)
    if "contents.json" in parts and name != "contents.json":
        contents = json.loads(parts["contents.json"])
        contents["sha256"][name] = hashlib.sha256(parts[name]).hexdigest()
        parts["contents.json"] = json.dumps(contents).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return packed.getvalue()


def read_images(path):
    read_custom("x", f"folder:{path.parents[1]}", 8, {})


def read_table(path):
    read_custom("x", f"csv:{path}", 8, {})


def read_npz(path):
    read_custom("x", f"npz:{path}", 8, {})
    list(Reader((8, 8, 1)).read([path]))


def read_run(path):
    store = Store(path.parents[1])
    run_id = path.name.split(".")[0]
    store.status(run_id)
    store.read(run_id)
    store.read_predictions(run_id)


def read_model(path):
    try:
        require_bounded(path)
    except (*DAMAGED, OSError) as error:
        raise ValueError(f"What loads it says so: {error!r}") from None


def read_labels(path):
    read_submission(path, lambda task: 3)


def make_files(folder):
    """Makes a file of each kind; returns how each is read and spoilt."""
    images = []
    for ending in ("png", "jpg", "tif", "bmp", "webp"):
        for name in ("a/0", "a/1", "a/2", "b/0", "b/1", "b/2"):
            path = folder / ending / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            make_image(ord(name[0]) + int(name[2])).save(path)
        images.append(path)
    table = folder / "png" / "table.csv"
    rows = [f"{name}/{at}.png,{name},p{at}" for name in "ab" for at in range(3)]
    table.write_text("\n".join(["path,label,group", *rows]))
    study = make_widths(2).override(seeds=[0, 1])
    store = Store(folder / "runs")
    records, predictions = make_drawn(study)
    for run_id, record in records.items():
        store.write(record, predictions[run_id])
    run_id = next(iter(records))
    record = folder / "runs" / run_id[:2] / f"{run_id}.json"
    evidence = folder / "evidence.zip"
    write_evidence(Evidence.read(study, store, command="x"), evidence)
    labels = folder / "labels.csv"
    labels.write_text(
        "id,id_image_in_task,task_name,label\n0,0,retinamnist,4\n"
        "1,1,retinamnist,0\n2,2,retinamnist,2\n"
    )
    archive = write_archive(folder / "x.npz")
    model = write_keras(folder / "x.keras", data=np.ones(100))
    return [
        *((path, read_images, [spoil]) for path in images),
        (table, read_table, [spoil, reword]),
        (archive, read_npz, [spoil, repack]),
        (record, read_run, [spoil, reword]),
        (record.with_suffix(".npz"), read_run, [spoil, repack]),
        (evidence, read_evidence, [spoil, repack]),
        (labels, read_labels, [spoil, reword]),
        (model, read_model, [spoil, repack]),
    ]


def check(rounds, seed, folder):
    chance = random.Random(seed)
    files = [(*one, one[0].read_bytes()) for one in make_files(folder)]
    for number in range(rounds):
        path, read, changes, content = files[number % len(files)]
        path.write_bytes(chance.choice(changes)(content, chance))
        started = os.times().user
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with contextlib.suppress(ValueError, OSError):
                read(path)
        assert os.times().user - started < 5, (number, path)
        path.write_bytes(content)
        read(path)


def test_a_hundred_spoilt_files(tmp_path):
    check(100, 0, tmp_path)


@pytest.mark.slow
def test_thousands_of_spoilt_files(tmp_path):
    check(int(os.environ.get("MUTATIONS", "5000")), 1, tmp_path)
