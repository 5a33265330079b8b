"""What all tests share: a quiet backend and one thread, as in a worker."""

import os
from pathlib import Path

import pytest

from medzoo.training.backend import set_threads

set_threads(1)


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
