"""Mixed precision: what is computed in which dtype, and what it changes."""

import keras
import numpy as np
import pytest

from medzoo.models.augmentation import Augmentation
from medzoo.runs.run import Run
from medzoo.training.build import prepare_model
from medzoo.training.execute import execute, load_data
from medzoo.training.features import is_cacheable

SMALL = {
    "task": "breastmnist",
    "data": "synthetic",
    "max_images": 64,
    "batch_size": 32,
    "epochs": 2,
}
MODELS = {
    "mlp": {"model": "mlp", "width": 8},
    "skip_cnn": {"width": 4, "options": {"members": 2, "stages": 2}},
    "multi_head": {
        "task": "breastmnist+retinamnist",
        "model": "multi_head",
        "width": 4,
        "options": {"film": True},
    },
    "unet": {
        "task": "shapes",
        "model": "unet",
        "width": 4,
        "options": {"levels": 2},
    },
}


def flatten(model):
    """Yields the layers of a model and of the models and layers in it."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from flatten(layer)


def make_run(name, **fields):
    return Run.model_validate({**SMALL, **MODELS[name], **fields})


@pytest.mark.parametrize("name", MODELS)
def test_weights_and_logits_are_float32_and_hidden_layers_are_not(name):
    run = make_run(name, precision="bfloat16", augmentation="warp")
    model = prepare_model(run, load_data(run))
    assert {weight.dtype for weight in model.weights} == {"float32"}
    outputs = keras.tree.flatten(model.output)
    assert {output.dtype for output in outputs} == {"float32"}
    hidden = [
        layer
        for layer in flatten(model)
        if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D)
        and layer.compute_dtype == "bfloat16"
    ]
    assert hidden
    (augmentation,) = [
        layer for layer in flatten(model) if isinstance(layer, Augmentation)
    ]
    assert augmentation.compute_dtype == "float32"
    assert {x.compute_dtype for x in augmentation.layers} <= {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_a_run_in_bfloat16_ends_near_one_in_float32():
    fields = {"loss": "cross_entropy", "epochs": 1, "learning_rate": 1e-3}
    exact, rough = (
        execute(make_run("mlp", precision=precision, **fields))[
            1
        ].test.probabilities
        for precision in ("float32", "bfloat16")
    )
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(exact, rough, atol=0.02)


def test_cached_features_are_float32():
    fields = {**SMALL, "model": "transfer", "options": {"weights": "none"}}
    assert is_cacheable(Run(**fields))
    assert not is_cacheable(Run(**fields, precision="bfloat16"))


def test_a_classifier_of_scikit_learn_has_no_precision():
    with pytest.raises(ValueError, match="Expected no `precision`"):
        Run(task="breastmnist", model="knn", precision="bfloat16")
