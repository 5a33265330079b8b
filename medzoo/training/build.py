"""Compiled models of runs, which share traced graphs.

Tracing the train step of a small convolution network takes seconds, as long as
training it on a small task. Runs that differ only in seed, learning rate,
schedule or budget have the same graph: they use the model that was traced
first, with new values of all its variables.
"""

import contextlib
import random
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from medzoo.data.dataset import Dataset
from medzoo.models.registry import build_model
from medzoo.models.sizes import solve_width
from medzoo.plugins.targets import find_activation, find_builder
from medzoo.runs.run import Run
from medzoo.runs.sources import facts_of
from medzoo.runs.symmetries import choose_options, choose_preset
from medzoo.training.objectives import make_objective
from medzoo.training.optimizers import build_optimizer

if TYPE_CHECKING:
    import keras

# Traced graphs that a process keeps.
MAX_TRACED = 4
_traced: "OrderedDict[str, keras.Model]" = OrderedDict()


def graph_key(run: Run) -> str:
    """Returns a key of the graph of a run, without its data or a backend.

    Runs with equal keys are worth executing one after the other. Whether they
    share a graph depends on the data.

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

    It is the model of an earlier run of this process if their graphs are equal.
    """
    import keras

    objective, width = make_objective(run, data), find_width(run, data)
    graph = run.graph()
    graph["augmentation"] = choose_preset(run)
    options = choose_options(run)
    graph["options"] = {name: options[name] for name in graph["options"]}
    batch_size = min(run.batch_size, len(data.train))
    shapes = (batch_size, *data.input_shape, objective.heads)
    constants = objective.model_options, objective.graph_constants()
    key = repr((graph, shapes, constants))
    # Keras draws all of its seeds from `random`, some of them on import, which
    # must be over. `keras.utils.set_random_seed` gives the same weights, but
    # makes TensorFlow compile its graphs again: half a second a run.
    random.seed(run.seed)
    model = objective.prepare(build_network(run, data, width))
    optimizer = build_optimizer(run, model)
    optimizer.build(model.trainable_variables)
    if key in _traced:
        _traced.move_to_end(key)
        _copy_values(model.variables, _traced[key].variables)
        _copy_values(optimizer.variables, _traced[key].optimizer.variables)
        return _traced[key]
    if len(_traced) >= MAX_TRACED:
        _traced.popitem(last=False)
    if keras.backend.backend() == "tensorflow":
        from medzoo.training.fused_norm_tensorflow import fuse_normalisations

        fuse_normalisations(model)
    model.compile(
        optimizer=optimizer,
        loss=objective.make_loss(),
        # XLA makes convolutions slower on a CPU and faster on a GPU; JAX
        # compiles with it or not at all.
        jit_compile=keras.backend.backend() == "jax" or name_device() != "cpu",
    )
    _traced[key] = model
    return model


def find_width(run: Run, data: Dataset) -> int:
    """Returns the width of a run, solved for where it gives `parameters`.

    Raises:
        ValueError: If no width comes within 5 % of `parameters`.
    """
    if run.width is not None or not run.parameters:
        return run.width or 0
    objective = make_objective(run, data)
    return solve_width(
        find_builder(run),
        objective.heads,
        input_shape=data.input_shape,
        parameters=run.parameters or 0,
        **_model_options(run),
        **objective.model_options,
    )


def name_device() -> str:
    """Returns `gpu`, `tpu` or `cpu`: what Keras trains on."""
    import keras

    kinds = {name.split(":")[0] for name in keras.distribution.list_devices()}
    return next((kind for kind in ("tpu", "gpu") if kind in kinds), "cpu")


def build_network(run: Run, data: Dataset, width: int) -> "keras.Model":
    """Builds the model of a run, not compiled."""
    objective = make_objective(run, data)
    mixed = run.precision == "bfloat16"
    with _policy("mixed_bfloat16" if mixed else "float32"):
        return build_model(
            find_builder(run),
            objective.heads,
            input_shape=data.input_shape,
            width=width,
            activation=find_activation(run),
            augmentation=choose_preset(run),
            **_model_options(run),
            **objective.model_options,
        )


def _model_options(run: Run) -> dict[str, Any]:
    """Returns the options of the model of a run, without those of plugins."""
    others = {
        name
        for kind, plugin in run.plugins.items()
        if kind != "model"
        for name in plugin.options
    }
    return {k: v for k, v in choose_options(run).items() if k not in others}


def net_of(model: "keras.Model") -> "keras.Model":
    """Returns the plain Functional model of one with its own train step."""
    import keras

    net = keras.Model(model.input, model.output)
    return model if type(model) is type(net) else net


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    """Sets the dtype policy of layers that are built inside the context."""
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
