"""A compiled model for a run, with an earlier run's traced graph if it fits.

Tracing the train step of a small convolution network takes seconds, as long as
training it on a small task. Runs that differ in their seed, learning rate,
schedule or budget alone have the same graph: they take over the model that was
traced first, and give it the fresh values of all its variables.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from medzoo.data.split import Dataset
from medzoo.models import build_model
from medzoo.training.optimizers import build_optimizer
from medzoo.training.run import Run

if TYPE_CHECKING:
    import keras

# Fields that change values of variables or the loop around the graph, but not
# the graph. The data act on it by shapes and class weights alone.
_OUTSIDE_THE_GRAPH = {
    "task",
    "data",
    "size",
    "max_images",
    "batch_size",
    "learning_rate",
    "schedule",
    "warmup",
    "epochs",
    "steps",
    "patience",
    "keep",
    "seed",
}
_MAX_TRACED = 4
_traced: "OrderedDict[str, keras.Model]" = OrderedDict()


def prepare_model(run: Run, data: Dataset) -> "keras.Model":
    """Builds and compiles the model of a run; its seed decides every weight.

    The model of an earlier run of this process is used again if its graph is
    equal; that run's results are not touched by it.
    """
    import keras

    weights = class_shares(data) if run.loss == "weighted_soft_f1" else None
    graph = run.model_dump(exclude=_OUTSIDE_THE_GRAPH)
    batch_size = min(run.batch_size, len(data.train))
    shapes = (batch_size, *data.input_shape, data.num_classes)
    key = repr((graph, shapes, weights))
    keras.utils.set_random_seed(run.seed)
    model = _build(run, data)
    optimizer = build_optimizer(run)
    optimizer.build(model.trainable_variables)
    if key in _traced:
        _traced.move_to_end(key)
        _copy_values(model.variables, _traced[key].variables)
        _copy_values(optimizer.variables, _traced[key].optimizer.variables)
        return _traced[key]
    if len(_traced) >= _MAX_TRACED:
        _traced.popitem(last=False)
    _traced[key] = _compile(model, optimizer, run, weights)
    return model


def class_shares(data: Dataset) -> list[float]:
    """Returns the share of each class in train."""
    labels = data.train.labels
    counts = np.bincount(labels[labels >= 0], minlength=data.num_classes)
    return [float(share) for share in counts / counts.sum()]


def name_device() -> str:
    """Returns `gpu`, `tpu` or `cpu`: what Keras trains on."""
    import keras

    kinds = {name.split(":")[0] for name in keras.distribution.list_devices()}
    return next((kind for kind in ("tpu", "gpu") if kind in kinds), "cpu")


def _build(run: Run, data: Dataset) -> "keras.Model":
    return build_model(
        run.model,
        data.num_classes,
        input_shape=data.input_shape,
        width=run.width,
        activation=run.activation,
        augmentation=run.augmentation,
        **run.options,
    )


def _compile(
    model: "keras.Model",
    optimizer: "keras.Optimizer",
    run: Run,
    class_weights: list[float] | None,
) -> "keras.Model":
    from medzoo.losses import build_loss

    model.compile(
        optimizer=optimizer,
        loss=build_loss(
            run.loss,
            output=run.output,
            weight=run.loss_weight,
            class_weights=class_weights,
        ),
        # XLA makes convolutions slower on a CPU and faster on a GPU.
        jit_compile=name_device() != "cpu",
    )
    return model


def _copy_values(
    source: "list[keras.Variable]", target: "list[keras.Variable]"
) -> None:
    for fresh, used in zip(source, target, strict=True):
        used.assign(fresh)
