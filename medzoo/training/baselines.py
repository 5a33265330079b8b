"""Baselines of scikit-learn on frozen features."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.dataset import Dataset, Split
from medzoo.models.flops import add_flops
from medzoo.models.registry import build_model
from medzoo.record import Parameters
from medzoo.runs.run import Run
from medzoo.runs.symmetries import choose_options
from medzoo.training.predict import predict_in_batches, to_probabilities

if TYPE_CHECKING:
    import keras


# Tried in this order; of equally good ones the first is taken.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
NEIGHBOURS = (49, 25, 15, 9, 5, 3, 1)
# Smallest probability whose logarithm is taken.
LEAST = 1e-12


@dataclass(frozen=True)
class Baseline:
    """A classifier of scikit-learn that predicts logits.

    Args:
        classifier: A pipeline on flat features.
        num_classes: Number of classes of the task; train may have fewer.
        chosen: The parameter that was chosen on val.
        spread: Votes spread over all classes beside `votes` real ones, so that
            no probability is 0.
    """

    classifier: Any
    num_classes: int
    chosen: dict[str, float]
    spread: float = 0.0
    votes: float = 1.0

    def predict_logits(self, images: Any) -> np.ndarray:
        """Returns log probabilities, averaged over the views of an image."""
        return predict_in_batches(self._predict_batch, images)

    def _predict_batch(self, images: np.ndarray) -> np.ndarray:
        rows = _flatten(images)
        found = np.zeros((len(rows), self.num_classes))
        classes = self.classifier.classes_
        found[:, classes] = self.classifier.predict_proba(rows)
        even = self.spread / self.num_classes
        smooth = (self.votes * found + even) / (self.votes + self.spread)
        logits = np.log(np.maximum(smooth, LEAST))
        return logits.reshape(len(images), -1, self.num_classes).mean(axis=1)

    def count_flops(self, data: Dataset) -> int | None:
        """Counts the operations of an image, those of the backbone included.

        A product with the coefficients of each class, or with each neighbour.
        """
        fitted = getattr(self.classifier[-1], "coef_", None)
        views = data.train.images.shape[1] if data.train.images.ndim == 3 else 1
        size = data.train.images.size if fitted is None else views * fitted.size
        return add_flops(2 * size, data.frozen_flops)

    def count_parameters(self, data: Dataset) -> Parameters:
        """Counts fitted weights, and those of the backbone."""
        last = self.classifier[-1]
        arrays = (getattr(last, k, ()) for k in ("coef_", "intercept_"))
        fitted = sum(map(np.size, arrays))
        total = fitted + data.frozen_parameters
        return Parameters(total=total, trainable=fitted)


def fit_baseline(run: Run, data: Dataset) -> Baseline:
    """Fits a classifier on train, and chooses its parameter on val.

    `logistic_regression` has the inverse strength `C` of its L2 penalty, unless
    the run gives it, `knn` the number `k` of neighbours, by cosine. Both take
    features or pixels scaled to mean 0 and deviation 1 over train. The best has
    the highest macro F1 on val, then the lowest cross entropy.
    """
    from medzoo.scores.probabilities import score

    labelled = data.train.labels >= 0
    train = Split(data.train.images[labelled], data.train.labels[labelled])
    features = _flatten(train.images)
    num_views = len(features) // len(train)
    labels = np.repeat(train.labels, num_views)
    # All views of an image together have weight 1.
    weights = np.full(len(labels), 1 / num_views)

    def rank(baseline: Baseline) -> tuple[float, ...]:
        logits = baseline.predict_logits(data.val.images)
        found = score(
            to_probabilities(logits), data.val.labels, data.num_classes
        )
        return (found["macro_f1"] or 0.0, -(found["cross_entropy"] or 0.0))

    candidates = list(_candidates(run, data, len(train)))
    for baseline in candidates:
        last, _ = baseline.classifier.steps[-1]
        given = {f"{last}__sample_weight": weights} if num_views > 1 else {}
        baseline.classifier.fit(features, labels, **given)
    return candidates[0] if len(candidates) == 1 else max(candidates, key=rank)


def _candidates(run: Run, data: Dataset, num_images: int) -> Iterator[Baseline]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    num_classes = data.num_classes
    if run.model == "logistic_regression":
        weights = _class_weights(run, data)
        given = float(run.options["strength"])
        for strength in [given] if given else STRENGTHS:
            classifier = LogisticRegression(
                C=strength, class_weight=weights, max_iter=2000
            )
            scaled = make_pipeline(StandardScaler(), classifier)
            yield Baseline(scaled, num_classes, {"C": strength})
    for k in NEIGHBOURS if run.model == "knn" else ():
        if k <= num_images:
            classifier = KNeighborsClassifier(k, metric="cosine")
            scaled = make_pipeline(StandardScaler(), classifier)
            yield Baseline(scaled, num_classes, {"k": k}, spread=1.0, votes=k)


def _class_weights(run: Run, data: Dataset) -> dict[int, float] | None:
    if run.imbalance == "none":
        return None
    from medzoo.losses.classification import CLASS_WEIGHTS

    weights = CLASS_WEIGHTS[run.imbalance](data.class_counts)
    return dict(enumerate(weights))


def _flatten(images: np.ndarray) -> np.ndarray:
    """Returns a row for each image, or for each view of it."""
    images = np.asarray(images, dtype="float64")
    if images.ndim == 3:
        return images.reshape(-1, images.shape[-1])
    return images.reshape(len(images), -1)


def build_probe(run: Run, data: Dataset, baseline: Baseline) -> "keras.Model":
    """Builds a model `transfer` with the predictions of a baseline.

    Args:
        run: A run of `logistic_regression` with a backbone.
        data: Its images, not their features.
        baseline: Its fitted classifier, whose scaling and coefficients become
            normalisation and last layer.
    """
    options = choose_options(run)
    del options["strength"]
    random.seed(run.seed)  # Decides a backbone without pretrained weights.
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
