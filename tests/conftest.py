"""What all tests share: a quiet backend and one thread, as in a worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from medzoo.models.backbones import BACKBONES
from medzoo.plugins.register import TARGETS
from medzoo.runs.plugins import REGISTERED
from medzoo.scores.table import SCORES
from medzoo.training.backend import set_threads

set_threads(1)
# A machine that is busy with other things fails no test.
settings.register_profile(
    "medzoo",
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
    ],
)
settings.load_profile("medzoo")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keeps what tests decode out of the user's cache."""
    os.environ.pop("MEDZOO_CACHE", None)
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _own_plugins():
    """Forgets what a test has registered."""
    tables = [REGISTERED, TARGETS, SCORES, BACKBONES]
    if "medzoo.models.augmentation" in sys.modules:  # Needs Keras.
        tables.append(sys.modules["medzoo.models.augmentation"].AUGMENTATIONS)
    before = [dict(table) for table in tables]
    yield
    for table, known in zip(tables, before, strict=True):
        if table != known:
            table.clear()
            table.update(known)


_MARKERS = {"real_data": "data", "browser": "extras"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks tests by the fixtures that they need."""
    for item in items:
        for fixture in _MARKERS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(_MARKERS[fixture])


@pytest.fixture
def real_data():
    """Folder of the official files, `medmnist` in `MEDZOO_TEST_DATA`."""
    folder = os.environ.get("MEDZOO_TEST_DATA")
    if not folder:
        pytest.skip("set MEDZOO_TEST_DATA to a folder that holds medmnist/")
    return Path(folder, "medmnist")


@pytest.fixture
def medzoo(tmp_path, monkeypatch, capsys):
    """Calls a command in this process and an empty folder, offline."""
    from medzoo.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MEDZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MEDZOO_MIRROR", "http://127.0.0.1:9")  # None is there.

    def call(*arguments, code=0):
        """Returns what was printed, after a look at the exit code."""
        monkeypatch.setattr("sys.argv", ["medzoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code == code, printed.err
        assert "Traceback" not in printed.err
        return printed

    return call


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
