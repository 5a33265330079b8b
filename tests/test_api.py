"""What a notebook uses."""

import numpy as np
import pytest

import medzoo
from medzoo.data.sources import load as load_data
from medzoo.store import Store

TINY = {
    "data": "synthetic",
    "model": "mlp",
    "width": 8,
    "steps": 2,
    "max_images": 64,
}


@pytest.fixture(autouse=True)
def _store(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDZOO_RUNS", str(tmp_path / "runs"))


def test_a_run_is_trained_once_and_kept_where_asked(tmp_path):
    record = medzoo.run("breastmnist", dropout=0.1, **TINY)
    assert record.run.options["dropout"] == 0.1
    assert medzoo.run("breastmnist", dropout=0.1, **TINY) == record
    out = tmp_path / "trained"
    assert "macro_f1" in record._repr_html_()
    again = medzoo.run("breastmnist", dropout=0.1, out=out, **TINY)
    assert again.scores == record.scores
    assert sorted(path.name for path in out.iterdir()) == [
        "model.keras",
        "model.md",
        "record.json",
    ]
    images = load_data("breastmnist", "synthetic").test.images
    found = medzoo.load(out).predict(images)
    kept = Store().read_predictions(record.run_id).test.probabilities
    np.testing.assert_allclose(found, kept, atol=1e-6)


def test_a_run_without_a_model_leaves_that_of_another_one(tmp_path):
    first = medzoo.run("breastmnist", out=tmp_path / "trained", **TINY)
    other = {"data": "synthetic", "model": "knn", "backbone": "none"}
    fitted = medzoo.run("breastmnist", **other)
    with pytest.warns(UserWarning, match="keeps the model and the record"):
        found = medzoo.run("breastmnist", out=tmp_path / "trained", **other)
    assert found == fitted
    assert medzoo.load(tmp_path / "trained").record == first


def test_data_that_changed_are_read_anew(tmp_path):
    path = tmp_path / "own.npz"
    found = []
    for value in (0, 99, 0):
        arrays = {}
        for split in ("train", "val", "test"):
            arrays[f"{split}_images"] = np.full((4, 8, 8), value, np.uint8)
            arrays[f"{split}_labels"] = np.array([0, 1, 0, 1])
        np.savez(path, **arrays)
        tiny = {**TINY, "data": f"npz:{path}", "size": 8}
        found.append(medzoo.run(**tiny).run.run_id)
    assert found[0] == found[2] != found[1]


def test_views_of_a_run_are_averaged_by_its_model_as_well(tmp_path):
    record = medzoo.run("breastmnist", flip_test=True, out=tmp_path, **TINY)
    images = load_data("breastmnist", "synthetic").test.images
    kept = Store().read_predictions(record.run_id).test.probabilities
    found = medzoo.load(tmp_path).predict(images)
    np.testing.assert_allclose(found, kept, atol=1e-6)


def test_wrong_fields_are_named():
    with pytest.raises(ValueError, match="Did you mean `optimizer`"):
        medzoo.run("breastmnist", optimiser="adam")
    with pytest.raises(AttributeError, match="no attribute 'trials'"):
        medzoo.trials  # noqa: B018
