"""What all tests share: a quiet backend and one thread, as in a worker."""

from pathlib import Path

import pytest

from medzoo.study.worker import set_threads

set_threads(1)

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def real_data():
    """The folder of real data beside the checkout; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data are not here: {REAL_DATA}")
    return REAL_DATA
