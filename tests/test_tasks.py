"""The facts of the tasks, against those of the medmnist package."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import medzoo
from medzoo.tasks import NAMES, SIZES, TASKS, get_task

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def medmnist_facts():
    """Loads `medmnist/info.py` alone; the package itself needs torch."""
    folder = importlib.util.find_spec("medmnist").submodule_search_locations[0]
    path = Path(folder, "info.py")
    spec = importlib.util.spec_from_file_location("medmnist_info", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.INFO


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_those_of_medmnist(medmnist_facts, name):
    facts, task = medmnist_facts[name], get_task(name)
    assert task.name == name
    assert task.title == facts["python_class"]
    assert task.kind == facts["task"]
    assert task.channels == facts["n_channels"]
    assert task.licence == facts["license"]
    assert task.num_images == facts["n_samples"]
    assert dict(enumerate(task.classes)) == {
        int(label): name for label, name in facts["label"].items()
    }
    for size in SIZES:
        suffix = "" if size == 28 else f"_{size}"
        assert task.urls[size] == facts[f"url{suffix}"]
        assert task.md5s[size] == facts[f"MD5{suffix}"]


def test_tasks_are_all_single_label_ones_of_medmnist(medmnist_facts):
    single = [
        name
        for name, facts in medmnist_facts.items()
        if "3d" not in name and facts["task"] != "multi-label, binary-class"
    ]
    assert list(NAMES) == single


def test_every_class_has_a_name_or_a_meaning_in_words():
    for task in TASKS.values():
        told = task.meanings or task.classes
        assert len(told) == task.num_classes
        assert not any(name.isdigit() for name in told)


def test_make_facts_writes_the_shipped_table(tmp_path):
    script = ROOT / "scripts" / "make_facts.py"
    written = tmp_path / "tasks.toml"
    subprocess.run([sys.executable, script, written], check=True)
    shipped = Path(medzoo.__file__).with_name("tasks.toml")
    assert written.read_bytes() == shipped.read_bytes()


def test_facts_need_no_medmnist():
    code = (
        "import sys\n"
        "sys.modules['medmnist'] = None\n"
        "from medzoo.tasks import TASKS\n"
        "print(len(TASKS))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == "11\n"
