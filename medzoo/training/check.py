"""Checks of plugins on eight images, before anything trains."""

import logging
import math
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.dataset import Dataset, Split
from medzoo.plugins.files import Blaming, PluginError
from medzoo.plugins.scores import compute_own, list_own_scores
from medzoo.plugins.targets import find_place, find_schedule, find_target
from medzoo.runs.fields import list_fields
from medzoo.runs.plugins import KINDS, options_of
from medzoo.runs.rules import predicts_masks
from medzoo.runs.run import Run
from medzoo.runs.sources import facts_of
from medzoo.training.backend import import_keras, limit_threads
from medzoo.training.build import build_network, find_width
from medzoo.training.features import build_backbone
from medzoo.training.objectives import LabelObjective
from medzoo.training.optimizers import build_optimizer

if TYPE_CHECKING:
    import keras

NUM_IMAGES = 8
# Weights behind a scale that begins at 0 have a gradient from the second step.
NUM_STEPS = 3

_checked: set[tuple[Any, ...]] = set()


def check_plugins(runs: Iterable[Run]) -> None:
    """Checks the plugins of runs, each graph with them once a process.

    A model must map raw images, one or several, to finite `float32` logits and
    have a gradient for every weight; a loss must be finite and leave out images
    labelled -1; optimizers, schedules, augmentations, activations and scores
    must return what they should.

    Raises:
        PluginError: For the first that does not, with file and line.
    """
    for name in list_own_scores():
        _check_score(name)
    for run in runs:
        if not run.plugins or predicts_masks(run):
            continue
        key = _make_key(run)
        if key not in _checked:
            _check(run)
            _checked.add(key)


def _make_key(run: Run) -> tuple[str, ...]:
    """Returns a key of runs of which one is checked for all."""
    graph = run.graph()
    for name in list_fields("constants"):
        del graph[name]
    options = {
        kind: options_of(plugin, run.options)
        for kind, plugin in run.plugins.items()
    }
    return run.task, str(run.size), repr((graph, options))


def _check(run: Run) -> None:
    limit_threads()
    import_keras()
    state = random.getstate()
    # Steps without a graph make TensorFlow warn of graphs that it traces anew.
    log = logging.getLogger("tensorflow")
    level = log.level
    try:
        log.setLevel(logging.ERROR)
        random.seed(0)
        for kind in set(KINDS) - {"backbone"}:
            if kind in run.plugins:
                find_target(kind, run.plugins[kind])
        if "schedule" in run.plugins:
            _check_schedule(run)
        if run.entry.baseline:  # On features, so that it has no network.
            with _blame(run, what="cannot be built"):
                build_backbone(run, _make_data(run))
        else:
            _check_network(run, _make_data(run))
    finally:
        random.setstate(state)
        log.setLevel(level)


def _make_data(run: Run) -> Dataset:
    """Makes eight random images of the shape of a run's."""
    facts = facts_of(run)
    generator = np.random.default_rng(0)
    shape = (NUM_IMAGES, run.size, run.size, facts.channels)
    images = generator.integers(0, 256, shape, dtype="uint8")
    # Of two balanced classes, the gradients of a bias may cancel.
    labels = np.arange(NUM_IMAGES, dtype="int32")
    labels = np.minimum(labels, facts.num_classes - 1)
    split = Split(images, labels)
    return Dataset(run.task, facts.classes, split, split, split, "")


def _blame(run: Run, *kinds: str, what: str = "") -> Blaming:
    """Words errors of the first of these kinds that is a plugin."""
    kind = next((k for k in kinds if k in run.plugins), "")
    plugin = run.plugins.get(kind)
    if plugin is None or kind == "backbone":
        return Blaming(f"Model `{run.model}` {what or 'fails'}")
    place, folder = find_place(kind, plugin)
    name = f"{kind.capitalize()} `{plugin.name}`"
    at = f" ({place})" if place else ""
    return Blaming(f"{name}{at} {what or 'fails'}", folder=folder)


def _fault(run: Run, kind: str, sentence: str) -> PluginError:
    plugin = run.plugins[kind]
    place, _ = find_place(kind, plugin)
    return PluginError(
        f"{place + ': ' if place else ''}{kind} `{plugin.name}` {sentence}"
    )


def _check_network(run: Run, data: Dataset) -> None:
    shown = ("model", "augmentation", "activation")
    own = next((kind for kind in shown if kind in run.plugins), "")
    with _blame(run, *shown, "backbone", what="cannot be built"):
        objective = LabelObjective(run, data)
        width = find_width(run, data)
        model = build_network(run, data, width)
    if own:
        _check_logits(run, own, model, data)
    if "augmentation" in run.plugins:
        _check_augmentation(run, model, data)
    if "loss" in run.plugins:
        _check_loss(run, objective, data)
    _check_training(run, objective, model, data)


def _check_logits(
    run: Run, kind: str, model: "keras.Model", data: Dataset
) -> None:
    import keras

    if tuple(model.input_shape[1:]) != tuple(data.input_shape):
        raise _fault(
            run,
            kind,
            f"must take images of shape {data.input_shape}. Received: an input "
            f"of {tuple(model.input_shape[1:])}. Use the `input_shape` that "
            "the builder is given.",
        )
    output = model.output
    expected = (None, data.num_classes)
    if not isinstance(output, keras.KerasTensor) or output.shape != expected:
        shapes = keras.tree.map_structure(lambda x: x.shape, output)
        one = isinstance(output, list | tuple) and len(output) == 1
        raise _fault(
            run,
            kind,
            "must end in logits of shape (batch, num_classes), here "
            f"{expected}. Received: {shapes}. "
            + (
                "Give keras.Model its output without a list."
                if one
                else "End in keras.layers.Dense(num_classes)."
            ),
        )
    if output.dtype != "float32":
        raise _fault(
            run,
            kind,
            f"must end in float32 logits. Received: {output.dtype}. Give the "
            'last layer dtype="float32".',
        )
    with _blame(run, kind, what="cannot predict"):
        images = data.train.images
        logits = keras.ops.convert_to_numpy(model(images, training=False))
    with _blame(run, kind, what="cannot predict a single image"):
        one = keras.ops.convert_to_numpy(model(images[:1], training=False))
        if one.shape != (1, data.num_classes):
            raise ValueError(f"its logits have shape {one.shape}")
    if not np.isfinite(logits).all():
        raise _fault(
            run,
            kind,
            "must return finite logits of raw images, 0 to 255. Received: NaN "
            "or infinite values. Begin with keras.layers.Rescaling(1 / 127.5, "
            "offset=-1).",
        )
    _refuse_probabilities(run, kind, model, logits)


def _refuse_probabilities(
    run: Run, kind: str, model: "keras.Model", logits: np.ndarray
) -> None:
    """Refuses a model that ends in a softmax or sigmoid."""
    import keras

    last = model.operations[-1]
    activation = getattr(last, "activation", None)
    ends = isinstance(last, keras.layers.Softmax) or activation in (
        keras.activations.softmax,
        keras.activations.sigmoid,
    )
    sums = logits.min() >= 0 and np.allclose(logits.sum(-1), 1, atol=1e-3)
    if ends or (sums and logits.shape[-1] > 1):
        called = getattr(activation, "__name__", "softmax")
        raise _fault(
            run,
            kind,
            "must end in logits and not in probabilities: the one softmax is "
            f"in the evaluation. Received: {called} of layer `{last.name}`. "
            "Leave that activation out.",
        )


def _check_augmentation(run: Run, model: "keras.Model", data: Dataset) -> None:
    import keras

    layer = model.get_layer("augmentation")
    images = data.train.images.astype("float32") / 127.5 - 1
    with _blame(run, "augmentation", what="cannot change images"):
        changed = keras.ops.convert_to_numpy(layer(images, training=True))
    if changed.shape != images.shape or not np.isfinite(changed).all():
        raise _fault(
            run,
            "augmentation",
            "must return finite images of the shape that it takes, here "
            f"{images.shape}. Received: {changed.shape}, from "
            f"{changed.min():.3g} to {changed.max():.3g}.",
        )


def _check_loss(run: Run, objective: LabelObjective, data: Dataset) -> None:
    """Checks a loss on random logits, all labelled and in part."""
    loss, labels = objective.make_loss(), data.train.labels
    generator = np.random.default_rng(1)
    shape = (len(labels), data.num_classes)
    logits = generator.normal(size=shape).astype("float32")
    kept = np.arange(len(labels)) % 4 != 3
    holes = np.where(kept, labels, -1).astype("int32")
    values = [
        _value(run, loss, *pair)
        for pair in (
            (labels, logits),
            (labels[kept], logits[kept]),
            (holes, logits),
            (labels[:1], logits[:1]),
        )
    ]
    _, part, unlabelled, _ = values
    if not math.isclose(part, unlabelled, rel_tol=1e-3, abs_tol=1e-5):
        raise _fault(
            run,
            "loss",
            "must leave out images labelled -1. Received: "
            f"{unlabelled:.4g} with two of them, and {part:.4g} without. "
            "Return one value an image, of which medzoo takes the mean over "
            "labelled ones, or weigh by keras.ops.cast(labels >= 0, "
            '"float32").',
        )


def _value(run: Run, loss: Any, labels: Any, logits: Any) -> float:
    import keras

    with _blame(run, "loss", what="cannot be computed"):
        value = keras.ops.convert_to_numpy(
            loss.call(
                keras.ops.convert_to_tensor(labels),
                keras.ops.convert_to_tensor(logits),
            )
        )
    if np.ndim(value) or not np.isfinite(value):
        raise _fault(
            run,
            "loss",
            f"must be finite. Received: {value} of {len(labels)} images with "
            "random logits.",
        )
    return float(value)


def _check_training(
    run: Run, objective: LabelObjective, model: "keras.Model", data: Dataset
) -> None:
    """Takes steps, and looks for weights without a gradient."""
    kind = next(k for k in ("model", *KINDS) if k in run.plugins)
    seen: dict[str, float] = {}
    with _blame(run, kind, "loss", "activation", what="cannot be trained"):
        model.compile(
            optimizer=_make_recorder(seen),
            loss=objective.make_loss(),
            run_eagerly=True,
            jit_compile=False,
        )
        images, labels = data.train.images, data.train.labels
        losses = [
            float(model.train_on_batch(images, labels))
            for _ in range(NUM_STEPS)
        ]
    if not math.isfinite(losses[0]):
        about = "loss" if "loss" in run.plugins else kind
        raise _fault(
            run,
            about,
            f"must have a finite loss. Received: {losses[0]} on eight random "
            "images.",
        )
    dead = [w.path for w in model.trainable_weights if not seen.get(w.path)]
    if dead and ("model" in run.plugins or "loss" in run.plugins):
        about = "model" if "model" in run.plugins else "loss"
        raise _fault(
            run,
            about,
            "must give every trainable weight a gradient. Received: none for "
            f"`{dead[0]}`{f' and {len(dead) - 1} more' if dead[1:] else ''}. "
            "Use every layer on the way to the logits, or set its "
            "trainable=False.",
        )
    if "optimizer" in run.plugins:
        _check_optimizer(run, model)


def _make_recorder(seen: dict[str, float]) -> "keras.Optimizer":
    """Makes an optimizer that notes the largest gradient of each weight."""
    import keras

    class Recorder(keras.optimizers.SGD):
        def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
            variables = trainable_variables or self._trainable_variables
            for gradient, variable in zip(grads, variables, strict=True):
                if gradient is None:
                    continue
                value = np.abs(keras.ops.convert_to_numpy(gradient)).max()
                seen[variable.path] = max(seen.get(variable.path, 0.0), value)
            super().apply(grads, trainable_variables)

    return Recorder(1e-3)


def _check_optimizer(run: Run, model: "keras.Model") -> None:
    import keras

    with _blame(run, "optimizer", what="cannot take a step"):
        optimizer = build_optimizer(run)
        weights = model.trainable_variables
        optimizer.build(weights)
        before = [keras.ops.convert_to_numpy(w) for w in weights]
        gradients = [keras.ops.ones(w.shape, w.dtype) for w in weights]
        optimizer.apply(gradients, weights)
        after = [keras.ops.convert_to_numpy(w) for w in weights]
    if not all(np.isfinite(value).all() for value in after):
        raise _fault(
            run,
            "optimizer",
            "must keep weights finite. Received: NaN after a step.",
        )
    if all(map(np.array_equal, before, after)):
        raise _fault(
            run,
            "optimizer",
            "must change weights. Received: the same ones after a step with a "
            f"learning rate of {run.learning_rate}.",
        )


def _check_schedule(run: Run) -> None:
    schedule = find_schedule(run)
    for step in (0, 50, 99):
        with _blame(run, "schedule", what="cannot be computed"):
            share = float(schedule(step, 100))  # type: ignore[operator]
        if not math.isfinite(share) or share < 0:
            raise _fault(
                run,
                "schedule",
                "must return a share of the peak learning rate, 0 or more. "
                f"Received: {share} at step {step} of 100.",
            )


def _check_score(name: str) -> None:
    """Computes a score of made-up predictions of two classes."""
    if ("score", name) in _checked:
        return
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1.0, 1.0], 20)
    compute_own(name, probabilities, np.arange(20, dtype="int32") % 2)
    _checked.add(("score", name))
