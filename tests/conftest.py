"""What all tests share: a quiet backend and one thread, as in a worker."""

import os
from pathlib import Path

import pytest

from medzoo.training.backend import set_threads

set_threads(1)


@pytest.fixture
def real_data():
    """Folder of the official files, `MEDZOO_TEST_DATA`; skips without it."""
    folder = os.environ.get("MEDZOO_TEST_DATA")
    if not folder:
        pytest.skip("set MEDZOO_TEST_DATA to the folder of breastmnist.npz")
    return Path(folder)
