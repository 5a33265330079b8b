"""Options that act on a trained model before it is scored."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from medzoo.data.dataset import Dataset
from medzoo.runs.fields import DEFAULTS, list_fields
from medzoo.runs.run import Run
from medzoo.scores import probabilities as scores
from medzoo.training.predict import predict_logits, to_probabilities

if TYPE_CHECKING:
    import keras

# Name of the last layer of a model that adjusts its own logits.
LAYER = "adjust"
# Logarithm of the largest scale: of an inverse temperature of 32.
_MOST = float(np.log(32))
# Multiples of the log prior, the smallest first: a tie changes least.
MULTIPLES = sorted((step / 4 for step in range(-8, 9)), key=abs)
# Score on val that chooses one.
SHIFTS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "prior": scores.macro_f1,
    "balanced_prior": scores.balanced_accuracy,
}


def list_variants(run: Run) -> dict[str, Run]:
    """Lists a run without each of these options; itself, under `""`, last."""
    variants = {
        name: run.model_copy(update={name: DEFAULTS[name]})
        for name in list_fields(compared=True)
        if getattr(run, name) != DEFAULTS[name]
    }
    return variants | {"": run}


def average_logits(model: "keras.Model", views: Iterable[Any]) -> np.ndarray:
    """Averages the logits of several views of the same images.

    Args:
        views: The images and, for example, their mirror images.

    Returns:
        `float32`, shape `(n, num_classes)`.
    """
    logits = [predict_logits(model, images) for images in views]
    return sum(logits[1:], logits[0]) / np.float32(len(logits))


class Adjustment(NamedTuple):
    """What `adjust` makes of logits: `logits * scale + shift`, by class.

    Args:
        scale: `float32`, shape `(num_classes,)`.
        shift: The same.
    """

    scale: np.ndarray
    shift: np.ndarray

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Returns the logits, adjusted."""
        return logits * self.scale + self.shift

    @classmethod
    def join(cls, parts: Iterable["Adjustment"]) -> "Adjustment":
        """Joins those of several heads, whose logits stand side by side."""
        scales, shifts = zip(*parts, strict=True)
        return cls(np.concatenate(scales), np.concatenate(shifts))


def choose_adjustment(
    kind: str, val_logits: np.ndarray, data: Dataset, output: str
) -> Adjustment:
    """Chooses by val what `adjust` makes of the logits.

    `prior` shifts them as `choose_shift` says, and so does `balanced_prior`, by
    balanced accuracy; `temperature` divides them by one number, and `vector`
    scales and shifts each class, both with the least cross entropy on val.

    Reference:
        [Guo et al., 2017](https://arxiv.org/abs/1706.04599).
    """
    num_classes = val_logits.shape[1]
    if kind in SHIFTS:
        shift = choose_shift(val_logits, data, output, SHIFTS[kind])
        return Adjustment(np.ones(num_classes, "float32"), shift)
    labels = np.asarray(data.val.labels)
    logits = np.asarray(val_logits, "float64")[labels >= 0]
    labels = labels[labels >= 0]
    scale = np.full(num_classes, fit_temperature(logits, labels, output))
    shift = np.zeros(num_classes)
    if kind == "vector":
        scale, shift = _fit_vector(logits, labels, output, scale)
    return Adjustment(scale.astype("float32"), shift.astype("float32"))


def fit_temperature(
    logits: np.ndarray, labels: np.ndarray, output: str = "softmax"
) -> float:
    """Returns the inverse of the temperature with the least cross entropy.

    Args:
        logits: Shape `(n, num_classes)`.
        labels: Shape `(n,)`, none of them -1.
        output: As of `medzoo.training.predict.to_probabilities`.

    Returns:
        From 1/32 to 32.
    """
    from scipy import optimize

    def cost(exponent: float) -> float:
        return _cross_entropy(logits * np.exp(exponent), labels, output)[0]

    limits = (-_MOST, _MOST)
    found = optimize.minimize_scalar(cost, bounds=limits, method="bounded")
    return float(np.exp(found.x))


def _fit_vector(
    logits: np.ndarray, labels: np.ndarray, output: str, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a scale and a shift of each class, from one temperature on."""
    from scipy import optimize

    num_classes = logits.shape[1]

    def cost(values: np.ndarray) -> tuple[float, np.ndarray]:
        adjusted = logits * values[:num_classes] + values[num_classes:]
        value, slopes = _cross_entropy(adjusted, labels, output)
        both = [(slopes * logits).sum(axis=0), slopes.sum(axis=0)]
        return value, np.concatenate(both)

    largest = float(np.exp(_MOST))
    limits = [(1 / largest, largest)] * num_classes
    limits += [(-largest, largest)] * num_classes
    start = np.concatenate([scale, np.zeros(num_classes)])
    found = optimize.minimize(
        cost, start, jac=True, method="L-BFGS-B", bounds=limits
    )
    return found.x[:num_classes], found.x[num_classes:]


def _cross_entropy(
    logits: np.ndarray, labels: np.ndarray, output: str
) -> tuple[float, np.ndarray]:
    """Returns the cross entropy, and its slope by each logit."""
    inner = -np.logaddexp(0, -logits) if output == "sigmoid" else logits
    top = inner.max(axis=1, keepdims=True)
    total = np.log(np.exp(inner - top).sum(axis=1, keepdims=True)) + top
    one_hot = np.eye(logits.shape[1])[labels]
    slopes = (np.exp(inner - total) - one_hot) / len(labels)
    if output == "sigmoid":
        slopes = slopes * np.exp(-np.logaddexp(0, logits))
    value = (total - inner)[one_hot > 0].mean()
    return float(value), slopes


def adjust_model(
    model: "keras.Model", adjustment: Adjustment | None
) -> "keras.Model":
    """Returns the model with its logits adjusted by a last layer."""
    if adjustment is None:
        return model
    import keras

    scale, shift = (part.astype(float).tolist() for part in adjustment)
    layer = keras.layers.Rescaling(scale, shift, name=LAYER, dtype="float32")
    return keras.Model(model.input, layer(model.output), name=model.name)


def is_adjusted(model: "keras.Model") -> bool:
    """Whether a model, or one inside of it, adjusts its logits."""
    return any(
        layer.name == LAYER or (hasattr(layer, "layers") and is_adjusted(layer))
        for layer in model.layers
    )


def choose_shift(
    val_logits: np.ndarray,
    data: Dataset,
    output: str,
    score: Callable[[np.ndarray, np.ndarray], float] = scores.macro_f1,
) -> np.ndarray:
    """Chooses what is added to the logits of each class, by val.

    `-m log(prior)` with the shares of the classes in train; `m`, one number of
    -2 to 2 in quarters, has the best score on val: macro F1 if not said.

    Reference:
        [Menon et al., 2021](https://arxiv.org/abs/2007.07314).
    """
    counts = np.array(data.class_counts)
    prior = np.log(np.maximum(counts, 1) / counts.sum()).astype("float32")

    def rank(multiple: float) -> float:
        shifted = to_probabilities(val_logits - multiple * prior, output)
        return score(shifted, data.val.labels)

    return -np.float32(max(MULTIPLES, key=rank)) * prior
