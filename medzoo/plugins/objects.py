"""Functions and objects of Keras in place of names, as a notebook has them."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from medzoo.messages import FieldError, naming
from medzoo.plugins import register
from medzoo.plugins.identity import RATES, identify_object, is_of_keras
from medzoo.plugins.register import describe_source
from medzoo.plugins.sources import write_module
from medzoo.runs.plugins import KINDS, Plugin

# Arguments that each loss or optimizer has.
_OF_ALL = ("name", "reduction", "dtype")


def name_objects(values: Mapping[str, Any]) -> dict[str, Any]:
    """Registers functions and objects among the fields of a run.

    Args:
        values: Fields; of those that may be a plugin, also lists of values.

    Returns:
        The same with names in their places.

    Raises:
        FieldError: For content that cannot be told.
    """
    named = dict(values)
    for kind in KINDS:
        value = values.get(kind)
        if isinstance(value, list | tuple):
            named[kind] = _name_each(kind, value)
        elif value is not None:
            named[kind] = name_object(kind, value)
    return named


def _name_each(kind: str, values: Sequence[Any]) -> list[str]:
    names = [name_object(kind, each) for each in values]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise FieldError(
            f"Two values of `{kind}` are called `{twice[0]}`. Expected a name "
            f"each, as in medzoo.register_{kind}(build, name='other').",
            kind,
        )
    return names


def name_object(kind: str, value: Any) -> str:
    """Returns the name of a value of a field, and registers it if needed."""
    if isinstance(value, str):
        return value
    for (known, name), found in register.TARGETS.items():
        if known == kind and found.target is value:
            return name
    if callable(getattr(value, "get_config", None)) and not isinstance(
        value, type
    ):
        return _name_object_of_keras(kind, value)
    if not callable(value):
        raise FieldError(
            f"`{kind}` must be a name, a function or an object of Keras. "
            f"Received: {value!r}.",
            kind,
        )
    getattr(register, f"register_{kind}")(value)
    return register.get_name(value)


def _name_object_of_keras(kind: str, value: Any) -> str:
    """Registers an object by its serialised configuration."""
    import keras

    if kind not in ("loss", "optimizer"):
        raise FieldError(
            f"`{kind}` must be a name or a function that makes it, so that "
            f"each run has one of its own. Received: {type(value).__name__}.",
            kind,
        )
    if kind == "loss":
        register.refuse_loss(type(value))
    own = None if is_of_keras(type(value)) else type(value)
    if own:
        _require_rebuilt(kind, value)
    config = _round(keras.saving.serialize_keras_object(value))
    rates = {rate: config["config"].get(rate) for rate in RATES}
    if kind == "optimizer" and not isinstance(rates["learning_rate"], float):
        raise FieldError(
            f"Optimizer `{type(value).__name__}` has a schedule of its own. "
            "Expected a number as its learning rate, and `schedule` of the "
            "run for its course.",
            "optimizer",
        )
    with naming(kind):
        content = identify_object(config, own)
    source, attribute = describe_source(own) if own else ("", "")
    if own and not source:
        source, attribute = write_module(own, f"{own.__name__}-{content}")
    known = {k: v or 0.0 for k, v in rates.items() if kind == "optimizer"}
    plugin = Plugin(
        name=_name_config(value, config["config"]),
        content=content,
        source=source,
        attribute=attribute,
        config=config,
        defaults=known,
        takes=tuple(rate for rate in RATES if rate in config["config"])
        if kind == "optimizer"
        else (),
    )
    register.add_plugin(kind, value, plugin)
    return plugin.name


def _require_rebuilt(kind: str, value: Any) -> None:
    """Refuses an object of a user's class that its configuration lacks.

    Raises:
        FieldError: If another process could not make it from that, or two
            objects of other arguments would be one.
    """
    config = value.get_config()
    missing = [name for name in _list_own(value) if name not in config]
    reason = f"no `{missing[0]}`" if missing else ""
    if not missing:
        try:
            again = type(value).from_config(dict(config)).get_config()
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            reason = str(error).strip().splitlines()[0]
        else:
            names = {"name": config.get("name")}
            if _round(again | names) != _round(config | names):
                reason = "another configuration of what is made from it"
    if reason:
        raise FieldError(
            f"{kind.capitalize()} `{type(value).__name__}` cannot be made "
            "again from its `get_config()`, by which runs know it. Expected "
            f"each argument of its constructor in that. Received: {reason}. "
            f"Or write a function under @medzoo.register_{kind} with them as "
            "options.",
            kind,
        )


def _list_own(value: Any) -> list[str]:
    """Lists the arguments of a constructor, unless that is one of Keras."""
    kinds = type(value).__mro__
    if is_of_keras(next(kind for kind in kinds if "__init__" in vars(kind))):
        return []
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, argument in inspect.signature(type(value)).parameters.items()
        if argument.kind not in fixed and name not in _OF_ALL
    ]


def _name_config(value: Any, config: Mapping[str, Any]) -> str:
    """Names an object by its class and by what is not its default."""
    try:
        usual = _round(type(value)().get_config())
    except TypeError:  # It has no defaults.
        usual = {}
    skipped = (*_OF_ALL, *RATES)
    own = [
        f"{key}={each}"
        for key, each in sorted(config.items())
        if key not in skipped and usual.get(key) != each
    ]
    return f"{type(value).__name__}({', '.join(own)})"


def _round(value: Any) -> Any:
    """Rounds numbers that went through 32 bits to the digits that they have."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, Mapping):
        return {key: _round(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_round(each) for each in value]
    return value
