"""The house: imports point down, light commands stay light, torch stays out."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from own_images import make_folder

import medzoo
from medzoo.models import MODELS
from medzoo.tasks import NAMES

PACKAGE = Path(medzoo.__file__).parent
ROOT = PACKAGE.parent
# What each room may import from medzoo besides itself (DESIGN: layers).
ROOMS = {
    "wording": set(),
    "files": set(),
    "tasks": {"wording"},
    "scores": {"wording"},
    "losses": {"wording"},
    "joint_losses": {"losses", "wording"},
    "task_losses": {"losses", "wording"},
    "task_weighting": {"losses", "task_losses", "wording"},
    "mask_losses": {"losses", "imbalance", "wording"},
    "mask_scores": {"scores", "wording"},
    "imbalance": {"losses", "wording"},
    "data": {"tasks", "files", "wording"},
    "models": {"wording"},
    "training": {
        "tasks", "scores", "losses", "joint_losses", "task_losses",
        "task_weighting", "imbalance", "data", "models", "wording",
        "mask_losses", "mask_scores", "head_losses", "files",
    },
    "study": {"tasks", "models", "training", "files", "wording"},
    "explore": {"tasks", "data", "report", "wording"},
    "head_losses": {"losses", "mask_losses", "task_weighting", "wording"},
    "kept": {"report", "study", "training"},
    "conduct": {"data", "kept", "report", "study", "training"},
    "progress": {"conduct", "training"},
    "report": {
        "tasks", "scores", "mask_scores", "training", "study", "files",
        "wording",
    },
}  # fmt: skip
# Backends, and what costs as much to import.
HEAVY = ("keras", "tensorflow", "jax", "torch")


def imported(path):
    """Yields every `medzoo.x...` that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "medzoo":
                yield from (f"medzoo.{alias.name}" for alias in node.names)
            elif node.module.startswith("medzoo."):
                yield node.module
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (n for n in names if n.startswith("medzoo."))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down_only(room):
    for path in PACKAGE.rglob("*.py"):
        if room_of(path) == room:
            rooms = {name.split(".")[1] for name in imported(path)}
            assert rooms <= ROOMS[room] | {room}, path


def test_every_room_has_its_layer():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")}
    assert rooms == {*ROOMS, "api", "cli", "__init__", "__main__"}


def test_reports_read_runs_and_records_and_never_train():
    for path in (PACKAGE / "report").glob("*.py"):
        for name in imported(path):
            if name.startswith("medzoo.training"):
                allowed = ("run", "record", "choices")
                assert name.split(".")[2] in allowed, path


def test_every_model_file_is_in_the_table():
    files = {path.stem for path in (PACKAGE / "models").glob("*.py")}
    shared = {"blocks", "augmentation", "warp", "tint", "sizes", "trunks"}
    shared |= {"flops", "unet_options", "trunk_options", "skip_cnn_options"}
    networks = {name for name, entry in MODELS.items() if not entry.baseline}
    assert files == networks | shared | {"pretrained", "__init__"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=str)
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert text.count("\n") <= 260
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body
            if ast.get_docstring(node) is not None:
                body = body[1:]
            if body:
                lines = body[-1].end_lineno - body[0].lineno + 1
                assert lines <= 45, node.name


@pytest.mark.parametrize(
    "command",
    [
        ["tasks"],
        ["models"],
        ["study", "list"],
        ["study", "plan", "quickstart"],
        ["study", "status", "quickstart"],
        ["explore", "{tmp}/cells", "--out", "{tmp}"],
        ["audit", "{tmp}/cells", "--out", "{tmp}"],
        ["compare", "quickstart"],
        ["study", "report", "quickstart", "--smoke", "--out", "{tmp}"],
    ],
    ids=" ".join,
)
def test_light_commands_import_no_backend(command, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    make_folder(tmp_path / "cells")
    code = (
        "import sys\n"
        "from medzoo.cli import main\n"
        "try:\n    main()\nfinally:\n"
        f"    print([n for n in {HEAVY} if n in sys.modules], file=sys.stderr)"
    )
    arguments = [part.replace("{tmp}", str(tmp_path)) for part in command]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_facts_of_the_tasks_need_no_torch():
    assert len(NAMES) == 11
    assert importlib.util.find_spec("torch") is None
    assert "torch" not in (ROOT / "requirements.lock").read_text()
