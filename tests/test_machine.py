"""What a record says of the machine, without importing a backend."""

import subprocess
import sys

import pytest

from medzoo.environment import name_backend


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
