"""The measurement on a GPU, gone through on a CPU."""

import subprocess
import sys
from pathlib import Path

from on_jax import needs_jax

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


@needs_jax
def test_the_measurement_runs_to_its_end_and_writes_its_table(tmp_path):
    page = tmp_path / "gpu.md"
    subprocess.run(
        [sys.executable, str(SCRIPT), "--tiny", "--out", str(page)], check=True
    )
    rows = [
        line for line in page.read_text().splitlines() if line.startswith("| m")
    ]
    ways = [row.split(" | ")[2] for row in rows]
    large = ["`fit`", "resident", "resident, bfloat16"]
    assert ways == [*large, "`fit`", "resident", "stack of 2"]


@needs_jax
def test_without_an_accelerator_one_sentence_says_so():
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "There is no accelerator that JAX can see." in done.stderr
