"""A logistic regression on a frozen trunk as one model, from raw images on."""

import random
from typing import TYPE_CHECKING

import numpy as np

from medzoo.data.split import Dataset
from medzoo.models import build_model
from medzoo.training.baselines import LEAST, Baseline
from medzoo.training.policy import choose_options
from medzoo.training.run import Run

if TYPE_CHECKING:
    import keras


def build_probe(run: Run, data: Dataset, baseline: Baseline) -> "keras.Model":
    """Builds the model that predicts what a fitted baseline predicts.

    Args:
        run: A run of `logistic_regression` with a trunk.
        data: Its images, not their features.
        baseline: What was fitted for it.

    Returns:
        A model `transfer` from `uint8` images to logits, whose normalisation
        and last layer are those of the baseline.
    """
    options = choose_options(run)
    del options["strength"]
    random.seed(run.seed)  # As for the features, if the trunk is a random one.
    model = build_model(
        "transfer",
        data.num_classes,
        input_shape=data.input_shape,
        dropout=0.0,
        **options,
    )
    scaler, regression = (step for _, step in baseline.classifier.steps)
    norm = model.get_layer("head_norm")
    norm.set_weights([scaler.mean_, scaler.var_])
    kernel = np.zeros((len(scaler.mean_), data.num_classes))
    bias = np.full(data.num_classes, np.log(LEAST))
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # It has the logit of the second alone.
        coefficients = np.concatenate([0 * coefficients, coefficients])
        intercepts = np.concatenate([0 * intercepts, intercepts])
    # What normalisation adds to the variance is taken back.
    excess = np.sqrt(scaler.var_ + norm.epsilon) / scaler.scale_
    kernel[:, regression.classes_] = coefficients.T * excess[:, None]
    bias[regression.classes_] = intercepts
    model.get_layer("logits").set_weights([kernel, bias])
    return model
