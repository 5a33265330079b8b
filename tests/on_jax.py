"""What tests of the JAX backend share; `make test-jax` runs them."""

import numpy as np
import pytest

# Left out by default; see setup.cfg.
needs_jax = pytest.mark.jax
SMALL = {
    "task": "breastmnist",
    "data": "synthetic",
    "model": "mlp",
    "width": 8,
    "batch_size": 32,
    "max_images": 80,
    "epochs": 3,
}
# Of these, every way of training must make the same.
RUNS = {
    "mlp": {"optimizer": "adamw", "schedule": "cosine", "warmup": 0.2},
    "dropout": {"options": {"dropout": 0.5}, "augmentation": "light"},
    "average": {"ema": 0.9, "optimizer": "momentum", "keep": "last"},
    "sampling": {"imbalance": "balanced_batches", "loss": "cross_entropy"},
    "classes": {"task": "retinamnist", "loss": "weighted_soft_f1"},
    "several tasks": {
        "task": "breastmnist+retinamnist",
        "model": "multi_head",
        "options": {"trunk": "mlp", "film": True},
        "task_weighting": "dwa",
    },
    "their harmonic mean": {
        "task": "breastmnist+retinamnist",
        "model": "multi_head",
        "options": {"trunk": "mlp"},
        "loss": "soft_harmonic_mean",
    },
    "mixup": {"mix": "mixup", "optimizer": "momentum"},
    "cutmix": {"mix": "cutmix", "augmentation": "flips"},
    "skip_cnn": {"model": "skip_cnn", "width": 4, "options": {"stages": 1}},
}
# What a record says of the time that it took, and beside whom.
OF_THE_WAY = {
    "seconds",
    "images_per_second",
    "peak_memory_mb",
    "started",
    "stack",
}


def assert_alike(found, expected):
    """Compares records and predictions to within the rounding of sums."""
    (record, predictions), (other, others) = found, expected
    values = record.model_dump(exclude=OF_THE_WAY)
    assert_close(values, other.model_dump(exclude=OF_THE_WAY))
    arrays, other_arrays = predictions.to_arrays(), others.to_arrays()
    assert arrays.keys() == other_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(array, other_arrays[name], atol=1e-4)


def assert_close(value, other):
    """Compares numbers inside of lists and dictionaries."""
    if isinstance(value, dict):
        assert value.keys() == other.keys()
        for key in value:
            assert_close(value[key], other[key])
    elif isinstance(value, list):
        assert len(value) == len(other)
        for pair in zip(value, other, strict=True):
            assert_close(*pair)
    elif isinstance(value, float):
        assert value == pytest.approx(other, rel=1e-3, abs=1e-4)
    else:
        assert value == other
