"""The functions and objects of the plugins that runs name."""

import functools
import importlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from medzoo.plugins.files import (
    PLACED,
    PluginError,
    blame,
    import_file,
    locate,
)
from medzoo.plugins.identity import identify, identify_object
from medzoo.plugins.register import (
    TARGETS,
    Registered,
    add_plugin,
    list_taken,
)
from medzoo.runs.plugins import Plugin, options_of
from medzoo.runs.run import Run

if TYPE_CHECKING:
    import keras


def find_target(kind: str, plugin: Plugin) -> Any:
    """Returns the function or object of a plugin, from its source if needed.

    Raises:
        PluginError: If it is missing, or its content is another than that of
            the run.
    """
    known = TARGETS.get((kind, plugin.name))
    if known is not None and known.plugin.content == plugin.content:
        return known.target
    if str(plugin.config.get("module")).partition(".")[0] == "keras":
        import keras

        target = keras.saving.deserialize_keras_object(plugin.config)
        add_plugin(kind, target, plugin)
        return target
    if not plugin.source:
        raise PluginError(
            f"{kind.capitalize()} `{plugin.name}` was defined in a notebook or "
            "in a session, and is not in this process. Define it there again."
        )
    load = _import_object if plugin.config else _import
    found = load(kind, plugin)
    if found.plugin.content != plugin.content:
        raise PluginError(
            f"{kind.capitalize()} `{plugin.name}` of {plugin.source} has "
            f"changed since the run was planned. Expected {plugin.content}. "
            f"Received: {found.plugin.content}. Run the same command again."
        )
    return found.target


def find_place(kind: str, plugin: Plugin) -> tuple[str, str]:
    """Returns the file and line of a plugin in words, and its folder.

    Both are empty for an object of Keras.
    """
    return locate(find_target(kind, plugin))


def _import(kind: str, plugin: Plugin) -> Registered:
    """Imports the source of a plugin, and finds it there."""
    module = _import_module(kind, plugin)
    found = TARGETS.get((kind, plugin.name))
    if found is not None and found.plugin.content == plugin.content:
        return found
    target = _find_attribute(module, plugin)
    if target is None:
        if found is not None:
            return found
        raise _is_gone(kind, plugin)
    now = plugin.model_copy(update={"content": identify(target)})
    add_plugin(kind, target, now)
    return Registered(target, now)


def _import_object(kind: str, plugin: Plugin) -> Registered:
    """Imports the class of an object of Keras, and makes it."""
    own = _find_attribute(_import_module(kind, plugin), plugin)
    if own is None:
        raise _is_gone(kind, plugin)
    content = identify_object(plugin.config, own)
    now = plugin.model_copy(update={"content": content})
    target = own.from_config(dict(plugin.config["config"]))
    if content == plugin.content:
        add_plugin(kind, target, now)
    return Registered(target, now)


def _import_module(kind: str, plugin: Plugin) -> ModuleType:
    path = PLACED.get(plugin.source, Path(plugin.source))
    if not plugin.source.endswith(".py"):
        return importlib.import_module(plugin.source)
    if not path.is_file():
        raise PluginError(
            f"No plugin `{plugin.source}`, which has the {kind} "
            f"`{plugin.name}` of a run. Expected the file in its place."
        )
    return import_file(path)


def _find_attribute(module: ModuleType, plugin: Plugin) -> Any:
    """Returns what a module has by the name of a plugin; `None` if nothing."""
    found: Any = module if plugin.attribute else None
    for name in plugin.attribute.split("."):
        found = getattr(found, name, None)
    return found


def _is_gone(kind: str, plugin: Plugin) -> PluginError:
    return PluginError(
        f"`{plugin.source}` has no {kind} `{plugin.name}` any more."
    )


def find_builder(run: Run) -> "str | Callable[..., keras.Model]":
    """Returns the name of a run's model, or its builder where a plugin has it.

    The builder takes all arguments of `medzoo.models.registry.build_model` but
    the name.
    """
    plugin = run.plugins.get("model")
    if plugin is None:
        return run.model
    return _with_common(find_target("model", plugin), plugin.takes)


@functools.lru_cache(maxsize=32)
def _with_common(
    builder: Callable[..., Any], takes: tuple[str, ...]
) -> "Callable[..., keras.Model]":
    """Makes a builder that leaves out common arguments which are not taken."""

    @functools.wraps(builder)
    def build(num_classes: Any, **arguments: Any) -> "keras.Model":
        import keras

        for name in ("input_shape", "width", "activation", "augmentation"):
            if name not in takes:
                arguments.pop(name, None)
        built = builder(num_classes, **arguments)
        if not isinstance(built, keras.Model):
            raise blame(
                builder,
                f"the builder `{builder.__name__}` must return a Keras model. "
                f"Received: {type(built).__name__}.",
            )
        if not hasattr(built, "output") or not isinstance(
            built, keras.Sequential | _functional()
        ):
            raise blame(
                builder,
                f"the builder `{builder.__name__}` must return a Functional or "
                "Sequential model, which knows its inputs. Received: "
                f"{type(built).__name__}. Call it on keras.Input(input_shape) "
                "and return keras.Model(inputs, outputs).",
            )
        if isinstance(built, keras.Sequential):
            return keras.Model(built.inputs, built.outputs, name=built.name)
        return built

    return build


def _functional() -> type:
    import keras

    inputs = keras.Input((1,))
    return type(keras.Model(inputs, inputs))


def find_activation(run: Run) -> Any:
    """Returns the name of a run's activation, or a function of a plugin."""
    plugin = run.plugins.get("activation")
    if plugin is None:
        return run.activation
    return find_target("activation", plugin)


def find_schedule(run: Run) -> "str | Callable[[int, int], float]":
    """Returns the name of a run's schedule, or a function of a plugin."""
    plugin = run.plugins.get("schedule")
    if plugin is None:
        return run.schedule
    target = find_target("schedule", plugin)
    return functools.partial(target, **options_of(plugin, run.options))


def make_optimizer(run: Run) -> "keras.Optimizer | None":
    """Makes the optimizer of a plugin; `None` if it is one of medzoo."""
    plugin = run.plugins.get("optimizer")
    if plugin is None:
        return None
    import keras

    target = find_target("optimizer", plugin)
    decay = run.weight_decay or 0.0
    rates = {"learning_rate": float(run.learning_rate or 0)}
    if isinstance(target, keras.Optimizer):  # A fresh one for each run.
        config = target.get_config() | rates
        if decay or config.get("weight_decay") is not None:
            config["weight_decay"] = decay
        return type(target).from_config(config)
    taken = list_taken(target)
    # A class that decays by a default must be told not to.
    is_function = not isinstance(target, type)
    if "weight_decay" in taken and (
        decay or is_function or taken["weight_decay"] is not None
    ):
        rates["weight_decay"] = decay
    made = target(**rates, **options_of(plugin, run.options))
    if not isinstance(made, keras.Optimizer):
        raise blame(
            target,
            f"optimizer `{run.optimizer}` must return a "
            f"keras.optimizers.Optimizer. Received: {type(made).__name__}.",
        )
    if made.weight_decay and not math.isclose(made.weight_decay, decay):
        raise blame(
            target,
            f"optimizer `{run.optimizer}` must decay by the `weight_decay` of "
            f"the run, here {decay}. Received: an optimizer that decays by "
            f"{made.weight_decay}. Take `weight_decay` as an argument, with "
            "its default, and pass it on.",
        )
    return made


def install(run: Run) -> None:
    """Puts what layers and losses look up by name into their tables."""
    if "loss" in run.plugins:
        from medzoo.losses import classification
        from medzoo.plugins.losses import adapt_loss

        target = find_target("loss", run.plugins["loss"])
        classification.LOSSES[run.loss] = adapt_loss(target)
    if "augmentation" in run.plugins:
        install_augmentation(run.augmentation, run.plugins["augmentation"])
    if "activation" in run.plugins:
        install_activation(run.activation, run.plugins["activation"])


def install_augmentation(name: str, plugin: Plugin) -> None:
    """Lets layers of augmentation find a plugin by its name."""
    from medzoo.models import augmentation

    target = find_target("augmentation", plugin)

    def make_layers() -> list[Any]:
        if not callable(target):
            return [target]
        made = target()
        return list(made) if isinstance(made, list | tuple) else [made]

    augmentation.AUGMENTATIONS[name] = make_layers


def install_activation(name: str, plugin: Plugin) -> None:
    """Lets Keras save an activation by its name, and load it by that."""
    import keras

    target = find_target("activation", plugin)
    if callable(target) and not keras.saving.get_registered_name(target).count(
        ">"
    ):
        keras.saving.register_keras_serializable("plugin", name)(target)


def install_all(names: Mapping[tuple[str, str], Any] | list) -> None:
    """Puts what was registered into the tables that saved models need."""
    for kind, name in names:
        plugin = TARGETS[kind, name].plugin
        if kind == "augmentation":
            install_augmentation(name, plugin)
        elif kind == "activation":
            install_activation(name, plugin)
