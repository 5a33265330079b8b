"""New study files: copies of shipped ones, or for custom data."""

import json
import re
from pathlib import Path

from medzoo.messages import printable
from medzoo.runs.sources import find_custom
from medzoo.study.spec import find_file, list_files

_HEAD = """\
# Question: {shown}
# Command:  medzoo study run {name}
# Writes:   results/{name}/
question = {question}
data = {data}
seeds = [0, 1, 2]
"""
_OF_IMAGES = """\
baseline = { optimizer = "adam" }

[axes]
optimizer = ["momentum", "adam", "adamw"]

[fixed]
model = "skip_cnn"
width = 16
size = 64
loss = "cross_entropy"
epochs = 20
"""
_OF_MASKS = """\
score = "dice"
baseline = { mask_loss = "cross_entropy" }

[axes]
mask_loss = ["cross_entropy", "dice", "dice+cross_entropy"]

[fixed]
model = "unet"
width = 8
size = 128
loss = "cross_entropy"
augmentation = "warp"
learning_rate = 0.001
schedule = "cosine"
batch_size = 8
epochs = 12
"""


def init_study(name: str, data: str | None = None) -> Path:
    """Writes `./studies/<name>.toml`, to be changed.

    Args:
        name: A shipped study, which is copied; with `data`, any new name.
        data: Custom data, which a new study is written for: an address
            such as `folder:PATH`, or a path.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If there are no such data.
        ValueError: For an unknown study, or if the file is there already.
    """
    if not re.fullmatch(r"\w[\w-]*", name):
        raise ValueError(
            "A study is called by a name. Expected letters, digits, `_` and "
            f"`-`, and no folder. Received: {name}."
        )
    path = Path("studies", f"{name}.toml")
    if path.exists():
        raise ValueError(
            f"`{path}` is there already. Change it, or choose another name."
        )
    if data is None:
        text = find_file("study", name, list_files("studies")).read_text(
            encoding="utf-8"
        )
    else:
        text = _write_for(name, data)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _write_for(name: str, data: str) -> str:
    address = find_custom(data)
    given = data if ":" in data else str(address)
    if printable(given) != printable(given, keep_bytes=True):
        raise ValueError(
            "A study file is text in UTF-8. Expected a path in UTF-8: call the "
            f"folder or file otherwise. Received: {given}."
        )
    what, rest = "Which of three optimizers", _OF_IMAGES
    if address.kind == "masks":
        what, rest = "Which loss of pixels", _OF_MASKS
    question = f"{what} is best on {' '.join(address.task.split())}?"
    head = _HEAD.format(
        shown=printable(question),
        question=json.dumps(question, ensure_ascii=False),
        name=name,
        data=json.dumps(given, ensure_ascii=False),
    )
    return head + rest
