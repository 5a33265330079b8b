"""New study files: copies of shipped ones, or for a user's own data."""

import json
from pathlib import Path

from medzoo.runs.sources import find_custom
from medzoo.study.spec import find_file, list_files

_OF_IMAGES = """\
# Question: Which of three optimizers is best on {task}?
# Command:  medzoo study run {name}
# Writes:   results/{name}/
question = "Which of three optimizers is best on {task}?"
data = {data}
seeds = [0, 1, 2]
baseline = {{ optimizer = "adam" }}

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
# Question: Which loss of pixels is best on {task}?
# Command:  medzoo study run {name}
# Writes:   results/{name}/
question = "Which loss of pixels is best on {task}?"
data = {data}
seeds = [0, 1, 2]
score = "dice"
baseline = {{ mask_loss = "cross_entropy" }}

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
        data: A user's own data, which a new study is written for: an address
            such as `folder:PATH`, or a path.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If there are no such data.
        ValueError: For an unknown study, or if the file is there already.
    """
    if Path(name).name != name:
        raise ValueError(
            "A study is called by a name. Expected one without a folder. "
            f"Received: {name}."
        )
    path = Path("studies", f"{name}.toml")
    if path.exists():
        raise ValueError(
            f"`{path}` is there already. Change it, or choose another name."
        )
    if data is None:
        text = find_file("study", name, list_files("studies")).read_text(
            "utf-8"
        )
    else:
        text = _write_for(name, data)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _write_for(name: str, data: str) -> str:
    address = find_custom(data)
    template = _OF_MASKS if address.kind == "masks" else _OF_IMAGES
    given = data if ":" in data else str(address)
    return template.format(name=name, task=address.task, data=json.dumps(given))
