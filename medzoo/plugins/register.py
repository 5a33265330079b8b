"""Registration of models, losses and more by decorators.

Each takes a function or class and gives it back, so that it may be called as
before. With arguments it is `@register_model(width=24)`, without it is
`@register_loss`.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from medzoo.messages import FieldError
from medzoo.models.backbones import BACKBONES, Backbone
from medzoo.models.registry import MODELS
from medzoo.plugins.identity import (
    RATES,
    Unidentified,
    identify,
    is_of_keras,
)
from medzoo.plugins.sources import write_module
from medzoo.runs.fields import FIELDS
from medzoo.runs.plugins import KINDS, REGISTERED, OwnOption, Plugin
from medzoo.scores.table import SCORES, Score

# Arguments that a builder of models may take besides options of its own.
COMMON = ("input_shape", "width", "activation", "augmentation")
_OPTION_TYPES = (str, bool, int, float)
# What is passed beside the options; `name` is that of a trial.
_RESERVED = {
    "loss": ("name", "weight", "class_weights", "labels", "logits"),
    "model": ("name", "num_classes"),
}


class Registered(NamedTuple):
    """A plugin of this process: what it is, and what is known of it."""

    target: Any
    plugin: Plugin


_OWN: set[str] = set()
TARGETS: dict[tuple[str, str], Registered] = {}
# Names that the files which are being read have registered.
_now: list[tuple[str, str]] | None = None


@contextmanager
def noting_names() -> Iterator[list[tuple[str, str]]]:
    """Collects what is registered inside; a name may come once."""
    global _now
    before, _now = _now, []
    try:
        yield _now
    finally:
        _now = before


def register_model(
    builder: Any = None,
    *,
    name: str | None = None,
    width: int | None = None,
    version: str | None = None,
) -> Any:
    """Registers a function that builds a model, by its name.

    Args:
        builder: A function `build(num_classes, *, input_shape, ...)` from the
            number of classes and `(height, width, channels)` to a Keras model:
            raw `uint8` images in, `float32` logits out. It may also take
            `width`, `activation` and `augmentation`; all other arguments are
            options of its own, with a default each.
        name: Its name in studies; that of the function if `None`.
        width: Default of `width`; that of the signature if `None`.
        version: Stands for its content, where that cannot be told.

    Raises:
        ValueError: For a name that is taken, an argument without a default, or
            content that cannot be told.

    Example:

        @medzoo.register_model(width=24)
        def small_net(num_classes, *, input_shape, width, squeeze=0.5):
            ...
    """

    def register(target: Any) -> Any:
        arguments = _list_arguments("model", target, first=1)
        _require(target, "input_shape" in arguments, "`input_shape`")
        defaults = {}
        if "width" in arguments:
            given = arguments["width"].default if width is None else width
            if not isinstance(given, int) or given < 1:
                raise FieldError(
                    f"Model `{_name(target, name)}` has no default width. "
                    "Expected a whole number, as in "
                    "@medzoo.register_model(width=24). Received: "
                    f"{_show_default(given)}.",
                    "width",
                )
            defaults["width"] = given
        options = [a for a in arguments.values() if a.name not in COMMON]
        return _add(
            "model",
            target,
            name,
            version,
            options=_read_options("model", target, options),
            defaults=defaults,
            takes=tuple(n for n in COMMON if n in arguments),
        )

    return register if builder is None else register(builder)


def register_loss(
    loss: Any = None, *, name: str | None = None, version: str | None = None
) -> Any:
    """Registers a loss, by its name.

    Args:
        loss: A function of `labels`, `int32` of shape `(batch,)` where -1 is an
            image without a label, and `logits` `(batch, num_classes)`. It
            returns one value an image, of which the mean over labelled images
            is taken, or a scalar. Further arguments with a default are options
            of its own. Or a class of `keras.losses`: one of Keras gets one-hot
            labels and, without `from_logits`, probabilities.
        name: Its name in studies; that of the function if `None`.
        version: As for `register_model`.
    """

    def register(target: Any) -> Any:
        options = _options_after("loss", target, 2)
        if isinstance(target, type):
            refuse_loss(target)
        return _add("loss", target, name, version, options=options)

    return register if loss is None else register(loss)


def register_optimizer(
    optimizer: Any = None,
    *,
    name: str | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    version: str | None = None,
) -> Any:
    """Registers an optimizer, by its name.

    Args:
        optimizer: A function of `learning_rate`, and of `weight_decay` if it
            has any, to a `keras.optimizers.Optimizer`; or a class of those.
            Further arguments of a function are options of its own.
        name: Its name in studies; that of the function if `None`.
        learning_rate: Default of the peak learning rate; that of the signature
            if `None`.
        weight_decay: Default of the weight decay; that of the signature, or 0,
            if `None`.
        version: As for `register_model`.
    """

    def register(target: Any) -> Any:
        options: dict[str, OwnOption] = {}
        rate, decay = (
            _read_default(target, name) if given is None else given
            for name, given in zip(
                RATES, (learning_rate, weight_decay), strict=True
            )
        )
        if not isinstance(rate, int | float) or rate <= 0:
            raise FieldError(
                f"Optimizer `{_name(target, name)}` has no default learning "
                "rate. Expected a number above 0, as in "
                "@medzoo.register_optimizer(learning_rate=1e-3). "
                f"Received: {_show_default(rate)}.",
                "learning_rate",
            )
        if not isinstance(target, type):
            arguments = _list_arguments("optimizer", target, first=0)
            _require(target, RATES[0] in arguments, "`learning_rate`")
            own = [a for a in arguments.values() if a.name not in RATES]
            options = _read_options("optimizer", target, own)
        return _add(
            "optimizer",
            target,
            name,
            version,
            options=options,
            defaults={
                "learning_rate": float(rate),
                "weight_decay": float(decay)
                if isinstance(decay, int | float)
                else 0.0,
            },
            takes=tuple(r for r in RATES if r in list_taken(target)),
        )

    return register if optimizer is None else register(optimizer)


def register_activation(
    activation: Any = None,
    *,
    name: str | None = None,
    version: str | None = None,
) -> Any:
    """Registers an activation: a function of a tensor."""

    def register(target: Any) -> Any:
        _options_after("activation", target, 1, allowed=False)
        return _add("activation", target, name, version)

    return register if activation is None else register(activation)


def register_augmentation(
    augmentation: Any = None,
    *,
    name: str | None = None,
    version: str | None = None,
) -> Any:
    """Registers an augmentation: a layer, or a function that makes one.

    The layer takes images as `float32` in [-1, 1], and acts in training alone.
    """

    def register(target: Any) -> Any:
        if not isinstance(target, type):
            _options_after("augmentation", target, 0, allowed=False)
        return _add("augmentation", target, name, version)

    return register if augmentation is None else register(augmentation)


def register_schedule(
    schedule: Any = None,
    *,
    name: str | None = None,
    version: str | None = None,
) -> Any:
    """Registers a course of the learning rate.

    Args:
        schedule: A function of the step, from 0, and of the number of steps to
            the share of the peak learning rate. Further arguments are options
            of its own.
        name: Its name in studies; that of the function if `None`.
        version: As for `register_model`.
    """

    def register(target: Any) -> Any:
        options = _options_after("schedule", target, 2)
        return _add("schedule", target, name, version, options=options)

    return register if schedule is None else register(schedule)


def register_backbone(
    backbone: Any = None,
    *,
    name: str | None = None,
    version: str | None = None,
) -> Any:
    """Registers a backbone for the models on features.

    Args:
        backbone: A function of `input_shape`, `(height, width, 3)`, to a Keras
            model from images as bytes, 0 to 255, to maps or features. It loads
            its own weights.
        name: Its name in studies; that of the function if `None`.
        version: As for `register_model`.
    """

    def register(target: Any) -> Any:
        _options_after("backbone", target, 1, allowed=False)
        _add("backbone", target, name, version)
        BACKBONES[_name(target, name)] = Backbone(
            "",
            "",
            pixels="bytes",
            block=r"(.+)",
            minimum=1,
            build=target,
        )
        _OWN.add(_name(target, name))
        return target

    return register if backbone is None else register(backbone)


def register_score(
    score: Any = None,
    *,
    name: str | None = None,
    label: str = "",
    higher_is_better: bool = True,
    bounds: tuple[float | None, float | None] = (0.0, 1.0),
    version: str | None = None,
) -> Any:
    """Registers a score of predictions, for tables and `score` of a study.

    It is computed from the predictions that are kept of each run, so that no
    run is trained again for it.

    Args:
        score: A function of `probabilities`, shape `(n, num_classes)`, and
            `labels`, shape `(n,)`, of labelled images, to a number or `None`.
        name: Its name in studies; that of the function if `None`.
        label: As tables show it; its name in words if empty.
        higher_is_better: Whether a larger value is the better one. If not,
            tables show it as one of `scores`, and no study ranks by it.
        bounds: Lowest and highest value; `None` for no bound.
        version: As for `register_model`.
    """

    def register(target: Any) -> Any:
        _options_after("score", target, 2, allowed=False)
        _add("score", target, name, version)
        called = _name(target, name)
        SCORES[called] = Score(
            label or called.replace("_", " "),
            "own",
            higher_is_better,
            bounds,
            summary=len(SCORES),
            # A study ranks by what is better where it is higher.
            use=frozenset({"study"} if higher_is_better else ()) | {"report"},
            content=TARGETS["score", called].plugin.content,
        )
        return target

    return register if score is None else register(score)


def register_watcher(watcher: Any = None, *, name: str | None = None) -> Any:
    """Registers a function that sees each check of a training.

    It is called in the process that trains, with a
    `medzoo.plugins.watchers.Check`: copies of the step, the loss and the
    scores of val. It is no part of a run, and what it raises ends none.

    Args:
        watcher: The function.
        name: Its name in `watch` of studies; that of the function if `None`.
    """

    def register(target: Any) -> Any:
        _options_after("watcher", target, 1, allowed=False)
        called = _name(target, name)
        _check_name("watcher", called)
        try:
            content = identify(target, None)
        except Unidentified:
            content = ""
        source, attribute = describe_source(target)
        if content and not source:
            source, attribute = write_module(target, f"{called}-{content}")
        plugin = Plugin(
            name=called, content=content, source=source, attribute=attribute
        )
        add_plugin("watcher", target, plugin)
        return target

    return register if watcher is None else register(watcher)


def describe_source(target: Any) -> tuple[str, str]:
    """Returns the file or module that has a function or class, and its name.

    Both are empty where no other process could find it: in a notebook, or
    inside of a function.
    """
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    attribute = getattr(target, "__qualname__", "")
    spec = getattr(module, "__spec__", None)
    if spec is None or "<locals>" in attribute:
        return "", ""
    if spec.parent or not spec.origin or spec.origin == "frozen":
        return spec.name, attribute
    return show_path(Path(spec.origin)), attribute


def show_path(path: Path) -> str:
    """Writes a path below the current folder without that folder."""
    path, here = Path(os.path.abspath(path)), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def get_name(target: Any) -> str:
    """Returns the name that a function or class has where none is given."""
    return str(getattr(target, "__name__", type(target).__name__))


def _name(target: Any, name: str | None) -> str:
    return name or get_name(target)


def _add(
    kind: str, target: Any, name: str | None, version: str | None, **facts: Any
) -> Any:
    """Adds a plugin to the table.

    Raises:
        FieldError: For a name that is taken, and for content without identity.
    """
    called = _name(target, name)
    _check_name(kind, called)
    try:
        content = identify(target, version)
    except Unidentified as error:
        raise FieldError(
            f"The content of {kind} `{called}` cannot be told, so that an "
            f"edited one would get old records. {error} Or say its version, as "
            f'in register_{kind}(version="1"), and change that with it.',
            kind,
        ) from None
    source, attribute = describe_source(target)
    if not source and version is None:
        source, attribute = write_module(target, f"{called}-{content}")
    plugin = Plugin(
        name=called,
        content=content,
        source=source,
        attribute=attribute,
        **facts,
    )
    add_plugin(kind, target, plugin)
    return target


def add_plugin(kind: str, target: Any, plugin: Plugin) -> None:
    """Adds what is described already to the table."""
    key = (kind, plugin.name)
    TARGETS[key] = Registered(target, plugin)
    if kind in KINDS:
        REGISTERED[key] = plugin
    if _now is not None:
        _now.append(key)


def _check_name(kind: str, name: str) -> None:
    if not name.replace("+", "_").replace("-", "_").isidentifier():
        raise FieldError(
            f"The name of a {kind} must be one word. Received: {name!r}. Pass "
            f"one: register_{kind}(name=...).",
            kind,
        )
    if name in _list_built_in(kind):
        raise FieldError(
            f"The name `{name}` is taken: medzoo has such a {kind}. Expected "
            f"another one, as in register_{kind}(name='my_{name}').",
            kind,
        )
    if (kind, name) in (_now or ()):
        raise FieldError(
            f"Two plugins register the {kind} `{name}`. Expected a name each.",
            kind,
        )


def _list_built_in(kind: str) -> Iterable[str]:
    if kind == "score":
        return [name for name, score in SCORES.items() if score.needs != "own"]
    tables: dict[str, Iterable[str]] = {
        "model": MODELS,
        "watcher": (),
        "backbone": {"none", *BACKBONES} - _OWN,
    }
    return tables[kind] if kind in tables else FIELDS[kind].choices


def _list_arguments(
    kind: str, target: Callable[..., Any], *, first: int
) -> dict[str, inspect.Parameter]:
    """Returns the arguments of a function after the first ones, by name."""
    if not callable(target):
        raise FieldError(
            f"A {kind} must be a function or a class. Received: {target!r}.",
            kind,
        )
    parameters = list(inspect.signature(target).parameters.values())
    positional = [
        p
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    many = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(positional) < first and not many:
        words = {1: "one argument", 2: "two arguments"}[first]
        raise FieldError(
            f"{kind.capitalize()} `{_name(target, None)}` must take {words} "
            f"at first. Received: {inspect.signature(target)}.",
            kind,
        )
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    rest = [p for p in parameters if p not in positional[:first]]
    return {p.name: p for p in rest if p.kind not in kinds}


def _require(target: Any, holds: bool, argument: str) -> None:
    if not holds:
        raise FieldError(
            f"`{_name(target, None)}` must take {argument}. "
            f"Received: {inspect.signature(target)}.",
            "model",
        )


def _options_after(
    kind: str, target: Any, first: int, *, allowed: bool = True
) -> dict[str, OwnOption]:
    """Reads the options of a function behind its first arguments."""
    if isinstance(target, type):
        return {}
    arguments = _list_arguments(kind, target, first=first)
    skipped = ("output",) if kind == "loss" else ()
    own = [a for a in arguments.values() if a.name not in skipped]
    if allowed:
        return _read_options(kind, target, own)
    for argument in own:
        if argument.default is argument.empty:
            raise _no_default(kind, target, argument.name)
    return {}


def _read_options(
    kind: str, target: Any, arguments: Iterable[inspect.Parameter]
) -> dict[str, OwnOption]:
    """Reads options from a signature: their defaults decide their types."""
    found = {}
    for argument in arguments:
        name, default = argument.name, argument.default
        if default is argument.empty:
            raise _no_default(kind, target, name)
        if type(default) not in _OPTION_TYPES:
            raise FieldError(
                f"Option `{name}` of {kind} `{_name(target, None)}` must be "
                "text, a number, True or False, as study files can hold it. "
                f"Received: {name}={default!r}.",
                name,
            )
        if name in FIELDS and name != "loss_weight":
            raise FieldError(
                f"Option `{name}` of {kind} `{_name(target, None)}` has the "
                "name of a field of a run. Expected another one.",
                name,
            )
        if name in _RESERVED.get(kind, ("name",)):
            raise FieldError(
                f"Option `{name}` of {kind} `{_name(target, None)}` has a name "
                "that medzoo passes itself. Expected another one, such as "
                f"`own_{name}`.",
                name,
            )
        annotation = argument.annotation
        choices = get_args(annotation)
        literal = get_origin(annotation) is Literal
        if annotation in (float, "float") and type(default) is int:
            default = float(default)
        found[name] = OwnOption(
            default=default,
            choices=choices if literal and type(default) is str else (),
        )
    return found


def _read_default(target: Callable[..., Any], name: str) -> Any:
    """Returns the default of an argument; `None` if it has none."""
    argument = inspect.signature(target).parameters.get(name)
    default = getattr(argument, "default", None)
    return None if default is inspect.Parameter.empty else default


def list_taken(target: Any) -> dict[str, Any]:
    """Returns the defaults of arguments of an optimizer, with `None` for none.

    A class that passes further ones on takes the rates too.
    """
    parameters = inspect.signature(target).parameters.values()
    on = isinstance(target, type) and any(
        p.kind is p.VAR_KEYWORD for p in parameters
    )
    found: dict[str, Any] = dict.fromkeys(RATES if on else ())
    return found | {p.name: _read_default(target, p.name) for p in parameters}


def refuse_loss(kind: type) -> None:
    """Refuses a loss of Keras that is of anything but logits of classes.

    Raises:
        FieldError: For one of embeddings or of sequences.
    """
    names = {b.__name__ for b in kind.__mro__ if is_of_keras(b)}
    for name in names & {"Circle", "CTC"}:
        raise FieldError(
            f"Loss `{name}` of Keras is of embeddings or sequences. Expected a "
            "loss of the logits or probabilities of classes, such as "
            f"CategoricalCrossentropy. Received: {kind.__name__}.",
            "loss",
        )


def _show_default(value: Any) -> str:
    empty = value is None or value is inspect.Parameter.empty
    return "none" if empty else repr(value)


def _no_default(kind: str, target: Any, name: str) -> FieldError:
    return FieldError(
        f"Argument `{name}` of {kind} `{_name(target, None)}` has no default. "
        f"Expected one, such as {name}=1, so that studies may leave it out.",
        name,
    )
