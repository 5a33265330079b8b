"""The wheel in an environment of its own requirements, in an empty folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # A build in the checkout would keep old files.
    shutil.copytree(ROOT / "medzoo", source / "medzoo")
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", source, *options]
    subprocess.run(build, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def medzoo(wheel, tmp_path_factory):
    """Installs the wheel; returns a function that runs its command."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    bin_folder = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [bin_folder / "python", "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(pip, check=True)
    empty = tmp_path_factory.mktemp("empty")
    hidden = ("PYTHON", "MEDZOO", "VIRTUAL_ENV")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}

    def run(*arguments):
        done = subprocess.run(
            [bin_folder / "medzoo", *arguments],
            cwd=empty,
            env={**kept, "HOME": str(empty)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.folder = empty
    return run


def test_a_wheel_holds_all_that_is_no_python(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "medzoo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert set(tracked) <= held


def test_tasks_and_studies_are_listed(medzoo):
    assert "retinamnist" in medzoo("tasks")
    assert "quickstart" in medzoo("study", "list")
    assert "skip_cnn" in medzoo("search", "list")


def test_a_study_runs_in_an_empty_folder(medzoo):
    medzoo("study", "run", "quickstart", "--tasks", "breastmnist", "--smoke")
    (page,) = medzoo.folder.glob("results/quickstart*/summary.md")
    assert "learning_rate" in page.read_text()


def test_a_shipped_study_is_copied_and_run(medzoo):
    medzoo("study", "init", "optimizers")
    assert (medzoo.folder / "studies" / "optimizers.toml").is_file()
    flags = ("--tasks", "breastmnist", "--data", "synthetic", "--seeds", "0")
    assert "= 9 runs" in medzoo("study", "plan", "optimizers", *flags)
