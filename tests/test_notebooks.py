"""Notebooks run from their first cell to the last."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATHS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
# Smaller values of the constants that a notebook opens with, and its study as a
# smoke run.
SMALL = {
    r"SEEDS = \[.*\]": "SEEDS = [0, 1]",
    r"EPOCHS = \d+": "EPOCHS = 2",
    r"tasks=\[.*\]": 'tasks=["breastmnist"]',
    r"seeds=SEEDS\)": "seeds=SEEDS, smoke=True, workers=1)",
}


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_notebook_runs_on_synthetic_data(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for pattern, small in SMALL.items():
            cell.source = re.sub(pattern, small, cell.source)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
    ).execute()
    outputs = [
        out for cell in notebook.cells for out in cell.get("outputs", [])
    ]
    figures = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(figures) >= 3
    texts = ("text/markdown", "text/html")
    assert any(set(texts) & set(out.get("data", {})) for out in outputs)
