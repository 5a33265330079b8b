"""What a record says of the machine, without importing a backend."""

import os
import platform
import subprocess
import sys

import pytest

from medzoo.environment import name_backend
from medzoo.training.backend import THREADS


@pytest.mark.parametrize(
    ("text", "backend"),
    [
        ('{"backend": "jax"}', "jax"),
        ('{"floatx": "float32"}', "tensorflow"),
        ("{", "tensorflow"),
        (None, "tensorflow"),
    ],
)
def test_the_backend_is_the_one_that_keras_takes(
    text, backend, tmp_path, monkeypatch
):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if text is not None:
        (tmp_path / "keras.json").write_text(text)
    assert name_backend() == backend
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert name_backend() == "torch"


@pytest.mark.slow
def test_parts_of_keras_that_training_does_not_need_are_imported_when_used():
    code = (
        "import sys\n"
        "from medzoo.training.backend import import_keras\n"
        "import_keras()\n"
        "heavy = {'sklearn', 'matplotlib', 'scipy.stats'}\n"
        "assert not heavy & {*sys.modules}, heavy & {*sys.modules}\n"
        "import keras\n"
        "assert callable(keras.wrappers.SKLearnClassifier)\n"
        "assert callable(keras.visualization.plot_image_gallery)\n"
        "assert heavy <= {*sys.modules}, heavy - {*sys.modules}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


ONEDNN = "from tensorflow.python.util import _pywrap_util_port as port\n"


@pytest.mark.skipif(
    (sys.platform, platform.machine(), name_backend())
    != ("linux", "x86_64", "tensorflow"),
    reason="oneDNN is asked for in TensorFlow on Linux on x86",
)
@pytest.mark.parametrize(
    "code",
    [
        "from medzoo.training.backend import import_keras\n"
        f"import_keras()\n{ONEDNN}assert port.IsMklEnabled()\n",
        # Without it, a run is one of a worker process, which has it.
        f"import keras\n{ONEDNN}has = port.IsMklEnabled()\n"
        "from medzoo.training.backend import limit_threads\n"
        "assert limit_threads() == has, has\n",
    ],
    ids=["medzoo first", "keras first"],
)
def test_every_run_has_onednn(code):
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("TF_ENABLE_ONEDNN_OPTS", *THREADS.values())
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
