"""What a record says of the machine, without importing a backend."""

import pytest

from medzoo.training.machine import name_backend


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
