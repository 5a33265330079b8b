"""The house: imports point down, light commands stay light, torch stays out."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from own_images import make_folder

import medzoo
from medzoo.tasks import NAMES

PACKAGE = Path(medzoo.__file__).parent
ROOT = PACKAGE.parent
# What each room may import from medzoo besides itself (DESIGN: layers).
ROOMS = {
    "messages": set(),
    "files": set(),
    "tasks": {"messages"},
    "scores": {"messages"},
    "data": {"tasks", "files", "messages"},
    "losses": {"messages"},
    "models": {"messages"},
    "runs": {"models", "data", "tasks", "messages"},
    "record": {"models", "runs", "tasks"},
    "training": {
        "record", "runs", "models", "losses", "data", "scores", "tasks",
        "messages", "files",
    },
    "execution": {
        "training", "record", "runs", "models", "files", "messages", "study",
    },
    "study": {
        "execution", "training", "record", "runs", "models", "tasks", "files",
        "messages", "scores",
    },
    "search": {
        "study", "execution", "training", "record", "runs", "models", "data",
        "tasks", "files", "messages", "scores",
    },
    "report": {
        "search", "study", "execution", "record", "runs", "models", "data",
        "scores", "tasks", "files", "messages", "training",
    },
    "explore": {"report", "data", "tasks", "messages", "files"},
    "kept_models": {
        "report", "study", "execution", "training", "record", "runs", "files",
        "data", "models", "messages",
    },
    "conduct": {
        "kept_models", "report", "study", "execution", "training", "record",
        "runs", "data", "files", "messages",
    },
    "progress": {"conduct", "record", "study", "report", "execution"},
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
