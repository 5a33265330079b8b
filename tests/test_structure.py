"""The house: imports point down, light commands stay light, torch stays out."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_images import make_folder

import medzoo
from medzoo.tasks import NAMES

PACKAGE = Path(medzoo.__file__).parent
ROOT = PACKAGE.parent
# From the top of the house to its ground: a room may import from the rooms of
# the lines below its own.
FLOORS = (
    ("__main__",),
    ("api", "cli", "testing"),
    ("progress",),
    ("conduct", "live"),
    ("explore",),
    ("report",),
    ("search",),
    ("study",),
    ("execution",),
    ("training",),
    ("store",),
    ("record",),
    ("plugins",),
    ("runs",),
    ("models", "losses", "data"),
    ("scores",),
    ("tasks", "files", "console", "environment"),
    ("messages",),
)
LEVELS = {room: n for n, rooms in enumerate(FLOORS) for room in rooms}
# Backends, and what costs as much to import; trackers that nobody asked for.
HEAVY = {
    *("keras", "tensorflow", "jax", "torch", "matplotlib.pyplot"),
    *("tensorboard", "mlflow", "wandb"),
}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def list_imports(module):
    """Lists the modules of the package that a module imports.

    Imports inside functions and under `TYPE_CHECKING` are counted.
    """
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = below & set(MODULES)
            names |= submodules
            if len(submodules) < len(node.names):
                names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return sorted((names & set(MODULES)) - {module})


def find_circle(imports):
    """Returns modules that import each other in turn; `None` without any."""
    left = {module: set(found) for module, found in imports.items()}
    while left:
        free = [m for m, found in left.items() if not found & set(left)]
        if not free:
            break
        for module in free:
            del left[module]
    if not left:
        return None
    circle = [min(left)]
    while circle.count(circle[-1]) < 2:
        circle.append(min(left[circle[-1]] & set(left)))
    return circle[circle.index(circle[-1]) :]


# The package itself offers the names of `api`, which import it lazily.
IMPORTS = {module: list_imports(module) for module in sorted(MODULES)}
ROOMS = sorted({m.split(".")[1] for m in MODULES if m != "medzoo"})


def test_a_circle_is_found():
    chain = {"a": ["b"], "b": ["c"], "c": []}
    assert find_circle(chain) is None
    assert find_circle(chain | {"c": ["b"]}) == ["b", "c", "b"]


def test_no_modules_import_each_other():
    assert find_circle(IMPORTS) is None


def test_every_room_has_its_floor():
    assert set(ROOMS) == set(LEVELS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down_only(room):
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        if module.startswith(f"medzoo.{room}.") or module == f"medzoo.{room}"
        for other in others
        if other != "medzoo" and other.split(".")[1] != room
        if LEVELS[other.split(".")[1]] <= LEVELS[room]
    ]
    assert not wrong


# Does in one process what must be light, and says what each part imports.
LIGHT = """
import json, sys
from pathlib import Path
from report_records import make_records, make_study
from medzoo.cli import main
from medzoo.cli.screen import run_on_screen
from medzoo.report.write import write_report
from medzoo.store import Store

for command in json.loads(sys.argv.pop()):
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as ended:
        # 3: there is nothing to report.
        nothing = {"report", "compare"} & {*command}
        assert ended.code == (3 if nothing else 0), command
    assert not (found := heavy & sys.modules.keys()), (command, found)
study, store = make_study(), Store("runs")
for record in make_records(study).values():
    store.write(record)
assert write_report(study, store, Path("results"), command="x").paths
assert not (found := heavy & sys.modules.keys()), found
"""


def test_light_commands_and_reports_import_no_backend(tmp_path):
    make_folder(tmp_path / "cells")
    commands = [
        "tasks",
        "models",
        "study list",
        "study plan quickstart",
        "study status quickstart",
        "explore cells",
        "audit cells",
        "compare quickstart",
        "study report quickstart --smoke",
    ]
    script = f"heavy = {HEAVY}\n{LIGHT}"
    path = [str(Path(__file__).parent), str(ROOT)]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            json.dumps(list(map(str.split, commands))),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ":".join(path), "MEDZOO_RUNS": "runs"},
    )
    assert done.returncode == 0, done.stderr


def test_facts_of_the_tasks_need_no_torch():
    assert len(NAMES) == 11
    assert importlib.util.find_spec("torch") is None
    for lock in ROOT.glob("requirements*.lock"):
        assert "torch" not in read_lock(lock)


def read_lock(path):
    """Reads the pin and the hashes of the files of each package."""
    lines = path.read_text().replace("\\\n", "").splitlines()
    pins = [line.split("    --hash=sha256:") for line in lines]
    return {pin.partition("==")[0]: (pin, hashes) for pin, *hashes in pins}


def test_studies_and_tests_have_the_same_versions_with_hashes():
    for_studies = read_lock(ROOT / "requirements.lock")
    for_tests = read_lock(ROOT / "requirements-dev.lock")
    for_jax = read_lock(ROOT / "requirements-jax.lock")
    assert {"keras", "tensorflow", "numpy"} <= for_studies.keys()
    assert for_studies.items() <= for_tests.items()
    assert "pytest" in for_tests.keys() - for_studies.keys()
    for name, (pin, hashes) in (for_tests | for_jax).items():
        assert re.fullmatch(r"\S+==\S+ ?(; .+)?", pin), name
        assert hashes, name
