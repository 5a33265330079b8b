"""A compiled model for a run, with an earlier run's traced graph if it fits.

Tracing the train step of a small convolution network takes seconds, as long as
training it on a small task. Runs that differ in their seed, learning rate,
schedule or budget alone have the same graph: they take over the model that was
traced first, and give it the fresh values of all its variables.
"""

import contextlib
import random
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.data.dataset import Dataset, MaskedDataset
from medzoo.data.mixed import MixedDataset
from medzoo.models.registry import build_model
from medzoo.models.sizes import solve_width
from medzoo.runs.fields import IMBALANCES
from medzoo.runs.run import Run
from medzoo.runs.sources import facts_of
from medzoo.runs.symmetries import choose_options, choose_preset
from medzoo.training.objectives.masks import (
    describe_mask_classes,
    make_heads_loss,
)
from medzoo.training.objectives.tasks import (
    make_task_loss,
    task_weights,
    weigh_tasks,
)
from medzoo.training.optimizers import build_optimizer

if TYPE_CHECKING:
    import keras

# Graphs that a process keeps.
MAX_TRACED = 4
_traced: "OrderedDict[str, keras.Model]" = OrderedDict()


def graph_key(run: Run) -> str:
    """Names the graph of a run, without its data and without a backend.

    Runs with equal keys are worth executing one after the other. Whether they
    do share a graph is decided by `prepare_model`, which has seen the data.

    Example:

    >>> runs = [Run(task="breastmnist", learning_rate=r) for r in (0.1, 0.01)]
    >>> graph_key(runs[0]) == graph_key(runs[1])
    True
    """
    task = facts_of(run)
    num_images = run.max_images or task.num_images["train"]
    batch_size = min(run.batch_size, num_images)
    shapes = (batch_size, run.size, task.channels, task.num_classes)
    return repr((run.graph(), shapes))


def prepare_model(run: Run, data: Dataset) -> "keras.Model":
    """Builds and compiles the model of a run; its seed decides every weight.

    The model of an earlier run of this process is used again if its graph is
    equal; that run's results are not touched by it.
    """
    import keras

    width = find_width(run, data)
    graph = run.graph()
    graph["augmentation"] = choose_preset(run.task, run.augmentation)
    options = choose_options(run)
    graph["options"] = {name: options[name] for name in graph["options"]}
    batch_size = min(run.batch_size, len(data.train))
    shapes = (batch_size, *data.input_shape, _heads(data))
    shares = _loss_data(run, data), task_weights(run, data)
    key = repr((graph, shapes, shares, describe_mask_classes(run, data)))
    # All that Keras's layers draw from, and its import as well, so that must be
    # over. `keras.utils.set_random_seed` gives the same weights, and makes
    # TensorFlow forget its compiled graphs: half a second a run.
    random.seed(run.seed)
    model = weigh_tasks(run, data, build_network(run, data, width))
    optimizer = build_optimizer(run, model)
    optimizer.build(model.trainable_variables)
    if key in _traced:
        _traced.move_to_end(key)
        _copy_values(model.variables, _traced[key].variables)
        _copy_values(optimizer.variables, _traced[key].optimizer.variables)
        return _traced[key]
    if len(_traced) >= MAX_TRACED:
        _traced.popitem(last=False)
    model.compile(
        optimizer=optimizer,
        loss=make_loss(run, data),
        # XLA makes convolutions slower on a CPU and faster on a GPU; JAX
        # compiles with it or not at all.
        jit_compile=keras.backend.backend() == "jax" or name_device() != "cpu",
    )
    _traced[key] = model
    return model


def make_loss(run: Run, data: Dataset) -> "keras.losses.Loss":
    """Makes the loss of a run, with the classes' shares where it takes them."""
    if isinstance(data, MixedDataset):
        return make_task_loss(run, data, _class_weights(run, data))
    if isinstance(data, MaskedDataset):
        return make_heads_loss(run, data, make_label_loss(run, data))
    return make_label_loss(run, data)


def make_label_loss(run: Run, data: Dataset) -> "keras.losses.Loss":
    """Makes the loss of the labels of one task."""
    from medzoo.losses.classification import (
        JointLoss,
        build_imbalance_loss,
        build_loss,
    )

    if IMBALANCES[run.imbalance] == "loss":
        loss = build_imbalance_loss(
            run.imbalance, class_counts=class_counts(data), output=run.output
        )
    else:
        loss = build_loss(
            run.loss,
            output=run.output,
            weight=run.loss_weight,
            class_weights=_class_weights(run, data),
        )
    joint = (
        run.mix != "none"
        or run.options.get("members", 1) != 1
        or run.options.get("views", "plain") != "plain"
    )
    return JointLoss(loss) if joint else loss


def find_width(run: Run, data: Dataset) -> int:
    """Returns the width of a run, solved for where it gives `parameters`.

    Raises:
        ValueError: If no width comes within 5 % of `parameters`.
    """
    if run.width is not None:
        return run.width
    return solve_width(
        run.model,
        _heads(data),
        input_shape=data.input_shape,
        parameters=run.parameters or 0,
        **_options(run, data),
    )


def _options(run: Run, data: Dataset) -> dict[str, Any]:
    """Returns the options of a model, and what it is told of the data."""
    options = choose_options(run)
    if isinstance(data, MaskedDataset):
        options["num_mask_classes"] = data.num_mask_classes
    return options


def _heads(data: Dataset) -> int | tuple[int, ...]:
    """Returns the number of classes; of several tasks, that of each."""
    return data.heads if isinstance(data, MixedDataset) else data.num_classes


def _loss_data(run: Run, data: Dataset) -> object:
    """Returns what the loss of a run knows of the classes in train."""
    if IMBALANCES[run.imbalance] == "loss":
        return class_counts(data)
    return _class_weights(run, data)


def _class_weights(run: Run, data: Dataset) -> list[float] | None:
    return class_shares(data) if run.loss == "weighted_soft_f1" else None


def class_shares(data: Dataset) -> list[float]:
    """Returns the share of each class in train."""
    counts = np.array(class_counts(data))
    return [float(share) for share in counts / counts.sum()]


def class_counts(data: Dataset) -> list[int]:
    """Returns the images of each class in train."""
    labels = data.train.labels
    counts = np.bincount(labels[labels >= 0], minlength=data.num_classes)
    return [int(count) for count in counts]


def name_device() -> str:
    """Returns `gpu`, `tpu` or `cpu`: what Keras trains on."""
    import keras

    kinds = {name.split(":")[0] for name in keras.distribution.list_devices()}
    return next((kind for kind in ("tpu", "gpu") if kind in kinds), "cpu")


def build_network(run: Run, data: Dataset, width: int) -> "keras.Model":
    """Builds the model of a run, not compiled, with weights of its own."""
    with _policy(
        "mixed_bfloat16" if run.precision == "bfloat16" else "float32"
    ):
        return build_model(
            run.model,
            _heads(data),
            input_shape=data.input_shape,
            width=width,
            activation=run.activation,
            augmentation=choose_preset(run.task, run.augmentation),
            **_options(run, data),
        )


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    """Lets layers that are built compute in the dtypes of a policy."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _copy_values(
    source: "list[keras.Variable]", target: "list[keras.Variable]"
) -> None:
    for fresh, used in zip(source, target, strict=True):
        used.assign(fresh)
